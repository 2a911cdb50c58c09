//! What comes in through the door.

use wincode::{SchemaRead, SchemaWrite};

use crate::digest::Digest;
use crate::facts::health::HealthReport;
use crate::facts::{RolloutId, SignedFact};
use crate::identity::NodeId;
use crate::time::UnixSeconds;
use crate::trust::names::ComponentName;

/// Names one write; rises with every write of a node. `Persisted(n)` covers all writes up to `n`.
pub type WriteId = u64;

/// How a frame came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Via {
    /// Through the gossip overlay; `from` is the neighbour that relayed it.
    Gossip,
    /// From the peer itself.
    Direct,
}

/// Why the driver could not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Trouble {
    /// Nobody had the bytes, in time.
    Unreachable(String),
    /// The bytes were not what the manifest says: the publisher's fault, or the old slot's.
    BadBytes(String),
    /// The disk is full.
    NoSpace(String),
    /// The disk, the process or the machine failed.
    Local(String),
}

impl Trouble {
    /// The driver's words.
    pub fn words(&self) -> &str {
        match self {
            Self::Unreachable(w) | Self::BadBytes(w) | Self::NoSpace(w) | Self::Local(w) => w,
        }
    }
}

/// Everything that can happen to a node.
#[derive(Clone, Debug, SchemaRead, SchemaWrite)]
pub enum Input<'a> {
    /// The deadline has come; also the first input of all.
    Wake,
    /// The wall clock shows this. Handed in at the start and about once a minute; expiry alone uses it.
    WallClock(UnixSeconds),
    /// A frame arrived. The driver has checked that the link belongs to `from`.
    Received {
        /// The peer, or for gossip the neighbour.
        from: NodeId,
        /// How.
        via: Via,
        /// Untrusted bytes.
        frame: &'a [u8],
    },
    /// A link to this peer is up.
    LinkUp(NodeId),
    /// The last link to this peer is gone.
    LinkDown(NodeId),
    /// Where others can reach this node; at most `ADDRESSES_MAX` are used.
    Addresses(Vec<String>),
    /// All writes up to this one are durable.
    Persisted(WriteId),
    /// This write and all later ones up to now failed and left nothing: the core will write again.
    PersistFailed(WriteId),
    /// A `fetch` ended.
    Stored {
        /// The rollout that it was for.
        rollout: RolloutId,
        /// How it ended.
        outcome: Result<(), Trouble>,
    },
    /// A `stage` ended: with `Ok` the tree is complete, verified and durable.
    Staged {
        /// The rollout that it was for.
        rollout: RolloutId,
        /// How it ended.
        outcome: Result<(), Trouble>,
    },
    /// An `activate` or `revert` ended: with `Ok` the tree runs, and will after a crash.
    Activated {
        /// The component.
        component: ComponentName,
        /// The tree that was asked for; `None` if the component was to stop.
        tree: Option<Digest>,
        /// How it ended. After an error the slot that was active before is active.
        outcome: Result<(), Trouble>,
    },
    /// What the probes of a component say of its active slot. On every change, and now and then with fresh numbers.
    Probed {
        /// The component.
        component: ComponentName,
        /// The tree in its active slot.
        tree: Digest,
        /// What they say.
        report: HealthReport,
    },
    /// Somebody on this machine hands in a signed fact; it is judged like any other and then gossiped.
    Submitted(SignedFact),
}
