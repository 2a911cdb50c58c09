//! Which short strings are in a file: a table of bits by hash, which may say yes wrongly but never no.

use super::agree::word;

/// The length of the strings.
pub(super) const SHORT_BYTES: usize = 9;

/// The short strings of a file, each as two bits of one word (a blocked Bloom filter): as large as the file.
pub(super) struct Present {
    words: Vec<u64>,
}

impl Present {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut present = Self { words: vec![0; text.len() / 8 + 1] };
        for short in text.windows(SHORT_BYTES) {
            let (word, bits) = present.place(short);
            present.words[word] |= bits;
        }
        present
    }

    /// Whether the string (of [`SHORT_BYTES`]) may be in the file.
    pub(super) fn contains(&self, short: &[u8]) -> bool {
        let (word, bits) = self.place(short);
        self.words[word] & bits == bits
    }

    fn place(&self, short: &[u8]) -> (usize, u64) {
        let hash = hash(word(short) ^ u64::from(short[SHORT_BYTES - 1]).rotate_left(29));
        (share(hash, self.words.len()), 1 << (hash & 63) | 1 << (hash >> 6 & 63))
    }
}

/// The place that a hash has among so many.
pub(super) fn share(hash: u64, places: usize) -> usize {
    let place = (u128::from(hash) * places as u128) >> u64::BITS;
    usize::try_from(place).expect("BUG: a place beyond the last")
}

/// Spreads a number over all bits.
pub(super) const fn hash(number: u64) -> u64 {
    let number = (number ^ (number >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
