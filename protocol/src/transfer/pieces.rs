//! Which pieces of a blob somebody has: a bitmap of fixed length with one encoding.

/// A set of piece numbers below a fixed count.
#[derive(Clone, PartialEq, Eq)]
pub struct PieceSet {
    pieces: u32,
    words: Vec<u64>,
    held: u32,
}

const WORD_BITS: u32 = u64::BITS;

impl PieceSet {
    /// The empty set over `pieces` pieces.
    pub fn none(pieces: u32) -> Self {
        Self { pieces, words: vec![0; pieces.div_ceil(WORD_BITS) as usize], held: 0 }
    }

    /// The full set over `pieces` pieces.
    pub fn all(pieces: u32) -> Self {
        let mut set = Self::none(pieces);
        for (index, word) in set.words.iter_mut().enumerate() {
            *word = full_word(pieces, index);
        }
        set.held = pieces;
        set
    }

    /// How many pieces the blob has.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// How many of them are in the set.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Whether all are.
    pub fn is_full(&self) -> bool {
        self.held == self.pieces
    }

    /// Whether `piece` is in the set; false for numbers beyond the blob.
    pub fn contains(&self, piece: u32) -> bool {
        piece < self.pieces && self.words[(piece / WORD_BITS) as usize] & (1 << (piece % WORD_BITS)) != 0
    }

    /// Adds `piece`; false, with nothing changed, if it was in or lies beyond the blob.
    pub fn insert(&mut self, piece: u32) -> bool {
        if piece >= self.pieces || self.contains(piece) {
            return false;
        }
        self.words[(piece / WORD_BITS) as usize] |= 1 << (piece % WORD_BITS);
        self.held += 1;
        true
    }

    /// Takes `piece` out; false, with nothing changed, if it was not in.
    pub fn remove(&mut self, piece: u32) -> bool {
        if !self.contains(piece) {
            return false;
        }
        self.words[(piece / WORD_BITS) as usize] &= !(1 << (piece % WORD_BITS));
        self.held -= 1;
        true
    }

    /// The pieces in the set, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().zip(0_u32..).flat_map(|(word, index)| bits(*word, index))
    }

    /// The pieces of this set that are not in `other` (over the same blob), rising.
    pub fn without<'a>(&'a self, other: &'a PieceSet) -> impl Iterator<Item = u32> + 'a {
        self.without_from(other, 0)
    }

    /// The same, beginning near piece `start` (at its word) and going round once.
    pub fn without_from<'a>(&'a self, other: &'a PieceSet, start: u32) -> impl Iterator<Item = u32> + 'a {
        let words = self.words.len();
        let first = (start / WORD_BITS) as usize;
        (0..words).map(move |step| (first + step) % words).flat_map(move |index| {
            let word = self.words[index] & !other.words.get(index).copied().unwrap_or(0);
            bits(word, u32::try_from(index).unwrap_or(u32::MAX))
        })
    }

    /// How many bytes the encoding of a set over `pieces` has.
    pub fn encoded_bytes(pieces: u32) -> usize {
        pieces.div_ceil(8) as usize
    }

    /// The one encoding: bit `p % 8` of byte `p / 8` stands for piece `p`; unused bits are zero.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(Self::encoded_bytes(self.pieces));
        bytes
    }

    /// Reads the encoding of a set over `pieces`; `None` if the length is wrong or an unused bit is set.
    pub fn from_bytes(pieces: u32, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::encoded_bytes(pieces) {
            return None;
        }
        let mut set = Self::none(pieces);
        for (index, (word, part)) in set.words.iter_mut().zip(bytes.chunks(8)).enumerate() {
            let mut padded = [0; 8];
            padded[..part.len()].copy_from_slice(part);
            *word = u64::from_le_bytes(padded);
            if *word & !full_word(pieces, index) != 0 {
                return None;
            }
            set.held += word.count_ones();
        }
        Some(set)
    }
}

/// The word at `index` with every bit below `pieces` set.
fn full_word(pieces: u32, index: usize) -> u64 {
    let below = u64::from(pieces).saturating_sub(index as u64 * u64::from(WORD_BITS));
    if below >= u64::from(WORD_BITS) { u64::MAX } else { (1 << below) - 1 }
}

fn bits(word: u64, index: u32) -> impl Iterator<Item = u32> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let bit = (rest != 0).then(|| rest.trailing_zeros())?;
        rest &= rest - 1;
        Some(index * WORD_BITS + bit)
    })
}

impl std::fmt::Debug for PieceSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.held, self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_as_a_set_of_numbers(pieces in 1_u32..300, changes in prop::collection::vec((any::<bool>(), 0_u32..320), 0..200)) {
            let mut set = PieceSet::none(pieces);
            let mut model = BTreeSet::new();
            for (add, piece) in changes {
                if add {
                    prop_assert_eq!(set.insert(piece), piece < pieces && model.insert(piece));
                } else {
                    prop_assert_eq!(set.remove(piece), model.remove(&piece));
                }
            }
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
            prop_assert_eq!(set.held() as usize, model.len());
            let missing: BTreeSet<u32> = PieceSet::all(pieces).without(&set).collect();
            let round: BTreeSet<u32> = PieceSet::all(pieces).without_from(&set, pieces / 2).collect();
            prop_assert_eq!(&round, &missing);
            prop_assert_eq!(missing.len() + model.len(), pieces as usize);
            prop_assert_eq!(PieceSet::from_bytes(pieces, &set.to_bytes()), Some(set));
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(pieces in 1_u32..100, bytes in prop::collection::vec(any::<u8>(), 0..14)) {
            if let Some(set) = PieceSet::from_bytes(pieces, &bytes) {
                prop_assert_eq!(set.to_bytes(), bytes);
                prop_assert!(set.iter().all(|piece| piece < pieces));
            }
        }
    }

    #[test]
    fn full_sets_are_full_at_word_borders() {
        for pieces in [1, 63, 64, 65, 128, 65_536] {
            let set = PieceSet::all(pieces);
            assert!(set.is_full() && set.iter().count() == pieces as usize);
            assert_eq!(PieceSet::from_bytes(pieces, &set.to_bytes()), Some(set));
        }
    }
}
