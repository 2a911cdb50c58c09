//! The doors to files: this crate opens none itself.
//!
//! Whoever implements these decides what a path means on disk (a slot's directory, an archive, memory) and must not
//! follow symbolic links of the tree on the way to a file.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::tree::TreePath;

/// Something found in a tree of files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Where.
    pub path: TreePath,
    /// What.
    pub kind: ListedKind,
}

/// What was found, as far as it is known without reading files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListedKind {
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Its text, as stored.
        target: String,
    },
    /// A regular file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
}

/// Files that can be read.
pub trait ReadTree {
    /// An open file.
    type File: ReadAt;

    /// Lists everything, in any order: each directory (but not the root), each link, each file.
    ///
    /// # Errors
    /// When something cannot be listed, or is none of the three kinds.
    fn list(&self) -> io::Result<Vec<Listed>>;

    /// Opens a regular file.
    ///
    /// # Errors
    /// When it cannot be opened or is not a regular file.
    fn open(&self, path: &TreePath) -> io::Result<Self::File>;
}

/// A place where a new tree is built. Called with each directory before what is in it.
pub trait WriteTree {
    /// A file being written. Dropped without [`finish`](Self::finish), it must never become visible as whole.
    type File: Write;

    /// Makes a directory. Its parent exists.
    ///
    /// # Errors
    /// When the directory cannot be made.
    fn directory(&mut self, path: &TreePath) -> io::Result<()>;

    /// Makes a symbolic link, whose target has been checked to stay inside the tree.
    ///
    /// # Errors
    /// When the link cannot be made.
    fn symlink(&mut self, path: &TreePath, target: &str) -> io::Result<()>;

    /// Begins a file that does not exist yet.
    ///
    /// # Errors
    /// When the file cannot be made.
    fn create(&mut self, path: &TreePath, executable: bool) -> io::Result<Self::File>;

    /// Ends a file: all its bytes were written and their digest is right.
    ///
    /// # Errors
    /// When the file cannot be completed.
    fn finish(&mut self, file: Self::File) -> io::Result<()>;
}

/// Bytes of a known number that can be read from any place: an old file, a delta, scratch space.
///
/// Files are read, not mapped: one that shrinks under its reader gives an error and not a signal, and what is held
/// in memory is only what is being worked on.
pub trait ReadAt {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills the buffer with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when they end before the buffer does; else when they cannot be
    /// read.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// All of them, where they are in memory anyway: then they need not be copied to be compared.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn in_memory(&self) -> Option<&[u8]> {
        (**self).in_memory()
    }

    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Box<T> {
    fn in_memory(&self) -> Option<&[u8]> {
        (**self).in_memory()
    }

    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let part = start.and_then(|start| self.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }
}

/// A regular file, with the size that it had when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    file: std::fs::File,
    bytes: u64,
}

impl OpenFile {
    /// Takes an open file.
    ///
    /// # Errors
    /// When its size cannot be had.
    pub fn new(file: std::fs::File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

/// Room for bytes that do not stay: what was taken out of old containers, files between two versions.
pub trait Scratch {
    /// An empty file, gone when it is dropped.
    ///
    /// # Errors
    /// When there is no room.
    fn file(&self) -> io::Result<Box<dyn ScratchFile>>;
}

/// A file to write from its beginning to its end, then to read from any place.
pub trait ScratchFile: Write + ReadAt {}

impl<F: Write + ReadAt> ScratchFile for F {}

/// Scratch files in memory: for small files and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScratchMemory;

impl Scratch for ScratchMemory {
    fn file(&self) -> io::Result<Box<dyn ScratchFile>> {
        Ok(Box::new(Vec::new()))
    }
}

/// Reads a stretch into memory.
pub(crate) fn load(source: &dyn ReadAt, range: Range<u64>) -> io::Result<Vec<u8>> {
    let bytes = range.end.checked_sub(range.start).and_then(|bytes| usize::try_from(bytes).ok());
    let mut loaded = vec![0; bytes.ok_or(io::ErrorKind::UnexpectedEof)?];
    source.read_exact_at(&mut loaded, range.start)?;
    Ok(loaded)
}

/// A stretch as it is in memory, or else read into it.
pub(crate) fn view(source: &dyn ReadAt, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
    let Some(all) = source.in_memory() else { return load(source, range).map(Cow::Owned) };
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let part = all.get(place(range.start)..place(range.end));
    part.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
