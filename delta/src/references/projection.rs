//! Where places of the old window are in the new one, as far as the regions say.

use std::collections::BinaryHeap;

use crate::matching::Region;

/// Most pieces that are kept: with more, the shortest regions are left out. They take 4.5 MiB.
const PIECES_MAX: usize = 384 << 10;
const BLOCK_SHIFT: u32 = 11;
/// So many pieces of a block are looked at one after another before the right one is sought.
const LOOKED_AT: usize = 4;

/// A stretch of the old window and where it went, where several regions claim it: with the longest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    old: u32,
    new: u32,
    bytes: u32,
}

/// The pieces, in the old window's order and without overlap.
#[derive(Debug)]
pub(crate) struct Projection {
    pieces: Vec<Piece>,
    /// For each block of the old window, the first piece that ends in or after it.
    blocks: Vec<u32>,
}

/// Where a place is in the new window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Projected {
    pub(super) place: u32,
    /// Whether a region covers it; else it is thought to have moved with the nearest one.
    pub(super) covered: bool,
}

impl Projection {
    /// Takes regions in any order.
    pub(crate) fn new(regions: &[Region]) -> Self {
        let mut regions: Vec<Region> = regions.to_vec();
        regions.retain(|region| {
            region.bytes > 0
                && region.old.checked_add(region.bytes).is_some()
                && region.new.checked_add(region.bytes).is_some()
        });
        let mut shortest = 1;
        while regions.len() > PIECES_MAX / 2 {
            shortest *= 2;
            regions.retain(|region| region.bytes >= shortest);
        }
        regions.sort_unstable_by_key(|region| (region.old, region.bytes, region.new));
        let pieces = flatten(&regions);
        let blocks = index(&pieces);
        Self { pieces, blocks }
    }

    /// The piece that covers a place, by its number.
    pub(super) fn piece_over(&self, old: u32) -> Option<usize> {
        let next = self.piece_from(old);
        self.pieces.get(next).is_some_and(|piece| piece.old <= old).then_some(next)
    }

    /// Where a stretch went that one piece covers.
    pub(super) fn project_as_one(&self, old: u32, bytes: u32) -> Option<u32> {
        let piece = self.pieces.get(self.piece_over(old)?)?;
        let within = old - piece.old;
        (piece.bytes - within >= bytes).then(|| piece.new + within)
    }

    /// How many pieces there are.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// The first piece that ends after a place.
    #[inline]
    fn piece_from(&self, old: u32) -> usize {
        let block = (old >> BLOCK_SHIFT) as usize;
        let from = self.blocks.get(block).map_or(self.pieces.len(), |first| *first as usize);
        let until = self.blocks.get(block + 1).map_or(self.pieces.len(), |next| *next as usize + 1);
        let candidates = self.pieces.get(from..until.min(self.pieces.len())).unwrap_or_default();
        // Mostly there are few.
        for (number, piece) in candidates.iter().take(LOOKED_AT).enumerate() {
            if piece.old + (piece.bytes - 1) >= old {
                return from + number;
            }
        }
        from + candidates.partition_point(|piece| piece.old + (piece.bytes - 1) < old)
    }

    /// Where a place went. None if there are no regions at all.
    #[inline]
    pub(super) fn project(&self, old: u32) -> Option<Projected> {
        let next = self.piece_from(old);
        let after = self.pieces.get(next);
        if let Some(piece) = after.filter(|piece| piece.old <= old) {
            return Some(Projected { place: piece.new + (old - piece.old), covered: true });
        }
        let before = next.checked_sub(1).and_then(|before| self.pieces.get(before));
        let nearest = match (before, after) {
            (Some(before), Some(after)) => {
                let behind = old - (before.old + before.bytes);
                if behind <= after.old - old { before } else { after }
            }
            (before, after) => before.or(after)?,
        };
        Some(Projected { place: nearest.new.wrapping_add(old.wrapping_sub(nearest.old)), covered: false })
    }
}

