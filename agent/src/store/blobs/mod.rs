//! The blob store: a node's bytes, each named by its digest.
//!
//! One door: [`BlobStore`]. A blob is visible when it is complete, verified and on disk, never before;
//! a crash at any line leaves whole blobs, resumable unfinished ones, and nothing in between.
//!
//! **A damaged disk never passes bad bytes on.** A whole blob is read through once per run, before
//! [`BlobStore::open_blob`] hands out its file; [`BlobStore::read`] verifies each time, since it has all
//! bytes in hand; [`BlobStore::read_piece`], which serves peers, verifies each piece against the blob's
//! outline. A blob that fails is removed and reported as [`StoreError::Damaged`].
//!
//! Deliberately absent: what blobs mean, who wants them, and time. All calls block on the disk; async
//! callers go through their runtime's blocking pool.

mod error;
mod folder;
mod index;
mod partial;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::transfer::{Outline, OutlineBuilder, piece_range};

pub use error::StoreError;
pub use partial::PartialBlob;

use error::During;
use folder::Folder;
use index::Index;

/// Bytes that [`BlobStore::read`] returns at most; larger blobs are opened as files.
pub const READ_BYTES_MAX: u64 = 64 << 20;

/// The operator's bounds on the store.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// Bytes of all blobs together, complete and under way (these count in full from their start).
    pub total_bytes: u64,
}

/// A folder of blobs. Clones share it; one process opens a folder once.
#[derive(Clone)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Folder,
    index: Mutex<Index>,
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore {
    /// Opens or makes the store in `directory`. Removes leftovers of writes that were cut short and files
    /// whose length is not what they should be; leaves alone what the store did not name.
    pub fn open(directory: &Path, limits: StoreLimits) -> Result<Self, StoreError> {
        let folder = Folder::open(directory)?;
        let (whole, partial) = (folder.scan_whole()?, folder.scan_partial()?);
        folder.sweep_outlines(&whole.iter().chain(&partial).copied().collect())?;
        let index = Index::new(limits.total_bytes, whole, partial);
        Ok(Self { inner: Arc::new(Inner { folder, index: Mutex::new(index) }) })
    }

    /// Whether the complete blob is here.
    pub fn has(&self, digest: &Digest) -> bool {
        self.bytes(digest).is_some()
    }

    /// The size of a complete blob.
    pub fn bytes(&self, digest: &Digest) -> Option<u64> {
        self.inner.index().whole_bytes(digest)
    }

    /// The complete blobs.
    pub fn digests(&self) -> Vec<Digest> {
        self.inner.index().whole_digests()
    }

    /// Whether `bytes` more have room, by the limit and on a disk that can be written. Sets nothing aside: it is for
    /// saying so before the first byte is fetched.
    pub fn check_room(&self, bytes: u64) -> Result<(), StoreError> {
        self.inner.index().check(bytes)?;
        self.inner.folder.check_room(bytes)
    }

    /// Bytes held and set aside, as counted against the limit.
    pub fn total_bytes(&self) -> u64 {
        self.inner.index().total()
    }

    /// Stores `content` and returns its name. Nothing changes if it is there already.
    pub fn insert(&self, content: &[u8]) -> Result<Digest, StoreError> {
        let outline = Outline::of(content)?;
        self.store(outline.blob(), outline.bytes(), |file| {
            file.write_all(content).during("write", file_path(&outline.blob()).as_ref())?;
            Ok(outline.clone())
        })?;
        Ok(outline.blob())
    }

    /// Stores what `reader` gives, if it is exactly `bytes` long and named `expected`. Streams; nothing is
    /// read if the blob is there already.
    pub fn import(&self, mut reader: impl Read, expected: Digest, bytes: u64) -> Result<(), StoreError> {
        self.store(expected, bytes, |file| copy_verified(&mut reader, file, expected, bytes))
    }

    /// The whole content of a blob of at most [`READ_BYTES_MAX`], verified; `None` if it is not here.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(bytes) = self.bytes(digest) else { return Ok(None) };
        if bytes > READ_BYTES_MAX {
            return Err(StoreError::TooLargeToRead { digest: *digest, bytes });
        }
        let path = self.inner.folder.whole_path(digest, bytes);
        let mut content = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(bytes + 1).read_to_end(&mut content));
        if read.is_err() || Digest::of(&content) != *digest {
            return Err(self.damaged(digest, bytes));
        }
        self.inner.index().set_checked(digest);
        Ok(Some(content))
    }

    /// The file of a blob, read through once per run before it is handed out; `None` if it is not here.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<File>, StoreError> {
        let Some(bytes) = self.bytes(digest) else { return Ok(None) };
        let path = self.inner.folder.whole_path(digest, bytes);
        let Ok(file) = File::open(&path) else { return Err(self.damaged(digest, bytes)) };
        if !self.inner.index().is_checked(digest) {
            self.read_through(&file, digest, bytes)?;
        }
        Ok(Some(file))
    }

    /// Piece number `piece` of a blob, verified; `None` if the blob is not here or has no such piece.
    pub fn read_piece(&self, digest: &Digest, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(outline) = self.outline(digest)? else { return Ok(None) };
        let Some((offset, length)) = piece_range(outline.bytes(), piece) else { return Ok(None) };
        let path = self.inner.folder.whole_path(digest, outline.bytes());
        let mut data = vec![0; length as usize];
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut data, offset));
        if read.is_err() || !outline.verify(piece, &data) {
            return Err(self.damaged(digest, outline.bytes()));
        }
        Ok(Some(data))
    }

    /// The outline of a complete blob: from memory, from an earlier run, or by reading the blob through.
    pub fn outline(&self, digest: &Digest) -> Result<Option<Arc<Outline>>, StoreError> {
        let (cached, bytes) = {
            let mut index = self.inner.index();
            (index.outline(digest), index.whole_bytes(digest))
        };
        let Some(bytes) = bytes else { return Ok(None) };
        if cached.is_some() {
            return Ok(cached);
        }
        let outline = match self.inner.folder.load_outline(digest, bytes) {
            Some(outline) => Arc::new(outline),
            None => {
                let path = self.inner.folder.whole_path(digest, bytes);
                let Ok(file) = File::open(&path) else { return Err(self.damaged(digest, bytes)) };
                self.read_through(&file, digest, bytes)?
            }
        };
        self.inner.index().cache_outline(&outline);
        Ok(Some(outline))
    }

    /// Begins or resumes the writing of a blob of `bytes` piece by piece. What an earlier, killed run had
    /// is found and verified again. Reserves the whole size. One writer a blob at a time.
    pub fn partial(&self, digest: Digest, bytes: u64) -> Result<PartialBlob, StoreError> {
        PartialBlob::open(self.inner.clone(), digest, bytes)
    }

    /// Removes every blob that is not in `keep`, except unfinished ones that are being written. Goes on
    /// after a file that cannot be removed and returns the first such error.
    pub fn retain(&self, keep: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let (whole, partial) = self.inner.index().not_in(keep);
        let mut outcome = Ok(());
        for (digest, bytes) in whole {
            self.inner.index().forget_whole(&digest);
            outcome = outcome.and(self.inner.folder.remove_whole(&digest, bytes));
        }
        for (digest, bytes) in partial {
            self.inner.index().forget_partial(digest, bytes, false);
            outcome = outcome.and(self.inner.folder.remove_partial(&digest, bytes));
        }
        outcome
    }

    /// Reserves, writes through `fill` into a file nobody sees, and publishes.
    fn store(
        &self,
        digest: Digest,
        bytes: u64,
        fill: impl FnOnce(&mut File) -> Result<Outline, StoreError>,
    ) -> Result<(), StoreError> {
        if self.has(&digest) {
            return Ok(());
        }
        self.inner.index().reserve(bytes)?;
        let written = self.inner.folder.new_file().and_then(|mut file| {
            let outline = fill(file.as_file_mut())?;
            self.inner.folder.publish(file, &digest, bytes)?;
            Ok(outline)
        });
        match written {
            Ok(outline) => {
                self.inner.index().enter_whole(digest, bytes);
                self.inner.keep_outline(&outline);
                Ok(())
            }
            Err(refused) => {
                self.inner.index().release(bytes);
                Err(refused)
            }
        }
    }

    /// Reads a whole file through; what it finds is good until the store is opened anew.
    fn read_through(&self, file: &File, digest: &Digest, bytes: u64) -> Result<Arc<Outline>, StoreError> {
        let outline = outline_of(file, 0, bytes).ok().filter(|outline| outline.blob() == *digest);
        let Some(outline) = outline else { return Err(self.damaged(digest, bytes)) };
        self.inner.index().set_checked(digest);
        self.inner.keep_outline(&outline);
        Ok(Arc::new(outline))
    }

    /// Removes a blob that the disk has spoilt, and says so.
    fn damaged(&self, digest: &Digest, bytes: u64) -> StoreError {
        self.inner.index().forget_whole(digest);
        if let Err(refused) = self.inner.folder.remove_whole(digest, bytes) {
            tracing::warn!(blob = %digest.short(), error = %refused, "a damaged blob cannot be removed");
        }
        StoreError::Damaged { digest: *digest }
    }
}

