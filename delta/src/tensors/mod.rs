//! Weights of models.

mod decode;
mod element;
mod encode;
mod find;
mod model;
mod pair;
mod range;
#[cfg(test)]
mod tests;

pub(crate) use decode::Decoder;
pub(crate) use element::Element;
pub(crate) use encode::encode;
pub(crate) use find::find;
pub(crate) use pair::{Pair, pairs, take_pairs, write_pairs};

/// Most memory that a [`Decoder`] holds.
pub(crate) const TENSORS_MEMORY_BYTES: usize = 8 << 20;
