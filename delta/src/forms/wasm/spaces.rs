//! Spaces of numbers that name things, and how they moved from the old module to the new one.

use super::tape::{INDEX_MASK, Kind};

/// How many spaces there are.
pub(super) const SPACES: usize = 6;

/// Which space a field's number is of; none for locals.
pub(super) fn space_of(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Function => Some(0),
        Kind::Type => Some(1),
        Kind::Global => Some(2),
        Kind::Constant | Kind::Offset => Some(3),
        Kind::Relative => Some(4),
        Kind::Word => Some(5),
        Kind::Local | Kind::Plain => None,
    }
}

/// The part of a field that is its number; the rest stays as it is.
pub(super) fn mask_of(kind: Kind) -> u32 {
    match kind {
        Kind::Function | Kind::Type | Kind::Global => INDEX_MASK,
        _ => u32::MAX,
    }
}

/// From some number on, all have moved by the same distance, up to where the next piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The first number.
    pub(crate) from: u32,
    /// What is added, modulo 2³².
    pub(crate) shift: u32,
}

/// How the numbers of one space moved: pieces in rising order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    pub(super) pieces: Vec<Piece>,
}

impl Moves {
    /// Where a number moved.
    #[inline]
    pub(super) fn apply(&self, number: u32) -> u32 {
        let next = self.pieces.partition_point(|piece| piece.from <= number);
        let shift = next.checked_sub(1).and_then(|at| self.pieces.get(at)).map_or(0, |piece| piece.shift);
        number.wrapping_add(shift)
    }
}

/// How many parts the numbers are sorted into, as a power of two.
const PARTS_LOG: u32 = 12;

/// The same, for who asks often: pieces are sought among those of a part of the numbers.
#[derive(Debug)]
pub(super) struct Sorted {
    moves: Moves,
    /// For each part, how many pieces begin before it; then how many there are.
    before: Vec<u32>,
    /// The numbers of a part, as a power of two.
    part_shift: u32,
}

impl Sorted {
    pub(super) fn new(moves: Moves) -> Self {
        let last = moves.pieces.last().map_or(0, |piece| piece.from);
        let part_shift = (u32::BITS - last.leading_zeros()).saturating_sub(PARTS_LOG);
        let mut before = Vec::with_capacity((last >> part_shift) as usize + 2);
        let mut count = 0;
        for part in 0..=last >> part_shift {
            while moves.pieces.get(count as usize).is_some_and(|piece| piece.from >> part_shift < part) {
                count += 1;
            }
            before.push(count);
        }
        before.push(u32::try_from(moves.pieces.len()).unwrap_or(u32::MAX));
        Self { moves, before, part_shift }
    }

    /// Where a number moved.
    #[inline]
    pub(super) fn apply(&self, number: u32) -> u32 {
        let part = (number >> self.part_shift) as usize;
        let pieces = &self.moves.pieces;
        let next = match self.before.get(part..part + 2) {
            Some(&[from, until]) => {
                let (from, until) = (from as usize, until as usize);
                let within = pieces.get(from..until).unwrap_or_default();
                from + within.partition_point(|piece| piece.from <= number)
            }
            _ => pieces.len(),
        };
        let shift = next.checked_sub(1).and_then(|at| pieces.get(at)).map_or(0, |piece| piece.shift);
        number.wrapping_add(shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorted_moves_say_the_same(
            mut pieces in proptest::collection::vec((0_u32..30, 0_u32..27, any::<u32>()), 0..40),
            numbers in proptest::collection::vec((any::<u32>(), 0_u32..32), 40),
        ) {
            pieces.sort_unstable_by_key(|(from, scale, _)| from << scale);
            let pieces: Vec<_> =
                pieces.into_iter().map(|(from, scale, shift)| Piece { from: from << scale, shift }).collect();
            let moves = Moves { pieces };
            let sorted = Sorted::new(moves.clone());
            let edges = moves.pieces.iter().flat_map(|piece| [piece.from.wrapping_sub(1), piece.from]);
            for number in numbers.into_iter().map(|(number, shift)| number >> shift).chain(edges) {
                prop_assert_eq!(sorted.apply(number), moves.apply(number));
            }
        }
    }
}
