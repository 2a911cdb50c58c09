//! Files of versions on the way, held until the next delta has read them: in memory as long as there is room, else in
//! scratch space.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};

use crate::access::{Listed, ReadAt, ReadTree, Scratch, ScratchFile, WriteTree};
use crate::blob::{ByContent, file};
use crate::limits::BUFFER_BYTES;
use crate::tree::{EntryKind, Tree, TreePath};

/// Most bytes of files on the way that are held in memory; what is beyond goes to [`Scratch`].
pub const CHAIN_MEMORY_BYTES: u64 = 32 << 20;

const EMPTY: &Vec<u8> = &Vec::new();

/// Names of contents.
pub(super) type Digests = BTreeSet<[u8; 32]>;

/// Files by their content.
pub(super) struct Held<S> {
    files: BTreeMap<[u8; 32], Kept<S>>,
    in_memory: u64,
}

enum Kept<S> {
    Memory(Vec<u8>),
    Scratch(S),
}

impl<S> Held<S> {
    pub(super) fn new() -> Self {
        Self { files: BTreeMap::new(), in_memory: 0 }
    }

    /// What is left of so much memory.
    pub(super) fn room(&self, memory: u64) -> u64 {
        memory.saturating_sub(self.in_memory)
    }

    /// Takes more files in.
    pub(super) fn add(&mut self, more: Self) {
        self.files.extend(more.files);
        self.in_memory += more.in_memory;
    }

    /// Drops all files that are not wanted any more.
    pub(super) fn retain(&mut self, wanted: &Digests) {
        let in_memory = &mut self.in_memory;
        self.files.retain(|digest, kept| {
            let stays = wanted.contains(digest);
            if let (false, Kept::Memory(bytes)) = (stays, kept) {
                *in_memory -= bytes.len() as u64;
            }
            stays
        });
    }
}

/// A version on the way, as files to read: of the version on disk where it has them, else held.
pub(super) struct View<'a, O, S> {
    pub(super) tree: &'a Tree,
    pub(super) old: &'a ByContent<'a>,
    pub(super) old_files: &'a O,
    pub(super) held: &'a Held<S>,
}

/// A file of a [`View`].
pub(super) enum ViewFile<'a, F, S> {
    Old(F),
    Memory(&'a Vec<u8>),
    Scratch(&'a S),
}

impl<'a, O: ReadTree, S: ReadAt> ReadTree for View<'a, O, S> {
    type File = ViewFile<'a, O::File, S>;

    fn list(&self) -> io::Result<Vec<Listed>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open(&self, path: &TreePath) -> io::Result<Self::File> {
        let entry = self.tree.get(path).ok_or(io::ErrorKind::NotFound)?;
        let EntryKind::File { bytes, digest, .. } = &entry.kind else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if *bytes == 0 {
            return Ok(ViewFile::Memory(EMPTY));
        }
        if let Some(old) = self.old.get(digest) {
            return self.old_files.open(&old.entry.path).map(ViewFile::Old);
        }
        match self.held.files.get(digest.as_bytes()) {
            Some(Kept::Memory(bytes)) => Ok(ViewFile::Memory(bytes)),
            Some(Kept::Scratch(file)) => Ok(ViewFile::Scratch(file)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl<F: ReadAt, S: ReadAt> ReadAt for ViewFile<'_, F, S> {
    fn size(&self) -> u64 {
        match self {
            Self::Old(file) => file.size(),
            Self::Memory(bytes) => bytes.size(),
            Self::Scratch(file) => file.size(),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Old(file) => file.read_exact_at(buffer, offset),
            Self::Memory(bytes) => bytes.read_exact_at(buffer, offset),
            Self::Scratch(file) => file.read_exact_at(buffer, offset),
        }
    }
}

/// Takes a version on the way as it is written, and holds what is wanted of it.
pub(super) struct Keeper<'a> {
    tree: &'a Tree,
    wanted: &'a Digests,
    scratch: &'a dyn Scratch,
    /// What may be held in memory.
    room: u64,
    pub(super) held: Held<Box<dyn ScratchFile>>,
}

/// A file being written to a [`Keeper`].
pub(super) enum Keeping<S: Write> {
    /// Nobody needs it.
    Nothing,
    Memory([u8; 32], Vec<u8>),
    Scratch([u8; 32], BufWriter<S>),
}

impl<'a> Keeper<'a> {
    pub(super) fn new(tree: &'a Tree, wanted: &'a Digests, scratch: &'a dyn Scratch, room: u64) -> Self {
        Self { tree, wanted, scratch, room, held: Held::new() }
    }
}

impl WriteTree for Keeper<'_> {
    type File = Keeping<Box<dyn ScratchFile>>;

    fn directory(&mut self, _: &TreePath) -> io::Result<()> {
        Ok(())
    }

    fn symlink(&mut self, _: &TreePath, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn create(&mut self, path: &TreePath, _: bool) -> io::Result<Self::File> {
        let at = self.tree.entries().binary_search_by(|entry| entry.path.cmp(path));
        let at = at.ok().and_then(|at| u32::try_from(at).ok());
        let file = at.and_then(|at| file(self.tree, at)).ok_or(io::ErrorKind::NotFound)?;
        let digest = *file.digest.as_bytes();
        if !self.wanted.contains(&digest) || self.held.files.contains_key(&digest) {
            return Ok(Keeping::Nothing);
        }
        if let Some(room) = self.room.checked_sub(file.bytes) {
            self.room = room;
            return Ok(Keeping::Memory(digest, Vec::new()));
        }
        let out = BufWriter::with_capacity(BUFFER_BYTES, self.scratch.file()?);
        Ok(Keeping::Scratch(digest, out))
    }

    fn finish(&mut self, file: Self::File) -> io::Result<()> {
        let (digest, kept) = match file {
            Keeping::Nothing => return Ok(()),
            Keeping::Memory(digest, bytes) => {
                self.held.in_memory += bytes.len() as u64;
                (digest, Kept::Memory(bytes))
            }
            Keeping::Scratch(digest, out) => {
                (digest, Kept::Scratch(out.into_inner().map_err(io::IntoInnerError::into_error)?))
            }
        };
        self.held.files.insert(digest, kept);
        Ok(())
    }
}

impl<S: Write> Write for Keeping<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Nothing => Ok(bytes.len()),
            Self::Memory(_, held) => held.write(bytes),
            Self::Scratch(_, out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Nothing | Self::Memory(..) => Ok(()),
            Self::Scratch(_, out) => out.flush(),
        }
    }
}
