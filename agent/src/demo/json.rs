//! The demo's answer, as programs read it.

use serde::Serialize;

use super::course::Wave;
use super::promises::Promise;

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It runs on every node.
    Completed,
    /// It was stopped, and runs on none.
    RolledBack,
    /// Neither.
    Unfinished,
}

/// One release.
#[derive(Clone, Debug, Serialize)]
pub struct ReleaseReport {
    /// Its name for people.
    pub version: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Its waves.
    pub waves: Vec<Wave>,
    /// Seconds from the hand-over to the last node's confirmation.
    pub seconds: Option<f64>,
    /// Size of all its files.
    pub full_bytes: u64,
    /// Size of the delta from what ran; `None` for a first version.
    pub delta_bytes: Option<u64>,
    /// Payload that the agent sent to which it was handed.
    pub publisher_bytes: u64,
    /// Payload that all other agents sent.
    pub peer_bytes: u64,
    /// Nodes that ever ran it.
    pub nodes_exposed: usize,
    /// Seconds from the first failing probe to the failing node being back.
    pub revert_seconds: Option<f64>,
    /// Seconds from the first failing probe to all nodes being back and all knowing of the stop.
    pub rollback_seconds: Option<f64>,
    /// Requests answered while it was under way.
    pub requests_served: u64,
    /// Requests that failed while it was under way.
    pub requests_failed: u64,
    /// Of these, those to nodes that never ran it.
    pub requests_failed_elsewhere: u64,
    /// Why the last of them failed, as the client saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_failure: Option<String>,
}

/// The whole demo.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Agents.
    pub nodes: usize,
    /// The first version's installation, which needs no telling.
    pub installed: Option<ReleaseReport>,
    /// The releases of the story, in their order.
    pub releases: Vec<ReleaseReport>,
    /// Seconds from the leader's death to the next leader's first proposal; `None` where nobody could take over.
    pub leader_failover_seconds: Option<f64>,
    /// Requests.
    pub requests_total: u64,
    /// Of these, failed ones: on nodes that ran the bad release.
    pub requests_failed: u64,
    /// The most memory that an agent ever had resident.
    pub agent_rss_bytes_max: u64,
    /// The most memory that an agent had resident before the first release.
    pub agent_idle_rss_bytes_max: u64,
    /// How long all of it took.
    pub seconds: f64,
    /// What was promised, and what came of it.
    pub promises: Vec<Promise>,
    /// What ended the demo early, in words.
    pub trouble: Option<String>,
    /// Whether all went as promised.
    pub ok: bool,
}
