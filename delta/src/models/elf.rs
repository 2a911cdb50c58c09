//! The references of executables.

use std::rc::Rc;

use self_cell::self_cell;

use super::{Field, Model, Piece};
use crate::matching::Region;
use crate::references::{Layout, Name, Predictor, Reference, References};

/// What a predictor leans on.
pub(crate) struct Ground {
    pub(crate) old: Layout,
    pub(crate) new: Layout,
    pub(crate) regions: Rc<[Region]>,
}

self_cell!(
    struct Prediction {
        owner: Ground,
        #[not_covariant]
        dependent: Predictor,
    }
);

/// Predicts the references of one window.
pub(crate) struct ElfModel {
    references: References,
    prediction: Prediction,
}

impl ElfModel {
    /// The references are those of the old window, the layouts those of both.
    pub(crate) fn new(references: References, ground: Ground) -> Self {
        let prediction =
            Prediction::new(ground, |ground| Predictor::new(&ground.old, &ground.new, &ground.regions));
        Self { references, prediction }
    }
}

impl Model for ElfModel {
    type Name = Name;
    const LOOKS_BEFORE: bool = true;

    #[inline]
    fn fields(&mut self, piece: &Piece<'_>, out: &mut Vec<Field<Name>>) {
        self.references.visit(piece, |reference| {
            out.push(Field { at: reference.at, bytes: reference.bytes(), name: reference.name() });
        });
    }

    #[inline]
    fn predict(&mut self, field: &Field<Name>, was: u64, new_at: u32) -> Option<u64> {
        let reference = Reference::named(field.at, field.name);
        self.prediction.with_dependent_mut(|_, predictor| predictor.predict(&reference, was, new_at))
    }

    #[inline]
    fn confirm(&mut self, field: &Field<Name>, was: u64, new_at: u32) -> Option<u64> {
        let reference = Reference::named(field.at, field.name);
        self.prediction.with_dependent_mut(|_, predictor| predictor.confirm(&reference, was, new_at))
    }

    #[inline]
    fn learn(&mut self, field: &Field<Name>, was: u64, new_at: u32, is: u64) {
        let reference = Reference::named(field.at, field.name);
        self.prediction.with_dependent_mut(|_, predictor| predictor.learn(&reference, was, new_at, is));
    }
}
