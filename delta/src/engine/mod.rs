//! The engine: one file against another. Engine 1 is bsdiff's matching with zstd.
//!
//! A patch says, move by move, which stretch of the old file to take, what to add to it byte by byte (mostly zeros,
//! which pack well) and what to insert after it. Making one takes the whole files in memory; following one
//! streams. Two doors for a file alone ([`diff`], [`apply`]), and two for a file in a tree, where sizes and digests are
//! known from elsewhere (`make`, `follow`). A better engine replaces what is in this room, under a new number.
//!
//! A patch of a file alone, format 1, integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 6 | `GSPTCH` |
//! | 2 | format: 1 |
//! | 8, 32 | old file: size, BLAKE3 |
//! | 8, 32 | new file: size, BLAKE3 |
//! | rest | the body: one zstd frame of segments |
//!
//! A segment, repeated until the new file is whole:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | m: size of the moves (at most 1 MiB) |
//! | 4, 4 | a, i: sizes of the added and inserted bytes (together 1 byte to 1 MiB) |
//! | m | moves: seek in the old file (zigzag), bytes added, bytes inserted; each LEB128 |
//! | a | bytes to add to old bytes |
//! | i | bytes to insert |

mod follow;
mod make;
mod matching;
mod moves;
mod suffix;

use std::io::Read;

use crate::error::Reason;

pub(crate) use follow::{Sizes, follow};
pub(crate) use make::make;

/// Reads so many bytes of a delta.
pub(crate) fn array<const N: usize>(delta: &mut impl Read) -> Result<[u8; N], Reason> {
    let mut bytes = [0; N];
    delta.read_exact(&mut bytes).map_err(Reason::from_delta)?;
    Ok(bytes)
}
