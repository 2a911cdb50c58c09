//! The simulator's outbox: the core's decisions as data, in the order in which it made them.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::input::WriteId;
use groundswell_protocol::node::{Event, Outbox, Record, Verdict, Work};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::probe::Probe;

use super::message::{Message, Payload};

/// One decision of the core.
#[derive(Clone, Debug)]
pub enum Effect {
    /// See `Outbox::send`.
    Send(NodeId, Payload),
    /// See `Outbox::broadcast`.
    Broadcast(Payload),
    /// See `Outbox::verdict`.
    Verdict(Verdict),
    /// See `Outbox::persist`.
    Persist(WriteId, Record),
    /// See `Outbox::forget`.
    Forget(Vec<u8>),
    /// See `Outbox::fetch`.
    Fetch(Box<Work>, Vec<NodeId>),
    /// See `Outbox::stage`.
    Stage(Box<Work>),
    /// See `Outbox::cancel`.
    Cancel(RolloutId),
    /// See `Outbox::activate`.
    Activate(ComponentName, Digest),
    /// See `Outbox::revert`.
    Revert(ComponentName, Option<Digest>),
    /// See `Outbox::confirm`.
    Confirm(ComponentName, Digest, Vec<Digest>),
    /// See `Outbox::probe`.
    Probe(ComponentName, Digest, Vec<Probe>),
    /// See `Outbox::report`.
    Report(Event),
}

/// The effects of `handle` calls; emptied and used again.
pub struct Effects {
    /// In the order in which they were decided.
    pub all: Vec<Effect>,
    /// Frames that were sent lately, by their names: the name alone until it comes a second time, so that those of which
    /// there is but one are let go of when they have come.
    sent: Vec<(u64, Option<Payload>)>,
}

/// Frames that are remembered, a power of two. Those of a fleet that starts or rests are nearly all the same; when half
/// a fleet is opened at once each juror tells thousands of machines the same news of itself, and has a second's worth
/// of them on its line.
const SENT_REMEMBERED: usize = 1024;
/// Of so many bytes at most.
const SENT_BYTES_MAX: usize = 1024;

impl Default for Effects {
    fn default() -> Self {
        Self { all: Vec::new(), sent: vec![(0, None); SENT_REMEMBERED] }
    }
}

impl Effects {
    /// A frame to one machine. Of small ones that many machines send the bytes are held, and read, once.
    fn direct(&mut self, frame: Vec<u8>) -> Payload {
        let message = Message::new(frame);
        if message.bytes().len() > SENT_BYTES_MAX {
            return message;
        }
        let place = usize::try_from(message.id() % SENT_REMEMBERED as u64).unwrap_or(0);
        let (name, known) = &mut self.sent[place];
        if *name != message.id() {
            (*name, *known) = (message.id(), None);
            return message;
        }
        match known {
            Some(known) if known.bytes() == message.bytes() => Payload::clone(known),
            _ => {
                *known = Some(Payload::clone(&message));
                message
            }
        }
    }
}

impl Outbox for Effects {
    fn send(&mut self, to: NodeId, frame: Vec<u8>) {
        // One frame to many: it is held once.
        let frame = match self.all.last() {
            Some(Effect::Send(_, last)) if last.bytes() == frame => Payload::clone(last),
            _ => self.direct(frame),
        };
        self.all.push(Effect::Send(to, frame));
    }

    fn send_all(&mut self, to: impl Iterator<Item = NodeId>, frame: Vec<u8>) {
        let frame = Message::new(frame);
        self.all.extend(to.map(|to| Effect::Send(to, Payload::clone(&frame))));
    }

    fn broadcast(&mut self, frame: Vec<u8>) {
        self.all.push(Effect::Broadcast(Message::new(frame)));
    }

    fn verdict(&mut self, verdict: Verdict) {
        self.all.push(Effect::Verdict(verdict));
    }

    fn persist(&mut self, id: WriteId, record: Record) {
        self.all.push(Effect::Persist(id, record));
    }

    fn forget(&mut self, key: Vec<u8>) {
        self.all.push(Effect::Forget(key));
    }

    fn fetch(&mut self, work: &Work, holders: &[NodeId]) {
        self.all.push(Effect::Fetch(Box::new(work.clone()), holders.to_vec()));
    }

    fn stage(&mut self, work: &Work) {
        self.all.push(Effect::Stage(Box::new(work.clone())));
    }

    fn cancel(&mut self, rollout: RolloutId) {
        self.all.push(Effect::Cancel(rollout));
    }

    fn activate(&mut self, component: &ComponentName, tree: Digest) {
        self.all.push(Effect::Activate(component.clone(), tree));
    }

    fn revert(&mut self, component: &ComponentName, tree: Option<Digest>) {
        self.all.push(Effect::Revert(component.clone(), tree));
    }

    fn confirm(&mut self, component: &ComponentName, tree: Digest, keep: &[Digest]) {
        self.all.push(Effect::Confirm(component.clone(), tree, keep.to_vec()));
    }

    fn probe(&mut self, component: &ComponentName, tree: Digest, probes: &[Probe]) {
        self.all.push(Effect::Probe(component.clone(), tree, probes.to_vec()));
    }

    // Links need no addresses here, and every machine of a run is a member or an adversary that the
    // core must cope with: neither call has anything to do.
    fn admit(&mut self, _members: &[NodeId]) {}
    fn learn(&mut self, _node: NodeId, _addresses: &[String]) {}

    fn report(&mut self, event: Event) {
        self.all.push(Effect::Report(event));
    }
}
