//! The operations by which this room changes the disk, one function each, so that a test can fail or "crash" at
//! every one of them and see in which order they come.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// One kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    MakeDirectory,
    Create,
    Write,
    Sync,
    SyncDirectory,
    Link,
    Rename,
    Remove,
}

/// Comes before each change.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it may fail")]
pub(super) fn step(_: Step, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use super::tests::injection::step;

/// Makes a directory if it is not there, durably.
pub(super) fn ensure_directory(path: &Path) -> io::Result<()> {
    step(Step::MakeDirectory, path)?;
    match fs::create_dir(path) {
        Ok(()) => sync_directory(path.parent().unwrap_or(Path::new("/"))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a file under its final name, whole or not at all, and durably.
pub(super) fn write_whole(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    step(Step::Create, temporary)?;
    let mut file = File::create(temporary)?;
    step(Step::Write, temporary)?;
    file.write_all(bytes)?;
    step(Step::Sync, temporary)?;
    file.sync_all()?;
    rename(temporary, path)?;
    sync_directory(path.parent().unwrap_or(Path::new("/")))
}

/// Points a link at a target, atomically and durably.
pub(super) fn point(link: &Path, temporary: &Path, target: &Path) -> io::Result<()> {
    remove(temporary)?;
    step(Step::Link, temporary)?;
    symlink(target, temporary)?;
    rename(temporary, link)?;
    sync_directory(link.parent().unwrap_or(Path::new("/")))
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step(Step::Rename, to)?;
    fs::rename(from, to)
}

/// Swaps two names in one moment: at none is either missing.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    step(Step::Rename, other)?;
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    step(Step::SyncDirectory, path)?;
    File::open(path)?.sync_all()
}

/// Removes a file, link or whole directory, following no link. Nothing there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let Some(metadata) = existing(path)? else {
        return Ok(());
    };
    step(Step::Remove, path)?;
    if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// What is at a path, without following a link; `None` if nothing.
pub(super) fn existing(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error means that there is no room: on the disk, in a quota, or below the size that this process may
/// give a file.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
