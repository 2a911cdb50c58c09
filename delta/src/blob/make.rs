//! Making a delta between trees.

use std::io::{self, Write};

use crate::access::{ReadAt, ReadTree};
use crate::limits::LOADED_BYTES_MAX;
use crate::patch::Options;
use crate::reading::Reading;
use crate::tree::{Tree, TreePath};
use crate::witness::{CopyError, Witness, at_end, copy_exact, witness};

use super::base::Base;
use super::files::{File, files};
use super::groups::{Row, rows};
use super::plan::{Group, Kind};
use super::sources::choose;
use super::work::Work;
use super::{body, ends};

/// How files begin that the engine may open and rebuild. Such a file is looked at by itself, however small.
const OPENED: [&[u8]; 7] =
    [b"\x7fELF", b"\0asm", b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"!<arch>"];

/// What a delta came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaSummary {
    /// The delta's size.
    pub bytes: u64,
    /// Files of the new tree that are empty, or whose bytes are those of an old file.
    pub reused_files: u64,
    /// Files made from old files or their chunks.
    pub patched_files: u64,
    /// Files made from nothing.
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
/// `progress` with the bytes of the new tree done so far. The same trees give the same delta. Takes memory as
/// [`diff`](crate::diff) does.
///
/// # Errors
/// Names the file that could not be read or has changed.
pub fn diff_trees(
    old: &Tree,
    old_files: &impl ReadTree,
    new: &Tree,
    new_files: &impl ReadTree,
    options: &Options,
    out: impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<DeltaSummary, DiffError> {
    let mut out = Witness::new(out);
    ends::write_header(old, new, &mut out).map_err(DiffError::Write)?;
    let choices = choose(old, old_files, new, new_files)?;
    let changed = choices.len() as u64;
    let mut done = new.bytes() - choices.iter().map(|choice| choice.new.bytes).sum::<u64>();
    progress(done);
    let rows = rows(choices, &|file| is_opened(new_files, file))?;
    let mut maker = Maker {
        old,
        old_files,
        new_files,
        options,
        out,
        plan: Vec::new(),
        summary: DeltaSummary { reused_files: files(new).count() as u64 - changed, ..Default::default() },
        work: Work::new(old, new),
    };
    for row in rows {
        maker.row(&row, &mut |bytes| progress(done + bytes))?;
        done += row.files.iter().map(|file| file.bytes).sum::<u64>();
        progress(done);
    }
    let Maker { mut out, plan, summary, .. } = maker;
    ends::write_trailer(old, new, &plan, options, &mut out).map_err(DiffError::Write)?;
    out.flush().map_err(DiffError::Write)?;
    Ok(DeltaSummary { bytes: out.bytes(), ..summary })
}

struct Maker<'a, O, N, W> {
    old: &'a Tree,
    old_files: &'a O,
    new_files: &'a N,
    options: &'a Options,
    out: Witness<W>,
    plan: Vec<Group>,
    summary: DeltaSummary,
    work: Work,
}

