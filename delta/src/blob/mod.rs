//! Between trees: one self-contained delta.
//!
//! Two doors: [`diff_trees`] makes one, [`apply_tree`] builds the new tree with it. Old files are named by their
//! place in the old tree's entries, which both sides have; sizes and digests stand in the two trees, and are
//! not repeated. Format 1, integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 6 | `GSDELT` |
//! | 2 | format: 1 |
//! | 32 | the old tree's digest |
//! | 32 | the new tree's digest |
//! | 4 | size of the new tree's encoding |
//! | … | the new tree's encoding: a body of engine 1, from the old tree's encoding |
//! | … | a record for each file of the new tree, in its order |
//!
//! A record begins with a byte:
//!
//! | byte | name | what follows |
//! |---|---|---|
//! | 0 | same | 4: the old file's entry, of the same digest |
//! | 1 | patch | 4: the old file's entry; a body of engine 1 |
//! | 2 | whole | one zstd frame of the file |
//! | 3 | pieces | 4: number of runs, then each run; one zstd frame of all chunks that are not taken from old files |
//!
//! A run of pieces: 4: number of chunks (the new file's next ones); 4: the old file's entry, or
//! `ff ff ff ff` for chunks in the frame; 4: the first of its chunks (0 for chunks in the frame).

mod apply;
mod choose;
mod header;
mod make;
mod pieces;

pub use apply::apply_tree;
pub use header::{DELTA_MAGIC, DELTA_VERSION};
pub use make::{DeltaSummary, DiffError, diff_trees};

const SAME: u8 = 0;
const PATCH: u8 = 1;
const WHOLE: u8 = 2;
const PIECES: u8 = 3;

#[cfg(test)]
mod tests;
