//! What nodes say: votes, ballots, proposals and beacons.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::health::HealthNumbers;
use crate::bounds::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, ATTEMPTS_MAX, BEACON_ACTIVE_MAX};
use crate::identity::NodeId;
use crate::trust::names::is_note;

pub use crate::trust::manifest::RolloutId;

/// Why a node takes no part in a rollout.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The component is not configured on this node.
    NoComponent,
    /// There is no room for it.
    NoSpace,
    /// What runs here is newer.
    Newer,
}

/// What a failure was found to be, once the old version had been probed again.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The old version has not answered yet, or there is none.
    Unknown,
    /// The old version fails too: a bad day rather than a bad release.
    Doubt,
    /// The old version is healthy: the release is bad.
    Recovered,
}

/// How far a node has come with a release.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum VoteState {
    /// The version is built, verified and on disk.
    Staged,
    /// Takes no part.
    Skip(SkipReason),
    /// Is about to switch, or on trial.
    Trying,
    /// Passed its trial.
    Healthy,
    /// Failed, and went back.
    Failed(Failure),
}

/// A node's report of a release on itself.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Vote {
    /// The release.
    pub rollout: RolloutId,
    /// Who reports.
    pub node: NodeId,
    /// How far it has come.
    pub state: VoteState,
    /// Which try this is, from 1 to `ATTEMPTS_MAX`.
    pub attempt: u8,
    /// Rises when a node repeats a state with newer numbers.
    pub beat: u32,
    /// The numbers.
    pub numbers: HealthNumbers,
    /// Why, for people.
    pub note: String,
}

impl Vote {
    /// Its place in the register's order: `Failed{Recovered}` is the top, then attempt, state, beat.
    pub fn rank(&self) -> u64 {
        Self::rank_of(self.attempt, self.state, self.beat)
    }

    /// The rank of a vote of this try, state and beat.
    pub fn rank_of(attempt: u8, state: VoteState, beat: u32) -> u64 {
        let number: u64 = match state {
            VoteState::Staged => 0,
            VoteState::Skip(_) => 1,
            VoteState::Trying => 2,
            VoteState::Healthy => 3,
            VoteState::Failed(Failure::Unknown) => 4,
            VoteState::Failed(Failure::Doubt) => 5,
            VoteState::Failed(Failure::Recovered) => 6,
        };
        let top = u64::from(state == VoteState::Failed(Failure::Recovered));
        top << 63 | u64::from(attempt) << 40 | number << 32 | u64::from(beat)
    }

    pub(super) fn is_valid(&self) -> bool {
        (1..=ATTEMPTS_MAX).contains(&self.attempt) && is_note(&self.note)
    }
}

/// Why a juror stops a rollout.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Nothing could be opened for the plan's hold time.
    Expired,
    /// Enough nodes failed.
    Evidence,
}

/// What a juror's register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    /// The election number that the juror stands in.
    Term(u32),
    /// How many ranks the juror has opened; one more than there are members is `done`.
    Open(u32),
    /// The rollout must end.
    Stop(StopReason),
}

/// Which of a juror's three registers of a rollout a ballot is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum BallotKind {
    /// `Say::Term`.
    Term,
    /// `Say::Open`.
    Open,
    /// `Say::Stop`.
    Stop,
}

/// A juror's signed register.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Ballot {
    /// The rollout.
    pub rollout: RolloutId,
    /// The juror.
    pub juror: NodeId,
    /// What it says.
    pub say: Say,
}

impl Ballot {
    /// Which register it is for.
    pub fn kind(&self) -> BallotKind {
        match self.say {
            Say::Term(_) => BallotKind::Term,
            Say::Open(_) => BallotKind::Open,
            Say::Stop(_) => BallotKind::Stop,
        }
    }

    /// Its place in the register's order: the number.
    pub fn rank(&self) -> u64 {
        match self.say {
            Say::Term(number) | Say::Open(number) => u64::from(number),
            Say::Stop(reason) => u64::from(reason == StopReason::Evidence),
        }
    }
}

/// A leader's proposal to open so many ranks.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Propose {
    /// The rollout.
    pub rollout: RolloutId,
    /// The term that the author leads.
    pub term: u32,
    /// The author.
    pub leader: NodeId,
    /// How many ranks.
    pub open: u32,
}

impl Propose {
    /// Its place in the register's order: term, then number.
    pub fn rank(&self) -> u64 {
        u64::from(self.term) << 32 | u64::from(self.open)
    }
}

/// What a beacon says of a live rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct BeaconActive {
    /// The rollout.
    pub rollout: RolloutId,
    /// How many ranks the author knows to be open.
    pub open: u32,
    /// Whether the author knows it to be stopped.
    pub stop: bool,
}

/// What a beacon says of an installed component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct BeaconInstalled {
    /// The release in the component's active slot.
    pub rollout: RolloutId,
    /// Whether its probes pass.
    pub healthy: bool,
}

/// The newest that a beacon's author knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Heads {
    /// Version of the newest policy.
    pub policy: u32,
    /// Version of the newest census.
    pub census: u32,
    /// First eight bytes of the digest of all facts but beacons: differing ones call for a sync.
    pub facts: u64,
}

/// A node's signed sign of life.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Beacon {
    /// The author.
    pub node: NodeId,
    /// How many times the agent has started.
    pub boot: u32,
    /// Drawn anew at each start: two of them in one boot betray a cloned key.
    pub incarnation: u64,
    /// Rises with every beacon of this boot.
    pub count: u32,
    /// The newest that the author knows.
    pub heads: Heads,
    /// Live rollouts.
    pub active: Vec<BeaconActive>,
    /// What is installed.
    pub installed: Vec<BeaconInstalled>,
    /// Where the author can be reached.
    pub addresses: Vec<String>,
}

impl Beacon {
    /// Its place in the register's order: boot, then count.
    pub fn rank(&self) -> u64 {
        u64::from(self.boot) << 32 | u64::from(self.count)
    }

    pub(super) fn is_valid(&self) -> bool {
        self.active.len() <= BEACON_ACTIVE_MAX
            && self.installed.len() <= BEACON_ACTIVE_MAX
            && self.addresses.len() <= ADDRESSES_MAX
            && self.addresses.iter().all(|a| {
                (1..=ADDRESS_BYTES_MAX).contains(&a.len()) && a.bytes().all(|b| b.is_ascii_graphic())
            })
    }
}
