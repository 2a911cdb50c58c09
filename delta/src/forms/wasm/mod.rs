//! WebAssembly modules in a wide form: indices, addresses and other numbers have fixed sizes there, so that one that
//! changes moves nothing else. Everything that tells the original encodings stands in the wide form itself; the module
//! comes back from it byte by byte.
//!
//! [`widen`] and [`Narrowed`] lead there and back. [`Index`] finds the fields of a wide form
//! with the [`Map`] that was drawn on the way, [`Survey`] how their numbers
//! moved between two forms (the maker's part), [`Indices`] predicts fields from that and from what it sees (both sides).
//!
//! # The wide form
//! It is the module with these differences:
//!
//! | in a module | in the wide form |
//! |---|---|
//! | the size of a section | 1 byte: 0, or the size of the encoding if it is not the shortest; 4 bytes |
//! | the size of a body | 1 byte: the same; the size is left out. With the bit `80`: 4 bytes of size, the body as it is |
//! | the indices of functions, types and globals, except in the type section; the sizes of lists outside of bodies and of data segments | 4 bytes, of which the upper 4 bits are the size of the encoding if it is not the shortest |
//! | the indices in the custom section of names | the same; the distance to the index before, less 1 |
//! | the offset of a load or store, in two bytes or more | bit `80` in the alignment (and `20` if the encoding has five bytes and could be shorter); 4 bytes |
//! | `i32.const` in two bytes or more | opcode `f0`, or `f1` for five bytes that could be fewer: 4 bytes; `f2`: the encoding's size, 4 bytes |
//! | `i64.const` in two bytes or more | opcode `f3`: 4 bytes, sign-extended; `f4`: 8 bytes; `f5`: the encoding's size, 8 bytes |
//! | `local.get`, `.set`, `.tee` of a local from 128 on | opcodes `f6`, `f7`, `f8`: 2 bytes |
//!
//! Everything else is as it was, sections without fields entirely. A body with instructions that are not known, or not in
//! the shortest encoding where the table has no room for others, is left as it is. A module that is otherwise not as the
//! specification says, or has a body of more than [`BODY_BYTES_MAX`](module::BODY_BYTES_MAX), is not opened.

mod buffered;
mod hints;
mod index;
mod indices;
mod instructions;
mod leb;
mod locals;
mod module;
mod narrow;
mod notes;
mod reading;
mod seen;
mod space;
mod spaces;
mod survey;
mod tape;
#[cfg(test)]
mod tests;
mod widen;

pub(crate) use hints::Hints;
pub(crate) use index::{Index, Map};
pub(crate) use indices::Indices;
pub(crate) use narrow::Narrowed;
pub(crate) use survey::Survey;
pub(crate) use widen::{NotWasm, widen};
