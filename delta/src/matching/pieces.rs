//! The new file cut into pieces that threads take in turn.
//!
//! A piece is scanned from somewhat before it, so that at its beginning the diagonal is the one that a scan of the
//! whole file would be on. What is found before it is dropped, and regions that go on over a seam are joined.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Region;
use super::scan::{Index, scan as scan_part};

/// How the new file is cut.
#[derive(Clone, Copy)]
pub(super) struct Pieces {
    /// No piece is larger.
    pub(super) bytes: usize,
    /// So much is scanned before one.
    pub(super) approach: usize,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { bytes: 4 << 20, approach: 64 << 10 }
    }
}

/// Finds the regions of the new file.
pub(super) fn scan(
    old: &[u8],
    new: &[u8],
    index: &impl Index,
    pieces: Pieces,
    threads: usize,
) -> Vec<Region> {
    let count = new.len().div_ceil(pieces.bytes).max(1);
    let size = new.len().div_ceil(count);
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![Vec::new(); count]);
    let work = || {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= count {
                return;
            }
            let begin = piece * size;
            let end = (begin + size).min(new.len());
            let mut regions = scan_part(old, new, index, begin.saturating_sub(pieces.approach), end);
            drop_before(&mut regions, begin);
            found.lock().unwrap_or_else(PoisonError::into_inner)[piece] = regions;
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            scope.spawn(work);
        }
        work();
    });
    join(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn drop_before(regions: &mut Vec<Region>, begin: usize) {
    let begin = u32::try_from(begin).expect("BUG: a file of 4 GiB or more to match");
    regions.retain(|region| region.end() > begin);
    if let Some(first) = regions.first_mut()
        && first.new < begin
    {
        let gone = begin - first.new;
        *first = Region { old: first.old + gone, new: begin, bytes: first.bytes - gone };
    }
}

fn join(pieces: Vec<Vec<Region>>) -> Vec<Region> {
    let mut all: Vec<Region> = Vec::with_capacity(pieces.iter().map(Vec::len).sum());
    for regions in pieces {
        let mut regions = regions.into_iter();
        if let Some(first) = regions.next() {
            match all.last_mut() {
                Some(last) if last.end() == first.new && last.diagonal() == first.diagonal() => {
                    last.bytes += first.bytes;
                }
                _ => all.push(first),
            }
        }
        all.extend(regions);
    }
    all
}
