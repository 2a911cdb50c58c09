//! Files that a release is built from, beside plain directories: the chunks of an earlier release.
//!
//! Both are read through [`ReadTree`]; `Watched` around either one tells how many bytes have been read.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use groundswell_delta::{ChunkRef, EntryKind, Listed, ListedKind, ReadTree, Tree, TreePath};

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
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
pub(crate) struct Watched<'a, T> {
    pub(crate) files: &'a T,
    pub(crate) read: &'a Cell<u64>,
    pub(crate) tell: &'a dyn Fn(u64),
}

/// See [`Watched`].
pub(crate) struct WatchedFile<'a, F> {
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
    use crate::slots::files::Directory;
    use groundswell_delta::{chunks, scan, verify};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

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
    fn chunks_read_like_the_files_they_were_cut_from() {
        let dir = sample();
        let blobs = tempfile::tempdir().expect("temp dir");
        let files = Directory::open(dir.path()).expect("opens");
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
        let files = Watched { files: &Directory::open(dir.path()).expect("opens"), read: &read, tell: &tell };
        scan(&files).expect("scans");
        assert_eq!((read.get(), told.get()), (700_000, 700_000));
    }
}
