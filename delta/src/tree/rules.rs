//! The rules that every tree obeys, checked on entries of any origin.

use crate::chunk::CHUNK_BYTES_MAX;
use crate::limits::{ENTRIES_MAX, PATH_BYTES_MAX, TREE_BYTES_MAX, TREE_ENCODING_BYTES_MAX};

use super::encoding::encoded_bytes;
use super::{ChunkRef, Entry, EntryKind, TreeError};

/// Checks all rules over entries that claim to be sorted.
pub(super) fn check(entries: &[Entry]) -> Result<(), TreeError> {
    bounded("entries", entries.len() as u64, u64::from(ENTRIES_MAX))?;
    bounded("bytes of encoding", encoded_bytes(entries), TREE_ENCODING_BYTES_MAX as u64)?;
    let mut total = 0_u64;
    for (at, entry) in entries.iter().enumerate() {
        let before = entries.get(..at).unwrap_or_default();
        check_place(before, entry)?;
        check_kind(entry)?;
        total = total.saturating_add(entry.bytes());
        bounded("bytes of files", total, TREE_BYTES_MAX)?;
    }
    Ok(())
}

pub(super) fn bounded(what: &'static str, found: u64, limit: u64) -> Result<(), TreeError> {
    if found > limit {
        return Err(TreeError::TooLarge { what, found, limit });
    }
    Ok(())
}

fn check_place(before: &[Entry], entry: &Entry) -> Result<(), TreeError> {
    if before.last().is_some_and(|last| last.path >= entry.path) {
        return Err(TreeError::Order { path: entry.path.clone() });
    }
    let Some(parent) = entry.path.parent() else {
        return Ok(());
    };
    let found =
        before.binary_search_by(|other| other.path.as_str().cmp(parent)).ok().and_then(|at| before.get(at));
    match found.map(|entry| &entry.kind) {
        Some(EntryKind::Directory) => Ok(()),
        _ => Err(TreeError::Parent { path: entry.path.clone() }),
    }
}

fn check_kind(entry: &Entry) -> Result<(), TreeError> {
    match &entry.kind {
        EntryKind::Directory => Ok(()),
        EntryKind::Symlink { target } => {
            if stays_inside(entry, target) {
                Ok(())
            } else {
                Err(TreeError::Target { path: entry.path.clone(), target: target.clone() })
            }
        }
        EntryKind::File { bytes, digest, chunks, .. } => check_file(*bytes, digest, chunks)
            .map_err(|reason| TreeError::File { path: entry.path.clone(), reason }),
    }
}

/// A link's directory is real, so a leading `..` means what it says. After a name it need not (the name may be a link
/// to somewhere shallower), so there it is refused; what is left can only go down, or through links that obey this too.
fn stays_inside(entry: &Entry, target: &str) -> bool {
    let bounded = !target.is_empty() && target.len() <= PATH_BYTES_MAX;
    if !bounded || target.starts_with('/') || target.contains('\0') {
        return false;
    }
    let mut ups_left = entry.path.parts().count() - 1;
    let mut descended = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if descended || ups_left == 0 => return false,
            ".." => ups_left -= 1,
            _ => descended = true,
        }
    }
    true
}

fn check_file(bytes: u64, digest: &blake3::Hash, chunks: &[ChunkRef]) -> Result<(), &'static str> {
    let mut sum = 0_u64;
    for chunk in chunks {
        if chunk.bytes == 0 || chunk.bytes as usize > CHUNK_BYTES_MAX {
            return Err("a chunk is empty or too long");
        }
        sum += u64::from(chunk.bytes);
    }
    if sum != bytes {
        return Err("the sizes of its chunks do not add up to its size");
    }
    let expected = match chunks {
        [] => blake3::hash(b""),
        [only] => only.digest,
        _ => return Ok(()),
    };
    if expected != *digest {
        return Err("its digest is not that of its only chunk");
    }
    Ok(())
}
