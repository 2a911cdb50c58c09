//! Building a new tree with a delta and the old tree.

use blake3::Hash;

use crate::access::{ReadAt, ReadTree, Scratch, WriteTree};
use crate::error::{ApplyError, Reason};
use crate::limits::Limits;
use crate::reading::{Part, Reading};
use crate::tree::{EntryKind, Tree, TreePath};
use crate::witness::{CopyError, Witness, copy_exact};

use super::base::{self, Base};
use super::body;
use super::ends::Opened;
use super::files::{ByContent, File};
use super::plan::Group;
use super::spread::Spread;
use super::work::Work;

/// Builds the tree named `expected`, and returns it. Each file is finished only after its digest was found right; the
/// tree is complete only if this succeeds, and the caller makes it visible only then. Files come in the delta's order,
/// after all directories and links. Memory: see [`APPLY_MEMORY_BYTES`](crate::APPLY_MEMORY_BYTES).
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
    scratch: &dyn Scratch,
    limits: &Limits,
) -> Result<Tree, ApplyError> {
    let opened = Opened::read(old, delta, expected, limits)?;
    write_tree(&opened, old, old_files, new_files, scratch)?;
    Ok(opened.new)
}

/// Writes everything: directories and links, files that are here, and all groups.
pub(crate) fn write_tree<D: ReadAt + ?Sized>(
    opened: &Opened<'_, D>,
    old: &Tree,
    old_files: &impl ReadTree,
    new_files: &mut impl WriteTree,
    scratch: &dyn Scratch,
) -> Result<(), ApplyError> {
    write_frame(&opened.new, new_files)?;
    write_copies(opened, old, old_files, new_files)?;
    write_groups(opened, old, old_files, new_files, scratch, &|_| true)
}

/// Writes directories and links.
fn write_frame(new: &Tree, new_files: &mut impl WriteTree) -> Result<(), ApplyError> {
    for entry in new.entries() {
        let made = match &entry.kind {
            EntryKind::Directory => new_files.directory(&entry.path),
            EntryKind::Symlink { target } => new_files.symlink(&entry.path, target),
            EntryKind::File { .. } => Ok(()),
        };
        made.map_err(|error| Reason::Write(error).at(&entry.path))?;
    }
    Ok(())
}

/// Writes the files that no group makes: those whose content an old file has, and empty ones.
fn write_copies<D: ReadAt + ?Sized>(
    opened: &Opened<'_, D>,
    old: &Tree,
    old_files: &impl ReadTree,
    new_files: &mut impl WriteTree,
) -> Result<(), ApplyError> {
    let sources = ByContent::new(old);
    for new in opened.copies() {
        let source = sources.get(new.digest);
        copy(source, &new, old_files, new_files).map_err(|reason| reason.at(&new.entry.path))?;
    }
    Ok(())
}

fn copy(
    source: Option<File<'_>>,
    new: &File<'_>,
    old_files: &impl ReadTree,
    new_files: &mut impl WriteTree,
) -> Result<(), Reason> {
    let from = match source {
        _ if new.bytes == 0 => None,
        Some(source) => Some(Reading::new(base::open(old_files, &source)?)),
        None => return Err(Reason::Malformed("it has nothing of a file that is in no old one")),
    };
    let out = new_files.create(&new.entry.path, new.executable).map_err(Reason::Write)?;
    let mut out = Witness::new(out);
    if let Some(mut from) = from {
        copy_exact(&mut from, &mut out, new.bytes).map_err(|error| match error {
            CopyError::Read(error) => Reason::from_old(error),
            CopyError::Write(error) => Reason::Write(error),
        })?;
    }
    if out.digest() != *new.digest {
        let empty = Reason::Content { made: out.digest(), promised: *new.digest };
        return Err(source.map_or(empty, |_| Reason::OldChanged));
    }
    new_files.finish(out.into_inner()).map_err(Reason::Write)
}

/// Writes the files of those groups of which any file is wanted.
pub(crate) fn write_groups<D: ReadAt + ?Sized>(
    opened: &Opened<'_, D>,
    old: &Tree,
    old_files: &impl ReadTree,
    new_files: &mut impl WriteTree,
    scratch: &dyn Scratch,
    is_wanted: &dyn Fn(&Hash) -> bool,
) -> Result<(), ApplyError> {
    let wanted = |group: &Group| opened.makes_any(group, is_wanted);
    let mut work = Work::new(old, &opened.new);
    for group in opened.plan.iter().filter(|group| wanted(group)) {
        work.spend(group.source_bytes(old))?;
    }
    for (group, body) in opened.groups().filter(|(group, _)| wanted(group)) {
        write_group(opened, (group, &body), old, old_files, new_files, scratch, &mut work)
            .map_err(|(file, reason)| ApplyError { file, reason })?;
    }
    Ok(())
}

type Failed = (Option<TreePath>, Reason);

fn write_group<D: ReadAt + ?Sized>(
    opened: &Opened<'_, D>,
    (group, body): (&Group, &Part<&D>),
    old: &Tree,
    old_files: &impl ReadTree,
    new_files: &mut impl WriteTree,
    scratch: &dyn Scratch,
    work: &mut Work,
) -> Result<(), Failed> {
    let first = || group.files(&opened.new).next().map(|file| file.entry.path.clone());
    let base = Base::open(old, old_files, group.sources()).map_err(|reason| (first(), reason))?;
    let bytes = group.files(&opened.new).map(|file| file.bytes).sum();
    let mut out = Spread::new(group.files(&opened.new), new_files);
    let outcome = body::follow(&base, body, scratch, opened.container_memory_bytes, work, &mut out, bytes);

    let path = out.path().cloned();
    out.end(outcome).map_err(|reason| {
        let reason = match reason {
            Reason::Content { .. } => base.acquit(old, group.sources()).err().unwrap_or(reason),
            _ => reason,
        };
        (path.or_else(first), reason)
    })
}
