//! The beginning of a patch of a file alone: which file it leads from, and which to. At most [`HEADER_BYTES_MAX`] bytes,
//! so that a patch is never much larger than the packed file.

use blake3::Hash;

use super::{PATCH_MAGIC, PATCH_VERSION};
use crate::codec::Section;
use crate::error::Reason;
use crate::numbers;

/// Bytes of the old file's digest that a patch names it by. It only has to tell an honest mistake early: what is made
/// is compared with the whole digest of the new file.
pub(super) const OLD_NAME_BYTES: usize = 16;
/// A header's size, for files below 32 GiB.
#[cfg(test)]
pub(super) const HEADER_BYTES_MAX: usize = 4 + 1 + OLD_NAME_BYTES + 5 + 32 + 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) old_bytes: u64,
    pub(super) old_name: [u8; OLD_NAME_BYTES],
    pub(super) new_bytes: u64,
    pub(super) new_digest: Hash,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = PATCH_MAGIC.to_vec();
        out.push(PATCH_VERSION);
        out.extend_from_slice(&self.old_name);
        numbers::put(&mut out, self.old_bytes);
        out.extend_from_slice(self.new_digest.as_bytes());
        numbers::put(&mut out, self.new_bytes);
        out
    }

    pub(super) fn read(delta: &mut Section<'_>) -> Result<Self, Reason> {
        if delta.array()? != PATCH_MAGIC {
            return Err(Reason::NotADelta);
        }
        let version = delta.byte()?;
        if version != PATCH_VERSION {
            return Err(Reason::Version(u16::from(version)));
        }
        let old_name = delta.array()?;
        let old_bytes = delta.number()?;
        let new_digest = Hash::from_bytes(delta.array()?);
        let new_bytes = delta.number()?;
        Ok(Self { old_bytes, old_name, new_bytes, new_digest })
    }
}

/// The part of a digest that names an old file.
pub(super) fn name_of(digest: &Hash) -> [u8; OLD_NAME_BYTES] {
    let mut name = [0; OLD_NAME_BYTES];
    for (to, from) in name.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    name
}
