//! Which stretches of the new file resemble which stretches of the old one.
//!
//! The idea is bsdiff's (Percival, "Naive differences of executable code", 2003). A pair of files is followed along a
//! **diagonal**, a constant distance between a place in the old file and its place in the new one. It is left where
//! an exact match elsewhere is clearly better than going on. What lies between two such matches is then given to
//! the one or the other as long as most bytes agree, and the rest to neither. The result is a list of [`Region`]s.
//!
//! Three things differ from bsdiff. The place to leave is not sought byte by byte: only where the diagonal has gone
//! wrong several times may a match be better, and it has to span all of these places, so that everything in
//! between is passed over (`scan`). Whether that short string is in the old file at all is asked first of a small
//! table (`present`). And the list is improved at the end as a whole, by price (`clean`).
//!
//! What is asked for a match is one of two indices of the old file: all its suffixes in order (`suffixes`,
//! [`Effort::Best`]), or the places of every few bytes by hash (`seeds`, [`Effort::Fast`]).
//!
//! The new file is cut into pieces of a fixed size that threads may take in any order (`pieces`): the same files give
//! the same regions whatever the number of threads. Files beyond 256 MiB are cut before (`window`).

mod agree;
mod clean;
mod grow;
mod pieces;
mod present;
mod scan;
mod seeds;
mod suffixes;
#[cfg(test)]
mod tests;
mod window;

use pieces::Pieces;
use seeds::Seeds;
use suffixes::Suffixes;

pub(crate) use clean::{Prices, clean};
pub(crate) use window::{Window, windows};

/// A stretch of the new file that resembles one of the old file, though not in every byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// Where it is in the old file.
    pub(crate) old: u32,
    /// Where it is in the new file.
    pub(crate) new: u32,
    /// Its length in both.
    pub(crate) bytes: u32,
}

impl Region {
    /// Where it ends in the new file.
    pub(crate) fn end(&self) -> u32 {
        self.new + self.bytes
    }

    /// How far its place in the old file is from that in the new one.
    pub(crate) fn diagonal(&self) -> isize {
        (self.old as usize).cast_signed() - (self.new as usize).cast_signed()
    }
}

/// How hard to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// An index of every few bytes: quick, but short matches are missed.
    Fast,
    /// An index of all suffixes: takes some five times the old file's size in memory.
    Best,
}

/// Finds the regions of a pair of files (each of less than 2 GiB): in the new file's order, without overlap there, none
/// empty.
pub(crate) fn find(old: &[u8], new: &[u8], effort: Effort, threads: usize) -> Vec<Region> {
    find_in(old, new, effort, Pieces::default(), threads)
}

fn find_in(old: &[u8], new: &[u8], effort: Effort, pieces: Pieces, threads: usize) -> Vec<Region> {
    match effort {
        Effort::Fast => pieces::scan(old, new, &Seeds::new(old), pieces, threads),
        Effort::Best => pieces::scan(old, new, &Suffixes::new(old), pieces, threads),
    }
}
