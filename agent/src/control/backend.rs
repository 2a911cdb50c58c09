//! What the control API needs of an agent.

use std::future::Future;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::node::Verdict;
use tokio::io::AsyncRead;

use super::api::{AgentStatus, EgressRequest};
use super::events::EventStream;

/// An agent, as the control API's server sees it.
pub trait Backend: Clone + Send + Sync + 'static {
    /// The agent and its node as they are now.
    fn status(&self) -> impl Future<Output = AgentStatus> + Send;
    /// Hands a fact in, as `Input::Submitted`.
    fn submit(&self, fact: SignedFact) -> impl Future<Output = Verdict> + Send;
    /// The policy chain and the newest census.
    fn trust(&self) -> impl Future<Output = Vec<SignedFact>> + Send;
    /// What is kept of the events after this number, then the live ones.
    fn events(&self, after: u64) -> EventStream;
    /// Those of `digests` that the store does not have.
    fn missing(&self, digests: Vec<Digest>) -> impl Future<Output = Vec<Digest>> + Send;
    /// Takes a blob of exactly `bytes` bytes into the store. `body` yields at most that many, and an
    /// error if the sender goes away before; after any error the store keeps nothing of it.
    fn import(
        &self,
        digest: Digest,
        bytes: u64,
        body: impl AsyncRead + Send + Unpin,
    ) -> impl Future<Output = Result<(), ImportError>> + Send;
    /// Sets a release's budget.
    fn set_egress(&self, request: EgressRequest) -> impl Future<Output = Result<(), String>> + Send;
    /// The metrics as OpenMetrics text.
    fn metrics(&self) -> String;
}

/// Why a blob was not taken into the store; nothing was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The bytes have another digest: the sender's fault.
    #[error("the bytes have another digest than the one they were sent under")]
    Mismatch,
    /// The sender stopped before the end.
    #[error("the bytes ended early: {0}")]
    Incomplete(String),
    /// This machine's disk is full.
    #[error("the disk is full")]
    NoSpace,
    /// This machine's disk failed.
    #[error("the store failed: {0}")]
    Local(String),
}
