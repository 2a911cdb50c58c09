//! How far blocks of memory moved, for who asks for every field.
//!
//! Most targets lie where one region covers all that is around them, and moved by as much as it did. What it takes to know
//! that (which span an address is in, which region covers its place, in which span that comes to be) is the same for
//! all addresses of a block, so it is found once.

use super::layout::{BEYOND, Layout, Span};
use super::projection::Projection;
use super::target::Address;

/// Bytes of a block, as a power of two. Larger memory has larger blocks.
const BLOCK_LOG: u32 = 8;
const BLOCK_LOG_MAX: u32 = 12;
/// Most blocks: they take 2 MiB.
const BLOCKS_MAX: u64 = 1 << 18;

/// The blocks of an executable's memory. There are none where addresses or places could be of several spans.
pub(super) struct Shifts {
    /// The first address.
    start: u64,
    block_log: u32,
    blocks: Vec<Block>,
}

/// All zeros until it is asked for, so that what is never asked for takes no memory.
#[derive(Clone, Copy, Default)]
struct Block {
    /// What is added to addresses, with its first bit changed, or one of the states.
    moved: u32,
    /// What is added to an address to have its place, modulo 2³².
    to_place: u32,
}

const NOT_ASKED: u32 = 0;
const NOT_AS_ONE: u32 = 1;
const SIGN: u32 = 1 << 31;

/// An address in a block that moved as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shifted {
    /// What is added to it, modulo 2⁶⁴.
    pub(super) by: u64,
    /// Its place in the old window.
    pub(super) place: u32,
}

impl Shifts {
    pub(super) fn new(old: &Layout, new: &Layout) -> Self {
        let none = Self { start: 0, block_log: 0, blocks: Vec::new() };
        if !is_of_one_element(old) || !is_of_one_element(new) {
            return none;
        }
        let bounds = old.bounds(0);
        let bytes = bounds.end.saturating_sub(bounds.start);
        let fits = |log: &u32| bytes >> log < BLOCKS_MAX;
        let Some(block_log) = (BLOCK_LOG..=BLOCK_LOG_MAX).find(fits) else { return none };
        let start = bounds.start >> block_log << block_log;
        let count = bounds.end.saturating_sub(start).div_ceil(1 << block_log);
        let blocks = vec![Block::default(); usize::try_from(count).unwrap_or_default()];
        Self { start, block_log, blocks }
    }

    /// Whether no address and no place can be of several spans.
    #[inline]
    pub(super) fn is_unambiguous(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// How far an address moved, if its block did as one.
    #[inline]
    pub(super) fn get(
        &mut self,
        address: u64,
        layouts: (&Layout, &Layout),
        projection: &Projection,
    ) -> Option<Shifted> {
        let number = usize::try_from(address.wrapping_sub(self.start) >> self.block_log).ok()?;
        let mut block = *self.blocks.get(number)?;
        if block.moved == NOT_ASKED {
            block = self.find(number, layouts, projection);
        }
        if block.moved == NOT_AS_ONE {
            return None;
        }
        let moved = (block.moved ^ SIGN).cast_signed();
        let [a, b, c, d, ..] = address.to_le_bytes();
        let place = u32::from_le_bytes([a, b, c, d]).wrapping_add(block.to_place);
        Some(Shifted { by: i64::from(moved).cast_unsigned(), place })
    }

    #[inline(never)]
    fn find(&mut self, number: usize, layouts: (&Layout, &Layout), projection: &Projection) -> Block {
        let first = self.start + ((number as u64) << self.block_log);
        let bytes = 1 << self.block_log;
        let block = moved_as_one(first, bytes, layouts, projection);
        let block = block.unwrap_or(Block { moved: NOT_AS_ONE, to_place: 0 });
        if let Some(known) = self.blocks.get_mut(number) {
            *known = block;
        }
        block
    }
}

/// The block from some address on.
fn moved_as_one(
    first: u64,
    bytes: u32,
    (old, new): (&Layout, &Layout),
    projection: &Projection,
) -> Option<Block> {
    let reach = bytes - 1;
    let last = first.checked_add(u64::from(reach))?;
    let span = old.span_of(0, first).filter(|span| span.has_address(last))?;
    let place = span.place + u32::try_from(first - span.address).ok()?;
    if place.checked_add(bytes)? > BEYOND {
        return None;
    }
    let new_place = projection.project_as_one(place, bytes)?;
    let new_span = new.span_at(new_place).filter(|span| span.has_place(new_place + reach))?;
    let new_first = new_span.address.wrapping_add(u64::from(new_place - new_span.place));
    let moved = i32::try_from(new_first.wrapping_sub(first).cast_signed()).ok()?.cast_unsigned() ^ SIGN;
    let [a, b, c, d, ..] = first.to_le_bytes();
    let to_place = place.wrapping_sub(u32::from_le_bytes([a, b, c, d]));
    (moved > NOT_AS_ONE).then_some(Block { moved, to_place })
}

/// Whether it has one element, every address and every place of which is in one span at most.
fn is_of_one_element(layout: &Layout) -> bool {
    let mut by_address: Vec<&Span> = layout.spans().iter().collect();
    by_address.sort_by_key(|span| span.address);
    let mut by_place = by_address.clone();
    by_place.sort_by_key(|span| span.place);
    let apart = |pair: &[&Span], distance: u64| u64::from(pair[0].bytes) <= distance;
    layout.elements.len() == 1
        && by_address.windows(2).all(|pair| apart(pair, pair[1].address - pair[0].address))
        && by_place.windows(2).all(|pair| apart(pair, (pair[1].place - pair[0].place).into()))
}

/// The only element's address.
pub(super) fn address(value: u64) -> Address {
    Address { element: 0, value }
}

#[cfg(test)]
mod tests {
    use super::super::elf::{Machine, Segment};
    use super::super::layout::Element;
    use super::*;
    use crate::matching::Region;

