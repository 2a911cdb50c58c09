//! What one `handle` call asks for, kept in order: for drivers that perform it afterwards, and for recordings.

use wincode::{SchemaRead, SchemaWrite};

use crate::digest::Digest;
use crate::facts::RolloutId;
use crate::identity::{NodeId, Signature};
use crate::node::{Event, Outbox, Record, Verdict, Work, WriteId};
use crate::trust::names::ComponentName;
use crate::trust::probe::Probe;

/// One thing to do: the calls of [`Outbox`].
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Effect {
    /// See [`Outbox::send`].
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        frame: Vec<u8>,
    },
    /// See [`Outbox::broadcast`].
    Broadcast(Vec<u8>),
    /// See [`Outbox::persist`].
    Persist {
        /// The write's number.
        id: WriteId,
        /// What is kept.
        record: Record,
    },
    /// See [`Outbox::forget`].
    Forget(Vec<u8>),
    /// See [`Outbox::fetch`].
    Fetch {
        /// What for.
        work: Work,
        /// Who has it.
        holders: Vec<NodeId>,
    },
    /// See [`Outbox::stage`].
    Stage(Work),
    /// See [`Outbox::cancel`].
    Cancel(RolloutId),
    /// See [`Outbox::activate`].
    Activate {
        /// The component.
        component: ComponentName,
        /// Its tree.
        tree: Digest,
    },
    /// See [`Outbox::revert`].
    Revert {
        /// The component.
        component: ComponentName,
        /// Its tree; `None`: nothing is left to go back to.
        tree: Option<Digest>,
    },
    /// See [`Outbox::confirm`].
    Confirm {
        /// The component.
        component: ComponentName,
        /// Its tree.
        tree: Digest,
        /// Trees that must stay.
        keep: Vec<Digest>,
    },
    /// See [`Outbox::probe`].
    Probe {
        /// The component.
        component: ComponentName,
        /// Its tree.
        tree: Digest,
        /// How.
        probes: Vec<Probe>,
    },
    /// See [`Outbox::admit`].
    Admit(Vec<NodeId>),
    /// See [`Outbox::learn`].
    Learn {
        /// Who.
        node: NodeId,
        /// Where.
        addresses: Vec<String>,
    },
    /// See [`Outbox::report`].
    Report(Event),
}

/// The effects of one `handle` call.
#[derive(Clone, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Effects {
    /// What to do, in the order in which it must take effect.
    pub list: Vec<Effect>,
    /// What became of the frame or fact that the input brought.
    pub verdict: Option<Verdict>,
    /// What the node signed, in its order.
    pub signatures: Vec<Signature>,
}

impl Effects {
    /// The last write that was asked for.
    pub fn last_write(&self) -> Option<WriteId> {
        self.list.iter().rev().find_map(|effect| match effect {
            Effect::Persist { id, .. } => Some(*id),
            _ => None,
        })
    }
}

impl Outbox for Effects {
    fn send(&mut self, to: NodeId, frame: Vec<u8>) {
        self.list.push(Effect::Send { to, frame });
    }
    fn broadcast(&mut self, frame: Vec<u8>) {
        self.list.push(Effect::Broadcast(frame));
    }
    fn verdict(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }
    fn persist(&mut self, id: WriteId, record: Record) {
        self.list.push(Effect::Persist { id, record });
    }
    fn forget(&mut self, key: Vec<u8>) {
        self.list.push(Effect::Forget(key));
    }
    fn fetch(&mut self, work: &Work, holders: &[NodeId]) {
        self.list.push(Effect::Fetch { work: work.clone(), holders: holders.to_vec() });
    }
    fn stage(&mut self, work: &Work) {
        self.list.push(Effect::Stage(work.clone()));
    }
    fn cancel(&mut self, rollout: RolloutId) {
        self.list.push(Effect::Cancel(rollout));
    }
    fn activate(&mut self, component: &ComponentName, tree: Digest) {
        self.list.push(Effect::Activate { component: component.clone(), tree });
    }
    fn revert(&mut self, component: &ComponentName, tree: Option<Digest>) {
        self.list.push(Effect::Revert { component: component.clone(), tree });
    }
    fn confirm(&mut self, component: &ComponentName, tree: Digest, keep: &[Digest]) {
        self.list.push(Effect::Confirm { component: component.clone(), tree, keep: keep.to_vec() });
    }
    fn probe(&mut self, component: &ComponentName, tree: Digest, probes: &[Probe]) {
        self.list.push(Effect::Probe { component: component.clone(), tree, probes: probes.to_vec() });
    }
    fn admit(&mut self, members: &[NodeId]) {
        self.list.push(Effect::Admit(members.to_vec()));
    }
    fn learn(&mut self, node: NodeId, addresses: &[String]) {
        self.list.push(Effect::Learn { node, addresses: addresses.to_vec() });
    }
    fn report(&mut self, event: Event) {
        self.list.push(Effect::Report(event));
    }
    fn signed(&mut self, signature: Signature) {
        self.signatures.push(signature);
    }
}
