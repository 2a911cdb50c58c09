//! What a file's fields are predicted by, if it has any that can be.
//!
//! A model knows one kind of file. It finds in the old file the fields whose new value follows from what has been made
//! already, says what they will be, and is told what they are. Both sides of a patch run the same models over the same
//! regions: what is predicted right needs no byte in the patch.

mod both;
mod changes;
mod elf;
mod nothing;
mod tar;

use std::ops::Range;

pub(crate) use both::Both;
pub(crate) use elf::{ElfModel, Ground};
pub(crate) use nothing::Nothing;
pub(crate) use tar::TarModel;

/// A field of the old file that names something which may have moved: an address, an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<Name> {
    /// Where it is in the old window.
    pub(crate) at: u32,
    /// Its size: at most eight bytes.
    pub(crate) bytes: u8,
    /// What the model knows it by.
    pub(crate) name: Name,
}

/// A piece of a region of the old window, whose fields are sought.
#[derive(Clone, Debug)]
pub(crate) struct Piece<'a> {
    /// The region: it moves as a whole.
    pub(crate) region: Range<u32>,
    /// Where in the old window the piece begins.
    pub(crate) at: u32,
    pub(crate) bytes: &'a [u8],
    /// Some of what is before it, whether or not it is of the region.
    pub(crate) before: &'a [u8],
}

/// Most bytes before a piece that a model may look at.
pub(crate) const BEFORE_BYTES_MAX: usize = 64;

impl Piece<'_> {
    /// Where in the old window it ends.
    pub(crate) fn end(&self) -> u32 {
        self.at.saturating_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    /// Its places.
    pub(crate) fn range(&self) -> Range<u32> {
        self.at..self.end()
    }
}

/// Predicts fields, region by region in the new file's order, and learns from what they turned out to be. Making a patch
/// and following one call it alike, so that both predict alike.
pub(crate) trait Model {
    /// What it knows a field by.
    type Name: Copy;
    /// Whether it looks at what is before a piece.
    const LOOKS_BEFORE: bool;
    /// Appends the fields that lie wholly within a piece, in order and without overlap. Fields that stay as they are when their
    /// region moves may be left out.
    fn fields(&mut self, piece: &Piece<'_>, out: &mut Vec<Field<Self::Name>>);
    /// What the field will be, given what it was and its place in the new window. Nothing: as it was.
    fn predict(&mut self, field: &Field<Self::Name>, was: u64, new_at: u32) -> Option<u64>;
    /// What it is.
    fn learn(&mut self, field: &Field<Self::Name>, was: u64, new_at: u32, is: u64);
    /// Predicts a field of which it is known that it is as predicted, and learns that. Nothing: as it was.
    #[inline]
    fn confirm(&mut self, field: &Field<Self::Name>, was: u64, new_at: u32) -> Option<u64> {
        let predicted = self.predict(field, was, new_at);
        let is = predicted.map_or(was, |predicted| cut(predicted, field.bytes));
        self.learn(field, was, new_at, is);
        predicted
    }
}

/// What a field of so many bytes holds of a value.
#[inline]
pub(crate) fn cut(value: u64, bytes: u8) -> u64 {
    let unused = u64::BITS - 8 * u32::from(bytes.clamp(1, 8));
    value << unused >> unused
}

/// How predictions came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Fields that were predicted, and right.
    pub(crate) right: u64,
    /// Fields that were predicted, and wrong.
    pub(crate) wrong: u64,
}

impl Counts {
    /// Counts a field of so many bytes.
    #[inline]
    pub(crate) fn count(&mut self, bytes: u8, predicted: u64, is: u64) {
        let unused = u64::BITS - 8 * u32::from(bytes.clamp(1, 8));
        let is_right = predicted << unused == is << unused;
        self.right += u64::from(is_right);
        self.wrong += u64::from(!is_right);
    }

    /// These and more.
    pub(crate) fn plus(self, more: Self) -> Self {
        Self { right: self.right + more.right, wrong: self.wrong + more.wrong }
    }
}