    fn layout(segments: &[(u64, u64, u64)]) -> Layout {
        let segment = |(at, address, bytes): &(u64, u64, u64)| Segment {
            at: *at,
            address: *address,
            file_bytes: *bytes,
            memory_bytes: *bytes,
        };
        let segments = segments.iter().map(segment).collect();
        Layout::told(0..1 << 20, vec![Element::new(0, Machine::X86, segments)], Vec::new())
    }

    #[test]
    fn a_block_is_known_where_one_region_and_one_span_cover_it() {
        let old = layout(&[(0, 0x1000, 0x1000), (0x1000, 0x3000, 0x1000)]);
        let new = layout(&[(0, 0x1000, 0x1100), (0x1100, 0x4100, 0x1000)]);
        let regions = [
            Region { old: 0, new: 0x80, bytes: 0x1000 },
            Region { old: 0x1000, new: 0x1100, bytes: 0x280 },
            Region { old: 0x1300, new: 0x1400, bytes: 0x200 },
        ];
        let projection = Projection::new(&regions);
        let mut shifts = Shifts::new(&old, &new);
        let mut get = |address| shifts.get(address, (&old, &new), &projection);
        assert_eq!(get(0x1000), Some(Shifted { by: 0x80, place: 0 }));
        assert_eq!(get(0x1fff), Some(Shifted { by: 0x80, place: 0xfff }));
        assert_eq!(get(0x3080), Some(Shifted { by: 0x1100, place: 0x1080 }));
        assert_eq!(get(0x3080), Some(Shifted { by: 0x1100, place: 0x1080 }));
        // In its block a region ends, there is none, it is in no span, and beyond all.
        assert_eq!([0x3210, 0x3700, 0x2800, 0x9000, u64::MAX].map(get), [None; 5]);
        assert_eq!(shifts.get(0x3310, (&old, &new), &projection).map(|shifted| shifted.by), Some(0x1100));
    }

    #[test]
    fn there_are_no_blocks_where_spans_overlap() {
        let apart = layout(&[(0, 0x1000, 0x1000)]);
        let overlapping = layout(&[(0, 0x1000, 0x1000), (0x800, 0x5000, 0x1000)]);
        let projection = Projection::new(&[Region { old: 0, new: 0, bytes: 0x1000 }]);
        for (old, new) in [(&apart, &overlapping), (&overlapping, &apart)] {
            assert_eq!(Shifts::new(old, new).get(0x1000, (old, new), &projection), None);
        }
    }
}
