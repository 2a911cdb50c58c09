//! Fields that name addresses: which an executable has, and what they will be in its next version.
//!
//! A call says how far away the function is, a table where the text is. When a version grows by one instruction, most of
//! these fields change, though nothing about them is news: what they name has moved, and where to follows from the
//! regions of the patch. So both sides predict the fields of the new file, and only what was mispredicted travels.
//!
//! - A [`Layout`] says where the window's bytes live in memory. There may be thousands of ELF files in it. The applier
//!   is told the new one, as far as it differs.
//! - [`References`] are the fields of the old window, found by what code, tables and headers are. Those of x86-64 code, by far
//!   the most, are found anew whenever a region reaches them: to keep them would take longer.
//! - A [`Predictor`] says what each of them will be in the new window, region by region, and learns from what it is.
//! - For matching, [`blank`], [`comparable_old`] and [`comparable_new`] are images in which moved code looks alike.
//!
//! All that is predicted follows from the old bytes, the new layout as it was told, the regions and the new
//! fields so far: making a patch and following it compute the same. Old files may be anything: what is not as it
//! should be is not predicted, or wrongly, which costs bytes but never more.
//!
//! # The rooms
//! `layout`, `told`, `elf` where things are · `find` who looks for what: `x86`, `aarch64` code; `data`, `tables` pointers and jump
//! tables; `dynamic`, `unwind`, `objects`, `go`, `kernel` · `kind`, `target` how a field names a target · `found`, `store` references in memory ·
//! `projection`, `shifts`, `learning`, `predictor` where targets went · `comparable`

mod aarch64;
mod aliases;
mod btf;
mod comparable;
mod data;
mod dynamic;
mod elf;
mod find;
mod found;
mod frames;
mod go;
mod kallsyms;
mod kernel;
mod kind;
mod layout;
mod learning;
mod lines;
mod members;
mod numbers;
mod objects;
mod pages;
mod predictor;
mod prepared;
mod projection;
#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "samples are small")]
mod samples;
mod shifts;
mod source;
mod store;
mod tables;
mod target;
#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "samples are small")]
mod tests;
mod told;
mod unwind;
mod x86;

pub(crate) use comparable::{blank, comparable_new, comparable_old};
pub(crate) use found::References;
pub(crate) use kind::{Name, Reference};
pub(crate) use layout::Layout;
pub(crate) use predictor::Predictor;
pub(crate) use projection::Projection;
