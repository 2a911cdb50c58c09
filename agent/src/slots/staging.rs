//! Staging: building a version in a slot of its own, verified and durable before it is seen.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use groundswell_delta::{
    ChainStep, ChunkRef, Hash, Limits, ReadAt, TREE_BYTES_MAX, TREE_ENCODING_BYTES_MAX, Tree, TreeError,
    apply_chain, build_from_chunks,
};
use groundswell_protocol::digest::Digest;
use rustix::fs::statvfs;

use super::building::{NewFiles, Progress};
use super::component::Component;
use super::disk;
use super::error::{SlotError, StageError};
use super::files::Directory;
use super::inventory::Inventory;
use super::layout::{Link, short};
use super::scratch::ScratchSpace;

/// Bytes that must stay free beside a new version: for the journal, logs, and what else runs here.
const FREE_AFTER_BYTES: u64 = 64 << 20;
/// What a file system takes beside the bytes of files, as their part: 1/32, for blocks that are not full.
const OVERHEAD_PART: u64 = 32;

/// What a version is built from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// Deltas in turn, from a version in a slot here.
    Deltas {
        /// The tree that the first one begins at.
        old: Digest,
        /// The deltas.
        steps: &'a [DeltaSource<'a>],
    },
    /// Its chunks: those in slots here are found without help.
    Chunks {
        /// The tree's encoding. Its digest need not have been verified.
        index: &'a [u8],
        /// Gives the other chunks; `None` for one that it has not.
        blobs: &'a dyn Fn(&Digest) -> io::Result<Option<Vec<u8>>>,
    },
}

/// A delta on the way to a version.
#[derive(Clone, Copy)]
pub struct DeltaSource<'a> {
    /// The tree that it leads to.
    pub tree: Digest,
    /// Most bytes of that tree's files.
    pub tree_bytes: u64,
    /// The delta. Its digest need not have been verified.
    pub delta: &'a dyn ReadAt,
    /// Most bytes of it.
    pub delta_bytes: u64,
}

/// A version that is in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The slot's directory.
    pub path: PathBuf,
    /// Whether it was here before.
    pub was_here: bool,
}

