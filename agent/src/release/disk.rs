//! Reading small files within a bound, and making files and directories appear whole or not at all.
//!
//! Everything that is written here is on disk, with its name, before the function returns: bytes first,
//! then the rename, then the directory that holds the name.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tempfile::{NamedTempFile, TempDir};

use super::problem::Problem;

/// Opens a regular file for reading. Never blocks: a named pipe is refused instead of waited for.
///
/// # Errors
/// When there is none, or it is something else than a regular file.
pub fn open_regular(path: &Path) -> Result<File, Problem> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| Problem::reading(path, &error))?;
    let meta = file.metadata().map_err(|error| Problem::reading(path, &error))?;
    if !meta.is_file() {
        let why = if meta.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(Problem::bad_input(
            format!("cannot read {}", path.display()),
            why,
            "name the file itself",
        ));
    }
    Ok(file)
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read or is larger; no more than `most` bytes are ever held.
pub fn read_bounded(path: &Path, most: usize) -> Result<Vec<u8>, Problem> {
    let file = open_regular(path)?;
    read_open(path, &file, most)
}

/// Reads the rest of an open file of at most `most` bytes; `path` names it in errors.
pub(super) fn read_open(path: &Path, file: &File, most: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| Problem::reading(path, &error))?;
    if bytes.len() > most {
        return Err(Problem::bad_input(
            format!("cannot read {}", path.display()),
            format!("it is larger than the {most} bytes that such a file may have"),
            "name the right file: this one is damaged or something else",
        ));
    }
    Ok(bytes)
}

/// The directory that holds `path`'s name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Waits until the names in a directory are on the disk.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn fill(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".groundswell-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(parent(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Writes a file so that at every moment, and after any crash, either the old or the new one is there.
///
/// # Errors
/// When the disk refuses; the old file is untouched then.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Problem> {
    let write = || {
        fill(path, bytes, mode)?.persist(path).map_err(|error| error.error)?;
        sync_directory(parent(path))
    };
    write().map_err(|error| Problem::writing(path, &error))
}

/// Writes a file that must not exist yet.
///
/// # Errors
/// When it exists, or the disk refuses; nothing is changed then.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Problem> {
    let write = || {
        fill(path, bytes, mode)?.persist_noclobber(path).map_err(|error| error.error)?;
        sync_directory(parent(path))
    };
    write().map_err(|error| Problem::writing(path, &error))
}

/// A directory that is being filled under another name, and removed with all in it unless it is finished.
#[derive(Debug)]
pub struct NewDirectory {
    making: TempDir,
    target: PathBuf,
}

impl NewDirectory {
    /// Begins a directory that will appear as `target`, which must not exist or be empty.
    ///
    /// # Errors
    /// When something is there already, or the disk refuses.
    pub fn begin(target: &Path) -> Result<Self, Problem> {
        if !is_vacant(target).map_err(|error| Problem::writing(target, &error))? {
            return Err(Problem::writing(target, &io::ErrorKind::AlreadyExists.into()));
        }
        let making = tempfile::Builder::new()
            .prefix(".groundswell-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(parent(target))
            .map_err(|error| Problem::writing(target, &error))?;
        Ok(Self { making, target: target.to_owned() })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        self.making.path()
    }

    /// Puts everything on disk, then gives the directory its name.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then.
    pub fn finish(self) -> Result<(), Problem> {
        let finish = || {
            // One call for thousands of small files, where an fsync of each would take seconds.
            rustix::fs::syncfs(File::open(self.making.path())?)?;
            fs::rename(self.making.path(), &self.target)?;
            sync_directory(parent(&self.target))
        };
        finish().map_err(|error| Problem::writing(&self.target, &error))?;
        // The name under which it was made is gone: there is nothing left to remove.
        let _ = self.making.keep();
        Ok(())
    }
}

/// Whether nothing, or an empty directory, is at `path`.
fn is_vacant(path: &Path) -> io::Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::problem::ProblemKind;

    #[test]
    fn a_bounded_read_refuses_one_byte_more() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("file");
        fs::write(&path, [0; 10]).expect("write");
        assert_eq!(read_bounded(&path, 10).expect("fits").len(), 10);
        assert_eq!(read_bounded(&path, 9).expect_err("too large").kind, ProblemKind::BadInput);
    }

    #[test]
    fn pipes_and_directories_are_refused_at_once() {
        let dir = tempfile::tempdir().expect("temp dir");
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .expect("make a pipe");
        assert_eq!(read_bounded(&pipe, 9).expect_err("a pipe").kind, ProblemKind::BadInput);
        assert_eq!(read_bounded(dir.path(), 9).expect_err("a directory").kind, ProblemKind::BadInput);
    }

    #[test]
    fn new_files_never_replace_and_atomic_ones_leave_no_rest() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("file");
        write_new(&path, b"one", 0o600).expect("new");
        assert!(write_new(&path, b"two", 0o600).is_err());
        assert_eq!(fs::read(&path).expect("read"), b"one");
        write_atomic(&path, b"three", 0o644).expect("replace");
        assert_eq!(fs::read(&path).expect("read"), b"three");
        assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
    }

    #[test]
    fn an_unfinished_directory_leaves_nothing() {
        let dir = tempfile::tempdir().expect("temp dir");
        let target = dir.path().join("target");
        let making = NewDirectory::begin(&target).expect("begin");
        fs::write(making.path().join("file"), b"x").expect("write");
        drop(making);
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);

        let making = NewDirectory::begin(&target).expect("begin");
        fs::write(making.path().join("file"), b"x").expect("write");
        making.finish().expect("finish");
        assert_eq!(fs::read(target.join("file")).expect("read"), b"x");
        assert!(NewDirectory::begin(&target).is_err(), "never over something that is there");
    }
}
