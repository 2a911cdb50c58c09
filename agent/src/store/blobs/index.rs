//! What the store holds, in memory: names, sizes, reservations, and which blobs were read through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::transfer::Outline;

use super::error::StoreError;

/// Outlines kept in memory, at most. The largest weighs 2 MiB, that of a 20 MB blob 10 KiB.
const OUTLINES_CACHED_MAX: usize = 64;

/// Values in all cached outlines together, at most: 4 MiB.
const OUTLINE_VALUES_CACHED_MAX: usize = 4 * 1024 * 1024 / 32;

/// A blob's name and size.
pub(super) type Named = (Digest, u64);

struct Whole {
    bytes: u64,
    /// Read through and found right since the store was opened.
    checked: bool,
}

pub(super) struct Index {
    limit: u64,
    total: u64,
    whole: BTreeMap<Digest, Whole>,
    partial: BTreeSet<(Digest, u64)>,
    /// Unfinished blobs that somebody is writing now.
    open: BTreeSet<Digest>,
    outlines: BTreeMap<Digest, (u64, Arc<Outline>)>,
    uses: u64,
}

impl Index {
    pub(super) fn new(limit: u64, whole: Vec<(Digest, u64)>, partial: Vec<(Digest, u64)>) -> Self {
        let sum = |list: &[(Digest, u64)]| list.iter().map(|(_, bytes)| bytes).sum::<u64>();
        Self {
            limit,
            total: sum(&whole) + sum(&partial),
            whole: whole
                .into_iter()
                .map(|(digest, bytes)| (digest, Whole { bytes, checked: false }))
                .collect(),
            partial: partial.into_iter().collect(),
            open: BTreeSet::new(),
            outlines: BTreeMap::new(),
            uses: 0,
        }
    }

    pub(super) fn whole_digests(&self) -> Vec<Digest> {
        self.whole.keys().copied().collect()
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn whole_bytes(&self, digest: &Digest) -> Option<u64> {
        self.whole.get(digest).map(|whole| whole.bytes)
    }

    pub(super) fn is_checked(&self, digest: &Digest) -> bool {
        self.whole.get(digest).is_some_and(|whole| whole.checked)
    }

    pub(super) fn set_checked(&mut self, digest: &Digest) {
        if let Some(whole) = self.whole.get_mut(digest) {
            whole.checked = true;
        }
    }

    /// Sets `bytes` aside, or refuses.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), StoreError> {
        match self.total.checked_add(bytes).filter(|total| *total <= self.limit) {
            Some(total) => {
                self.total = total;
                Ok(())
            }
            None => Err(StoreError::Quota { needed: bytes, total: self.total, limit: self.limit }),
        }
    }

    /// Whether `bytes` more are within the limit.
    pub(super) fn check(&self, bytes: u64) -> Result<(), StoreError> {
        let within = self.total.checked_add(bytes).is_some_and(|total| total <= self.limit);
        let refused = StoreError::Quota { needed: bytes, total: self.total, limit: self.limit };
        if within { Ok(()) } else { Err(refused) }
    }

    pub(super) fn release(&mut self, bytes: u64) {
        self.total = self.total.saturating_sub(bytes);
    }

    /// Enters a complete blob whose bytes were reserved. A blob that was entered meanwhile by somebody
    /// else gives the reservation back.
    pub(super) fn enter_whole(&mut self, digest: Digest, bytes: u64) {
        if self.whole.insert(digest, Whole { bytes, checked: true }).is_some() {
            self.release(bytes);
        }
    }

    pub(super) fn forget_whole(&mut self, digest: &Digest) {
        self.outlines.remove(digest);
        if let Some(whole) = self.whole.remove(digest) {
            self.release(whole.bytes);
        }
    }

    pub(super) fn has_partial(&self, digest: Digest, bytes: u64) -> bool {
        self.partial.contains(&(digest, bytes))
    }

    pub(super) fn enter_partial(&mut self, digest: Digest, bytes: u64) {
        self.partial.insert((digest, bytes));
    }

    /// Forgets an unfinished blob and, unless it became a whole one, its reservation.
    pub(super) fn forget_partial(&mut self, digest: Digest, bytes: u64, became_whole: bool) {
        if self.partial.remove(&(digest, bytes)) && !became_whole {
            self.release(bytes);
        }
    }

    pub(super) fn begin(&mut self, digest: Digest) -> Result<(), StoreError> {
        if self.open.insert(digest) { Ok(()) } else { Err(StoreError::InUse { digest }) }
    }

    pub(super) fn end(&mut self, digest: &Digest) {
        self.open.remove(digest);
    }

    /// Complete and unfinished blobs that are neither in `keep` nor being written.
    pub(super) fn not_in(&self, keep: &BTreeSet<Digest>) -> (Vec<Named>, Vec<Named>) {
        let whole = self.whole.iter().map(|(digest, whole)| (*digest, whole.bytes));
        let partial = self.partial.iter().copied().filter(|(digest, _)| !self.open.contains(digest));
        let unwanted = |(digest, _): &(Digest, u64)| !keep.contains(digest);
        (whole.filter(unwanted).collect(), partial.filter(unwanted).collect())
    }

    pub(super) fn outline(&mut self, digest: &Digest) -> Option<Arc<Outline>> {
        self.uses += 1;
        let (used, outline) = self.outlines.get_mut(digest)?;
        *used = self.uses;
        Some(outline.clone())
    }

    /// Caches an outline; those that were not used longest make room.
    pub(super) fn cache_outline(&mut self, outline: &Arc<Outline>) {
        self.uses += 1;
        self.outlines.insert(outline.blob(), (self.uses, outline.clone()));
        while self.outlines.len() > 1 && self.outlines_too_large() {
            let oldest = self.outlines.iter().min_by_key(|(_, (used, _))| *used).map(|(digest, _)| *digest);
            if let Some(oldest) = oldest {
                self.outlines.remove(&oldest);
            }
        }
    }

    fn outlines_too_large(&self) -> bool {
        let values: usize = self.outlines.values().map(|(_, outline)| outline.values().len()).sum();
        self.outlines.len() > OUTLINES_CACHED_MAX || values > OUTLINE_VALUES_CACHED_MAX
    }
}
