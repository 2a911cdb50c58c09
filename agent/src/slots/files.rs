//! A directory on disk as a tree of files: what a slot is, and what a publisher hands to `release build`.
//!
//! The one door is [`Directory`]. Every path is walked from the directory's own descriptor, part by part and through
//! no symbolic link, so that nothing outside it is ever read or written, whatever happens below it meanwhile.
//! Deliberately absent: owners, times, and permission bits beyond "executable" (a version is what it does).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use groundswell_delta::{ENTRIES_MAX, Listed, ListedKind, OpenFile, ReadTree, TreePath};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};

const OPEN_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// `NONBLOCK` so that a pipe put in a file's place cannot make the agent wait.
const OPEN_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const OWNER_MAY_EXECUTE: u32 = 0o100;

/// An open directory and all that is in it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    root: OwnedFd,
}

impl Directory {
    /// Opens an existing directory. `path` itself may be a symbolic link to one.
    ///
    /// # Errors
    /// Names the path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OPEN_DIRECTORY.difference(OFlags::NOFOLLOW);
        let root = openat(CWD, path, flags, Mode::empty()).map_err(|error| named(path, error.into()))?;
        Ok(Self { path: path.to_owned(), root })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory at a path inside; the root for `None`.
    pub(super) fn directory(&self, path: Option<&str>) -> io::Result<OwnedFd> {
        let mut at = self.root.try_clone()?;
        for part in path.into_iter().flat_map(|path| path.split('/')) {
            at = openat(&at, part, OPEN_DIRECTORY, Mode::empty())?;
        }
        Ok(at)
    }

    /// Lists one directory, adding what it holds to `found` and its directories to `unread`.
    fn list_one(
        &self,
        within: Option<&TreePath>,
        found: &mut Vec<Listed>,
        unread: &mut Vec<TreePath>,
    ) -> io::Result<()> {
        let directory = self.directory(within.map(TreePath::as_str))?;
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let shown = self.path.join(within.map_or("", TreePath::as_str)).join(OsStr::from_bytes(name));
            let path = tree_path(within, name).map_err(|error| named(&shown, error))?;
            let kind = kind_of(&directory, entry.file_name()).map_err(|error| named(&shown, error))?;
            if kind == ListedKind::Directory {
                unread.push(path.clone());
            }
            found.push(Listed { path, kind });
            if found.len() > ENTRIES_MAX as usize {
                let reason = format!("it holds more than the {ENTRIES_MAX} entries that a version may have");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
            }
        }
        Ok(())
    }
}

impl ReadTree for Directory {
    type File = OpenFile;

    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        let mut unread = Vec::new();
        self.list_one(None, &mut found, &mut unread).map_err(|error| named(&self.path, error))?;
        while let Some(path) = unread.pop() {
            self.list_one(Some(&path), &mut found, &mut unread)
                .map_err(|error| named(&self.path.join(&path), error))?;
        }
        Ok(found)
    }

    fn open(&self, path: &TreePath) -> io::Result<OpenFile> {
        let directory = self.directory(path.parent())?;
        let file = File::from(openat(directory, path.name(), OPEN_FILE, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        OpenFile::new(file)
    }
}

fn tree_path(within: Option<&TreePath>, name: &[u8]) -> io::Result<TreePath> {
    let name = str::from_utf8(name)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidFilename, "its name is not UTF-8"))?;
    let text = within.map_or_else(
        || name.to_owned(),
        |within| format!("{within_text}/{name}", within_text = within.as_str()),
    );
    Ok(TreePath::new(text)?)
}

fn kind_of(directory: &OwnedFd, name: &std::ffi::CStr) -> io::Result<ListedKind> {
    let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let refused = |what: &str| {
        let reason =
            format!("it is a {what}, and a version holds only files, directories and symbolic links");
        Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => Ok(ListedKind::Directory),
        FileType::RegularFile => Ok(ListedKind::File { executable: found.st_mode & OWNER_MAY_EXECUTE != 0 }),
        FileType::Symlink => {
            let target = readlinkat(directory.as_fd(), name, Vec::new())?;
            let target = target.into_string().map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidFilename, "the target of this link is not UTF-8")
            })?;
            Ok(ListedKind::Symlink { target })
        }
        FileType::Socket => refused("socket"),
        FileType::Fifo => refused("named pipe"),
        FileType::CharacterDevice | FileType::BlockDevice => refused("device"),
        _ => refused("special file"),
    }
}

/// The error with the path before it, once.
fn named(path: &Path, error: io::Error) -> io::Error {
    if error.get_ref().and_then(|inner| inner.downcast_ref::<Named>()).is_some() {
        return error;
    }
    io::Error::new(error.kind(), Named { path: path.to_owned(), error })
}

/// An error that says where.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
struct Named {
    path: PathBuf,
    error: io::Error,
}
