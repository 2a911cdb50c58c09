//! The demo's answer, as programs read it.

use serde::Serialize;

use super::course::Wave;
use super::promises::Promise;

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It runs on every node.
    Completed,
    /// It was stopped, and runs on none.
    RolledBack,
    /// Neither.
    Unfinished,
}

/// One release.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReleaseReport {
    /// Its name for people.
    pub(super) version: String,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// Its waves.
    pub(super) waves: Vec<Wave>,
    /// Seconds from the hand-over to the last node's confirmation.
    pub(super) seconds: Option<f64>,
    /// Size of all its files.
    pub(super) full_bytes: u64,
    /// Size of the delta from what ran; `None` for a first version.
    pub(super) delta_bytes: Option<u64>,
    /// Payload that the agent sent to which it was handed.
    pub(super) publisher_bytes: u64,
    /// Payload that all other agents sent.
    pub(super) peer_bytes: u64,
    /// Nodes that ever ran it.
    pub(super) nodes_exposed: usize,
    /// Seconds from the first failing probe to the failing node being back.
    pub(super) revert_seconds: Option<f64>,
    /// Seconds from the first failing probe to all nodes being back and all knowing of the stop.
    pub(super) rollback_seconds: Option<f64>,
    /// Requests answered while it was under way.
    pub(super) requests_served: u64,
    /// Requests that failed while it was under way.
    pub(super) requests_failed: u64,
    /// Of these, those to nodes that never ran it.
    pub(super) requests_failed_elsewhere: u64,
    /// Why the last of them failed, as the client saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_failure: Option<String>,
}

/// The whole demo.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    /// Agents.
    pub(super) nodes: usize,
    /// The first version's installation, which needs no telling.
    pub(super) installed: Option<ReleaseReport>,
    /// The releases of the story, in their order.
    pub(super) releases: Vec<ReleaseReport>,
    /// Seconds from the leader's death to the next leader's first proposal; `None` where nobody could take over.
    pub(super) leader_failover_seconds: Option<f64>,
    /// Requests.
    pub(super) requests_total: u64,
    /// Of these, failed ones: on nodes that ran the bad release.
    pub(super) requests_failed: u64,
    /// The most memory that an agent ever had resident.
    pub(super) agent_rss_bytes_max: u64,
    /// The most memory that an agent had resident before the first release.
    pub(super) agent_idle_rss_bytes_max: u64,
    /// How long all of it took.
    pub(super) seconds: f64,
    /// What was promised, and what came of it.
    pub(super) promises: Vec<Promise>,
    /// What ended the demo early, in words.
    pub(super) trouble: Option<String>,
    /// Whether all went as promised.
    pub(super) ok: bool,
}
