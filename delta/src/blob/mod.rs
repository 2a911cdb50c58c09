//! Between trees: one self-contained delta.
//!
//! Two doors: [`diff_trees`] makes one, [`apply_tree`] builds the new tree with it. Files are named by their
//! place in a tree's entries, which both sides have; sizes and digests stand in the two trees, and are
//! not repeated. A new file whose digest an old file has is a copy of the first such, and an empty file is
//! empty: neither takes a byte of the delta. All others are in **groups**, each with a **body**. A group is one new
//! file, or many small ones in a row, made from up to eight old files, or from many small ones, in a row. Format 2,
//! integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 6 | `GSDELT` |
//! | 2 | format: 2 |
//! | 32 | the old tree's digest |
//! | 32 | the new tree's digest |
//! | … | the groups' bodies, one after another |
//! | … | the index: a patch that makes the new tree's encoding from the old tree's |
//! | … | the plan: a body from nothing |
//! | 4, 4 | sizes of the new tree's encoding and of the index |
//! | 4, 4 | sizes of the plan, unpacked and packed |
//!
//! The plan names the groups, all numbers in LEB128, differences with their sign in the lowest bit (zigzag):
//!
//! | number | what |
//! |---|---|
//! | 1 | how many groups, then each: |
//! | 1 | kind: 0 patch, 1 whole |
//! | 1 + n | new files: how many, and each one's entry, less that of the file named before in the plan |
//! | 1 + n | patch: old files: how many, and each one's entry, less that of the file named before in the plan |
//! | 1 | size of the body in bytes |
//!
//! A body is one of a patch (`patch/body.rs`): from the old files in a row, or from nothing, it makes the new files in a row.
//!
//! # The files
//! `sources/` which old files a new one is made from · `groups` what is packed together · `make` · `plan` and `ends` the
//! format · `base` old files in a row · `spread` a row cut into new files · `work` what it may cost · `apply` · `inspect` · `body`, through which making and
//! following go.

mod apply;
mod base;
mod body;
mod ends;
mod files;
mod groups;
mod inspect;
mod make;
mod plan;
mod sources;
mod spread;
mod work;

pub use apply::apply_tree;
pub(crate) use apply::{write_groups, write_tree};
pub(crate) use ends::Opened;
pub use ends::{DELTA_MAGIC, DELTA_VERSION};
pub(crate) use files::{ByContent, file};
pub(crate) use inspect::inspect;
pub use make::{DeltaSummary, DiffError, diff_trees};

#[cfg(test)]
mod tests;
