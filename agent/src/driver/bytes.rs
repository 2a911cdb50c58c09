//! Fetch jobs: what a recipe needs that is not here yet, asked of the transfer until it is here.
//!
//! Deltas are one blob or a few. Chunks take two rounds: the tree's index, then those of its chunks that no slot
//! and no blob here has. A job ends by an answer to the core, or by being cancelled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use groundswell_delta::Tree;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::{Recipe, Trouble, Work};

use crate::control::api::{MissingView, SHORTAGES_SHOWN, TransferView};
use crate::slots::Slots;
use crate::store::blobs::{BlobStore, StoreError};
use crate::transfer::{FetchError, Progress, Transfer, Want};

/// Bytes of a tree's index: about half a million files.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// How long deltas of earlier releases are waited for while nothing comes.
const IN_TURN_PATIENCE: Duration = Duration::from_secs(60);

/// The end of a fetch job.
pub(super) type Fetched = (RolloutId, Result<(), Trouble>);

/// One rollout's fetch.
struct Job {
    work: Work,
    holders: Vec<NodeId>,
    /// Blobs that have not come yet, with their sizes.
    missing: BTreeMap<Digest, u64>,
    /// Bytes asked for so far, and of them those that were here from the start.
    bytes: u64,
    /// The index is here, and its chunks were asked for.
    has_index: bool,
    /// It was seen that there is room for what is missing.
    has_room: bool,
    /// How many bytes had come when last looked at, and when that was less.
    came: u64,
    came_at: Instant,
}

/// All fetch jobs.
pub(super) struct Bytes {
    store: BlobStore,
    slots: Arc<Slots>,
    transfer: Transfer,
    jobs: BTreeMap<RolloutId, Job>,
}

impl Bytes {
    pub(super) fn new(store: BlobStore, slots: Arc<Slots>, transfer: Transfer) -> Self {
        Self { store, slots, transfer, jobs: BTreeMap::new() }
    }

    /// Begins a job, or names new holders to one that is under way. Returns its end if there is nothing to fetch.
    pub(super) fn fetch(&mut self, work: &Work, holders: &[NodeId]) -> Option<Fetched> {
        if let Some(job) = self.jobs.get_mut(&work.rollout)
            && job.work == *work
        {
            holders.clone_into(&mut job.holders);
            let missing: Vec<Want> =
                job.missing.iter().map(|(blob, bytes)| Want { blob: *blob, bytes: *bytes }).collect();
            self.ask(missing, holders.to_vec());
            return None;
        }
        self.cancel(work.rollout);
        let first = match &work.recipe {
            Recipe::Present => Vec::new(),
            Recipe::Deltas { steps, .. } => steps.iter().map(|step| (step.blob, step.bytes)).collect(),
            Recipe::Chunks => vec![(work.tree, work.index_bytes)],
        };
        if work.recipe == Recipe::Chunks && work.index_bytes > INDEX_BYTES_MAX {
            let why = format!("the tree's index has {} bytes, more than this agent takes", work.index_bytes);
            return Some((work.rollout, Err(Trouble::BadBytes(why))));
        }
        let mut job = Job {
            work: work.clone(),
            holders: holders.to_vec(),
            missing: BTreeMap::new(),
            bytes: 0,
            has_index: false,
            has_room: false,
            came: 0,
            came_at: Instant::now(),
        };
        if !is_here(&self.slots, work) {
            for blob in first {
                job.want(blob, &self.store);
            }
        }
        self.jobs.insert(work.rollout, job);
        self.go_on(work.rollout)
    }

    /// A blob came by any way: through the transfer, or from a publisher on this machine.
    pub(super) fn arrived(&mut self, blob: Digest) -> Vec<Fetched> {
        let waiting: Vec<RolloutId> = self
            .jobs
            .iter_mut()
            .filter_map(|(rollout, job)| job.missing.remove(&blob).map(|_| *rollout))
            .collect();
        waiting.into_iter().filter_map(|rollout| self.go_on(rollout)).collect()
    }

