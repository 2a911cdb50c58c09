//! The places of every few bytes of the old file by hash: the index that is quickly made.
//!
//! A seed is a string of a fixed length at a multiple of a stride in the old file. A match that is longer than a seed
//! by a stride holds one. There are two tables: short seeds find what short matches there are, and long ones, which
//! are in few places, find the right one of many places with the same short seed. Both together take some three bytes
//! for each byte of the old file.

use super::agree::{common, common_end, word};
use super::present::{hash, share};
use super::scan::{Index, Place};

/// The lengths of seeds and their strides.
const SHORT: Kind = Kind { bytes: 12, stride: 4 };
const LONG: Kind = Kind { bytes: 32, stride: 8 };
/// So many seeds with one hash are kept.
const WAYS: usize = 4;
/// Longer matches are not compared with others.
const LONG_BYTES: usize = 1 << 12;
const NONE: u32 = u32::MAX;

/// A file's seeds.
pub(super) struct Seeds<'a> {
    text: &'a [u8],
    short: Table,
    long: Table,
}

impl<'a> Seeds<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, short: Table::new(text, SHORT), long: Table::new(text, LONG) }
    }
}

impl Index for Seeds<'_> {
    const SHORTEST: usize = SHORT.bytes;

    fn reaching(&self, new: &[u8], from: usize, fresh: usize, end: usize) -> Option<Place> {
        let mut found = None;
        let mut most = 0;
        let first = from.max(fresh).max((end + 1).saturating_sub(LONG.bytes + LONG.stride));
        for at in first..=end - SHORT.bytes {
            // A long seed begins with a short one.
            let mut short = self.short.places(&new[at..]).peekable();
            if short.peek().is_none() {
                continue;
            }
            let long = new.get(at..at + LONG.bytes).map(|seed| self.long.places(seed));
            let wanted = &new[at..new.len().min(end + LONG_BYTES)];
            for old in long.into_iter().flatten().chain(short) {
                let after = common(&self.text[old..], wanted);
                if after < end - at {
                    continue;
                }
                let before = common_end(&self.text[..old], &new[from..at]);
                if before + after > most {
                    most = before + after;
                    found = Some(Place { old: old - before, new: at - before });
                }
            }
        }
        found
    }

    fn best(&self, _new: &[u8], place: Place, _diagonal: isize) -> Place {
        place
    }
}

#[derive(Clone, Copy)]
struct Kind {
    bytes: usize,
    stride: usize,
}

/// Seeds of one kind.
struct Table {
    kind: Kind,
    /// Numbers of seeds, bits of their hash above; buckets by hash.
    buckets: Vec<[u32; WAYS]>,
    /// The bits that number a seed.
    number_bits: u32,
}

impl Table {
    fn new(text: &[u8], kind: Kind) -> Self {
        let seeds = text.len() / kind.stride + 1;
        let buckets = vec![[NONE; WAYS]; (seeds * 2).div_ceil(WAYS)];
        let number_bits = usize::BITS - seeds.leading_zeros();
        let mut table = Self { kind, buckets, number_bits };
        for (number, at) in (0..).zip((0..text.len()).step_by(kind.stride)) {
            let Some(seed) = text.get(at..at + kind.bytes) else { break };
            // In a long run of one byte all seeds are equal: the first serves.
            let goes_on = at > 0 && text[at - 1] == seed[0] && seed[1..] == seed[..kind.bytes - 1];
            if !goes_on {
                table.add(number, seed);
            }
        }
        table
    }

    fn add(&mut self, number: u32, seed: &[u8]) {
        let (bucket, tag) = self.bucket(seed);
        let ways = &mut self.buckets[bucket];
        let way = ways.iter().position(|way| *way == NONE).unwrap_or(number as usize % WAYS);
        ways[way] = tag | number;
    }

    /// The bucket of a seed, and the bits above the numbers in it.
    fn bucket(&self, seed: &[u8]) -> (usize, u32) {
        let last = word(&seed[self.kind.bytes - 8..]).rotate_left(29);
        let middle = word(&seed[(self.kind.bytes / 2) & !7..]).wrapping_mul(0x94d0_49bb_1331_11eb);
        let hash = hash(word(seed) ^ last ^ middle);
        let tag = (hash & u64::from(u32::MAX >> self.number_bits)) << self.number_bits;
        (share(hash, self.buckets.len()), u32::try_from(tag).expect("BUG: a tag of more than its bits"))
    }

    /// Where the seed may be.
    fn places(&self, seed: &[u8]) -> impl Iterator<Item = usize> {
        let (bucket, tag) = self.bucket(seed);
        let number = (1 << self.number_bits) - 1;
        let stride = self.kind.stride;
        self.buckets[bucket]
            .into_iter()
            .take_while(|way| *way != NONE)
            .filter(move |way| *way & !number == tag)
            .map(move |way| (way & number) as usize * stride)
    }
}
