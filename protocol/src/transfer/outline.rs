//! A blob's outline: the chaining values of its pieces, which merge to the blob's own name.
//!
//! A blob is named by the BLAKE3 digest of its bytes, and that digest is the root of a tree. Pieces are
//! whole subtrees of it, so their chaining values can be handed about by anybody and are checked against
//! the name alone; from then on each piece is verified by itself. A blob of one piece has no inner
//! values: its only piece is checked against the name. Nothing here reads, fetches or stores.

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};

use super::groups::group_count;
use crate::digest::Digest;

/// Bytes of every piece but the last. A power of two times BLAKE3's chunk of 1 KiB, so that a piece is a
/// subtree; at 32 bytes each an outline weighs 1/2048 of its blob.
pub const PIECE_BYTES: u32 = 64 * 1024;

/// Bytes of the largest blob. An outline is then at most 2 MiB.
pub const BLOB_BYTES_MAX: u64 = 4 << 30;

const _: () = assert!(PIECE_BYTES.is_power_of_two() && PIECE_BYTES as usize >= blake3::CHUNK_LEN);
const _: () = assert!(BLOB_BYTES_MAX / PIECE_BYTES as u64 <= u32::MAX as u64);

/// How many pieces a blob of `bytes` has: at least one, also when empty. Sizes above
/// [`BLOB_BYTES_MAX`] are treated as that maximum; callers refuse them before.
pub const fn piece_count(bytes: u64) -> u32 {
    let bytes = if bytes > BLOB_BYTES_MAX { BLOB_BYTES_MAX } else { bytes };
    let pieces = bytes.div_ceil(PIECE_BYTES as u64);
    #[allow(clippy::cast_possible_truncation, reason = "at most BLOB_BYTES_MAX / PIECE_BYTES = 65,536")]
    let pieces = pieces as u32;
    if pieces == 0 { 1 } else { pieces }
}

/// Where `piece` of a blob of `bytes` begins, and its length; `None` if there is no such piece.
pub const fn piece_range(bytes: u64, piece: u32) -> Option<(u64, u32)> {
    if bytes > BLOB_BYTES_MAX || piece >= piece_count(bytes) {
        return None;
    }
    let offset = piece as u64 * PIECE_BYTES as u64;
    let rest = bytes - offset;
    #[allow(clippy::cast_possible_truncation, reason = "less than PIECE_BYTES")]
    let length = if rest < PIECE_BYTES as u64 { rest as u32 } else { PIECE_BYTES };
    Some((offset, length))
}

/// Why an outline or a size was refused. Nothing was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutlineError {
    /// The blob would be larger than [`BLOB_BYTES_MAX`].
    #[error("a blob of {0} bytes is larger than the limit of {BLOB_BYTES_MAX} bytes")]
    TooLarge(u64),
    /// The number of values does not fit the size of the blob.
    #[error("an outline of {got} values does not fit a blob of {needed} pieces")]
    WrongCount {
        /// Values that the size asks for.
        needed: usize,
        /// Values that were handed in.
        got: usize,
    },
    /// The values do not merge to the blob's digest: whoever handed them in is wrong.
    #[error("the outline does not merge to blob {0:?}")]
    WrongRoot(Digest),
    /// The bytes handed to a builder are not those that were announced.
    #[error("the content ended or went on beyond its announced {0} bytes")]
    WrongLength(u64),
}

/// The verified outline of one blob.
#[derive(Clone, PartialEq, Eq)]
pub struct Outline {
    blob: Digest,
    bytes: u64,
    /// One value a piece; empty for a blob of one piece.
    values: Vec<ChainingValue>,
}

impl Outline {
    /// The outline of `content`. Refuses content larger than [`BLOB_BYTES_MAX`].
    pub fn of(content: &[u8]) -> Result<Self, OutlineError> {
        let mut builder = OutlineBuilder::new(content.len() as u64)?;
        for piece in content.chunks(PIECE_BYTES as usize) {
            builder.push(piece)?;
        }
        builder.finish()
    }

    /// How many values the outline of a blob of `bytes` has: none for one piece.
    pub fn values_needed(bytes: u64) -> usize {
        match piece_count(bytes) {
            1 => 0,
            pieces => pieces as usize,
        }
    }

    /// The outline of a blob of a single piece, which needs no values; `None` if the blob has more.
    pub fn single(blob: Digest, bytes: u64) -> Option<Self> {
        (Self::values_needed(bytes) == 0).then_some(Self { blob, bytes, values: Vec::new() })
    }

