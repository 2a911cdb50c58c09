//! Binary deltas between files and between trees of files, and content-defined chunks.
//!
//! Functions on bytes: this crate opens no file and knows no clock, network or fleet. It starts threads only to make deltas,
//! as many as [`Options::threads`] allows. It knows three things and how they relate:
//!
//! - A [`Tree`] is a version's files as one canonical index, named by its digest. [`scan()`] makes it from files,
//!   [`verify`] says whether files still are what it names.
//! - A **chunk** is a stretch of a file cut where the content says so ([`chunks`]) and named by its BLAKE3 digest.
//!   [`build_from_chunks`] makes a tree of chunks from anywhere.
//! - A **delta** leads from one tree to another ([`diff_trees`], [`apply_tree`]), or from one file to another
//!   ([`diff`], [`apply`]). Several deltas are followed in one go ([`apply_chain`]), by the [`cheapest`] way.
//!
//! Files are reached through traits that the caller implements, [`ReadTree`] and [`WriteTree`], or are read from any place
//! ([`ReadAt`]). What does not fit in memory while a delta is followed goes to [`Scratch`] space.
//!
//! # How a delta comes to be small
//! 1. Containers are opened and what is in them is compared: a wheel, tarball, package or kernel image is packed again to the
//!    very same bytes, and the numbers of a WebAssembly module are given fixed sizes (`forms/`). Tensors of models are coded by what training does to weights (`tensors/`).
//! 2. Stretches of the new file are found that resemble stretches of the old one (`matching/`): bsdiff's idea, on a suffix
//!    array, with all stretches priced together.
//! 3. Fields that name addresses, or follow from others, are predicted from where everything else went (`references/` for
//!    executables, `models/`). Both sides predict alike; only what was mispredicted travels.
//! 4. What is left is parted into streams of one kind each, and each packed by whichever method makes it smallest
//!    (`patch/`, `codec/`).
//!
//! # What holds
//! - **Everything read is hostile until verified.** Every size is compared with a bound ([`Limits`], or a constant
//!   named in this crate) before memory is taken for it; arbitrary bytes give an error that says whose [`Fault`] it
//!   is, and never a panic or a wrong success.
//! - **What is made is verified before it is finished:** each file's digest is compared before
//!   [`WriteTree::finish`], and a delta's ends are compared with the trees before anything is written.
//! - **Following a delta streams**, on one thread, in at most [`APPLY_MEMORY_BYTES`] beside the trees; packing containers
//!   again may take [`Limits::container_memory_bytes`] more.
//! - **Making one takes at most some ten times the larger file in memory**, and no more than for files of
//!   [`WINDOW_BYTES_MAX`]: larger ones are made window by window.
//! - **A delta is never much larger than the packed file**, at most 64 bytes more than `zstd -19` leaves of it.
//! - **Equal inputs give equal bytes**: trees, chunks and deltas depend on nothing else, threads included.
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
//! A delta between trees (`GSDELT`, format 2) is described in `blob/mod.rs`; a patch of a file alone (`GSPT`, format 5) in
//! `patch/mod.rs`, its body in `patch/body.rs` and `patch/window.rs`.
//!
//! # The rooms
//! `tree/` the index and its rules · `blob/` deltas between trees · `route/` several of them · `patch/` one file against
//! another · `matching/` what resembles what · `references/`, `models/` fields that are predicted · `forms/` containers ·
//! `tensors/` weights · `codec/` packed streams · `chunk`, `scan`, `gather` · `inspect` what is in a delta · `access` the
//! traits, `reading` what is read in order, `numbers` integers · `limits` every bound.

mod access;
mod blob;
mod blocks;
mod chunk;
mod codec;
mod error;
mod forms;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod gather;
pub mod inspect;
mod limits;
mod matching;
#[cfg(any(test, feature = "fuzzing"))]
mod memory;
mod models;
mod numbers;
mod patch;
mod progress;
mod reading;
mod references;
mod route;
mod scan;
mod tensors;
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
