//! What the control API exchanges, and how much of it: version 1.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | [`AgentStatus`] |
//! | `GET /v1/events?after=N` | one [`StreamLine`] a line: what is still kept after `N`, then live |
//! | `POST /v1/facts` with a signed fact in the codec's form | [`Submission`], or 409 with an [`ErrorAnswer`] |
//! | `GET /v1/trust` | a fleet bundle |
//! | `POST /v1/blobs/missing` with a [`DigestList`] | [`MissingAnswer`] |
//! | `PUT /v1/blobs/{64 hex digits}` with `Content-Length` | 204; 422 if the digest differs, 507 if the disk is full |
//! | `PUT /v1/egress` with an [`EgressRequest`] | 204; 422 if the budget is out of bounds |
//! | `GET /metrics` | OpenMetrics text |
//!
//! Every other answer carries an [`ErrorAnswer`]. Fields may be added within version 1; readers pass
//! over those that they do not know.

use std::collections::BTreeMap;

use groundswell_protocol::bounds::CENSUS_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::{Event, Status};
use groundswell_protocol::transfer::egress::EgressReport;
use groundswell_protocol::transfer::shortage::Shortage;
use groundswell_protocol::trust::names::ComponentName;
use serde::{Deserialize, Serialize};

use crate::transfer::Caps;

/// Bytes of a submitted fact: the largest body, and its signatures.
pub const FACT_BODY_MAX: usize = CENSUS_MAX + 64 * 1024;
/// Bytes of a JSON request.
pub const JSON_BODY_MAX: usize = 8 * 1024 * 1024;
/// Bytes of one uploaded blob.
pub const BLOB_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Digests in one question for missing blobs; 67 bytes each, so that they fit `JSON_BODY_MAX`.
pub const DIGESTS_MAX: usize = 100_000;
/// Bytes of a status, trust or metrics answer that a client reads: a fleet of 100,000 members fits.
pub const ANSWER_MAX: usize = 128 * 1024 * 1024;
/// Bytes of an error answer that a client reads.
pub const ERROR_MAX: usize = 64 * 1024;
/// Blobs with missing pieces that are shown of one fetch.
pub const SHORTAGES_SHOWN: usize = 4;
/// Bytes of one line of the event stream that a client reads.
pub const LINE_MAX: usize = 64 * 1024;

const _: () = assert!(DIGESTS_MAX * 67 + 64 <= JSON_BODY_MAX, "a full list of digests fits a request");

/// The agent and the node inside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// The agent's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started, in milliseconds since 1970-01-01 UTC. Tells one life of an agent from the next.
    pub started_unix_ms: u64,
    /// When this was said, on the same clock.
    pub now_unix_ms: u64,
    /// What the node knows.
    pub node: Status,
    /// The processes that the agent supervises.
    pub services: Vec<ServiceView>,
    /// The fetches under way.
    pub transfers: Vec<TransferView>,
    /// What the swarm's rules come to here.
    #[serde(default)]
    pub swarm: SwarmView,
    /// What the agent has used since it started.
    pub counters: Counters,
}

/// A supervised process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// The component.
    pub component: ComponentName,
    /// Its process, if one runs.
    pub pid: Option<u32>,
    /// Whether it is meant to run and does.
    pub running: bool,
    /// How often it ended by itself since it was activated.
    pub restarts: u32,
}

/// A fetch under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferView {
    /// What it is for.
    pub rollout: RolloutId,
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes that are here and verified.
    pub done_bytes: u64,
    /// Peers that it asks.
    pub peers: u32,
    /// Blobs of which nobody who can be reached has every piece, for half a minute or longer; at most
    /// `SHORTAGES_SHOWN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingView>,
    /// How many such blobs there are.
    #[serde(default)]
    pub missing_blobs: u32,
}

/// Pieces of a blob that nobody who can be reached has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingView {
    /// The blob.
    pub blob: Digest,
    /// Which pieces, how many, and for how long.
    #[serde(flatten)]
    pub shortage: Shortage,
}

