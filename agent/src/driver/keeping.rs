//! What the store must not let go of, beyond what rollouts name: bytes of which this node may have the last copy.
//!
//! A publisher hands the chunks of a release to one agent, piece by piece and before the manifest. Until enough other
//! members hold the release whole, those chunks stay; so does, for an hour, what was handed in and is named by nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use groundswell_delta::{EntryKind, Tree};
use groundswell_protocol::digest::Digest;

use crate::store::blobs::BlobStore;

/// How long what was handed in waits for a manifest that names it: publishing a large release over a slow line takes
/// its time.
const ARRIVALS_KEPT: Duration = Duration::from_secs(3_600);

/// Arrivals that are remembered; beyond, the oldest are forgotten, and are then kept only if a release names them.
const ARRIVALS_MAX: usize = 262_144;

/// What was handed in of late. Clones share it.
#[derive(Clone)]
pub(super) struct Arrivals(Arc<Mutex<BTreeMap<Digest, Instant>>>);

impl Arrivals {
    /// With what is here at the start: nobody knows when it came.
    pub(super) fn new(here: impl Iterator<Item = Digest>) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(here.take(ARRIVALS_MAX).map(|blob| (blob, now)).collect())))
    }

    /// A blob is about to come: to be told before it is in the store.
    pub(super) fn note(&self, blob: Digest) {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if arrivals.len() >= ARRIVALS_MAX {
            arrivals.retain(|_, at| now.duration_since(*at) < ARRIVALS_KEPT);
        }
        if arrivals.len() < ARRIVALS_MAX {
            arrivals.insert(blob, now);
        }
    }

    /// What came within the last [`ARRIVALS_KEPT`] before `now`.
    fn recent(&self, now: Instant) -> BTreeSet<Digest> {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.retain(|_, at| now.saturating_duration_since(*at) < ARRIVALS_KEPT);
        arrivals.keys().copied().collect()
    }
}

/// What is kept at `now` besides what rollouts name: late arrivals, and the chunks of `scarce` trees that are in no slot.
/// Reads indexes from the disk.
pub(super) fn kept(
    store: &BlobStore,
    arrivals: &Arrivals,
    scarce: &BTreeSet<Digest>,
    in_slot: &dyn Fn(&Digest) -> bool,
    now: Instant,
) -> BTreeSet<Digest> {
    let mut kept = arrivals.recent(now);
    for tree in scarce {
        // Without its index a tree cannot be built from chunks by anybody.
        let Ok(Some(index)) = store.read(tree) else { continue };
        let Ok(tree) = Tree::decode(&index) else { continue };
        for entry in tree.entries() {
            if let EntryKind::File { chunks, .. } = &entry.kind {
                let chunks = chunks.iter().map(|chunk| Digest(*chunk.digest.as_bytes()));
                kept.extend(chunks.filter(|chunk| !in_slot(chunk)));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_delta::{ChunkRef, Entry, TreePath};

    use crate::store::blobs::StoreLimits;

    #[test]
    fn the_last_full_copy_is_kept_until_enough_others_exist_and_late_arrivals_for_an_hour() {
        let folder = tempfile::tempdir().expect("a place");
        let store = BlobStore::open(&folder.path().join("blobs"), StoreLimits { total_bytes: 1 << 30 });
        let store = store.expect("a store");
        let chunks = BTreeSet::from([Digest::of(b"one"), Digest::of(b"another")]);
        let of_tree = chunks.iter().map(|chunk| ChunkRef { digest: chunk.0.into(), bytes: 7 });
        let path = TreePath::new("program").expect("a path");
        let (bytes, digest) = (14, Digest::of(b"a file").0.into());
        let kind = EntryKind::File { executable: false, bytes, digest, chunks: of_tree.collect() };
        let tree = Tree::new(vec![Entry { path, kind }]).expect("a tree");
        let index = store.insert(&tree.encode()).expect("stored");
        let stranger = store.insert(b"handed in, named by nothing").expect("stored");
        let arrivals = Arrivals::new(std::iter::empty());
        arrivals.note(stranger);
        let now = Instant::now();
        let scarce = BTreeSet::from([index]);
        let both: BTreeSet<Digest> = chunks.iter().copied().chain([stranger]).collect();
        assert_eq!(kept(&store, &arrivals, &scarce, &|_| false, now), both);
        assert_eq!(kept(&store, &arrivals, &BTreeSet::new(), &|_| false, now), BTreeSet::from([stranger]));
        let later = now + ARRIVALS_KEPT;
        assert_eq!(kept(&store, &arrivals, &scarce, &|_| false, later), chunks);
        assert!(kept(&store, &arrivals, &BTreeSet::new(), &|_| false, later).is_empty());
        assert!(kept(&store, &arrivals, &scarce, &|_| true, later).is_empty(), "a slot has them");
    }
}
