//! What goes out of the door.

use wincode::{SchemaRead, SchemaWrite};

use crate::digest::Digest;
use crate::facts::RolloutId;
use crate::identity::{NodeId, Signature};
use crate::trust::names::ComponentName;
use crate::trust::probe::Probe;

use super::event::{Event, Refusal};
use super::input::WriteId;
use super::record::Record;

/// How a tree comes to a node: the cheapest verified way from what it has.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Recipe {
    /// The tree is here already, in some slot: a release of bytes that were released before.
    Present,
    /// Patch the tree `from`, which is here, with one delta or several in turn.
    Deltas {
        /// A tree in a slot.
        from: Digest,
        /// The deltas; the last one leads to the tree to build.
        steps: Vec<DeltaStep>,
    },
    /// The index, and of its chunks those that no slot here has.
    Chunks,
}

/// A delta on the way to a tree.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct DeltaStep {
    /// The tree that it leads to.
    pub tree: Digest,
    /// Size of that tree's files.
    pub tree_bytes: u64,
    /// The delta's name.
    pub blob: Digest,
    /// The delta's size.
    pub bytes: u64,
}

/// Work on one release's bytes.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Work {
    /// The rollout.
    pub rollout: RolloutId,
    /// The component.
    pub component: ComponentName,
    /// The tree to build.
    pub tree: Digest,
    /// Size of the tree's index.
    pub index_bytes: u64,
    /// Size of the tree's files.
    pub bytes: u64,
    /// How.
    pub recipe: Recipe,
}

/// What a `handle` call made of a fact or frame, for the gossip overlay's accounting and for whoever handed it in.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Verdict {
    /// It changed the state: pass it on.
    Accepted,
    /// Known already, older, or to be relayed later: do not pass it on, blame nobody.
    Known,
    /// Refused; the state did not change.
    Refused(Refusal),
}

/// Performs what the core decides. Calls come in the order in which they must take effect; none may
/// call back into the core. Results come in as later inputs.
pub trait Outbox {
    /// Sends a frame to one peer. May be lost.
    fn send(&mut self, to: NodeId, frame: Vec<u8>);
    /// Sends a frame to several peers, in their order. May be lost.
    fn send_all(&mut self, to: impl Iterator<Item = NodeId>, frame: Vec<u8>)
    where
        Self: Sized,
    {
        to.for_each(|to| self.send(to, frame.clone()));
    }
    /// Gossips a frame to all. May be lost.
    fn broadcast(&mut self, frame: Vec<u8>);
    /// What became of the frame or fact that this input brought. At most once an input.
    fn verdict(&mut self, verdict: Verdict);
    /// Makes a record durable, then says `Persisted(id)`.
    fn persist(&mut self, id: WriteId, record: Record);
    /// Forgets the record with this key, some time.
    fn forget(&mut self, key: Vec<u8>);
    /// Brings a recipe's bytes here, then says `Stored`. `holders` are members that say they hold the
    /// whole tree; a repeated call for the rollout brings newer holders.
    fn fetch(&mut self, work: &Work, holders: &[NodeId]);
    /// Builds and verifies the tree in a slot, then says `Staged`.
    fn stage(&mut self, work: &Work);
    /// Gives up fetching and staging for this rollout.
    fn cancel(&mut self, rollout: RolloutId);
    /// Switches the component to the tree, keeping the slot that is active now, then says `Activated`.
    /// If it is active already, only sees that it runs.
    fn activate(&mut self, component: &ComponentName, tree: Digest);
    /// Switches back to the tree without the network, at once, then says `Activated`. With `None`
    /// nothing is left to go back to: the component is stopped.
    fn revert(&mut self, component: &ComponentName, tree: Option<Digest>);
    /// The tree completed fleet-wide: it becomes the component's anchor. Slots that are not among `keep` may go.
    fn confirm(&mut self, component: &ComponentName, tree: Digest, keep: &[Digest]);
    /// Probes the component's active slot from now on, instead of what was probed before, and reports by `Probed`.
    fn probe(&mut self, component: &ComponentName, tree: Digest, probes: &[Probe]);
    /// These are the members now: links to others are closed and refused.
    fn admit(&mut self, members: &[NodeId]);
    /// A member says that it can be reached here.
    fn learn(&mut self, node: NodeId, addresses: &[String]);
    /// Something happened that people, metrics or checkers may want to know.
    fn report(&mut self, event: Event);
    /// This node signed something. Asks for nothing: whoever records the node keeps it, to play the recording
    /// without the key.
    fn signed(&mut self, _signature: Signature) {}
}
