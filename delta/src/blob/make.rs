//! Making a delta between trees.

use std::io::{self, Write};

use blake3::Hash;

use crate::access::ReadTree;
use crate::engine;
use crate::limits::PATCH_FILE_BYTES_MAX;
use crate::pack::{estimate, pack, packer};
use crate::reading::Reading;
use crate::tree::{ChunkRef, Entry, EntryKind, Tree, TreePath};
use crate::witness::{CopyError, Witness, at_end, copy_exact};

use super::choose::{OldFile, OldFiles};
use super::pieces::OldChunks;
use super::{PATCH, PIECES, SAME, WHOLE, header, pieces};

/// The strongest packing saves at most this part of what a fast one leaves: a patch smaller than the rest needs no
/// comparison with the packed file.
const ESTIMATE_DIVISOR: usize = 2;

/// What a delta came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaSummary {
    /// The delta's size.
    pub bytes: u64,
    /// Files of the new tree whose bytes are those of an old file.
    pub reused_files: u64,
    /// Files made from an old file or its chunks.
    pub patched_files: u64,
    /// Files sent whole.
    pub new_files: u64,
}

/// Why a delta was not made. What was written of it is useless.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A file could not be read.
    #[error("{file} could not be read: {error}")]
    Read {
        /// The file.
        file: TreePath,
        /// Why.
        error: io::Error,
    },
    /// A file is not what its tree says.
    #[error("{file} has changed since its tree was made: leave the files alone until the release is built")]
    Changed {
        /// The file.
        file: TreePath,
    },
    /// The delta could not be written.
    #[error("the delta could not be written: {0}")]
    Write(io::Error),
}

/// Writes the delta that leads from one tree to another; from [`Tree::empty`] it holds everything. Calls
/// `progress` with the bytes of the new tree done so far, after each file. The same trees give the same delta. Takes
/// some 13 times the size of the largest patched file in memory (see
/// [`PATCH_FILE_BYTES_MAX`]).
///
/// # Errors
/// Names the file that could not be read or has changed.
pub fn diff_trees(
    old: &Tree,
    old_files: &impl ReadTree,
    new: &Tree,
    new_files: &impl ReadTree,
    out: impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<DeltaSummary, DiffError> {
    let mut maker = Maker {
        old: OldFiles::new(old),
        old_chunks: OldChunks::new(old),
        old_files,
        new_files,
        out: Witness::new(out),
        summary: DeltaSummary::default(),
    };
    header::write(old, new, &mut maker.out).map_err(DiffError::Write)?;
    let mut done = 0;
    for entry in new.entries() {
        if let EntryKind::File { digest, chunks, .. } = &entry.kind {
            maker.file(entry, digest, chunks)?;
            done += entry.bytes();
            progress(done);
        }
    }
    maker.out.flush().map_err(DiffError::Write)?;
    Ok(DeltaSummary { bytes: maker.out.bytes(), ..maker.summary })
}

struct Maker<'a, O, N, W> {
    old: OldFiles<'a>,
    old_chunks: OldChunks,
    old_files: &'a O,
    new_files: &'a N,
    out: Witness<W>,
    summary: DeltaSummary,
}

impl<O: ReadTree, N: ReadTree, W: Write> Maker<'_, O, N, W> {
    fn file(&mut self, new: &Entry, digest: &Hash, chunks: &[ChunkRef]) -> Result<(), DiffError> {
        if let Some(same) = self.old.same(digest) {
            self.summary.reused_files += 1;
            return self.write_record(SAME, &same.at.to_le_bytes());
        }
        if new.bytes() > PATCH_FILE_BYTES_MAX {
            return self.pieces(new, chunks);
        }
        let like = self.old.like(new);
        match like.filter(|old| old.entry.bytes() <= PATCH_FILE_BYTES_MAX) {
            Some(old) => self.patch_or_whole(old, new),
            None => self.whole(new),
        }
    }

    fn write_record(&mut self, kind: u8, rest: &[u8]) -> Result<(), DiffError> {
        let written = self.out.write_all(&[kind]);
        written.and_then(|()| self.out.write_all(rest)).map_err(DiffError::Write)
    }

    fn patch_or_whole(&mut self, old: OldFile<'_>, new: &Entry) -> Result<(), DiffError> {
        let old_bytes = load(self.old_files, old.entry)?;
        let new_bytes = load(self.new_files, new)?;
        let patch = engine::make(&old_bytes, &new_bytes).map_err(DiffError::Write)?;
        drop(old_bytes);
        if let Some(whole) = smaller_whole(&new_bytes, patch.len()).map_err(DiffError::Write)? {
            self.summary.new_files += 1;
            return self.write_record(WHOLE, &whole);
        }
        self.summary.patched_files += 1;
        self.write_record(PATCH, &old.at.to_le_bytes())?;
        self.out.write_all(&patch).map_err(DiffError::Write)
    }

    fn whole(&mut self, new: &Entry) -> Result<(), DiffError> {
        self.summary.new_files += 1;
        self.write_record(WHOLE, &[])?;
        let mut packed = packer(&mut self.out, new.bytes()).map_err(DiffError::Write)?;
        copy(self.new_files, new, &mut packed)?;
        packed.finish().map_err(DiffError::Write)?;
        Ok(())
    }

    fn pieces(&mut self, new: &Entry, chunks: &[ChunkRef]) -> Result<(), DiffError> {
        let runs = self.old_chunks.runs(chunks);
        if runs.iter().any(|run| run.source.is_some()) {
            self.summary.patched_files += 1;
        } else {
            self.summary.new_files += 1;
        }
        self.write_record(PIECES, &pieces::encode(&runs))?;
        let sent = pieces::sent_bytes(&runs, chunks);
        let mut packed = packer(&mut self.out, sent).map_err(DiffError::Write)?;
        copy(self.new_files, new, &mut pieces::sieve(&mut packed, &runs, chunks))?;
        packed.finish().map_err(DiffError::Write)?;
        Ok(())
    }
}

/// The packed file, if it is smaller than its patch.
fn smaller_whole(new: &[u8], patch_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    if patch_bytes < estimate(new)? / ESTIMATE_DIVISOR {
        return Ok(None);
    }
    let whole = pack(new)?;
    Ok((whole.len() < patch_bytes).then_some(whole))
}

fn load(files: &impl ReadTree, entry: &Entry) -> Result<Vec<u8>, DiffError> {
    let size = usize::try_from(entry.bytes()).expect("BUG: a file beyond PATCH_FILE_BYTES_MAX");
    let mut bytes = Vec::with_capacity(size);
    copy(files, entry, &mut bytes)?;
    Ok(bytes)
}

/// Copies a file, and checks that it is what its tree says.
fn copy(files: &impl ReadTree, entry: &Entry, to: &mut impl Write) -> Result<(), DiffError> {
    let EntryKind::File { digest, bytes, .. } = &entry.kind else {
        unreachable!("BUG: only files are copied");
    };
    let read = |error| DiffError::Read { file: entry.path.clone(), error };
    let changed = || DiffError::Changed { file: entry.path.clone() };
    let mut file = Reading::new(files.open(&entry.path).map_err(read)?);
    let mut to = Witness::new(to);
    copy_exact(&mut file, &mut to, *bytes).map_err(|error| match error {
        CopyError::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => changed(),
        CopyError::Read(error) => read(error),
        CopyError::Write(error) => DiffError::Write(error),
    })?;
    if to.digest() != *digest || !at_end(&mut file).map_err(read)? {
        return Err(changed());
    }
    Ok(())
}
