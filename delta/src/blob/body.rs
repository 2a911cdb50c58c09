//! A body: bytes made from other bytes. The only file of this room that knows the engine.

use std::io::{self, Write};

use crate::access::{ReadAt, Scratch};
use crate::error::Reason;
use crate::patch::{self, Body, Options};

use super::work::Work;

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

/// Follows a body: writes exactly so many bytes. The caller compares their digest. What the plain forms of containers cost is
/// spent before they are unpacked.
pub(super) fn follow(
    old: &dyn ReadAt,
    body: &dyn ReadAt,
    scratch: &dyn Scratch,
    container_memory_bytes: u64,
    work: &mut Work,
    out: &mut impl Write,
    bytes: u64,
) -> Result<(), Reason> {
    let located = Body::read_all(body, old.size(), bytes)?;
    work.spend(located.plain_bytes())?;
    located.follow(old, body, scratch, container_memory_bytes, out)
}

/// What following a body costs in plain forms, if it makes so many bytes of so many.
pub(super) fn plain_bytes(body: &[u8], old_bytes: u64, bytes: u64) -> Result<u64, Reason> {
    Ok(Body::read_all(&body, old_bytes, bytes)?.plain_bytes())
}