impl<O: ReadTree, N: ReadTree, W: Write> Maker<'_, O, N, W> {
    fn row(&mut self, row: &Row<'_>, tell: &mut dyn FnMut(u64)) -> Result<(), DiffError> {
        let mut body = self.body(row, &row.sources, tell)?;
        let is_new = row.sources.is_empty() || !self.affords(row, &body)?;
        if is_new && !row.sources.is_empty() {
            body = self.body(row, &[], tell)?;
        }
        self.out.write_all(&body).map_err(DiffError::Write)?;
        let sources = row.sources.iter().map(|source| source.at).collect();
        let patched = if is_new { 0 } else { row.patched };
        self.summary.patched_files += patched;
        self.summary.new_files += row.files.len() as u64 - patched;
        let kind = if is_new { Kind::Whole } else { Kind::Patch { sources } };
        let files = row.files.iter().map(|file| file.at).collect();
        self.plan.push(Group { kind, files, bytes: body.len() as u64 });
        Ok(())
    }

    /// Whether following a row's body from its sources is within the delta's budget. If so, it is spent.
    fn affords(&mut self, row: &Row<'_>, body: &[u8]) -> Result<bool, DiffError> {
        let sum = |files: &[File<'_>]| files.iter().map(|file| file.bytes).sum::<u64>();
        let (old, new) = (sum(&row.sources), sum(&row.files));
        let plain = body::plain_bytes(body, old, new).map_err(|reason| DiffError::Write(reason.into_io()))?;
        Ok(self.work.spend(old.saturating_add(plain)).is_ok())
    }

    fn body(
        &self,
        row: &Row<'_>,
        sources: &[File<'_>],
        tell: &mut dyn FnMut(u64),
    ) -> Result<Vec<u8>, DiffError> {
        let made = match &row.files[..] {
            [alone] if alone.bytes > LOADED_BYTES_MAX => {
                let new = self.verified(alone)?;
                for source in sources {
                    copy(self.old_files, source, &mut io::sink())?;
                }
                let sources: Vec<_> = sources.iter().map(|source| source.at).collect();
                let old = Base::open(self.old, self.old_files, &sources)
                    .map_err(|_| DiffError::Changed { file: alone.entry.path.clone() })?;
                body::make(&old, &new, self.options, tell)
            }
            _ => {
                let old = load(self.old_files, sources)?;
                body::make(&old, &load(self.new_files, &row.files)?, self.options, tell)
            }
        };
        made.map_err(DiffError::Write)
    }

    /// Opens a new file, and checks that it is what its tree says.
    fn verified(&self, file: &File<'_>) -> Result<N::File, DiffError> {
        let read = |error| DiffError::Read { file: file.entry.path.clone(), error };
        let opened = self.new_files.open(&file.entry.path).map_err(read)?;
        let found = witness(Reading::new(&opened)).map_err(read)?;
        if found != (file.bytes, *file.digest) {
            return Err(DiffError::Changed { file: file.entry.path.clone() });
        }
        Ok(opened)
    }
}

/// Whether a file may be one that the engine opens.
fn is_opened(files: &impl ReadTree, file: &File<'_>) -> Result<bool, DiffError> {
    let read = |error| DiffError::Read { file: file.entry.path.clone(), error };
    let opened = files.open(&file.entry.path).map_err(read)?;
    let mut start = [0; 8];
    let length = usize::try_from(opened.size()).map_or(start.len(), |size| size.min(start.len()));
    let start = start.get_mut(..length).unwrap_or_default();
    opened.read_exact_at(start, 0).map_err(read)?;
    Ok(OPENED.iter().any(|magic| start.starts_with(magic)))
}

/// Files in a row, in memory.
fn load(files: &impl ReadTree, row: &[File<'_>]) -> Result<Vec<u8>, DiffError> {
    let size = row.iter().map(|file| file.bytes).sum::<u64>();
    let size = usize::try_from(size).expect("BUG: files beyond LOADED_BYTES_MAX");
    let mut bytes = Vec::with_capacity(size);
    for file in row {
        copy(files, file, &mut bytes)?;
    }
    Ok(bytes)
}

/// Copies a file, and checks that it is what its tree says.
fn copy(files: &impl ReadTree, file: &File<'_>, to: &mut impl Write) -> Result<(), DiffError> {
    let path = &file.entry.path;
    let read = |error| DiffError::Read { file: path.clone(), error };
    let changed = || DiffError::Changed { file: path.clone() };
    let mut from = Reading::new(files.open(path).map_err(read)?);
    let mut to = Witness::new(to);
    copy_exact(&mut from, &mut to, file.bytes).map_err(|error| match error {
        CopyError::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => changed(),
        CopyError::Read(error) => read(error),
        CopyError::Write(error) => DiffError::Write(error),
    })?;
    if to.digest() != *file.digest || !at_end(&mut from).map_err(read)? {
        return Err(changed());
    }
    Ok(())
}
