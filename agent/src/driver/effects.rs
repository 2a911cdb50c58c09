//! What one `handle` call asks for, kept in order until the driver performs it.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::{Event, Outbox, Record, Verdict, Work, WriteId};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::probe::Probe;

/// One thing to do.
#[derive(Debug)]
pub(super) enum Effect {
    Send { to: NodeId, frame: Vec<u8> },
    Broadcast(Vec<u8>),
    Persist { id: WriteId, record: Record },
    Forget(Vec<u8>),
    Fetch { work: Work, holders: Vec<NodeId> },
    Stage(Work),
    Cancel(RolloutId),
    Activate { component: ComponentName, tree: Digest },
    Revert { component: ComponentName, tree: Option<Digest> },
    Confirm { component: ComponentName, tree: Digest, keep: Vec<Digest> },
    Probe { component: ComponentName, tree: Digest, probes: Vec<Probe> },
    Admit(Vec<NodeId>),
    Learn { node: NodeId, addresses: Vec<String> },
    Report(Event),
}

/// Collects the effects of one `handle` call.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) list: Vec<Effect>,
    pub(super) verdict: Option<Verdict>,
}

impl Effects {
    /// The last write that was asked for.
    pub(super) fn last_write(&self) -> Option<WriteId> {
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
}
