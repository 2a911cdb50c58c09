//! Files that a release is built from: a directory of the publisher's, or the chunks of an earlier release.
//!
//! Both are read through [`ReadTree`]; `Watched` around either one tells how many bytes have been read.
//! Symbolic links are listed and never followed.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use groundswell_delta::{ChunkRef, ENTRIES_MAX, EntryKind, Listed, ListedKind, ReadTree, Tree, TreePath};
use rustix::fs::OFlags;

/// A directory on disk.
pub(super) struct DirectoryFiles {
    root: PathBuf,
}

impl DirectoryFiles {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn list_into(&self, at: Option<&TreePath>, found: &mut Vec<Listed>) -> io::Result<()> {
        let directory = match at {
            Some(path) => self.root.join(path),
            None => self.root.clone(),
        };
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| invalid(format!("{} has a name that is not UTF-8", entry.path().display())))?;
            let path = match at {
                Some(parent) => TreePath::new(format!("{parent}/{name}", parent = parent.as_str())),
                None => TreePath::new(name),
            };
            let path = path.map_err(|error| {
                invalid(format!("the path {} cannot be in a version: {error}", entry.path().display()))
            })?;
            if found.len() >= ENTRIES_MAX as usize {
                return Err(invalid(format!("there are more than {ENTRIES_MAX} files and directories")));
            }
            let kind = kind(&entry)?;
            let is_directory = kind == ListedKind::Directory;
            found.push(Listed { path: path.clone(), kind });
            if is_directory {
                self.list_into(Some(&path), found)?;
            }
        }
        Ok(())
    }
}

fn kind(entry: &fs::DirEntry) -> io::Result<ListedKind> {
    // Of the entry itself: a link is not followed.
    let meta = entry.metadata()?;
    let kind = meta.file_type();
    if kind.is_dir() {
        Ok(ListedKind::Directory)
    } else if kind.is_file() {
        Ok(ListedKind::File { executable: meta.permissions().mode() & 0o100 != 0 })
    } else if kind.is_symlink() {
        let target = fs::read_link(entry.path())?;
        let target = target.to_str().map(ToOwned::to_owned);
        let target = target.ok_or_else(|| {
            invalid(format!("{} leads to a name that is not UTF-8", entry.path().display()))
        })?;
        Ok(ListedKind::Symlink { target })
    } else {
        Err(invalid(format!("{} is a device, pipe or socket", entry.path().display())))
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl ReadTree for DirectoryFiles {
    type File = File;

    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        self.list_into(None, &mut found)?;
        Ok(found)
    }

    fn open(&self, path: &TreePath) -> io::Result<File> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.root.join(path))?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(invalid("it is not a regular file".to_owned()))
        }
    }
}

/// The files of an earlier release, put together from its chunks.
pub(super) struct ChunkedFiles<'a> {
    tree: &'a Tree,
    blobs: PathBuf,
}

impl<'a> ChunkedFiles<'a> {
    pub(super) fn new(tree: &'a Tree, blobs: &Path) -> Self {
        Self { tree, blobs: blobs.to_owned() }
    }
}

/// One file of an earlier release. Its bytes are not verified here: whoever reads it compares digests.
pub(super) struct ChunkedFile {
    chunks: Vec<ChunkRef>,
    blobs: PathBuf,
    at: u64,
    bytes: u64,
    open: Option<(usize, File)>,
}

impl ReadTree for ChunkedFiles<'_> {
    type File = ChunkedFile;

    fn list(&self) -> io::Result<Vec<Listed>> {
        let listed = self.tree.entries().iter().map(|entry| Listed {
            path: entry.path.clone(),
            kind: match &entry.kind {
                EntryKind::Directory => ListedKind::Directory,
                EntryKind::Symlink { target } => ListedKind::Symlink { target: target.clone() },
                EntryKind::File { executable, .. } => ListedKind::File { executable: *executable },
            },
        });
        Ok(listed.collect())
    }

    fn open(&self, path: &TreePath) -> io::Result<ChunkedFile> {
        match self.tree.get(path).map(|entry| &entry.kind) {
            Some(EntryKind::File { bytes, chunks, .. }) => Ok(ChunkedFile {
                chunks: chunks.clone(),
                blobs: self.blobs.clone(),
                at: 0,
                bytes: *bytes,
                open: None,
            }),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl ChunkedFile {
    /// Which chunk holds the place `at`, and how far into it.
    fn place(&self) -> Option<(usize, u64)> {
        let mut begin = 0;
        for (number, chunk) in self.chunks.iter().enumerate() {
            let end = begin + u64::from(chunk.bytes);
            if self.at < end {
                return Some((number, self.at - begin));
            }
            begin = end;
        }
        None
    }

    fn next_chunk(&mut self) -> io::Result<Option<(File, u64)>> {
        let Some((number, offset)) = self.place() else { return Ok(None) };
        let chunk = self.chunks[number];
        let file = match self.open.take() {
            Some((open, file)) if open == number => file,
            _ => {
                let file = File::open(self.blobs.join(chunk.digest.to_hex().as_str()))?;
                if file.metadata()?.len() != u64::from(chunk.bytes) {
                    return Err(invalid(format!("the blob {} is damaged", chunk.digest.to_hex())));
                }
                let mut file = file;
                file.seek(SeekFrom::Start(offset))?;
                file
            }
        };
        let left = u64::from(chunk.bytes) - offset;
        self.open = Some((number, file.try_clone()?));
        Ok(Some((file, left)))
    }
}

impl Read for ChunkedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((file, left)) = self.next_chunk()? else { return Ok(0) };
        let read = file.take(left).read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for ChunkedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.open = None;
        Ok(self.at)
    }
}

