//! Binary deltas between trees of files, and content-defined chunks.
//!
//! Pure functions on bytes: this crate opens no file, knows no clock, network or fleet, and starts no thread. It
//! knows three things and how they relate:
//!
//! - A [`Tree`] is a version's files as one canonical index, named by its digest. [`scan()`] makes it from files,
//!   [`verify`] says whether files still are what it names.
//! - A **chunk** is a stretch of a file cut where the content says so ([`chunks`]) and named by its BLAKE3 digest.
//!   [`build_from_chunks`] makes a tree of chunks from anywhere.
//! - A **delta** leads from one tree to another ([`diff_trees`], [`apply_tree`]), or from one file to another
//!   ([`diff`], [`apply`]). Several deltas are followed in one go ([`apply_chain`]), by the [`cheapest`] way.
//!
//!
//! Files are reached through two traits that the caller implements, [`ReadTree`] and [`WriteTree`].
//!
//! # What holds
//! - **Everything read is hostile until verified.** Every size is compared with a bound ([`Limits`], or a constant
//!   named in this crate) before memory is taken for it; arbitrary bytes give an error that says whose [`Fault`] it
//!   is, and never a panic or a wrong success.
//! - **What is made is verified before it is finished:** each file's digest is compared before
//!   [`WriteTree::finish`], and a delta's ends are compared with the trees before anything is written.
//! - **Following a delta streams**, in at most [`APPLY_MEMORY_BYTES`] beside the trees. Making one does not: a file
//!   that is patched is in memory with its sources, and files beyond [`PATCH_FILE_BYTES_MAX`] reuse chunks instead.
//! - **Equal inputs give equal bytes**: trees, chunks and deltas depend on nothing else.
//!
//! # The formats
//! All integers are little-endian; each format has a magic and a version. A tree, format 1:
//!
//! | bytes | what |
//! |---|---|
//! | 6, 2 | `GSTREE`, 1 |
//! | 4 | number of entries, then each: |
//! | 1 | kind: 0 directory, 1 symbolic link, 2 file, 3 executable file |
//! | 2 + n | path: length, UTF-8; strictly rising |
//! | 2 + n | link: target: length, UTF-8 |
//! | 8, 32 | file: size, BLAKE3 |
//! | 4 | file: number of chunks, then each: |
//! | 4, 32 | size, BLAKE3 |
//!
//! A delta between trees (`GSDELT`, format 2) is described in `blob/mod.rs`; a patch body, and a patch of a file alone
//! (`GSPTCH`), in `engine/mod.rs`.
//!
//! # The rooms
//! `tree/` the index and its rules · `engine/` one file against another, the room to replace for a better one ·
//! `blob/` deltas between trees · `route/` several of them · `chunk`, `scan`, `gather` · `inspect` what is in a delta ·
//! `access` the traits, `reading` what is read in order · `limits` every bound.

mod access;
mod blob;
mod chunk;
mod codec;
mod error;
#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "wired in by the patch format"))]
mod forms;
mod gather;
pub mod inspect;
mod limits;
mod matching;
#[cfg(test)]
mod memory;
mod models;
mod numbers;
mod patch;
mod progress;
mod reading;
mod references;
mod route;
mod scan;
mod tree;
mod witness;

pub use access::{
    Listed, ListedKind, OpenFile, ReadAt, ReadTree, Scratch, ScratchFile, ScratchMemory, WriteTree,
};
pub use blake3::Hash;
pub use blob::{DELTA_MAGIC, DELTA_VERSION, DeltaSummary, DiffError, apply_tree, diff_trees};
pub use chunk::{CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Chunk, chunks};
pub use error::{ApplyError, Fault, Reason};
pub use gather::build_from_chunks;
pub use limits::{
    APPLY_MEMORY_BYTES, CONTAINER_MEMORY_BYTES, ENTRIES_MAX, Limits, NAME_BYTES_MAX, PATH_BYTES_MAX,
    TREE_BYTES_MAX, TREE_ENCODING_BYTES_MAX, WINDOW_BYTES_MAX,
};
pub use patch::{Applied, Effort, Options, PATCH_MAGIC, PATCH_VERSION, apply, diff};
pub use progress::Progress;
pub use reading::Reading;
pub use route::{
    CHAIN_MEMORY_BYTES, CHAIN_STEPS_MAX, ChainStep, Offer, Route, RouteLimits, Way, apply_chain, cheapest,
};
pub use scan::{ScanError, VerifyError, scan, verify};
pub use tree::{ChunkRef, Entry, EntryKind, PathError, TREE_MAGIC, TREE_VERSION, Tree, TreeError, TreePath};
