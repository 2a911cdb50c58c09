//! Building a new tree with a delta and the old tree.

use std::io::{BufRead, BufReader, Write};

use blake3::Hash;

use crate::access::{ReadAt, ReadTree, WriteTree};
use crate::budget::Budget;
use crate::engine::{self, Sizes, array};
use crate::error::{ApplyError, Reason};
use crate::limits::{BUFFER_BYTES, Limits};
use crate::pack::Unpacker;
use crate::reading::Reading;
use crate::tree::{ChunkRef, Entry, EntryKind, Tree};
use crate::witness::{CopyError, Witness, at_end, copy_exact, witness};

use super::{PATCH, PIECES, SAME, WHOLE, header, pieces};

/// Builds the tree named `expected`, and returns it. Each file is finished only after its digest was found right; the
/// tree is complete only if this succeeds, and the caller makes it visible only then. Memory: see
/// [`APPLY_MEMORY_BYTES`](crate::APPLY_MEMORY_BYTES).
///
/// # Errors
/// Names the file in work, and says whose fault it is. A delta from or to another tree, or beyond the limits, is
/// refused before anything is written.
pub fn apply_tree(
    old: &Tree,
    old_files: &impl ReadTree,
    delta: &(impl ReadAt + ?Sized),
    expected: &Hash,
    new_files: &mut impl WriteTree,
    limits: &Limits,
) -> Result<Tree, ApplyError> {
    let budget = Budget::new(Reading::new(delta), limits.delta_bytes);
    let mut delta = BufReader::with_capacity(BUFFER_BYTES, budget);
    let new = header::read(old, expected, limits, &mut delta)?;
    for entry in new.entries() {
        let done = match &entry.kind {
            EntryKind::Directory => new_files.directory(&entry.path).map_err(Reason::Write),
            EntryKind::Symlink { target } => new_files.symlink(&entry.path, target).map_err(Reason::Write),
            EntryKind::File { executable, bytes, digest, chunks } => {
                write_file(entry, *executable, new_files, |out| {
                    let mut record = Record { old, old_files, delta: &mut delta };
                    record.follow(out, *bytes, digest, chunks)
                })
            }
        };
        done.map_err(|reason| reason.at(&entry.path))?;
    }
    if !at_end(&mut delta).map_err(Reason::from_delta)? {
        return Err(Reason::Malformed("bytes follow its last file").into());
    }
    Ok(new)
}

/// Creates a file, has it filled and checked, and finishes it.
fn write_file<W: WriteTree>(
    entry: &Entry,
    executable: bool,
    files: &mut W,
    fill: impl FnOnce(&mut Witness<W::File>) -> Result<(), Reason>,
) -> Result<(), Reason> {
    let file = files.create(&entry.path, executable).map_err(Reason::Write)?;
    let mut out = Witness::new(file);
    fill(&mut out)?;
    files.finish(out.into_inner()).map_err(Reason::Write)
}

/// One file's record in a delta.
struct Record<'a, O, D> {
    old: &'a Tree,
    old_files: &'a O,
    delta: &'a mut D,
}

/// An old file that a record names.
struct OldFile<'a> {
    entry: &'a Entry,
    bytes: u64,
    digest: &'a Hash,
}

impl<'a, O: ReadTree, D: BufRead> Record<'a, O, D> {
    /// Writes the file and checks its digest.
    fn follow<W: Write>(
        &mut self,
        out: &mut Witness<W>,
        bytes: u64,
        digest: &Hash,
        chunks: &[ChunkRef],
    ) -> Result<(), Reason> {
        let [kind] = array(self.delta)?;
        match kind {
            SAME => self.same(out, digest)?,
            PATCH => self.patch(out, bytes, digest)?,
            WHOLE => self.whole(out, bytes)?,
            PIECES => pieces::follow(self.old, self.old_files, &mut *self.delta, chunks, out)?,
            _ => return Err(Reason::Malformed("a file's record has an unknown kind")),
        }
        if out.digest() != *digest {
            return Err(Reason::Content { made: out.digest(), promised: *digest });
        }
        Ok(())
    }

    fn same(&mut self, out: &mut impl Write, digest: &Hash) -> Result<(), Reason> {
        let old = self.old_file()?;
        if old.digest != digest {
            return Err(Reason::Malformed("it names an old file of other content"));
        }
        let mut file = self.open(&old)?;
        let mut out = Witness::new(out);
        copy_exact(&mut file, &mut out, old.bytes).map_err(|error| match error {
            CopyError::Read(error) => Reason::from_old(error),
            CopyError::Write(error) => Reason::Write(error),
        })?;
        if out.digest() != *digest {
            return Err(Reason::OldChanged);
        }
        Ok(())
    }

    fn patch<W: Write>(&mut self, out: &mut Witness<W>, bytes: u64, digest: &Hash) -> Result<(), Reason> {
        let old = self.old_file()?;
        let mut file = self.open(&old)?;
        let sizes = Sizes { old: old.bytes, new: bytes };
        engine::follow(&mut file, &mut *self.delta, out, sizes)?;
        if out.digest() != *digest {
            return self.acquit(&old);
        }
        Ok(())
    }

    fn whole(&mut self, out: &mut impl Write, bytes: u64) -> Result<(), Reason> {
        let mut packed = Unpacker::new(&mut *self.delta)?;
        copy_exact(&mut packed, out, bytes).map_err(|error| match error {
            CopyError::Read(error) => Reason::from_delta(error),
            CopyError::Write(error) => Reason::Write(error),
        })?;
        packed.end()
    }

    /// The old file that the delta names next.
    fn old_file(&mut self) -> Result<OldFile<'a>, Reason> {
        let at = u32::from_le_bytes(array(self.delta)?);
        let entry = self.old.entries().get(at as usize);
        match entry.map(|entry| (entry, &entry.kind)) {
            Some((entry, EntryKind::File { bytes, digest, .. })) => {
                Ok(OldFile { entry, bytes: *bytes, digest })
            }
            _ => Err(Reason::Malformed("it names an old file that does not exist")),
        }
    }

    /// Opens it; its size on disk must be that of the tree.
    fn open(&self, old: &OldFile<'_>) -> Result<Reading<O::File>, Reason> {
        let file = self.old_files.open(&old.entry.path).map_err(Reason::OldUnreadable)?;
        if file.size() != old.bytes {
            return Err(Reason::OldChanged);
        }
        Ok(Reading::new(file))
    }

    /// After a patch gave the wrong bytes: an error if the old file is to blame.
    fn acquit(&self, old: &OldFile<'_>) -> Result<(), Reason> {
        let (_, digest) = witness(self.open(old)?).map_err(Reason::from_old)?;
        if digest != *old.digest {
            return Err(Reason::OldChanged);
        }
        Ok(())
    }
}
