//! Files of which nothing is known.

use std::ops::Range;

use super::{Field, Model};

/// Predicts nothing: every byte is as it was.
pub(crate) struct Nothing;

impl Model for Nothing {
    type Name = ();

    fn fields(&self, _: Range<u32>, _: &mut Vec<Field<()>>) {}

    fn predict(&mut self, _: &Field<()>, _: u64, _: u32) -> Option<u64> {
        None
    }

    fn learn(&mut self, _: &Field<()>, _: u64, _: u32, _: u64) {}
}
