//! The one stream of what happened: logs, metrics, the console and the simulator's checkers read it.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::digest::Digest;
use crate::facts::health::{HealthNumbers, HealthReport};
use crate::facts::{RolloutId, StopReason, VoteState};
use crate::identity::NodeId;
pub use crate::rollout::gate::Hold;
use crate::trust::command::Instruction;
use crate::trust::manifest::ReleaseOrder;
use crate::trust::names::ComponentName;

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The peer that sent it.
    Peer,
    /// Whoever signed it.
    Signer,
    /// Nobody: something that it names has not arrived yet.
    Nobody,
    /// This machine's disk.
    Disk,
}

/// Why something was refused. The state did not change.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Not a frame of a version that this node speaks.
    BadFrame,
    /// Too large, not canonical, of an unknown sort, or beyond a bound.
    BadFact,
    /// Of another fleet.
    OtherFleet,
    /// A signature is missing or wrong, or too few of the role's keys signed.
    Unsigned,
    /// The author is not in the census that counts.
    NotAMember,
    /// The author has no such seat: not a juror, not a member of the rollout, not that term's leader.
    NoSeat,
    /// The number is above what can be meant.
    OutOfRange,
    /// It names a policy, census or rollout that is not here yet.
    MissingParent,
    /// Its rollout ended and was put away.
    Collected,
    /// It does not follow from the policy or census before it.
    BrokenChain,
    /// The policy that it names may not sign for this: it is older than its rollout's.
    StalePolicy,
    /// There is no room for another one.
    Full,
    /// This machine's disk would not keep it.
    NotKept,
}

impl Refusal {
    /// Whose fault it is.
    pub fn blame(self) -> Blame {
        match self {
            Self::BadFrame
            | Self::BadFact
            | Self::OtherFleet
            | Self::Unsigned
            | Self::NoSeat
            | Self::OutOfRange => Blame::Peer,
            Self::BrokenChain | Self::StalePolicy => Blame::Signer,
            Self::NotKept => Blame::Disk,
            Self::NotAMember | Self::MissingParent | Self::Collected | Self::Full => Blame::Nobody,
        }
    }

    /// What happened and what to do, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::BadFrame => "the frame is damaged or of a version that this node does not speak",
            Self::BadFact => "the document is damaged, too large or breaks a bound",
            Self::OtherFleet => "the document belongs to another fleet",
            Self::Unsigned => {
                "too few of the role's keys have signed it, or a signature is wrong: sign it with the keys that the policy names"
            }
            Self::NotAMember => "its author is not enrolled in the census that counts",
            Self::NoSeat => "its author has no such seat in this rollout",
            Self::OutOfRange => "its number is higher than can be meant",
            Self::MissingParent => {
                "it names a policy, census or rollout that this node does not have: publish that first, or wait for it to arrive"
            }
            Self::Collected => "its rollout ended and was put away",
            Self::BrokenChain => "it does not follow from the policy or census before it",
            Self::StalePolicy => {
                "it names a policy older than its rollout's: sign it anew under the newest policy"
            }
            Self::Full => "there is no room for another one of its sort",
            Self::NotKept => "this agent could not keep it: free some room on its disk, and hand it in again",
        }
    }
}

