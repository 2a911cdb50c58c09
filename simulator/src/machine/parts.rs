//! The parts in which a release's bytes come to a machine, and which of them are here. Durable: what was
//! fetched before a crash or a cut is not fetched again.

use std::collections::BTreeMap;

/// Parts of one blob at most.
const PARTS_MAX: u64 = 16;
/// Bytes of a part at least.
const PART_BYTES_MIN: u64 = 256 * 1024;

/// The parts of one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    bytes: u64,
    size: u64,
    have: u32,
    /// Bytes of parts that have begun to come.
    begun: BTreeMap<u32, u64>,
}

impl Parts {
    /// No part of a blob of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let size = bytes.div_ceil(PARTS_MAX).max(PART_BYTES_MIN);
        Self { bytes, size, have: 0, begun: BTreeMap::new() }
    }

    /// Bytes of the whole.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many parts there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.bytes.div_ceil(self.size)).unwrap_or(u32::MAX)
    }

    /// Whether a part is here.
    pub fn has(&self, part: u32) -> bool {
        self.have >> part & 1 == 1
    }

    /// Whether all are.
    pub fn is_whole(&self) -> bool {
        self.have.count_ones() == self.count()
    }

    /// Parts that are not here.
    pub fn missing(&self) -> impl Iterator<Item = u32> {
        let have = self.have;
        (0..self.count()).filter(move |part| have >> part & 1 == 0)
    }

    /// Bytes of a part that are still to come.
    pub fn left_of(&self, part: u32) -> u64 {
        let begins = u64::from(part) * self.size;
        let whole = self.bytes.saturating_sub(begins).min(self.size);
        whole.saturating_sub(self.begun.get(&part).copied().unwrap_or(0))
    }

    /// So many bytes of a part came, and no more so far.
    pub fn came(&mut self, part: u32, bytes: u64) {
        *self.begun.entry(part).or_default() += bytes;
    }

    /// A part is here.
    pub fn put(&mut self, part: u32) {
        self.begun.remove(&part);
        self.have |= 1 << part;
    }

    /// The power goes: what was not yet a whole part was in the page cache alone.
    pub fn crash(&mut self) {
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_up_the_whole_whatever_its_size() {
        for bytes in [0, 1, 256 * 1024, 256 * 1024 + 1, 800_000, 20_000_000, 5_000_000_000] {
            let mut parts = Parts::new(bytes);
            let sum: u64 = parts.missing().map(|part| parts.left_of(part)).sum();
            assert_eq!(sum, bytes);
            assert!(u64::from(parts.count()) <= PARTS_MAX);
            let all: Vec<u32> = parts.missing().collect();
            all.into_iter().for_each(|part| parts.put(part));
            assert!(parts.is_whole());
        }
    }

    #[test]
    fn a_cut_keeps_what_came_and_a_crash_the_whole_parts() {
        let mut parts = Parts::new(800_000);
        parts.put(0);
        parts.came(1, 1_000);
        parts.came(1, 500);
        assert_eq!(parts.left_of(1), 256 * 1024 - 1_500);
        parts.crash();
        assert_eq!(parts.left_of(1), 256 * 1024);
        assert!(parts.has(0) && !parts.has(1));
    }
}