    /// Accepts `values` from anybody, if they merge to `blob`.
    pub fn checked(blob: Digest, bytes: u64, values: Vec<ChainingValue>) -> Result<Self, OutlineError> {
        if bytes > BLOB_BYTES_MAX {
            return Err(OutlineError::TooLarge(bytes));
        }
        let needed = Self::values_needed(bytes);
        if values.len() != needed {
            return Err(OutlineError::WrongCount { needed, got: values.len() });
        }
        if needed > 0 && merge_root(&values) != blob {
            return Err(OutlineError::WrongRoot(blob));
        }
        Ok(Self { blob, bytes, values })
    }

    /// The blob's digest.
    pub fn blob(&self) -> Digest {
        self.blob
    }

    /// The blob's size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The blob's number of pieces.
    pub fn pieces(&self) -> u32 {
        piece_count(self.bytes)
    }

    /// The values, one a piece; none for a blob of one piece.
    pub fn values(&self) -> &[ChainingValue] {
        &self.values
    }

    /// Whether `data` is exactly piece number `piece` of the blob.
    pub fn verify(&self, piece: u32, data: &[u8]) -> bool {
        let Some((offset, length)) = piece_range(self.bytes, piece) else { return false };
        if data.len() != length as usize {
            return false;
        }
        match self.values.get(piece as usize) {
            Some(value) => subtree_value(offset, data) == *value,
            None => Digest::of(data) == self.blob,
        }
    }

    /// Whether `values` are those of all groups of piece number `piece`, in order.
    pub(super) fn verify_groups(&self, piece: u32, values: &[ChainingValue]) -> bool {
        let Some((_, length)) = piece_range(self.bytes, piece) else { return false };
        if values.len() != usize::from(group_count(length)) {
            return false;
        }
        match (self.values.get(piece as usize), values) {
            (Some(value), _) => merge_inner(values) == *value,
            // The only group of the only piece is the root, which has no chaining value of its own.
            (None, [_]) => false,
            (None, _) => merge_root(values) == self.blob,
        }
    }
}

impl std::fmt::Debug for Outline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outline({:?}, {} bytes, {} values)", self.blob, self.bytes, self.values.len())
    }
}

/// Makes an outline, and with it the blob's digest, of content that comes piece by piece.
pub struct OutlineBuilder {
    bytes: u64,
    pushed: u32,
    single: Option<Digest>,
    values: Vec<ChainingValue>,
}

impl OutlineBuilder {
    /// For content of exactly `bytes`. Refuses more than [`BLOB_BYTES_MAX`].
    pub fn new(bytes: u64) -> Result<Self, OutlineError> {
        if bytes > BLOB_BYTES_MAX {
            return Err(OutlineError::TooLarge(bytes));
        }
        Ok(Self { bytes, pushed: 0, single: None, values: Vec::with_capacity(Outline::values_needed(bytes)) })
    }

    /// Length of the piece that comes next; `None` when all have come.
    pub fn next_length(&self) -> Option<u32> {
        piece_range(self.bytes, self.pushed).map(|(_, length)| length)
    }

    /// Takes the next piece, of exactly [`OutlineBuilder::next_length`] bytes.
    pub fn push(&mut self, data: &[u8]) -> Result<(), OutlineError> {
        let range = piece_range(self.bytes, self.pushed).filter(|(_, length)| *length as usize == data.len());
        let Some((offset, _)) = range else { return Err(OutlineError::WrongLength(self.bytes)) };
        if Outline::values_needed(self.bytes) == 0 {
            self.single = Some(Digest::of(data));
        } else {
            self.values.push(subtree_value(offset, data));
        }
        self.pushed += 1;
        Ok(())
    }

    /// The outline; an error if content is missing.
    pub fn finish(self) -> Result<Outline, OutlineError> {
        if self.bytes > 0 && self.pushed != piece_count(self.bytes) {
            return Err(OutlineError::WrongLength(self.bytes));
        }
        let blob = match self.single {
            Some(digest) => digest,
            None if self.values.is_empty() => Digest::of(&[]),
            None => merge_root(&self.values),
        };
        Ok(Outline { blob, bytes: self.bytes, values: self.values })
    }
}

