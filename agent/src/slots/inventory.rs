//! Which chunks a complete slot holds, and where.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use groundswell_delta::{EntryKind, ReadAt, ReadTree, Tree, TreePath};
use groundswell_protocol::digest::Digest;

use super::files::Directory;

/// A complete slot: its tree's name, its size, and its chunks. Some 48 bytes a chunk; the tree's encoding has 36.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) tree: Digest,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    files: Vec<TreePath>,
    /// Sorted by digest, each once.
    places: Vec<Place>,
    /// Chunks that were not what the tree says when they were read.
    rotten: Mutex<BTreeSet<Digest>>,
}

#[derive(Debug)]
struct Place {
    digest: Digest,
    bytes: u32,
    file: u32,
    offset: u64,
}

/// Where a chunk lies. Verify what is read there: programs can write to their own slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// The file.
    pub path: PathBuf,
    /// Its offset there, in bytes.
    pub offset: u64,
    /// Its size.
    pub bytes: u32,
}

impl Inventory {
    pub(super) fn new(tree: &Tree, name: Digest, path: PathBuf) -> Self {
        let mut files = Vec::new();
        let mut places = Vec::new();
        for entry in tree.entries() {
            let EntryKind::File { chunks, .. } = &entry.kind else { continue };
            let file = u32::try_from(files.len()).expect("BUG: more files in a tree than ENTRIES_MAX");
            files.push(entry.path.clone());
            let mut offset = 0;
            for chunk in chunks {
                let digest = Digest(*chunk.digest.as_bytes());
                places.push(Place { digest, bytes: chunk.bytes, file, offset });
                offset += u64::from(chunk.bytes);
            }
        }
        places.sort_by_key(|place| place.digest);
        places.dedup_by_key(|place| place.digest);
        places.shrink_to_fit();
        Self { tree: name, path, bytes: tree.bytes(), files, places, rotten: Mutex::default() }
    }

    pub(super) fn locate(&self, digest: &Digest) -> Option<ChunkPlace> {
        let (place, file) = self.find(digest)?;
        Some(ChunkPlace { path: self.path.join(file), offset: place.offset, bytes: place.bytes })
    }

    /// The chunk's bytes, verified. One that is not what it should be is not offered again.
    pub(super) fn read(&self, digest: &Digest) -> Option<Vec<u8>> {
        let (place, file) = self.find(digest)?;
        let bytes = read_at(&self.path, file, place).ok().filter(|bytes| Digest::of(bytes) == *digest);
        if bytes.is_none() {
            self.rotten.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
        }
        bytes
    }

    fn find(&self, digest: &Digest) -> Option<(&Place, &TreePath)> {
        let at = self.places.binary_search_by_key(digest, |place| place.digest).ok()?;
        if self.rotten.lock().unwrap_or_else(PoisonError::into_inner).contains(digest) {
            return None;
        }
        let place = self.places.get(at)?;
        Some((place, self.files.get(place.file as usize)?))
    }
}

fn read_at(slot: &Path, file: &TreePath, place: &Place) -> io::Result<Vec<u8>> {
    let file = Directory::open(slot)?.open(file)?;
    let mut bytes = vec![0; place.bytes as usize];
    file.read_exact_at(&mut bytes, place.offset)?;
    Ok(bytes)
}