/// Files whose reading is watched: `read` rises by every byte.
pub(super) struct Watched<'a, T> {
    pub(super) files: T,
    pub(super) read: &'a Cell<u64>,
    pub(super) tell: &'a dyn Fn(u64),
}

/// See [`Watched`].
pub(super) struct WatchedFile<'a, F> {
    file: F,
    read: &'a Cell<u64>,
    tell: &'a dyn Fn(u64),
}

impl<'a, T: ReadTree> ReadTree for Watched<'a, T> {
    type File = WatchedFile<'a, T::File>;

    fn list(&self) -> io::Result<Vec<Listed>> {
        self.files.list()
    }

    fn open(&self, path: &TreePath) -> io::Result<Self::File> {
        Ok(WatchedFile { file: self.files.open(path)?, read: self.read, tell: self.tell })
    }
}

impl<F: Read> Read for WatchedFile<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.set(self.read.get().saturating_add(read as u64));
        (self.tell)(self.read.get());
        Ok(read)
    }
}

impl<F: Seek> Seek for WatchedFile<'_, F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_delta::{chunks, scan, verify};
    use std::os::unix::fs::symlink;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..bytes).map(|_| next()).collect()
    }

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("temp dir");
        fs::create_dir(dir.path().join("bin")).expect("mkdir");
        fs::write(dir.path().join("bin/server"), noise(700_000)).expect("write");
        fs::set_permissions(dir.path().join("bin/server"), fs::Permissions::from_mode(0o755)).expect("chmod");
        fs::write(dir.path().join("empty"), b"").expect("write");
        symlink("bin/server", dir.path().join("run")).expect("link");
        dir
    }

    #[test]
    fn a_directory_is_listed_without_following_links() {
        let dir = sample();
        let tree = scan(&DirectoryFiles::new(dir.path())).expect("scans");
        let paths: Vec<&str> = tree.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["bin", "bin/server", "empty", "run"]);
        assert_eq!(tree.bytes(), 700_000);
        verify(&tree, &DirectoryFiles::new(dir.path())).expect("verifies");
        let link = TreePath::new("run").expect("path");
        assert!(DirectoryFiles::new(dir.path()).open(&link).is_err());
    }

    #[test]
    fn what_is_neither_file_nor_directory_nor_link_is_refused() {
        let dir = sample();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).expect("bind");
        let error = DirectoryFiles::new(dir.path()).list().expect_err("a socket");
        assert!(error.to_string().contains("socket"), "{error}");
    }

    #[test]
    fn chunks_read_like_the_files_they_were_cut_from() {
        let dir = sample();
        let blobs = tempfile::tempdir().expect("temp dir");
        let files = DirectoryFiles::new(dir.path());
        let tree = scan(&files).expect("scans");
        for chunk in chunks(File::open(dir.path().join("bin/server")).expect("open")) {
            let chunk = chunk.expect("chunk");
            fs::write(blobs.path().join(chunk.digest.to_hex().as_str()), chunk.bytes).expect("write");
        }
        let chunked = ChunkedFiles::new(&tree, blobs.path());
        verify(&tree, &chunked).expect("the same");

        let mut file = chunked.open(&TreePath::new("bin/server").expect("path")).expect("open");
        let mut tail = Vec::new();
        file.seek(SeekFrom::End(-100)).expect("seek");
        file.read_to_end(&mut tail).expect("read");
        assert_eq!(tail, noise(700_000)[699_900..]);
    }

    #[test]
    fn reading_is_watched() {
        let dir = sample();
        let read = Cell::new(0);
        let told = Cell::new(0);
        let tell = |bytes| told.set(bytes);
        let files = Watched { files: DirectoryFiles::new(dir.path()), read: &read, tell: &tell };
        scan(&files).expect("scans");
        assert_eq!((read.get(), told.get()), (700_000, 700_000));
    }
}
