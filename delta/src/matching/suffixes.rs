//! All suffixes of the old file in order: the index that finds every match.
//!
//! Sorted by libsais (Grebnov), in time linear in the size on every input. The table takes four bytes for each byte of
//! the old file; the first letters of every 32nd suffix, which the search begins with, a quarter of a byte;
//! the short strings that are present, one byte.

use libsais::SuffixArrayConstruction;

use super::agree::common;
use super::present::{Present, SHORT_BYTES};
use super::scan::{Index, Place};

/// Of so many suffixes one has its first letters in the table.
const SAMPLE: usize = 32;
/// Longer matches are not compared with others.
const LONG_BYTES: usize = 1 << 16;

/// A file's suffixes, searchable.
pub(super) struct Suffixes<'a> {
    text: &'a [u8],
    /// Where they begin, in their order.
    sorted: Vec<i32>,
    /// The first letters of each [`SAMPLE`]th.
    heads: Vec<u64>,
    present: Present,
}

impl<'a> Suffixes<'a> {
    /// Sorts the suffixes of a text of less than 2 GiB.
    pub(super) fn new(text: &'a [u8]) -> Self {
        let sorted = SuffixArrayConstruction::for_text(text)
            .in_owned_buffer32()
            .single_threaded()
            .run()
            .expect("BUG: a text of 2 GiB or more to sort, or no memory left")
            .into_vec();
        let heads =
            sorted.iter().step_by(SAMPLE).map(|at| head(&text[at.cast_unsigned() as usize..])).collect();
        Self { text, sorted, heads, present: Present::new(text) }
    }

    fn suffix(&self, rank: usize) -> usize {
        self.sorted[rank].cast_unsigned() as usize
    }

    /// A place that shares the most letters with what is wanted, and how many.
    fn longest(&self, wanted: &[u8]) -> (usize, usize) {
        let first = head(wanted);
        let low = self.heads.partition_point(|head| *head < first);
        let high = low + self.heads[low..].partition_point(|head| *head <= first);
        // All before `low` are smaller than what is wanted, all from `high` on are not; each with the letters that
        // the nearest of them shares.
        let (mut low, mut high) = (low.saturating_sub(1) * SAMPLE, (high * SAMPLE).min(self.sorted.len()));
        let (mut below, mut above) = ((0, 0), (0, 0));
        while low < high {
            let middle = low + (high - low) / 2;
            let at = self.suffix(middle);
            let known = below.1.min(above.1);
            let suffix = &self.text[at..];
            let shared = known + common(&suffix[known..], &wanted[known..]);
            if suffix.get(shared) < wanted.get(shared) {
                (low, below) = (middle + 1, (at, shared));
            } else {
                (high, above) = (middle, (at, shared));
            }
        }
        if above.1 > below.1 { above } else { below }
    }
}

/// The first eight letters as a number in the order of suffixes; missing ones count as 0.
fn head(text: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = text.len().min(8);
    head[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(head)
}

impl Index for Suffixes<'_> {
    const SHORTEST: usize = SHORT_BYTES;

    fn reaching(&self, new: &[u8], from: usize, _fresh: usize, end: usize) -> Option<Place> {
        let last = end - SHORT_BYTES;
        let absent = (from..=last).rev().find(|at| !self.present.contains(&new[*at..*at + SHORT_BYTES]));
        // The first start is in low..=high, or nowhere if that is beyond the last.
        let mut low = absent.map_or(from, |at| at + 1);
        let mut high = last + 1;
        let mut found = None;
        let mut middle = low;
        while low < high {
            let (old, shared) = self.longest(&new[middle..end]);
            if shared == end - middle {
                found = Some(Place { old, new: middle });
                high = middle;
            } else {
                low = middle + 1;
            }
            middle = low + (high - low) / 2;
        }
        found
    }

    fn best(&self, new: &[u8], place: Place, _diagonal: isize) -> Place {
        let wanted = &new[place.new..];
        let (old, _) = self.longest(&wanted[..wanted.len().min(LONG_BYTES)]);
        Place { old, new: place.new }
    }
}