/// Gives every place to the longest region that covers it. The regions come in the old window's order.
fn flatten(regions: &[Region]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    // By length, then by where they come in the order: the earlier one wins.
    let mut open: BinaryHeap<(u32, std::cmp::Reverse<usize>)> = BinaryHeap::new();
    let mut at = 0;
    let mut next = 0;
    loop {
        while let Some((_, std::cmp::Reverse(index))) = open.peek() {
            if end_of(&regions[*index]) > at {
                break;
            }
            open.pop();
        }
        let start = regions.get(next).map(|region| region.old);
        let Some((_, std::cmp::Reverse(longest))) = open.peek() else {
            let Some(start) = start else { break };
            at = start;
            open.push((regions[next].bytes, std::cmp::Reverse(next)));
            next += 1;
            continue;
        };
        let longest = regions[*longest];
        let until = start.unwrap_or(u32::MAX).min(end_of(&longest));
        if until > at {
            append(&mut pieces, longest, at, until);
            at = until;
        }
        if start == Some(at) {
            open.push((regions[next].bytes, std::cmp::Reverse(next)));
            next += 1;
        }
    }
    pieces
}

fn end_of(region: &Region) -> u32 {
    region.old + region.bytes
}

fn append(pieces: &mut Vec<Piece>, region: Region, from: u32, until: u32) {
    let new = region.new + (from - region.old);
    if let Some(last) = pieces.last_mut()
        && last.old + last.bytes == from
        && last.new + last.bytes == new
    {
        last.bytes += until - from;
        return;
    }
    pieces.push(Piece { old: from, new, bytes: until - from });
}

fn index(pieces: &[Piece]) -> Vec<u32> {
    let end = pieces.last().map_or(0, |piece| piece.old + piece.bytes);
    let mut blocks = Vec::with_capacity((end >> BLOCK_SHIFT) as usize + 1);
    let mut first = 0;
    for block in 0..=end >> BLOCK_SHIFT {
        let start = block << BLOCK_SHIFT;
        while pieces.get(first as usize).is_some_and(|piece| piece.old + piece.bytes <= start) {
            first += 1;
        }
        blocks.push(first);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn regions() -> impl Strategy<Value = Vec<Region>> {
        let region = (0_u32..20_000, 0_u32..20_000, 0_u32..6000);
        proptest::collection::vec(region, 0..20).prop_map(|regions| {
            regions.into_iter().map(|(old, new, bytes)| Region { old, new, bytes }).collect()
        })
    }

    proptest! {
        #[test]
        fn a_covered_place_goes_with_the_longest_region_that_covers_it(
            regions in regions(),
            places in proptest::collection::vec(0_u32..30_000, 40),
        ) {
            let projection = Projection::new(&regions);
            for place in places {
                let covers = |r: &&Region| r.old <= place && place < r.old + r.bytes;
                let longest = regions.iter().filter(covers).map(|region| region.bytes).max();
                let found = projection.project(place);
                let is_right = |projected: Projected| {
                    regions.iter().any(|r| {
                        covers(&r) && Some(r.bytes) == longest && r.new + (place - r.old) == projected.place
                    })
                };
                prop_assert_eq!(found.is_some_and(|found| found.covered), longest.is_some());
                prop_assert_eq!(found.is_none(), regions.iter().all(|region| region.bytes == 0));
                prop_assert!(longest.is_none() || is_right(found.unwrap()));
            }
        }
    }

    #[test]
    fn regions_at_the_end_of_all_places_are_kept_and_those_beyond_left_out() {
        let last = Region { old: u32::MAX - 4, new: 0, bytes: 4 };
        let beyond = Region { old: u32::MAX - 4, new: 8, bytes: 5 };
        let projection = Projection::new(&[last, beyond]);
        assert_eq!(projection.pieces.len(), 1);
        assert_eq!(projection.project(u32::MAX - 2), Some(Projected { place: 2, covered: true }));
    }
}
