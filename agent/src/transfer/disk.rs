//! The engine's disk work, done beside it and reported back.

use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::transfer::Outline;
use groundswell_protocol::transfer::PieceSet;
use groundswell_protocol::transfer::upload::Serve;
use groundswell_protocol::transfer::wire::Answer;
use tokio::sync::{Semaphore, mpsc};

use super::sessions::SessionId;
use crate::store::blobs::{PartialBlob, StoreError};

/// Jobs at once: enough for syncs to share a flush of the disk, few enough to leave others threads.
const JOBS_AT_ONCE: usize = 16;

/// Jobs waiting or running at which the engine reads no more from peers.
pub(super) const JOBS_MAX: usize = 128;

/// A blob under way, as the disk had it.
pub(super) struct Prepared {
    pub(super) partial: PartialBlob,
    pub(super) held: PieceSet,
    pub(super) outline: Option<Arc<Outline>>,
}

/// What a job came to. `fetch` tells a fetch from an earlier, cancelled one of the same blob.
pub(super) enum Done {
    Prepared { blob: Digest, fetch: u64, outcome: Result<Box<Prepared>, StoreError> },
    Written { blob: Digest, fetch: u64, piece: u32, outcome: Result<(), StoreError> },
    Finished { blob: Digest, fetch: u64, outcome: Result<(), StoreError> },
    Read { serve: Serve, session: SessionId, answers: Option<Vec<Answer>> },
    OutlineRead { peer: NodeId, blob: Digest, page: u16, session: SessionId, outline: Option<Arc<Outline>> },
}

pub(super) struct Disk {
    done: mpsc::UnboundedSender<Done>,
    permits: Arc<Semaphore>,
    pending: usize,
}

impl Disk {
    /// The channel holds as many outcomes as there are jobs, which the engine bounds by [`JOBS_MAX`].
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Done>) {
        let (done, outcomes) = mpsc::unbounded_channel();
        (Self { done, permits: Arc::new(Semaphore::new(JOBS_AT_ONCE)), pending: 0 }, outcomes)
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending >= JOBS_MAX
    }

    /// Runs `job` on a thread that may block.
    pub(super) fn run(&mut self, job: impl FnOnce() -> Done + Send + 'static) {
        self.pending += 1;
        let (done, permits) = (self.done.clone(), self.permits.clone());
        tokio::spawn(async move {
            // Neither fails unless the runtime ends: the semaphore is never closed, and no job panics.
            let Ok(_permit) = permits.acquire_owned().await else { return };
            if let Ok(outcome) = tokio::task::spawn_blocking(job).await {
                let _ = done.send(outcome);
            }
        });
    }

    /// To be called for each outcome taken from the channel.
    pub(super) fn taken(&mut self) {
        self.pending -= 1;
    }
}
