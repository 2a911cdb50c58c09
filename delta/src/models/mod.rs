//! What a file's fields are predicted by, if it has any that can be.
//!
//! A model knows one kind of file. It finds in the old file the fields whose new value follows from what has been made
//! already, says what they will be, and is told what they are. Both sides of a patch run the same models over the same
//! regions: what is predicted right needs no byte in the patch.

mod changes;
mod elf;
mod tar;

use std::ops::Range;

pub(crate) use elf::{ElfModel, Ground};
pub(crate) use tar::TarModel;

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

/// Several models at once, each with fields of its own.
#[derive(Default)]
pub(crate) struct Models<'a> {
    models: Vec<Box<dyn Model + 'a>>,
    /// What the field at hand was predicted to be.
    last: Option<u64>,
    pub(crate) counts: Counts,
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
    /// These and more.
    pub(crate) fn plus(self, more: Self) -> Self {
        Self { right: self.right + more.right, wrong: self.wrong + more.wrong }
    }
}

/// How many models there may be: a field's name says whose it is in its highest bits.
const MODELS_MAX: usize = 4;
const OWNER_SHIFT: u32 = 62;

impl<'a> Models<'a> {
    pub(crate) fn push(&mut self, model: Box<dyn Model + 'a>) {
        assert!(self.models.len() < MODELS_MAX, "BUG: more models than names for them");
        self.models.push(model);
    }

    fn owner(&mut self, field: &Field) -> Option<(&mut Box<dyn Model + 'a>, Field)> {
        let owner = usize::try_from(field.name >> OWNER_SHIFT).ok()?;
        let field = Field { name: field.name & ((1 << OWNER_SHIFT) - 1), ..*field };
        Some((self.models.get_mut(owner)?, field))
    }
}

impl Model for Models<'_> {
    fn fields(&self, old: Range<u32>, out: &mut Vec<Field>) {
        let from = out.len();
        for (owner, model) in (0_u64..).zip(&self.models) {
            let own = out.len();
            model.fields(old.clone(), out);
            for field in out.iter_mut().skip(own) {
                field.name |= owner << OWNER_SHIFT;
            }
        }
        if self.models.len() > 1 {
            merge(out, from);
        }
    }

    fn predict(&mut self, field: &Field, was: u64, new_at: u32) -> Option<u64> {
        let (model, field) = self.owner(field)?;
        self.last = model.predict(&field, was, new_at);
        self.last
    }

    fn learn(&mut self, field: &Field, was: u64, new_at: u32, is: u64) {
        if let Some(predicted) = self.last.take() {
            let unused = u64::BITS - 8 * u32::from(field.bytes.clamp(1, 8));
            let is_right = predicted << unused == is << unused;
            self.counts.right += u64::from(is_right);
            self.counts.wrong += u64::from(!is_right);
        }
        if let Some((model, field)) = self.owner(field) {
            model.learn(&field, was, new_at, is);
        }
    }
}

/// Brings the fields of several models in order; of two that overlap the first stays.
fn merge(fields: &mut Vec<Field>, from: usize) {
    let Some(merged) = fields.get_mut(from..) else { return };
    merged.sort_by_key(|field| field.at);
    let mut end = 0;
    let mut at = 0;
    fields.retain(|field| {
        at += 1;
        let stays = at <= from || field.at >= end;
        if stays && at > from {
            end = field.at + u32::from(field.bytes);
        }
        stays
    });
}
