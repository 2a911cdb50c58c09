//! An outbox that writes down what it is told.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::{Event, Outbox, Record, Verdict, Work, WriteId};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::probe::Probe;

/// One call of the core on its outbox.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Send(NodeId, Vec<u8>),
    Broadcast(Vec<u8>),
    Verdict(Verdict),
    Persist(WriteId, Record),
    Forget(Vec<u8>),
    Fetch(Work),
    Stage(Work),
    Cancel,
    Activate(ComponentName, Digest),
    Revert(ComponentName, Option<Digest>),
    Confirm,
    Probe(ComponentName, Digest),
    Report(Event),
}

/// The effects of one or more inputs, in order.
#[derive(Default)]
pub(crate) struct Effects(pub(crate) Vec<Effect>);

impl Effects {
    /// The verdict among them.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.0.iter().find_map(|effect| match effect {
            Effect::Verdict(verdict) => Some(verdict.clone()),
            _ => None,
        })
    }

    /// The frames among them, whoever they are for.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter_map(|effect| match effect {
            Effect::Send(_, frame) | Effect::Broadcast(frame) => Some(frame.as_slice()),
            _ => None,
        })
    }

    /// The events among them.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.0.iter().filter_map(|effect| match effect {
            Effect::Report(event) => Some(event),
            _ => None,
        })
    }
}

impl Outbox for Effects {
    fn send(&mut self, to: NodeId, frame: Vec<u8>) {
        self.0.push(Effect::Send(to, frame));
    }
    fn broadcast(&mut self, frame: Vec<u8>) {
        self.0.push(Effect::Broadcast(frame));
    }
    fn verdict(&mut self, verdict: Verdict) {
        assert!(self.verdict_is_first(), "one verdict an input");
        self.0.push(Effect::Verdict(verdict));
    }
    fn persist(&mut self, id: WriteId, record: Record) {
        self.0.push(Effect::Persist(id, record));
    }
    fn forget(&mut self, key: Vec<u8>) {
        assert!(key.len() <= 128, "keys of records are short");
        self.0.push(Effect::Forget(key));
    }
    fn fetch(&mut self, work: &Work, _holders: &[NodeId]) {
        self.0.push(Effect::Fetch(work.clone()));
    }
    fn stage(&mut self, work: &Work) {
        self.0.push(Effect::Stage(work.clone()));
    }
    fn cancel(&mut self, _rollout: RolloutId) {
        self.0.push(Effect::Cancel);
    }
    fn activate(&mut self, component: &ComponentName, tree: Digest) {
        self.0.push(Effect::Activate(component.clone(), tree));
    }
    fn revert(&mut self, component: &ComponentName, tree: Option<Digest>) {
        self.0.push(Effect::Revert(component.clone(), tree));
    }
    fn confirm(&mut self, _component: &ComponentName, tree: Digest, keep: &[Digest]) {
        assert!(keep.contains(&tree), "the anchor is kept");
        self.0.push(Effect::Confirm);
    }
    fn probe(&mut self, component: &ComponentName, tree: Digest, _probes: &[Probe]) {
        self.0.push(Effect::Probe(component.clone(), tree));
    }
    fn admit(&mut self, _members: &[NodeId]) {}
    fn learn(&mut self, _node: NodeId, _addresses: &[String]) {}
    fn report(&mut self, event: Event) {
        self.0.push(Effect::Report(event));
    }
}

impl Effects {
    fn verdict_is_first(&self) -> bool {
        self.verdict().is_none()
    }
}