impl Component {
    /// Builds a tree in a slot, unless a complete one has it. `bytes` is the size of its files in the manifest: more
    /// are not written. On return the slot is verified and durable. `progress` is told the bytes written so far.
    ///
    /// # Errors
    /// No slot became visible, and what was built was removed; see [`StageError`] for whose fault it is.
    pub fn stage(
        &self,
        tree: &Digest,
        bytes: u64,
        source: Source<'_>,
        progress: &Progress<'_>,
    ) -> Result<Staged, StageError> {
        let _one_at_a_time = self.0.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inventory) = self.inventory(tree) {
            return Ok(Staged { path: inventory.path.clone(), was_here: true });
        }
        if self.lock().complete.contains_key(&short(tree)) {
            return Err(StageError::NameTaken { short: short(tree) });
        }
        check_room(&self.0.layout.slots, bytes)?;
        let staged = self.build(tree, bytes, source, progress).and_then(|index| self.publish(tree, &index));
        if staged.is_err() {
            self.clean_up(&short(tree));
        }
        staged
    }

    /// Removes what a failed staging left. What resists is swept at the next start; the error that brought us here says
    /// more.
    fn clean_up(&self, short: &str) {
        let layout = &self.0.layout;
        let _ = disk::remove(&layout.staging(short));
        let _ = disk::remove(&layout.staging_index(short));
        let is_linked = Link::ALL.into_iter().any(|link| layout.read_link(link).as_deref() == Some(short));
        if !is_linked
            && layout.slot(short).is_dir()
            && let Ok(trash) = self.discard(short)
        {
            let _ = disk::remove(&trash);
        }
    }

    /// Builds the tree in the staging directory and syncs it.
    fn build(
        &self,
        tree: &Digest,
        bytes: u64,
        source: Source<'_>,
        progress: &Progress<'_>,
    ) -> Result<Tree, StageError> {
        let path = self.0.layout.staging(&short(tree));
        let failed = || SlotError::disk("make", &path);
        disk::remove(&path).map_err(failed())?;
        disk::ensure_directory(&path).map_err(failed())?;
        let mut files = NewFiles::new(Directory::open(&path).map_err(failed())?, progress);
        let built = match source {
            Source::Deltas { old, steps } => {
                self.using(&old, || self.build_from_deltas(tree, bytes, &old, steps, &mut files))?
            }
            Source::Chunks { index, blobs } => {
                self.build_from_blobs(tree, bytes, index, blobs, &mut files)?
            }
        };
        files.complete().map_err(SlotError::disk("sync", &path))?;
        Ok(built)
    }

    /// Keeps a slot from being collected while `work` reads it.
    fn using<T>(&self, old: &Digest, work: impl FnOnce() -> T) -> T {
        self.lock().in_use = Some(*old);
        let done = work();
        self.lock().in_use = None;
        done
    }

    fn build_from_deltas(
        &self,
        tree: &Digest,
        bytes: u64,
        old: &Digest,
        steps: &[DeltaSource<'_>],
        files: &mut NewFiles<'_>,
    ) -> Result<Tree, StageError> {
        let inventory = self.inventory(old).ok_or(StageError::OldNotHere(*old))?;
        let old_tree = self.tree(old)?;
        let old_files = Directory::open(&inventory.path).map_err(SlotError::disk("open", &inventory.path))?;
        let mut chain: Vec<_> = steps.iter().map(DeltaSource::step).collect();
        if let Some(last) = chain.last_mut() {
            last.to = Hash::from_bytes(tree.0);
            last.limits.new_bytes = bytes;
        }
        let scratch = ScratchSpace::in_directory(&self.0.layout.slots);
        Ok(apply_chain(&old_tree, &old_files, &chain, files, &scratch)?)
    }

    fn build_from_blobs(
        &self,
        tree: &Digest,
        bytes: u64,
        index: &[u8],
        blobs: &dyn Fn(&Digest) -> io::Result<Option<Vec<u8>>>,
        files: &mut NewFiles<'_>,
    ) -> Result<Tree, StageError> {
        check_index_bytes(index)?;
        let found = Digest::of(index);
        if found != *tree {
            return Err(StageError::OtherIndex { found, expected: *tree });
        }
        let new = Tree::decode(index)?;
        if new.bytes() > bytes {
            return Err(StageError::Size { found: new.bytes(), promised: bytes });
        }
        let mut chunk = |wanted: &ChunkRef| {
            let digest = Digest(*wanted.digest.as_bytes());
            if let Some(bytes) = self.read_chunk(&digest) {
                return Ok(bytes);
            }
            blobs(&digest)?.ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "no slot here has it, and it was not fetched")
            })
        };
        build_from_chunks(&new, &mut chunk, files)?;
        Ok(new)
    }

    /// Gives the finished directory its name, then the mark that makes it complete.
    fn publish(&self, tree: &Digest, index: &Tree) -> Result<Staged, StageError> {
        let layout = &self.0.layout;
        let short = short(tree);
        let (path, staging) = (layout.slot(&short), layout.staging(&short));
        let mut state = self.lock();
        let failed = || SlotError::disk("complete", &path);
        if disk::existing(&path).map_err(failed())?.is_some() {
            // A slot whose files or index were damaged, and perhaps a link points to it: at no moment may it be missing.
            disk::remove(&layout.index(&short))
                .and_then(|()| disk::exchange(&staging, &path))
                .map_err(failed())?;
        } else {
            disk::rename(&staging, &path).map_err(failed())?;
        }
        disk::sync_directory(&layout.slots)
            .and_then(|()| {
                disk::write_whole(&layout.index(&short), &layout.staging_index(&short), &index.encode())
            })
            .map_err(failed())?;
        let inventory = Inventory::new(index, *tree, path.clone());
        state.complete.insert(short, Arc::new(inventory));
        drop(state);
        // Only after an exchange something is left here.
        let _ = disk::remove(&staging);
        Ok(Staged { path, was_here: false })
    }
}

impl<'a> DeltaSource<'a> {
    fn step(&self) -> ChainStep<'a, dyn ReadAt + 'a> {
        let limits =
            Limits { delta_bytes: self.delta_bytes, new_bytes: self.tree_bytes, ..Limits::default() };
        ChainStep { delta: self.delta, to: Hash::from_bytes(self.tree.0), limits }
    }
}

fn check_index_bytes(index: &[u8]) -> Result<(), StageError> {
    if index.len() > TREE_ENCODING_BYTES_MAX {
        let (found, limit) = (index.len() as u64, TREE_ENCODING_BYTES_MAX as u64);
        return Err(TreeError::TooLarge { what: "bytes of encoding", found, limit }.into());
    }
    Ok(())
}

/// Whether the disk has room for a version, before anything is written.
fn check_room(directory: &Path, bytes: u64) -> Result<(), StageError> {
    if bytes > TREE_BYTES_MAX {
        return Err(StageError::Size { found: bytes, promised: TREE_BYTES_MAX });
    }
    let disk = statvfs(directory).map_err(|error| SlotError::Disk {
        doing: "measure",
        path: directory.to_owned(),
        error: error.into(),
    })?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = bytes + bytes / OVERHEAD_PART + FREE_AFTER_BYTES;
    if free < needed {
        return Err(StageError::NoRoom { needed, free, path: directory.to_owned() });
    }
    Ok(())
}
