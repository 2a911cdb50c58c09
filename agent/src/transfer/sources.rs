//! Where bytes to serve are found: blob files, blobs under way, and ranges of files in slots.
//!
//! All reading is verified, by the store or here; all calls but [`Sources::locate`] block on the disk.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::transfer::{BLOB_BYTES_MAX, Outline, piece_range};

use crate::store::blobs::{BlobStore, PartialBlob, outline_of};
use crate::store::{Content, Located};

/// Outlines of located content that are remembered.
const OUTLINES_MAX: usize = 256;

#[derive(Clone)]
pub(super) struct Sources {
    pub(super) store: BlobStore,
    contents: Arc<[Arc<dyn Content>]>,
    /// Newest last. Large outlines are as rare as large ranges of slots; chunks have a few values.
    outlines: Arc<Mutex<VecDeque<Arc<Outline>>>>,
}

impl Sources {
    pub(super) fn new(store: BlobStore, contents: Vec<Arc<dyn Content>>) -> Self {
        Self { store, contents: contents.into(), outlines: Arc::default() }
    }

    /// The size of content that some slot says it has.
    pub(super) fn locate(&self, blob: &Digest) -> Option<Located> {
        let found = self.contents.iter().find_map(|content| content.locate(blob));
        found.filter(|located| located.bytes <= BLOB_BYTES_MAX)
    }

    /// One verified piece; `None` if it is not here, or no longer what it was.
    pub(super) fn read_piece(
        &self,
        blob: &Digest,
        piece: u32,
        partial: Option<&PartialBlob>,
    ) -> Option<Vec<u8>> {
        let stored = match partial {
            Some(partial) => partial.read(piece),
            None => self.store.read_piece(blob, piece),
        };
        match stored {
            Ok(Some(data)) => Some(data),
            Ok(None) => self.read_located(blob, piece),
            Err(refused) => {
                tracing::warn!(blob = %blob.short(), piece, error = %refused, "a piece cannot be served");
                None
            }
        }
    }

    /// The outline of content that is here whole.
    pub(super) fn outline(&self, blob: &Digest) -> Option<Arc<Outline>> {
        match self.store.outline(blob) {
            Ok(Some(outline)) => Some(outline),
            Ok(None) => self.locate(blob).and_then(|located| self.located_outline(blob, &located)),
            Err(refused) => {
                tracing::warn!(blob = %blob.short(), error = %refused, "a blob cannot be served");
                None
            }
        }
    }

    fn read_located(&self, blob: &Digest, piece: u32) -> Option<Vec<u8>> {
        let located = self.locate(blob)?;
        let (offset, length) = piece_range(located.bytes, piece)?;
        let outline = match Outline::single(*blob, located.bytes) {
            Some(outline) => Arc::new(outline),
            None => self.located_outline(blob, &located)?,
        };
        let mut data = vec![0; length as usize];
        let file = File::open(&located.path).ok()?;
        file.read_exact_at(&mut data, located.offset.checked_add(offset)?).ok()?;
        outline.verify(piece, &data).then_some(data)
    }

    fn located_outline(&self, blob: &Digest, located: &Located) -> Option<Arc<Outline>> {
        let known = |outline: &&Arc<Outline>| outline.blob() == *blob && outline.bytes() == located.bytes;
        let outlines = || self.outlines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outline) = outlines().iter().find(known) {
            return Some(outline.clone());
        }
        let file = File::open(&located.path).ok()?;
        let outline = Arc::new(outline_of(&file, located.offset, located.bytes).ok()?);
        if outline.blob() != *blob {
            tracing::warn!(blob = %blob.short(), file = %located.path.display(), "a slot's file is not what it was");
            return None;
        }
        let mut outlines = outlines();
        outlines.push_back(outline.clone());
        if outlines.len() > OUTLINES_MAX {
            outlines.pop_front();
        }
        Some(outline)
    }
}
