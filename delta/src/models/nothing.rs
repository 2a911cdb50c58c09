//! Files of which nothing is known.

use super::{Field, Model, Piece};

/// Predicts nothing: every byte is as it was.
pub(crate) struct Nothing;

impl Model for Nothing {
    type Name = ();
    const LOOKS_BEFORE: bool = false;

    fn fields(&mut self, _: &Piece<'_>, _: &mut Vec<Field<()>>) {}

    fn predict(&mut self, _: &Field<()>, _: u64, _: u32) -> Option<u64> {
        None
    }

    fn learn(&mut self, _: &Field<()>, _: u64, _: u32, _: u64) {}
}
