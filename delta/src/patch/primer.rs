//! What literals resemble: the old bytes that stood where they were put in.
//!
//! Text that is inserted resembles its surroundings, and code that was rewritten resembles what it replaces. So the
//! stream of literals leans on the old bytes that follow each region before a gap. The regions are known before the literals
//! are unpacked: both sides gather the same bytes.

use super::old::OldWindow;
use crate::error::Reason;
use crate::limits::PRIMER_BYTES_MAX;
use crate::matching::Region;

/// Old bytes taken for a gap, beside as many as the gap has.
const AROUND_BYTES: u32 = 64;
/// Most old bytes taken for one gap.
const GAP_BYTES_MAX: u32 = 8 << 10;

/// Gathers them, in the order of the gaps.
pub(super) fn gather(
    regions: &[Region],
    old_bytes: u32,
    new_bytes: u32,
    old: &mut OldWindow<'_>,
) -> Result<Vec<u8>, Reason> {
    let mut primer = Vec::new();
    let ends = regions.iter().skip(1).map(|next| next.new).chain([new_bytes]);
    for (region, end) in regions.iter().zip(ends) {
        let gap = end - (region.new + region.bytes);
        if gap == 0 {
            continue;
        }
        let at = region.old + region.bytes;
        let start = at.saturating_sub(AROUND_BYTES);
        let bytes = gap.saturating_add(2 * AROUND_BYTES).min(GAP_BYTES_MAX).min(old_bytes - start);
        if primer.len() + bytes as usize > PRIMER_BYTES_MAX {
            break;
        }
        let from = primer.len();
        primer.resize(from + bytes as usize, 0);
        old.read(u64::from(start), primer.get_mut(from..).unwrap_or_default())?;
    }
    Ok(primer)
}
