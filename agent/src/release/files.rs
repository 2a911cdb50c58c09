//! Files that a release is built from, beside plain directories: the chunks of an earlier release.
//!
//! Both are read through [`ReadTree`]; `Watched` around either one tells how many bytes have been read.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use groundswell_delta::{ChunkRef, EntryKind, Listed, ListedKind, ReadAt, ReadTree, Tree, TreePath};

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
    /// Where each chunk ends in the file.
    ends: Vec<u64>,
    blobs: PathBuf,
    /// The chunk that was read last.
    open: RefCell<Option<(usize, File)>>,
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
            Some(EntryKind::File { chunks, .. }) => Ok(ChunkedFile::new(chunks, &self.blobs)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl ChunkedFile {
    fn new(chunks: &[ChunkRef], blobs: &Path) -> Self {
        let ends = chunks.iter().scan(0, |end, chunk| {
            *end += u64::from(chunk.bytes);
            Some(*end)
        });
        Self {
            ends: ends.collect(),
            chunks: chunks.to_vec(),
            blobs: blobs.to_owned(),
            open: RefCell::new(None),
        }
    }

    /// Reads what the chunk at `offset` has of it; gives how much that is.
    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let number = self.ends.partition_point(|end| *end <= offset);
        let (Some(chunk), Some(end)) = (self.chunks.get(number), self.ends.get(number)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let within = offset + u64::from(chunk.bytes) - end;
        let left = usize::try_from(end - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut open = self.open.borrow_mut();
        let file = match open.take() {
            Some((last, file)) if last == number => file,
            _ => self.open_chunk(chunk)?,
        };
        file.read_exact_at(&mut buffer[..left], within)?;
        *open = Some((number, file));
        Ok(left)
    }

    fn open_chunk(&self, chunk: &ChunkRef) -> io::Result<File> {
        let file = File::open(self.blobs.join(chunk.digest.to_hex().as_str()))?;
        if file.metadata()?.len() != u64::from(chunk.bytes) {
            return Err(invalid(format!("the blob {} is damaged", chunk.digest.to_hex())));
        }
        Ok(file)
    }
}

impl ReadAt for ChunkedFile {
    fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let read = self.read_some_at(buffer, offset)?;
            buffer = &mut buffer[read..];
            offset += read as u64;
        }
        Ok(())
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

impl<F: ReadAt> ReadAt for WatchedFile<'_, F> {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)?;
        self.read.set(self.read.get().saturating_add(buffer.len() as u64));
        (self.tell)(self.read.get());
        Ok(())
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

        let file = chunked.open(&TreePath::new("bin/server").expect("path")).expect("open");
        let mut tail = vec![0; 699_900];
        file.read_exact_at(&mut tail, 100).expect("read");
        assert_eq!(tail, noise(700_000)[100..]);
        assert!(file.read_exact_at(&mut tail, 101).is_err());
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