/// The site of a node: the members of its zone that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SiteView {
    /// The zone's label; empty for none.
    pub zone: String,
    /// Other members that are there.
    pub members: u32,
    /// Payload that this node received from members of the site.
    pub inside_bytes: u64,
    /// Payload that this node received from others.
    pub outside_bytes: u64,
}

/// What other programs of the machine leave of its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CourtesyView {
    /// Whether they send now.
    pub others_send: bool,
    /// What pieces may take, in bytes a second; none while the line is not there, or is not the one that they leave by.
    pub bytes_per_second: Option<u64>,
}

/// What the swarm's rules come to on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SwarmView {
    /// The caps that hold now.
    pub caps: Caps,
    /// What other programs of the machine leave of its line; none if the agent does not yield to them.
    pub courtesy: Option<CourtesyView>,
    /// This node's site.
    pub site: SiteView,
    /// What peers did that the piece protocol does not allow, by kind; kinds that never happened are left out.
    pub offences: BTreeMap<String, u64>,
    /// The budgets of releases that were published here, the oldest first.
    pub egress: Vec<EgressReport>,
}

/// What the agent has used since it started. All but `links`, `gossip_mesh`,
/// `egress_left_bytes` and `resident_bytes` only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Payload of pieces sent to peers.
    pub uploaded_bytes: u64,
    /// Payload of pieces received from peers.
    pub downloaded_bytes: u64,
    /// Of that, what came from this node's own site.
    pub site_bytes: u64,
    /// Everything sent on links.
    pub link_sent_bytes: u64,
    /// Everything received on links.
    pub link_received_bytes: u64,
    /// Gossip received, each content counted once.
    pub gossip_received: u64,
    /// Gossip received, every copy counted.
    pub gossip_copies: u64,
    /// Times that peers were asked for gossip that they had announced.
    pub gossip_asked: u64,
    /// Neighbours in the gossip overlay's mesh.
    pub gossip_mesh: u64,
    /// Pieces that were not what they should be.
    pub corrupt_pieces: u64,
    /// Payload sent of releases that have a budget.
    pub egress_sent_bytes: u64,
    /// Of it, what was sent beyond a budget, because nobody else could be asked for it.
    pub egress_beyond_bytes: u64,
    /// What the budgets have left, together. Rises and falls.
    pub egress_left_bytes: u64,
    /// Links that are up.
    pub links: u64,
    /// Memory of the agent's own process.
    pub resident_bytes: u64,
    /// Processor time of the agent's own process, in milliseconds.
    pub cpu_ms: u64,
}

/// One event with its place in the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// Rises by one with every event of this agent's life; the first is 1.
    pub number: u64,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// One line of the event stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StreamLine {
    /// An event.
    Event(Box<EventLine>),
    /// The reader was too slow: so many events are lost to it here.
    Missed {
        /// How many.
        missed: u64,
    },
}

/// What became of a submitted fact that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Whether it was news.
    pub verdict: Submitted,
}

/// See [`Submission`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submitted {
    /// It changed the state and spreads.
    Accepted,
    /// It, or something that outranks it, was known already.
    Known,
}

/// A question: which of these are missing?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestList {
    /// At most `DIGESTS_MAX`.
    pub digests: Vec<Digest>,
}

/// A release's budget: how much of its payload this agent may send while others can serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressRequest {
    /// The release.
    pub release: RolloutId,
    /// The multiple of the payload, in thousandths.
    pub permille: u32,
    /// Its blobs, at most `DIGESTS_MAX`; those that the agent does not have are passed over. More can
    /// follow in further requests.
    pub digests: Vec<Digest>,
}

/// The answer to a [`DigestList`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingAnswer {
    /// Those that the agent does not have.
    pub missing: Vec<Digest>,
}

/// The question for events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// The last number that the reader has; 0 for whatever is still kept.
    #[serde(default)]
    pub after: u64,
}

/// What every answer that is no success carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// The error.
    pub error: ErrorView,
}