impl Inner {
    /// An outline is only a saving of time, so a disk that refuses it does no harm.
    fn keep_outline(&self, outline: &Outline) {
        if let Err(refused) = self.folder.save_outline(outline) {
            tracing::debug!(blob = %outline.blob().short(), error = %refused, "an outline was not kept");
        }
    }
}

/// The outline of `bytes` of a file from `offset` on, and with it their digest.
pub(crate) fn outline_of(file: &File, offset: u64, bytes: u64) -> Result<Outline, StoreError> {
    let mut builder = OutlineBuilder::new(bytes)?;
    let mut data = Vec::new();
    let mut at = offset;
    while let Some(length) = builder.next_length().filter(|length| *length > 0) {
        data.resize(length as usize, 0);
        file.read_exact_at(&mut data, at).map_err(StoreError::Source)?;
        builder.push(&data)?;
        at += u64::from(length);
    }
    Ok(builder.finish()?)
}

fn copy_verified(
    reader: &mut impl Read,
    file: &mut File,
    expected: Digest,
    bytes: u64,
) -> Result<Outline, StoreError> {
    let mut builder = OutlineBuilder::new(bytes)?;
    let wrong = |why: String| StoreError::WrongContent { expected, why };
    let mut data = Vec::new();
    while let Some(length) = builder.next_length().filter(|length| *length > 0) {
        data.clear();
        reader.take(u64::from(length)).read_to_end(&mut data).map_err(StoreError::Source)?;
        if data.len() != length as usize {
            return Err(wrong(format!("it ended before its announced {bytes} bytes")));
        }
        builder.push(&data)?;
        file.write_all(&data).during("write", file_path(&expected).as_ref())?;
    }
    if reader.read(&mut [0]).map_err(StoreError::Source)? != 0 {
        return Err(wrong(format!("it goes on beyond its announced {bytes} bytes")));
    }
    let outline = builder.finish()?;
    if outline.blob() != expected {
        return Err(wrong(format!("its digest is {}", outline.blob())));
    }
    Ok(outline)
}

/// What an incoming file is called in errors: its own name is random and soon gone.
fn file_path(digest: &Digest) -> String {
    format!("blob {}", digest.short())
}
