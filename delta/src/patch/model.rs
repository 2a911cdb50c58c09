//! What a file's fields are predicted by, if it has any that can be.

use std::ops::Range;

/// A field of the old file that names something which may have moved: an address, an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Where it is in the old window.
    pub(crate) at: u32,
    /// Its size: at most eight bytes.
    pub(crate) bytes: u8,
    /// What the model knows it by.
    pub(crate) name: u64,
}

/// Predicts fields, region by region in the new file's order, and learns from what they turned out to be. Making a patch
/// and following one call it alike, so that both predict alike.
pub(crate) trait Model {
    /// Appends the fields that lie wholly within a stretch of the old window, in order and without overlap.
    fn fields(&self, old: Range<u32>, out: &mut Vec<Field>);
    /// What the field will be, given what it was and its place in the new window. Nothing: as it was.
    fn predict(&mut self, field: &Field, was: u64, new_at: u32) -> Option<u64>;
    /// What it is.
    fn learn(&mut self, field: &Field, was: u64, new_at: u32, is: u64);
}

/// For files without such fields.
pub(crate) struct NoModel;

impl Model for NoModel {
    fn fields(&self, _: Range<u32>, _: &mut Vec<Field>) {}

    fn predict(&mut self, _: &Field, _: u64, _: u32) -> Option<u64> {
        None
    }

    fn learn(&mut self, _: &Field, _: u64, _: u32, _: u64) {}
}
