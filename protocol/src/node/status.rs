//! What a node knows, as plain data: for screens and tools.

use serde::{Deserialize, Serialize};

use super::event::{Hold, Stage};
use super::record::{Ending, Installed};
use crate::facts::health::{HealthNumbers, HealthReport};
use crate::facts::{BeaconInstalled, RolloutId, StopReason, VoteState};
use crate::identity::NodeId;
pub use crate::rollout::quorum::Quorum;
pub use crate::rollout::view::Tally;
use crate::trust::census::Enrolment;
use crate::trust::manifest::{Kind, ReleaseOrder};
use crate::trust::names::ComponentName;
use crate::trust::policy::FleetId;

/// What a node knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The fleet.
    pub fleet: FleetId,
    /// Its name for people.
    pub fleet_name: String,
    /// This node.
    pub node: NodeId,
    /// How often the agent has started.
    pub boot: u32,
    /// Whether it may sign: heard from enough electors since it started, and its key is not cloned.
    pub signing: Signing,
    /// Version of the newest policy.
    pub policy: u32,
    /// When it should have been rotated.
    pub policy_expires: u64,
    /// Version of the newest census.
    pub census: u32,
    /// Two policies or censuses of one number are known: an alarm.
    pub conflict: bool,
    /// How many electors the census lists, how many may fail or lie, how many must agree.
    pub quorum: Quorum,
    /// The members of the newest census.
    pub members: Vec<MemberStatus>,
    /// What is installed here.
    pub components: Vec<ComponentStatus>,
    /// The rollouts that are kept, by component and order.
    pub rollouts: Vec<RolloutStatus>,
    /// How earlier rollouts ended.
    pub ended: Vec<EndedStatus>,
    /// How many facts are kept.
    pub facts: u64,
}

/// Where a node stands with one rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many ranks are open.
    pub open: u32,
    /// The term that counts.
    pub term: u32,
    /// What this node does.
    pub stage: Stage,
}

/// Whether a node may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// Yes.
    Yes,
    /// Not yet: it has synced with so many electors of those it needs.
    Recovering {
        /// Heard from.
        heard: u32,
        /// Needed.
        needed: u32,
    },
    /// No: it is in no census.
    NotEnrolled,
    /// No: another machine uses its key.
    Cloned,
}

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its enrolment.
    #[serde(flatten)]
    pub enrolment: Enrolment,
    /// Milliseconds since its beacon last rose; `None` if it never did since this agent started.
    pub silent_ms: Option<u64>,
    /// Whether a link to it is up.
    pub linked: bool,
    /// What it says it has installed.
    pub installed: Vec<BeaconInstalled>,
    /// Where it says it can be reached.
    pub addresses: Vec<String>,
}

/// A component on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentStatus {
    /// Its name.
    pub component: ComponentName,
    /// Its slots.
    pub installed: Installed,
    /// What its probes say.
    pub health: Option<HealthReport>,
}

/// A rollout as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// Its name.
    pub rollout: RolloutId,
    /// The component.
    pub component: ComponentName,
    /// What sort of thing that is.
    pub kind: Kind,
    /// The release's name.
    pub version: String,
    /// Its order.
    pub order: ReleaseOrder,
    /// The signers' note.
    pub note: String,
    /// Size of the tree.
    pub bytes: u64,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
    /// Why it was stopped, in words.
    pub stopped_why: Option<String>,
    /// Whether an operator paused it.
    pub paused: bool,
    /// The next counter for a pause or resume.
    pub next_flow_counter: u32,
    /// Members.
    pub members: u32,
    /// The targets of its waves.
    pub targets: Vec<u32>,
    /// How many ranks are open; one more than there are members when it is done.
    pub open: u32,
    /// The term.
    pub term: u32,
    /// Its leader.
    pub leader: NodeId,
    /// The leader's proposal, if it has made one in this term.
    pub proposed: Option<u32>,
    /// The jury's arithmetic.
    pub quorum: Quorum,
    /// This node's view of the open ranks.
    pub tally: Tally,
    /// What this node would allow as a juror, and what holds it.
    pub allowed: u32,
    /// Why it is not going on, as this node sees it.
    pub hold: Hold,
    /// Milliseconds until standing still stops the rollout, if the clock runs.
    pub hold_left_ms: Option<u64>,
    /// This node's rank in the line; `None` if it is not for this node.
    pub my_rank: Option<u32>,
    /// How far this node has come.
    pub my_stage: Stage,
    /// Milliseconds until this node's trial ends.
    pub trial_left_ms: Option<u64>,
    /// Every vote, by rank.
    pub votes: Vec<VoteStatus>,
    /// Every juror's registers, by seat.
    pub ballots: Vec<BallotStatus>,
    /// Seconds: trial, bake, stage, hold.
    pub plan: PlanStatus,
}

/// The times of a plan that explain a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStatus {
    /// `trial_s`.
    pub trial_s: u32,
    /// `bake_s`.
    pub bake_s: u32,
    /// `stage_s`.
    pub stage_s: u32,
    /// `hold_s`.
    pub hold_s: u32,
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteStatus {
    /// The node's rank.
    pub rank: u32,
    /// Who.
    pub node: NodeId,
    /// What; `None` if it has not voted.
    pub state: Option<VoteState>,
    /// Which try.
    pub attempt: u8,
    /// The numbers.
    pub numbers: HealthNumbers,
    /// Why.
    pub note: String,
}

/// A juror's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BallotStatus {
    /// Who.
    pub juror: NodeId,
    /// Its term.
    pub term: u32,
    /// How many ranks it opened.
    pub open: u32,
    /// Whether it says stop.
    pub stop: Option<StopReason>,
    /// Whether its beacon is fresh.
    pub fresh: bool,
}

/// How a rollout ended that is no longer kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedStatus {
    /// Its name.
    pub rollout: RolloutId,
    /// The component.
    pub component: ComponentName,
    /// Its order.
    pub order: ReleaseOrder,
    /// How.
    pub ending: Ending,
}
