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
mod inspect;
mod make;
mod matching;
mod moves;
mod suffix;

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use blake3::Hash;

use crate::budget::Budget;
use crate::error::{ApplyError, Reason};
use crate::limits::{BUFFER_BYTES, Limits, PATCH_FILE_BYTES_MAX};
use crate::witness::{Witness, at_end, witness};

pub(crate) use follow::{Sizes, follow};
pub(crate) use inspect::inspect;
pub(crate) use make::make;

/// How a patch of a file alone begins.
pub const PATCH_MAGIC: [u8; 6] = *b"GSPTCH";
/// The format that this crate writes and reads.
pub const PATCH_VERSION: u16 = 1;

/// The new file as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of it, equal to what the patch promised.
    pub digest: Hash,
}

/// Writes the patch that leads from one file to another. Returns the patch's size in bytes. The same files give the
/// same patch. Takes some 13 times the old file's size in memory.
///
/// # Errors
/// When a file is larger than [`PATCH_FILE_BYTES_MAX`], or the patch cannot be written.
pub fn diff(old: &[u8], new: &[u8], mut out: impl Write) -> io::Result<u64> {
    let largest = old.len().max(new.len()) as u64;
    if largest > PATCH_FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("a file of {largest} bytes is beyond {PATCH_FILE_BYTES_MAX}, the most that is patched"),
        ));
    }
    let mut header = Vec::new();
    header.extend_from_slice(&PATCH_MAGIC);
    header.extend_from_slice(&PATCH_VERSION.to_le_bytes());
    for file in [old, new] {
        header.extend_from_slice(&(file.len() as u64).to_le_bytes());
        header.extend_from_slice(blake3::hash(file).as_bytes());
    }
    let body = make(old, new)?;
    out.write_all(&header)?;
    out.write_all(&body)?;
    Ok((header.len() + body.len()) as u64)
}

/// Follows a patch. Holds at most [`APPLY_MEMORY_BYTES`](crate::APPLY_MEMORY_BYTES). What was written to `new` is right
/// only if this succeeds: the caller makes it visible only then.
///
/// # Errors
/// Says whose fault it is. Hostile bytes lead to an error, never to a wrong success.
pub fn apply(
    mut old: impl Read + Seek,
    delta: impl Read,
    new: impl Write,
    limits: &Limits,
) -> Result<Applied, ApplyError> {
    let mut delta = BufReader::with_capacity(BUFFER_BYTES, Budget::new(delta, limits.delta_bytes));
    let header = Header::read(&mut delta)?;
    if header.new.bytes > limits.new_bytes {
        return Err(Reason::Limit {
            what: "bytes of new file",
            found: header.new.bytes,
            limit: limits.new_bytes,
        }
        .into());
    }
    let found = witness_old(&mut old)?;
    if found != header.old {
        return Err(Reason::OtherOld { found: header.old.digest, here: found.digest }.into());
    }
    let sizes = Sizes { old: header.old.bytes, new: header.new.bytes };
    let mut new = Witness::new(new);
    follow(&mut old, &mut delta, &mut new, sizes)?;
    if !at_end(&mut delta).map_err(Reason::from_delta)? {
        return Err(Reason::Malformed("bytes follow the end of the patch").into());
    }
    if new.digest() != header.new.digest {
        return Err(Reason::Content { made: new.digest(), promised: header.new.digest }.into());
    }
    new.flush().map_err(Reason::Write)?;
    Ok(header.new)
}

fn witness_old(old: &mut (impl Read + Seek)) -> Result<Applied, Reason> {
    old.seek(SeekFrom::Start(0)).map_err(Reason::from_old)?;
    let (bytes, digest) = witness(old).map_err(Reason::from_old)?;
    Ok(Applied { bytes, digest })
}

struct Header {
    old: Applied,
    new: Applied,
}

impl Header {
    fn read(delta: &mut impl Read) -> Result<Self, Reason> {
        if array(delta)? != PATCH_MAGIC {
            return Err(Reason::NotADelta);
        }
        let version = u16::from_le_bytes(array(delta)?);
        if version != PATCH_VERSION {
            return Err(Reason::Version(version));
        }
        let old = Self::read_file(delta)?;
        let new = Self::read_file(delta)?;
        Ok(Self { old, new })
    }

    fn read_file(delta: &mut impl Read) -> Result<Applied, Reason> {
        let bytes = u64::from_le_bytes(array(delta)?);
        let digest = Hash::from_bytes(array(delta)?);
        Ok(Applied { bytes, digest })
    }
}

/// Reads so many bytes of a delta.
pub(crate) fn array<const N: usize>(delta: &mut impl Read) -> Result<[u8; N], Reason> {
    let mut bytes = [0; N];
    delta.read_exact(&mut bytes).map_err(Reason::from_delta)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
