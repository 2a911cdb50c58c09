//! Entry functions for fuzzers: each takes any bytes, and panics if and only if a law of this crate is broken.
//!
//! Behind the feature `fuzzing`, and outside of what this crate promises. The targets in `fuzz/targets/` call these
//! functions; a plain test calls them with all stored seeds (`fuzz/seeds/`). To add one: a function in the file where it
//! belongs, its line in [`ENTRIES`], its target with a `[[bin]]` in `fuzz/Cargo.toml`, and seeds in `seeds.rs`.
//!
//! Hostile bytes must never be checked by an outer digest only, nor be caught by compression: so besides whole
//! deltas there are entries that take a delta's parts one by one, as they are once unpacked.

mod files;
mod forms;
mod parsers;
mod parts;
mod script;
mod seeds;
mod trees;

#[path = "../../tests/support/pairs.rs"]
mod pairs;

pub use files::{changed_patch, round_trip, round_trip_edited, round_trip_pair};
pub use forms::{containers, shells};
pub use parsers::{chunks, references, streams, tree};
pub use parts::{body, windows};
pub use seeds::seeds;
pub use trees::{changed_delta, delta_parts};

/// Takes any bytes.
pub type Entry = fn(&[u8]);

/// All entries, by the name of their target.
pub const ENTRIES: [(&str, Entry); 14] = [
    ("body", body),
    ("changed_delta", changed_delta),
    ("changed_patch", changed_patch),
    ("chunks", chunks),
    ("containers", containers),
    ("delta_parts", delta_parts),
    ("references", references),
    ("round_trip", round_trip),
    ("round_trip_edited", round_trip_edited),
    ("round_trip_pair", round_trip_pair),
    ("shells", shells),
    ("streams", streams),
    ("tree", tree),
    ("windows", windows),
];

#[cfg(test)]
mod tests;
