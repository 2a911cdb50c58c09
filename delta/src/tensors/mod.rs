//! Tensors: the weights of models, by what training does to them.
//!
//! A model that was trained further differs from its old self in nearly every weight, mostly by a few units in the last
//! place: nothing in it repeats, and only the differences are small. They are taken in the integer order of the numbers and
//! coded by an adaptive range coder, whose chances know how large the old weight is and how lively its neighbours are.
//!
//! [`find()`] says where tensors are in a file, [`pairs`] which old one became which new one, [`encode()`] writes all their
//! differences, and a [`Decoder`] makes the new tensors block by block. The differences stand in a delta so:
//!
//! | bytes | what |
//! |---|---|
//! | number | bytes of the range coder's stream |
//! | number | bytes of the plain bits |
//! | … | the range coder's stream, in units of four bytes, highest bit first |
//! | … | the plain bits, lowest bit first |
//!
//! `element` the types and their order · `model` what an element costs, given the old one and those before · `range` the
//! coder · `pair` which belongs to which · `find/` the files.

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
pub(crate) use encode::encode;
pub(crate) use find::find;
pub(crate) use pair::{Pair, pairs, take_pairs, write_pairs};

/// Most memory that a [`Decoder`] holds.
pub(crate) const TENSORS_MEMORY_BYTES: usize = 2 << 20;
