//! The places of every few bytes of the old file by hash: the index that is quickly made.
//!
//! A seed is a string of [`SEED_BYTES`] at a multiple of [`STRIDE`] in the old file. A match that is longer by a
//! stride holds one, at one of a stride's places. The table takes some two bytes for each byte of the old file.

use super::agree::{common, common_end, word};
use super::present::hash;
use super::scan::{Index, Place};

const SEED_BYTES: usize = 12;
const STRIDE: usize = 4;
/// So many seeds with one hash are kept.
const WAYS: usize = 4;
const NONE: u32 = u32::MAX;

/// A file's seeds.
pub(super) struct Seeds<'a> {
    text: &'a [u8],
    /// Numbers of seeds, their hash in the bits above; buckets of [`WAYS`].
    table: Vec<[u32; WAYS]>,
    /// The bits that number a seed.
    number_bits: u32,
}

impl<'a> Seeds<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let seeds = text.len() / STRIDE + 1;
        let buckets = (seeds * 2).div_ceil(WAYS);
        let number_bits = usize::BITS - seeds.leading_zeros();
        let mut made = Self { text, table: vec![[NONE; WAYS]; buckets], number_bits };
        for (number, at) in (0..).zip((0..text.len()).step_by(STRIDE)) {
            made.add(number, at);
        }
        made
    }

    fn add(&mut self, number: u32, at: usize) {
        let Some(seed) = self.text.get(at..at + SEED_BYTES) else { return };
        // In a long run of one byte all seeds are equal: the first serves.
        if at > 0 && self.text[at - 1] == seed[0] && seed[1..] == seed[..SEED_BYTES - 1] {
            return;
        }
        let (bucket, tag) = self.bucket(seed);
        let ways = &mut self.table[bucket];
        let way = ways.iter().position(|way| *way == NONE).unwrap_or(number as usize % WAYS);
        ways[way] = tag | number;
    }

    /// The bucket of a seed, and the bits above the numbers in it.
    fn bucket(&self, seed: &[u8]) -> (usize, u32) {
        let hash = hash(
            word(seed) ^ word(&seed[SEED_BYTES - 8..]).rotate_left(29).wrapping_mul(0x94d0_49bb_1331_11eb),
        );
        let bucket = (u128::from(hash) * self.table.len() as u128) >> 64;
        (bucket as usize, (hash as u32) << self.number_bits)
    }

    /// Where the seed may be.
    fn places(&self, seed: &[u8]) -> impl Iterator<Item = usize> {
        let (bucket, tag) = self.bucket(seed);
        let number = (1 << self.number_bits) - 1;
        self.table[bucket]
            .into_iter()
            .take_while(|way| *way != NONE)
            .filter(move |way| *way & !number == tag)
            .map(move |way| (way & number) as usize * STRIDE)
    }
}

impl Index for Seeds<'_> {
    const SHORTEST: usize = SEED_BYTES;

    fn reaching(&self, new: &[u8], from: usize, fresh: usize, end: usize) -> Option<Place> {
        let first = fresh.max((end + 1).saturating_sub(SEED_BYTES + STRIDE));
        let mut found: Option<Place> = None;
        for at in first..=end - SEED_BYTES {
            for old in self.places(&new[at..at + SEED_BYTES]) {
                if common(&self.text[old..], &new[at..end]) < end - at {
                    continue;
                }
                let before = common_end(&self.text[..old], &new[from..at]);
                if found.is_none_or(|found| at - before < found.new) {
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