/// An error in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// What happened.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub todo: String,
}

#[cfg(test)]
mod tests {
    use groundswell_protocol::facts::health::{Health, HealthNumbers, HealthReport};
    use groundswell_protocol::facts::{Failure, SkipReason, StopReason, VoteState};
    use groundswell_protocol::identity::PublicKey;
    use groundswell_protocol::node::event::{Hold, Refusal, Stage};
    use groundswell_protocol::trust::command::Instruction;
    use groundswell_protocol::trust::manifest::ReleaseOrder;

    use super::*;
    use crate::console::sample::Story;

    fn one_of_each() -> Vec<Event> {
        let rollout = RolloutId(Digest([1; 32]));
        let node = PublicKey([2; 32]);
        let component = ComponentName::new("web").unwrap();
        let numbers = HealthNumbers::default();
        let report = HealthReport { health: Health::Unhealthy, numbers, note: "n".into() };
        let order = ReleaseOrder { epoch: u32::MAX, sequence: u64::MAX };
        let vote = |state| Event::Vote {
            rollout,
            node,
            state,
            attempt: 3,
            numbers: HealthNumbers { passed: 1, ..HealthNumbers::default() },
            note: "a \"note\"".into(),
        };
        let commanded = |instruction| Event::Commanded { rollout, instruction, note: String::new() };
        vec![
            Event::Recovered { boot: 1 },
            Event::Refused { from: Some(node), why: Refusal::NoSeat },
            Event::Refused { from: None, why: Refusal::Full },
            Event::Policy { version: 1 },
            Event::Census { version: 1, members: 2 },
            Event::Conflict { what: "two".into() },
            Event::Cloned,
            Event::Rollout { rollout, component: component.clone(), version: "1".into(), order, members: 3 },
            vote(VoteState::Staged),
            vote(VoteState::Skip(SkipReason::NoSpace)),
            vote(VoteState::Failed(Failure::Recovered)),
            Event::Opened { rollout, from: 1, to: 2 },
            Event::Term { rollout, term: 1, leader: node },
            Event::Proposed { rollout, term: 1, open: 2 },
            Event::StopBallot { rollout, reason: StopReason::Evidence },
            Event::Stopped { rollout, why: "why".into() },
            Event::Done { rollout },
            commanded(Instruction::Flow { counter: 1, pause: true }),
            commanded(Instruction::Promote(3)),
            commanded(Instruction::Stop),
            Event::Holding { rollout, hold: Hold::Bound },
            Event::Stage { rollout, from: Stage::Trial, to: Stage::Stuck, note: "n".into() },
            Event::Switched { component, tree: Digest([3; 32]), revert: true },
            Event::Health { component: ComponentName::new("web").unwrap(), report },
            Event::Trouble { rollout, what: "disk".into() },
            Event::PersistFailed,
            Event::FreezeSuspected { heard: 1, needed: 2 },
            Event::Synced { with: node, learned: 9 },
        ]
    }

    #[test]
    fn every_event_survives_a_line_of_the_stream() {
        for event in one_of_each() {
            let line = EventLine { number: u64::MAX, unix_ms: 1_800_000_000_000, event };
            let line = StreamLine::Event(Box::new(line));
            let text = serde_json::to_string(&line).unwrap();
            assert!(!text.contains('\n') && text.len() < LINE_MAX);
            assert_eq!(serde_json::from_str::<StreamLine>(&text).unwrap(), line, "{text}");
        }
        let missed = StreamLine::Missed { missed: 7 };
        assert_eq!(serde_json::to_string(&missed).unwrap(), r#"{"missed":7}"#);
        assert_eq!(serde_json::from_str::<StreamLine>(r#"{"missed":7}"#).unwrap(), missed);
    }

    #[test]
    fn a_status_survives_json() {
        let mut story = Story::idle(5);
        story.publish("1.2.0", 3, true);
        for _ in 0..6 {
            story.step();
        }
        let text = serde_json::to_string(&story.status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), story.status);
    }
}
