//! Building a tree from chunks alone: the way that always works, whatever is here.

use std::io::{self, Write};

use crate::access::WriteTree;
use crate::error::{ApplyError, Reason};
use crate::tree::{ChunkRef, EntryKind, Tree};
use crate::witness::Witness;

/// Builds a tree, asking for each chunk in order (one that occurs twice is asked for twice). Every chunk is verified
/// before it is written and every file before it is finished. Holds one chunk in memory.
///
/// # Errors
/// Names the file in work, and says whose fault it is.
pub fn build_from_chunks(
    new: &Tree,
    chunk: &mut dyn FnMut(&ChunkRef) -> io::Result<Vec<u8>>,
    new_files: &mut impl WriteTree,
) -> Result<(), ApplyError> {
    for entry in new.entries() {
        let done = match &entry.kind {
            EntryKind::Directory => new_files.directory(&entry.path).map_err(Reason::Write),
            EntryKind::Symlink { target } => new_files.symlink(&entry.path, target).map_err(Reason::Write),
            EntryKind::File { executable, digest, chunks, .. } => {
                new_files.create(&entry.path, *executable).map_err(Reason::Write).and_then(|file| {
                    let mut out = Witness::new(file);
                    gather(chunks, chunk, &mut out)?;
                    if out.digest() != *digest {
                        return Err(Reason::Content { made: out.digest(), promised: *digest });
                    }
                    new_files.finish(out.into_inner()).map_err(Reason::Write)
                })
            }
        };
        done.map_err(|reason| reason.at(&entry.path))?;
    }
    Ok(())
}

fn gather(
    chunks: &[ChunkRef],
    chunk: &mut dyn FnMut(&ChunkRef) -> io::Result<Vec<u8>>,
    out: &mut impl Write,
) -> Result<(), Reason> {
    for wanted in chunks {
        let digest = wanted.digest;
        let bytes = chunk(wanted).map_err(|error| Reason::ChunkMissing { digest, error })?;
        if bytes.len() != wanted.bytes as usize || blake3::hash(&bytes) != digest {
            return Err(Reason::ChunkOther { digest });
        }
        out.write_all(&bytes).map_err(Reason::Write)?;
    }
    Ok(())
}
