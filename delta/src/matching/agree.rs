//! Where bytes of two files agree.

/// How many leading bytes are equal.
pub(super) fn common(one: &[u8], other: &[u8]) -> usize {
    const STEP: usize = size_of::<u64>();
    let mut at = 0;
    for (one, other) in one.chunks_exact(STEP).zip(other.chunks_exact(STEP)) {
        let different = word(one) ^ word(other);
        if different != 0 {
            return at + different.trailing_zeros() as usize / 8;
        }
        at += STEP;
    }
    at + one[at.min(one.len())..]
        .iter()
        .zip(&other[at.min(other.len())..])
        .take_while(|(one, other)| one == other)
        .count()
}

/// How many bytes at the ends are equal.
pub(super) fn common_end(one: &[u8], other: &[u8]) -> usize {
    one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}

/// How many bytes of two equally long stretches differ.
pub(super) fn differing(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).filter(|(one, other)| one != other).count()
}

/// The first eight bytes as a number, the first one least.
pub(super) fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// Two files laid on each other at a distance: the byte of the new file at `at` lies on that of the old at `at +
/// diagonal`, if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overlay<'a> {
    pub(super) old: &'a [u8],
    pub(super) new: &'a [u8],
    pub(super) diagonal: isize,
}

impl<'a> Overlay<'a> {
    /// The old file from below a place of the new file on; empty where there is nothing.
    pub(super) fn old_from(&self, at: usize) -> &'a [u8] {
        at.checked_add_signed(self.diagonal).and_then(|at| self.old.get(at..)).unwrap_or_default()
    }

    /// The first place from `at` on, but before `end`, where the files do not agree.
    pub(super) fn next_wrong(&self, at: usize, end: usize) -> Option<usize> {
        let wrong = at + common(self.old_from(at), &self.new[at..end]);
        (wrong < end).then_some(wrong)
    }
}
