//! How numbers moved, as it travels.
//!
//! | bytes | what |
//! |---|---|
//! | numbers | which values a word of data has if it may be an address: the first, and how many |
//! | number | for each of six spaces: how many pieces, then each: |
//! | number, signed number | how far after the last it begins; by how much more it shifts |

use std::ops::Range;

use super::spaces::{Moves, Piece, SPACES};
use crate::error::Reason;
use crate::numbers;

/// Most pieces of one space.
pub(super) const PIECES_MAX: usize = 1 << 16;

/// What the maker of a patch tells of how numbers moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    pub(super) moves: [Moves; SPACES],
    pub(super) words: Range<u32>,
}

impl Hints {
    /// Appends them to a patch.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        numbers::put(out, u64::from(self.words.start));
        numbers::put(out, u64::from(self.words.end.saturating_sub(self.words.start)));
        for moves in &self.moves {
            numbers::put(out, moves.pieces.len() as u64);
            let (mut from, mut shift) = (0, 0);
            for piece in &moves.pieces {
                numbers::put(out, u64::from(piece.from - from));
                numbers::put_signed(out, i64::from(piece.shift.wrapping_sub(shift).cast_signed()));
                (from, shift) = (piece.from, piece.shift);
            }
        }
    }

    /// Takes them off the bytes of a patch.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, Reason> {
        let short = |bytes: &mut &[u8], most: u32| {
            let number = numbers::take_at_most(bytes, u64::from(most), "a number of a module")?;
            Ok::<_, Reason>(u32::try_from(number).unwrap_or(most))
        };
        let start = short(bytes, u32::MAX)?;
        let count = short(bytes, u32::MAX - start)?;
        let mut hints = Self { words: start..start + count, ..Self::default() };
        for moves in &mut hints.moves {
            let pieces = numbers::take_at_most(bytes, PIECES_MAX as u64, "pieces of a module's moves")?;
            let (mut from, mut shift) = (0, 0_u32);
            for _ in 0..pieces {
                from += short(bytes, u32::MAX - from)?;
                let more = i32::try_from(numbers::take_signed(bytes)?);
                let more = more.map_err(|_| Reason::Malformed("a module's numbers move too far"))?;
                shift = shift.wrapping_add(more.cast_unsigned());
                moves.pieces.push(Piece { from, shift });
            }
        }
        Ok(hints)
    }
}
