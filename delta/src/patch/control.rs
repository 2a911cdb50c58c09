//! The regions of a window as three streams of numbers: how long each is, how much new comes before it, and how far the
//! alignment moves. Each kind packs better in its own company.

use crate::error::Reason;
use crate::matching::Region;
use crate::numbers;

/// The three streams, unpacked.
#[derive(Default)]
pub(super) struct Control {
    pub(super) lengths: Vec<u8>,
    pub(super) gaps: Vec<u8>,
    pub(super) shifts: Vec<u8>,
}

impl Control {
    /// The regions are in the new file's order and do not overlap there.
    pub(super) fn encode(regions: &[Region]) -> Self {
        let mut control = Self::default();
        let mut done = 0;
        let mut alignment = 0;
        for region in regions {
            let next = i64::from(region.old) - i64::from(region.new);
            numbers::put(&mut control.lengths, u64::from(region.bytes));
            numbers::put(&mut control.gaps, u64::from(region.new - done));
            numbers::put_signed(&mut control.shifts, next - alignment);
            done = region.new + region.bytes;
            alignment = next;
        }
        control
    }

    /// Reads so many regions, each of which must lie within the windows.
    pub(super) fn decode(&self, count: usize, old_bytes: u32, new_bytes: u32) -> Result<Vec<Region>, Reason> {
        const OUTSIDE: Reason = Reason::Malformed("a region lies outside its window");
        let (mut lengths, mut gaps, mut shifts) = (&self.lengths[..], &self.gaps[..], &self.shifts[..]);
        // Every region takes at least a byte of each stream: the count is no larger than what was read.
        let mut regions = Vec::with_capacity(count.min(lengths.len()));
        let mut done = 0_u64;
        let mut alignment = 0_i64;
        for _ in 0..count {
            let bytes = numbers::take(&mut lengths)?;
            let new = done.checked_add(numbers::take(&mut gaps)?).ok_or(OUTSIDE)?;
            alignment = alignment.checked_add(numbers::take_signed(&mut shifts)?).ok_or(OUTSIDE)?;
            let old = new.checked_add_signed(alignment).ok_or(OUTSIDE)?;
            let fits =
                |at: u64, window: u32| at.checked_add(bytes).is_some_and(|end| end <= u64::from(window));
            if bytes == 0 || !fits(new, new_bytes) || !fits(old, old_bytes) {
                return Err(OUTSIDE);
            }
            done = new + bytes;
            let short = |number: u64| u32::try_from(number).map_err(|_| OUTSIDE);
            regions.push(Region { old: short(old)?, new: short(new)?, bytes: short(bytes)? });
        }
        if !(lengths.is_empty() && gaps.is_empty() && shifts.is_empty()) {
            return Err(Reason::Malformed("there are more numbers than regions"));
        }
        Ok(regions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD_BYTES: u32 = 5000;
    const NEW_BYTES: u32 = 100_000;

    fn regions() -> impl Strategy<Value = Vec<Region>> {
        let region = (0_u32..500, 0..OLD_BYTES, 1_u32..200);
        proptest::collection::vec(region, 0..100).prop_map(|parts| {
            let mut done = 0;
            let regions = parts.into_iter().map(|(gap, old, bytes)| {
                let region = Region { old, new: done + gap, bytes: bytes.min(OLD_BYTES - old) };
                done = region.new + region.bytes;
                region
            });
            regions.collect()
        })
    }

    proptest! {
        #[test]
        fn regions_read_back_as_written(regions in regions()) {
            let control = Control::encode(&regions);
            prop_assert_eq!(control.decode(regions.len(), OLD_BYTES, NEW_BYTES).unwrap(), regions);
        }

        #[test]
        fn what_is_read_lies_within_the_windows(
            lengths in proptest::collection::vec(any::<u8>(), 0..40),
            gaps in proptest::collection::vec(any::<u8>(), 0..40),
            shifts in proptest::collection::vec(any::<u8>(), 0..40),
            count in 0_usize..40,
        ) {
            let control = Control { lengths, gaps, shifts };
            if let Ok(regions) = control.decode(count, OLD_BYTES, NEW_BYTES) {
                let mut done = 0;
                for region in regions {
                    prop_assert!(region.new >= done && region.bytes > 0);
                    done = region.new + region.bytes;
                    prop_assert!(done <= NEW_BYTES && region.old + region.bytes <= OLD_BYTES);
                }
            }
        }
    }
}