/// Where a node stands with one rollout.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not for this node.
    NotMine,
    /// Known; nothing begun.
    Known,
    /// Bytes are on their way.
    Fetching,
    /// The tree is being built.
    Staging,
    /// The tree is here; waits for its rank.
    Staged,
    /// Open; waits for fresh news from jurors.
    Freshening,
    /// Tells jurors that it is about to switch.
    Announcing,
    /// Switches.
    Activating,
    /// On trial.
    Trial,
    /// Passed the trial.
    Healthy,
    /// Goes back.
    Reverting,
    /// Back on the old version, which is being probed.
    Reprobing,
    /// Failed; perhaps tries again later.
    Failed,
    /// Went back because the rollout was stopped.
    Reverted,
    /// Completed fleet-wide, and runs here.
    Confirmed,
    /// Takes no part.
    Skipped,
    /// Unhealthy, with nowhere to go back to.
    Stuck,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The node has heard from enough electors to sign.
    Recovered {
        /// This start's number.
        boot: u32,
    },
    /// A frame or fact was refused.
    Refused {
        /// Who sent it; `None` if it was handed in here.
        from: Option<NodeId>,
        /// Why.
        why: Refusal,
    },
    /// A newer policy holds.
    Policy {
        /// Its version.
        version: u32,
    },
    /// A newer census holds.
    Census {
        /// Its version.
        version: u32,
        /// How many members it lists.
        members: u32,
    },
    /// Two signed documents have one number.
    Conflict {
        /// Which, in words.
        what: String,
    },
    /// My key speaks elsewhere: I sign nothing more until the operator has given one of us a new key.
    Cloned,
    /// A manifest was accepted.
    Rollout {
        /// Its rollout.
        rollout: RolloutId,
        /// The component.
        component: ComponentName,
        /// The release's name.
        version: String,
        /// Its order.
        order: ReleaseOrder,
        /// Members of the rollout.
        members: u32,
    },
    /// A node voted.
    Vote {
        /// The rollout.
        rollout: RolloutId,
        /// Who.
        node: NodeId,
        /// What.
        state: VoteState,
        /// Which try.
        attempt: u8,
        /// The numbers.
        numbers: HealthNumbers,
        /// Why.
        note: String,
    },
    /// More ranks are open.
    Opened {
        /// The rollout.
        rollout: RolloutId,
        /// So many were.
        from: u32,
        /// So many are.
        to: u32,
    },
    /// Another term counts.
    Term {
        /// The rollout.
        rollout: RolloutId,
        /// The term.
        term: u32,
        /// Its leader.
        leader: NodeId,
    },
    /// This node proposes.
    Proposed {
        /// The rollout.
        rollout: RolloutId,
        /// The term.
        term: u32,
        /// How many ranks.
        open: u32,
    },
    /// This juror says: stop.
    StopBallot {
        /// The rollout.
        rollout: RolloutId,
        /// Why.
        reason: StopReason,
    },
    /// The rollout is stopped.
    Stopped {
        /// The rollout.
        rollout: RolloutId,
        /// Why, in words.
        why: String,
    },
    /// The rollout is done.
    Done {
        /// The rollout.
        rollout: RolloutId,
    },
    /// An operator's command holds.
    Commanded {
        /// The rollout.
        rollout: RolloutId,
        /// What was ordered.
        instruction: Instruction,
        /// Why.
        note: String,
    },
    /// This juror's reason for not going on changed.
    Holding {
        /// The rollout.
        rollout: RolloutId,
        /// Why.
        hold: Hold,
    },
    /// This node has come further, or went back, with a rollout.
    Stage {
        /// The rollout.
        rollout: RolloutId,
        /// From there.
        from: Stage,
        /// To there.
        to: Stage,
        /// Why, for people.
        note: String,
    },
    /// The component's active slot changed.
    Switched {
        /// The component.
        component: ComponentName,
        /// What runs now.
        tree: Digest,
        /// Whether this went back.
        revert: bool,
    },
    /// The probes' verdict on what runs changed.
    Health {
        /// The component.
        component: ComponentName,
        /// The verdict, the numbers, the words.
        report: HealthReport,
    },
    /// A fetch, staging or switch failed; it is tried again.
    Trouble {
        /// The rollout.
        rollout: RolloutId,
        /// What, in the driver's words.
        what: String,
    },
    /// The disk refused a write; it is tried again, and nothing that depends on it was sent.
    PersistFailed,
    /// No fresh news from enough electors for long: perhaps this node is kept from them.
    FreezeSuspected {
        /// Electors heard from.
        heard: u32,
        /// Electors needed.
        needed: u32,
    },
    /// A sync with a peer ended.
    Synced {
        /// The peer.
        with: NodeId,
        /// Facts that this brought.
        learned: u32,
    },
}
