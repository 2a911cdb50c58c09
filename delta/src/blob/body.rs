//! A body: bytes made from other bytes. The only file of this room that knows the engine.

use std::io::{self, BufReader, Read, Write};

use crate::access::ReadAt;
use crate::engine::{self, Sizes};
use crate::error::Reason;
use crate::limits::BUFFER_BYTES;
use crate::pack::{Unpacker, estimate, pack};
use crate::reading::Reading;
use crate::witness::{CopyError, at_end, copy_exact};

/// The strongest packing saves at most this part of what a fast one leaves: a patch smaller than the rest needs no
/// comparison with the packed file.
const ESTIMATE_DIVISOR: usize = 2;

/// The patch that makes the new bytes from the old.
pub(super) fn make(old: &[u8], new: &[u8]) -> io::Result<Vec<u8>> {
    engine::make(old, new)
}

/// Follows a patch: writes exactly so many bytes. The caller compares their digest.
pub(super) fn follow(
    old: &impl ReadAt,
    body: &impl ReadAt,
    out: &mut impl Write,
    bytes: u64,
) -> Result<(), Reason> {
    let mut body = BufReader::with_capacity(BUFFER_BYTES, Reading::new(body));
    engine::follow(&mut Reading::new(old), &mut body, out, Sizes { old: old.size(), new: bytes })?;
    ended(&mut body)
}

/// The packed bytes, if they are smaller than their patch.
pub(super) fn smaller_whole(new: &[u8], patch_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    if patch_bytes < estimate(new)? / ESTIMATE_DIVISOR {
        return Ok(None);
    }
    let whole = pack(new)?;
    Ok((whole.len() < patch_bytes).then_some(whole))
}

/// Unpacks exactly so many bytes.
pub(super) fn unpack(body: &impl ReadAt, out: &mut impl Write, bytes: u64) -> Result<(), Reason> {
    let mut body = BufReader::with_capacity(BUFFER_BYTES, Reading::new(body));
    let mut packed = Unpacker::new(&mut body)?;
    copy_exact(&mut packed, out, bytes).map_err(|error| match error {
        CopyError::Read(error) => Reason::from_delta(error),
        CopyError::Write(error) => Reason::Write(error),
    })?;
    packed.end()?;
    ended(&mut body)
}

/// Nothing may follow.
pub(super) fn ended(body: &mut impl Read) -> Result<(), Reason> {
    if at_end(body).map_err(Reason::from_delta)? {
        Ok(())
    } else {
        Err(Reason::Malformed("bytes follow the end of a part"))
    }
}