/// The chaining value of a piece or a group at `offset`. `data` is never empty: only a blob of one piece may be.
pub(super) fn subtree_value(offset: u64, data: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(data);
    hasher.finalize_non_root()
}

/// Merges at least two values to the digest of their blob.
fn merge_root(values: &[ChainingValue]) -> Digest {
    let (left, right) = values.split_at(left_subtrees(values.len()));
    Digest(*hazmat::merge_subtrees_root(&merge_inner(left), &merge_inner(right), Mode::Hash).as_bytes())
}

fn merge_inner(values: &[ChainingValue]) -> ChainingValue {
    if let [value] = values {
        return *value;
    }
    let (left, right) = values.split_at(left_subtrees(values.len()));
    hazmat::merge_subtrees_non_root(&merge_inner(left), &merge_inner(right), Mode::Hash)
}

/// How many of `pieces`, or groups (at least two), hang below the left child: the largest power of two that leaves
/// at least one to the right.
fn left_subtrees(pieces: usize) -> usize {
    pieces.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(bytes: usize, seed: u64) -> Vec<u8> {
        let mut content = vec![0; bytes];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
        content
    }

    #[test]
    fn sizes_around_piece_borders_have_the_right_pieces() {
        let piece = u64::from(PIECE_BYTES);
        assert_eq!([0, 1, piece, piece + 1, BLOB_BYTES_MAX].map(piece_count), [1, 1, 1, 2, 65_536]);
        assert_eq!(piece_range(0, 0), Some((0, 0)));
        assert_eq!(piece_range(piece + 1, 1), Some((piece, 1)));
        assert_eq!(piece_range(piece, 1), None);
        assert_eq!(piece_range(BLOB_BYTES_MAX + 1, 0), None);
    }

    #[test]
    fn outline_of_every_small_number_of_pieces_merges_to_the_plain_digest() {
        for pieces in 0..=17_usize {
            for extra in [0, 1, 1023, 1024, 1025] {
                let content = content(pieces * PIECE_BYTES as usize + extra, 1);
                let outline = Outline::of(&content).unwrap();
                assert_eq!(outline.blob(), Digest::of(&content));
                let again = Outline::checked(outline.blob(), outline.bytes(), outline.values().to_vec());
                assert_eq!(again.unwrap(), outline);
            }
        }
    }

    #[test]
    fn oversized_blobs_are_refused_before_anything_is_allocated() {
        let too_large = BLOB_BYTES_MAX + 1;
        assert_eq!(OutlineBuilder::new(too_large).err(), Some(OutlineError::TooLarge(too_large)));
        let refused = Outline::checked(Digest::of(b""), u64::MAX, Vec::new());
        assert_eq!(refused, Err(OutlineError::TooLarge(u64::MAX)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn pieces_verify_alone_and_no_other_bytes_do(
            bytes in 1_usize..600_000, seed: u64, at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let mut content = content(bytes, seed);
            let outline = Outline::of(&content).unwrap();
            prop_assert_eq!(outline.blob(), Digest::of(&content));
            for (piece, data) in content.chunks(PIECE_BYTES as usize).enumerate() {
                let piece = u32::try_from(piece).unwrap();
                prop_assert!(outline.verify(piece, data));
                prop_assert!(!outline.verify(piece + 1, data), "a piece passes at one place only");
                prop_assert!(!outline.verify(piece, &data[1..]));
            }
            let at = at.index(bytes);
            content[at] ^= 1 << bit;
            let piece = at / PIECE_BYTES as usize;
            let data = content.chunks(PIECE_BYTES as usize).nth(piece).unwrap();
            prop_assert!(!outline.verify(u32::try_from(piece).unwrap(), data));
        }

        #[test]
        fn changed_outlines_are_refused(pieces in 2_usize..40, at: prop::sample::Index, bit in 0_u8..8) {
            let content = content(pieces * PIECE_BYTES as usize, 7);
            let outline = Outline::of(&content).unwrap();
            let mut values = outline.values().to_vec();
            values[at.index(pieces)][0] ^= 1 << bit;
            let refused = Outline::checked(outline.blob(), outline.bytes(), values.clone());
            prop_assert_eq!(refused, Err(OutlineError::WrongRoot(outline.blob())));
            values.pop();
            let short = Outline::checked(outline.blob(), outline.bytes(), values);
            prop_assert!(matches!(short, Err(OutlineError::WrongCount { .. })), "a short outline passed");
        }
    }
}
