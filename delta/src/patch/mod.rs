//! One file against another.
//!
//! A patch says which stretches of the old file resemble stretches of the new one (regions), what in them is not as
//! predicted (differences), and what is in none (literals). Two doors for a file alone, [`diff`] and [`apply`]; for a file
//! in a tree, where sizes and digests are known from elsewhere, there is only the body (`make`, [`Body`]).
//!
//! A patch of a file alone, format 5; numbers as in `numbers.rs`:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `GSPT` |
//! | 1 | format: 5 |
//! | 16 | the beginning of the old file's BLAKE3 |
//! | number | size of the old file |
//! | 32 | BLAKE3 of the new file |
//! | number | size of the new file |
//! | rest | the body: `body.rs` |

mod body;
mod control;
mod differences;
mod follow;
mod header;
mod inspect;
mod made;
mod make;
mod old;
mod predict;
mod prices;
mod primer;
mod resemble;
mod walk;
mod weights;
mod window;

use std::io::{self, Write};

use blake3::Hash;

use crate::access::{ReadAt, Scratch};
use crate::codec::{Section, Strength};
use crate::error::{ApplyError, Reason};
use crate::limits::{BUFFER_BYTES, CONTAINER_MEMORY_BYTES, Limits};
use crate::matching;
use crate::progress::Progress;
use crate::witness::Witness;

pub(crate) use body::Body;
pub(crate) use inspect::{Seen, inspect, mapped_bytes};
pub(crate) use make::make;

use header::Header;

/// How a patch of a file alone begins.
pub const PATCH_MAGIC: [u8; 4] = *b"GSPT";
/// The format that this crate writes and reads.
pub const PATCH_VERSION: u8 = 5;

/// How hard to look for a small delta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Seconds for what takes [`Effort::Best`] a minute.
    Fast,
    /// The smallest.
    #[default]
    Best,
}

/// How a delta is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How hard to look.
    pub effort: Effort,
    /// How many threads may work at a time. The delta does not depend on it.
    pub threads: usize,
    /// How much memory following the delta may take beside [`APPLY_MEMORY_BYTES`](crate::APPLY_MEMORY_BYTES). Containers
    /// whose compressor needs more are left closed.
    pub container_memory_bytes: u64,
}

impl Default for Options {
    /// The smallest delta, on one thread, with [`CONTAINER_MEMORY_BYTES`] for containers.
    fn default() -> Self {
        Self { effort: Effort::Best, threads: 1, container_memory_bytes: CONTAINER_MEMORY_BYTES }
    }
}

impl Options {
    /// How often the regions of executables are sought again with what the regions before have taught.
    fn passes(&self) -> u32 {
        match self.effort {
            Effort::Fast => 1,
            Effort::Best => 2,
        }
    }

    fn matching(&self) -> matching::Effort {
        match self.effort {
            Effort::Fast => matching::Effort::Fast,
            Effort::Best => matching::Effort::Best,
        }
    }

    fn strength(&self) -> Strength {
        match self.effort {
            Effort::Fast => Strength::Fast,
            Effort::Best => Strength::Best,
        }
    }
}

/// The new file as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of it, equal to what the patch promised.
    pub digest: Hash,
}

/// Writes the patch that leads from one file to another. Returns the patch's size in bytes. The same files and options give
/// the same patch. Takes at most some ten times the larger file's size in memory, and no more than for files of
/// [`WINDOW_BYTES_MAX`](crate::WINDOW_BYTES_MAX).
///
/// # Errors
/// When a file cannot be read, or the patch cannot be written.
pub fn diff(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    options: &Options,
    tell: &mut dyn FnMut(Progress),
    mut out: impl Write,
) -> io::Result<u64> {
    let header = Header {
        old_bytes: old.size(),
        old_name: header::name_of(&digest(old)?),
        new_bytes: new.size(),
        new_digest: digest(new)?,
    };
    let header = header.encode();
    let body = make(old, new, options, tell)?;
    out.write_all(&header)?;
    out.write_all(&body)?;
    out.flush()?;
    Ok((header.len() + body.len()) as u64)
}

/// Follows a patch. Holds at most [`APPLY_MEMORY_BYTES`](crate::APPLY_MEMORY_BYTES). What was written to `new` is right
/// only if this succeeds: the caller makes it visible only then.
///
/// # Errors
/// Says whose fault it is. Hostile bytes lead to an error, never to a wrong success.
pub fn apply(
    old: &dyn ReadAt,
    delta: &dyn ReadAt,
    new: impl Write,
    scratch: &dyn Scratch,
    limits: &Limits,
) -> Result<Applied, ApplyError> {
    check_limit("bytes of delta", delta.size(), limits.delta_bytes)?;
    let mut section = Section::new(delta, 0..delta.size())?;
    let header = Header::read(&mut section)?;
    check_limit("bytes of new file", header.new_bytes, limits.new_bytes)?;
    if old.size() != header.old_bytes {
        return Err(other_old(old, &header).into());
    }
    let memory = limits.container_memory_bytes;
    let made = follow(old, delta, section, &header, scratch, memory, new);
    match made {
        Ok(()) => Ok(Applied { bytes: header.new_bytes, digest: header.new_digest }),
        Err(reason @ Reason::Write(_)) => Err(reason.into()),
        // Reading the old file once more tells whether it is to blame; nobody waits for that while all goes well.
        Err(reason) => {
            let here = digest(old).map_err(Reason::from_old)?;
            let is_other = header::name_of(&here) != header.old_name;
            Err(if is_other { other_old(old, &header) } else { reason }.into())
        }
    }
}

/// Writes the new file, and compares it with what was promised.
fn follow(
    old: &dyn ReadAt,
    delta: &dyn ReadAt,
    mut section: Section<'_>,
    header: &Header,
    scratch: &dyn Scratch,
    container_memory_bytes: u64,
    new: impl Write,
) -> Result<(), Reason> {
    let body = Body::read(&mut section, delta, header.old_bytes, header.new_bytes)?;
    if !section.is_at_end() {
        return Err(Reason::Malformed("bytes follow the end of the patch"));
    }
    let mut new = Witness::new(new);
    body.follow(old, delta, scratch, container_memory_bytes, &mut new)?;
    if new.digest() != header.new_digest {
        return Err(Reason::Content { made: new.digest(), promised: header.new_digest });
    }
    new.flush().map_err(Reason::Write)
}

fn other_old(old: &dyn ReadAt, header: &Header) -> Reason {
    Reason::OtherOldFile { found_bytes: header.old_bytes, here_bytes: old.size() }
}

fn check_limit(what: &'static str, found: u64, limit: u64) -> Result<(), Reason> {
    if found > limit { Err(Reason::Limit { what, found, limit }) } else { Ok(()) }
}

/// The digest of all that can be read.
fn digest(source: &dyn ReadAt) -> io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = 0;
    while at < source.size() {
        let bytes = usize::try_from(source.size() - at).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
        let part = buffer.get_mut(..bytes).unwrap_or_default();
        source.read_exact_at(part, at)?;
        hasher.update(part);
        at += bytes as u64;
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests;