    /// The transfer gave up on a blob.
    pub(super) fn failed(&mut self, blob: Digest, why: &FetchError) -> Vec<Fetched> {
        let hit: Vec<RolloutId> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.missing.contains_key(&blob))
            .map(|(rollout, _)| *rollout)
            .collect();
        let trouble = match why {
            FetchError::Store(error) => trouble(error),
            FetchError::TooMany => Trouble::Local(why.to_string()),
        };
        hit.into_iter()
            .map(|rollout| {
                self.cancel(rollout);
                (rollout, Err(trouble.clone()))
            })
            .collect()
    }

    /// Gives up a job; what came stays in the store until it is cleaned.
    pub(super) fn cancel(&mut self, rollout: RolloutId) {
        let Some(job) = self.jobs.remove(&rollout) else { return };
        let still: BTreeSet<Digest> =
            self.jobs.values().flat_map(|job| job.missing.keys().copied()).collect();
        for blob in job.missing.keys().filter(|blob| !still.contains(*blob)) {
            self.cancel_blob(*blob);
        }
    }

    fn cancel_blob(&self, blob: Digest) {
        if self.transfer.cancel(blob).is_err() {
            tracing::debug!("The transfer takes no calls; a fetch goes on that nobody needs.");
        }
    }

    fn ask(&self, wants: Vec<Want>, holders: Vec<NodeId>) {
        if !wants.is_empty() && self.transfer.fetch_many(wants, holders).is_err() {
            // The core names holders again when there are new ones, and that asks again.
            tracing::debug!("The transfer takes no calls; asking again later.");
        }
    }

    /// What a job needs next; its end if that is nothing.
    fn go_on(&mut self, rollout: RolloutId) -> Option<Fetched> {
        let job = self.jobs.get_mut(&rollout)?;
        if job.missing.is_empty()
            && job.work.recipe == Recipe::Chunks
            && !job.has_index
            && !is_here(&self.slots, &job.work)
        {
            job.has_index = true;
            job.has_room = false;
            match missing_chunks(&self.store, &self.slots, &job.work) {
                Ok(chunks) => {
                    for chunk in chunks {
                        job.want(chunk, &self.store);
                    }
                }
                Err(why) => {
                    self.jobs.remove(&rollout);
                    return Some((rollout, Err(Trouble::BadBytes(why))));
                }
            }
        }
        if job.missing.is_empty() {
            self.jobs.remove(&rollout);
            return Some((rollout, Ok(())));
        }
        // Before the first byte of the deltas, or of the index, and again before the first chunk.
        if !std::mem::replace(&mut job.has_room, true) {
            let left = job.missing.values().sum();
            if let Err(why) = self.store.check_room(left) {
                self.jobs.remove(&rollout);
                return Some((rollout, Err(trouble(&why))));
            }
        }
        let wants = job.missing.iter().map(|(blob, bytes)| Want { blob: *blob, bytes: *bytes }).collect();
        let holders = job.holders.clone();
        self.ask(wants, holders);
        None
    }

    /// Ends jobs that follow deltas of earlier releases while none of their bytes comes: whoever fetched those may have
    /// gone, and there is another way. The deltas of a release itself are with its publisher, and worth waiting for.
    pub(super) fn stalled(&mut self, now: Instant) -> Vec<Fetched> {
        let progress = self.transfer.progress();
        let mut stalled = Vec::new();
        for (rollout, job) in &mut self.jobs {
            let came = job.done_bytes(&progress);
            if came != job.came {
                (job.came, job.came_at) = (came, now);
            }
            let in_turn = matches!(&job.work.recipe, Recipe::Deltas { steps, .. } if steps.len() > 1);
            if in_turn && now.duration_since(job.came_at) >= IN_TURN_PATIENCE {
                stalled.push(*rollout);
            }
        }
        stalled
            .into_iter()
            .map(|rollout| {
                self.cancel(rollout);
                let why = "no peer has the deltas of the earlier releases".to_owned();
                (rollout, Err(Trouble::Unreachable(why)))
            })
            .collect()
    }

    /// The jobs under way, for screens.
    pub(super) fn views(&self) -> Vec<TransferView> {
        let (progress, shortages) = (self.transfer.progress(), self.transfer.shortages());
        let view = |job: &Job| {
            let of_job = progress.iter().filter(|p| job.missing.contains_key(&p.blob));
            let peers = of_job.map(|p| p.peers).max().unwrap_or(0);
            let short = || shortages.iter().filter(|(blob, _)| job.missing.contains_key(blob));
            let missing = short().take(SHORTAGES_SHOWN);
            TransferView {
                rollout: job.work.rollout,
                bytes: job.bytes,
                done_bytes: job.done_bytes(&progress),
                peers: u32::try_from(peers).unwrap_or(u32::MAX),
                missing: missing
                    .map(|(blob, shortage)| MissingView { blob: *blob, shortage: shortage.clone() })
                    .collect(),
                missing_blobs: u32::try_from(short().count()).unwrap_or(u32::MAX),
            }
        };
        self.jobs.values().map(view).collect()
    }

    /// Blobs that jobs still need.
    pub(super) fn needed(&self) -> BTreeSet<Digest> {
        let trees = self.jobs.values().map(|job| job.work.tree);
        trees.chain(self.jobs.values().flat_map(|job| job.missing.keys().copied())).collect()
    }

    /// Whether any job is under way: chunks that came are in the store and in no slot yet.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl Job {
    /// Bytes that have come, of those asked for so far.
    fn done_bytes(&self, progress: &[Progress]) -> u64 {
        let of_job = progress.iter().filter(|p| self.missing.contains_key(&p.blob));
        let partial: u64 = of_job.map(|p| p.done_bytes).sum();
        let left: u64 = self.missing.values().sum();
        (self.bytes.saturating_sub(left) + partial).min(self.bytes)
    }

    fn want(&mut self, (digest, bytes): (Digest, u64), store: &BlobStore) {
        if !store.has(&digest) && self.missing.insert(digest, bytes).is_none() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

fn trouble(error: &StoreError) -> Trouble {
    if error.is_no_space() { Trouble::NoSpace(error.to_string()) } else { Trouble::Local(error.to_string()) }
}

/// Whether a slot has the tree already.
fn is_here(slots: &Slots, work: &Work) -> bool {
    slots.component(work.component.as_str()).is_ok_and(|component| component.has(&work.tree))
}

/// The chunks of a tree that neither the store nor a slot has.
fn missing_chunks(store: &BlobStore, slots: &Slots, work: &Work) -> Result<Vec<(Digest, u64)>, String> {
    let index = store.read(&work.tree).map_err(|error| error.to_string())?;
    let index = index.ok_or("the tree's index is gone from the store")?;
    let tree = Tree::decode(&index).map_err(|error| format!("the tree's index is damaged: {error}"))?;
    let component = slots.component(work.component.as_str()).map_err(|error| error.to_string())?;
    let chunks = component.missing_chunks(&tree).into_iter();
    let named = chunks.map(|chunk| (Digest(*chunk.digest.as_bytes()), u64::from(chunk.bytes)));
    Ok(named.filter(|(digest, _)| !store.has(digest)).collect())
}
