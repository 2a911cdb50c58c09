//! What the control API asks of the loop.

use std::collections::BTreeSet;
use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::node::{Refusal, Verdict};
use tokio::io::AsyncRead;
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::SyncIoBridge;

use super::keeping::Arrivals;
use crate::control::api::{AgentStatus, EgressRequest};
use crate::control::{Backend, EventLog, EventStream, ImportError};
use crate::slots::Slots;
use crate::store::blobs::{BlobStore, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::transfer::{Budget, Transfer};

/// Questions that wait for the loop.
pub(super) const REQUESTS_MAX: usize = 64;

/// A question to the loop.
pub(super) enum Request {
    Status(oneshot::Sender<AgentStatus>),
    Submit(SignedFact, oneshot::Sender<Verdict>),
    Trust(oneshot::Sender<Vec<SignedFact>>),
    /// A blob was uploaded to the store.
    Arrived(Digest),
}

/// The agent, as the control API sees it.
#[derive(Clone)]
pub(super) struct AgentBackend {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) events: EventLog,
    pub(super) metrics: Metrics,
    pub(super) store: BlobStore,
    pub(super) slots: Arc<Slots>,
    pub(super) transfer: Transfer,
    pub(super) arrivals: Arrivals,
    /// What is said when the loop has ended before it could answer.
    pub(super) last: Arc<AgentStatus>,
}

impl AgentBackend {
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(question(answer)).await.ok()?;
        answered.await.ok()
    }

    fn has(&self, digest: &Digest) -> bool {
        self.store.has(digest) || self.slots.locate_chunk(digest).is_some()
    }
}

impl Backend for AgentBackend {
    async fn status(&self) -> AgentStatus {
        match self.ask(Request::Status).await {
            Some(status) => status,
            None => self.last.as_ref().clone(),
        }
    }

    async fn submit(&self, fact: SignedFact) -> Verdict {
        let answer = self.ask(|answer| Request::Submit(fact, answer)).await;
        answer.unwrap_or(Verdict::Refused(Refusal::Full))
    }

    async fn trust(&self) -> Vec<SignedFact> {
        self.ask(Request::Trust).await.unwrap_or_default()
    }

    fn events(&self, after: u64) -> EventStream {
        self.events.subscribe(after)
    }

    async fn missing(&self, digests: Vec<Digest>) -> Vec<Digest> {
        let asked: BTreeSet<Digest> = digests.into_iter().collect();
        asked.into_iter().filter(|digest| !self.has(digest)).collect()
    }

    async fn import(
        &self,
        digest: Digest,
        bytes: u64,
        body: impl AsyncRead + Send + Unpin,
    ) -> Result<(), ImportError> {
        self.arrivals.note(digest);
        let store = self.store.clone();
        let imported = import(store, digest, bytes, body).await;
        if imported.is_ok() {
            // The loop has ended if this fails; then nobody waits for the blob.
            let _ = self.requests.send(Request::Arrived(digest)).await;
        }
        imported
    }

    async fn set_egress(&self, request: EgressRequest) -> Result<(), String> {
        let bytes = |digest: &Digest| {
            self.store
                .bytes(digest)
                .or_else(|| self.slots.locate_chunk(digest).map(|located| u64::from(located.bytes)))
        };
        let known = request.digests.iter().filter_map(|digest| bytes(digest).map(|bytes| (*digest, bytes)));
        let budget =
            Budget { release: request.release.0, permille: request.permille, blobs: known.collect() };
        let set = self.transfer.set_budget(budget).await.map_err(|error| error.to_string())?;
        set.map_err(|error| error.to_string())
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }
}

/// Streams a blob into the store through a bounded pipe: the store reads where blocking is allowed.
async fn import(
    store: BlobStore,
    digest: Digest,
    bytes: u64,
    mut body: impl AsyncRead + Send + Unpin,
) -> Result<(), ImportError> {
    let (mut into, out_of) = tokio::io::duplex(256 * 1024);
    let work = tokio::task::spawn_blocking(move || store.import(SyncIoBridge::new(out_of), digest, bytes));
    let copied = tokio::io::copy(&mut body, &mut into).await;
    drop(into);
    let stored =
        work.await.map_err(|panic| ImportError::Local(format!("BUG: the store ended early: {panic}")))?;
    match (copied, stored) {
        (_, Ok(())) => Ok(()),
        (Err(error), Err(_)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ImportError::Incomplete(error.to_string()))
        }
        (_, Err(error)) => Err(why(&error)),
    }
}

fn why(error: &StoreError) -> ImportError {
    if error.is_no_space() {
        ImportError::NoSpace
    } else if error.is_mismatch() {
        ImportError::Mismatch
    } else {
        ImportError::Local(error.to_string())
    }
}
