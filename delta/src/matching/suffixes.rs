//! All suffixes of the old file in order: the index that finds every match.
//!
//! Sorted by libsais (Grebnov), in time linear in the size on every input. The table takes four bytes for each byte of
//! the old file; the first letters of every 32nd suffix, which the search begins with, a quarter of a byte;
//! the short strings that are present, one byte.

use std::cmp::Reverse;

use libsais::SuffixArrayConstruction;

use super::agree::common;
use super::present::{Present, SHORT_BYTES};
use super::scan::{Index, Place};

/// Of so many suffixes one has its first letters in the table.
const SAMPLE: usize = 32;
/// Longer matches are not compared with others.
const LONG_BYTES: usize = 1 << 16;
/// So many equally long matches on each side in the order are weighed against each other,
const RIVALS: usize = 8;
/// by so many bytes on each side of the match.
const AROUND_BYTES: usize = 48;

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

    /// The rank of a suffix that shares the most letters with what is wanted, and how many.
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
                (low, below) = (middle + 1, (middle, shared));
            } else {
                (high, above) = (middle, (middle, shared));
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
            let (rank, shared) = self.longest(&new[middle..end]);
            if shared == end - middle {
                found = Some(Place { old: self.suffix(rank), new: middle });
                high = middle;
            } else {
                low = middle + 1;
            }
            middle = low + (high - low) / 2;
        }
        found
    }

    fn best(&self, new: &[u8], place: Place, diagonal: isize) -> Place {
        let wanted = &new[place.new..];
        let wanted = &wanted[..wanted.len().min(LONG_BYTES)];
        let (rank, shared) = self.longest(wanted);
        let equal = |rank: &usize| common(&self.text[self.suffix(*rank)..], wanted) == shared;
        let before = (rank.saturating_sub(RIVALS)..rank).rev().take_while(equal);
        let after = (rank + 1..self.sorted.len().min(rank + 1 + RIVALS)).take_while(equal);
        let rivals = std::iter::once(rank).chain(before).chain(after);
        let rivals = rivals.map(|rank| Place { old: self.suffix(rank), new: place.new });
        let best = rivals.max_by_key(|rival| {
            let distance = rival.diagonal().abs_diff(diagonal);
            (resemblance(self.text, new, *rival, shared), Reverse(distance), Reverse(rival.old))
        });
        best.unwrap_or(place)
    }
}

/// How many bytes agree before and after an exact match.
fn resemblance(old: &[u8], new: &[u8], place: Place, shared: usize) -> usize {
    let before = old[..place.old].iter().rev().zip(new[..place.new].iter().rev());
    let after = old[place.old + shared..].iter().zip(&new[place.new + shared..]);
    let agreeing = |(old, new): &(&u8, &u8)| old == new;
    before.take(AROUND_BYTES).filter(agreeing).count() + after.take(AROUND_BYTES).filter(agreeing).count()
}
