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
