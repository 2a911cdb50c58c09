//! What the fields of a module become: predicted by how the numbers of their space moved, and by what was seen so far.

use std::cell::RefCell;

use super::hints::Hints;
use super::index::Index;
use super::locals::Locals;
use super::space::Space;
use super::spaces::{SPACES, mask_of, space_of};
use super::tape::Kind;
use crate::models::{Field, Model, Piece, cut};

/// Predicts the fields of a wide form.
pub(crate) struct Indices<'a> {
    /// Where the window begins in the form.
    window_at: u64,
    index: RefCell<Index<'a>>,
    spaces: [Space; SPACES],
    locals: Locals,
}

impl<'a> Indices<'a> {
    /// The fields of a window that begins at some place of a wide form, with what the maker of the patch told of them.
    pub(crate) fn new(mut index: Index<'a>, window_at: u64, hints: Hints) -> Self {
        index.set_words(hints.words);
        index.limit_reading();
        let spaces = hints.moves.map(Space::new);
        Self { window_at, index: RefCell::new(index), spaces, locals: Locals::new() }
    }
}

impl Model for Indices<'_> {
    type Name = u64;
    const LOOKS_BEFORE: bool = false;

    fn fields(&mut self, piece: &Piece<'_>, out: &mut Vec<Field<u64>>) {
        let old = piece.range();
        let window_at = self.window_at;
        let old = window_at + u64::from(old.start)..window_at + u64::from(old.end);
        // A form that cannot be read again has no fields; its digest will tell.
        _ = self.index.borrow_mut().visit(old, |reference| {
            let at = u32::try_from(reference.at - window_at).unwrap_or(u32::MAX);
            let name = u64::from(reference.body) << 8 | u64::from(reference.kind as u8);
            out.push(Field { at, bytes: reference.bytes, name });
        });
    }

    #[inline]
    fn predict(&mut self, field: &Field<u64>, was: u64, _: u32) -> Option<u64> {
        let kind = kind_of(field.name);
        let was = u32::try_from(was).unwrap_or_default();
        if kind == Kind::Local {
            return self.locals.predict(body_of(field.name), was).map(u64::from);
        }
        let space = self.spaces.get_mut(space_of(kind)?)?;
        let mask = mask_of(kind);
        Some(u64::from((space.predict(was & mask) & mask) | (was & !mask)))
    }

    #[inline]
    fn confirm(&mut self, field: &Field<u64>, was: u64, _: u32) -> Option<u64> {
        let kind = kind_of(field.name);
        let was = u32::try_from(was).unwrap_or_default();
        if kind == Kind::Local {
            let is = self.locals.predict(body_of(field.name), was)?;
            let is = cut(is.into(), field.bytes);
            self.locals.learn(was, u32::try_from(is).unwrap_or_default());
            return Some(is);
        }
        let space = self.spaces.get_mut(space_of(kind)?)?;
        let mask = mask_of(kind);
        Some(u64::from(space.confirm(was & mask, mask) | (was & !mask)))
    }

    #[inline]
    fn learn(&mut self, field: &Field<u64>, was: u64, _: u32, is: u64) {
        let kind = kind_of(field.name);
        let (was, is) = (u32::try_from(was).unwrap_or_default(), u32::try_from(is).unwrap_or_default());
        if kind == Kind::Local {
            return self.locals.learn(was, is);
        }
        let Some(space) = space_of(kind).and_then(|space| self.spaces.get_mut(space)) else { return };
        let mask = mask_of(kind);
        space.learn(was & mask, is & mask);
    }
}

fn body_of(name: u64) -> u32 {
    u32::try_from(name >> 8).unwrap_or_default()
}

fn kind_of(name: u64) -> Kind {
    const KINDS: [Kind; 9] = [
        Kind::Function,
        Kind::Type,
        Kind::Global,
        Kind::Constant,
        Kind::Relative,
        Kind::Offset,
        Kind::Word,
        Kind::Local,
        Kind::Plain,
    ];
    KINDS.get(usize::from(name.to_le_bytes()[0])).copied().unwrap_or(Kind::Plain)
}
