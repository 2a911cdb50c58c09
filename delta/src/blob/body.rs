//! A body: bytes made from other bytes. The only file of this room that knows the engine.

use std::io::{self, Write};

use crate::access::{ReadAt, Scratch};
use crate::error::Reason;
use crate::patch::{self, Body, Options};

/// The body that makes the new bytes from the old, or from nothing where that is smaller. Tells how many of the new bytes the
/// work done so far stands for.
pub(super) fn make(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    options: &Options,
    tell: &mut dyn FnMut(u64),
) -> io::Result<Vec<u8>> {
    let bytes = u128::from(new.size());
    patch::make(old, new, options, &mut |progress| {
        let done = bytes * u128::from(progress.done) / u128::from(progress.total.max(1));
        tell(u64::try_from(done).unwrap_or(u64::MAX));
    })
}

/// Follows a body: writes exactly so many bytes. The caller compares their digest.
pub(super) fn follow(
    old: &dyn ReadAt,
    body: &dyn ReadAt,
    scratch: &dyn Scratch,
    container_memory_bytes: u64,
    out: &mut impl Write,
    bytes: u64,
) -> Result<(), Reason> {
    Body::read_all(body, old.size(), bytes)?.follow(old, body, scratch, container_memory_bytes, out)
}
