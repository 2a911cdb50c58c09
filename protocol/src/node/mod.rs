//! The node: the core's one door.
//!
//! [`Node::handle`] takes one [`Input`] and pushes what follows into an [`Outbox`]; [`Node::next_deadline`]
//! says when to come back with `Input::Wake`. Everything else in this room is behind that door:
//!
//! | file | its job |
//! |---|---|
//! | `reader` | from bytes to facts and verified signatures, remembered where many nodes share a process |
//! | `accept` | is a fact valid |
//! | `merge` | what follows when a register rises |
//! | `tracked` | one rollout as this node follows it |
//! | `juror` | open, propose, change term, stop |
//! | `install` | stage, activate, try, confirm, revert on this machine |
//! | `beacons`, `syncing`, `relays` | news: signs of life, anti-entropy, how often a change is passed on |
//! | `inquiry` | what a juror misses it asks of another |
//! | `far` | what differs in fleets of more electors than a jury has seats |
//! | `signing`, `writes` | own facts: recovered before the first, durable before they leave |
//! | `hand` | who signs: the node's key, or what it signed when it was recorded |
//! | `keep`, `tombstones` | what is kept and for how long |
//! | `rest` | whether there is anything to look at after an input |
//! | `restore`, `report`, `sizes` | from records to a node; from a node to a status; how large it is |
//!
//! The node is level-triggered: after every input that may matter it looks at what holds now and does what is due.
//! So an effect that was lost in a crash is simply due again.

mod accept;
mod beacons;
pub mod entropy;
pub mod event;
mod far;
mod hand;
pub mod input;
mod inquiry;
mod install;
mod juror;
mod keep;
mod merge;
pub mod outbox;
pub mod reader;
pub mod record;
mod relays;
mod report;
mod rest;
mod restore;
mod signing;
mod sizes;
pub mod status;
mod syncing;
mod tombstones;
mod tracked;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::accept::Judged;
use self::beacons::{Beacons, FreezeWatch};
use self::entropy::Generator;
use self::hand::Hand;
use self::install::Component;
use self::reader::{Heard, Reader, Strict};
use self::relays::Relays;
use self::rest::Rest;
use self::signing::Signer;
use self::syncing::Syncs;
use self::tombstones::Tombstones;
use self::tracked::Tracked;
use self::writes::Writes;
use crate::bounds::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, FRAME_MAX};
use crate::facts::{BadFact, Fact, Registers, RolloutId, SignedFact};
use crate::few::{Few, FewOf};
use crate::identity::{KeyPair, NodeId, Signature};
use crate::marks::mark;
use crate::rollout::freshness::Freshness;
use crate::time::{Time, UnixSeconds};
use crate::trust::census::Members;
use crate::trust::manifest::ReleaseOrder;
use crate::trust::names::ComponentName;
use crate::trust::policy::FleetId;
use crate::trust::store::Trust;
use crate::wire::frame::Frame;

pub use entropy::Entropy;
pub use event::{Event, Refusal};
pub use input::{Input, Trouble, Via, WriteId};
pub use outbox::{DeltaStep, Outbox, Recipe, Verdict, Work};
pub use record::Record;
pub use sizes::Size;
pub use status::Status;

/// What a node is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// The fleet: digest of its first policy.
    pub fleet: FleetId,
    /// The node's own key.
    pub key: KeyPair,
    /// The components that this node has.
    pub components: BTreeSet<ComponentName>,
}

/// One node of a fleet.
pub struct Node {
    fleet: FleetId,
    hand: Hand,
    me: NodeId,
    trust: Trust,
    registers: Registers,
    rollouts: Few<RolloutId, Box<Tracked>>,
    components: Few<ComponentName, Box<Component>>,
    bindings: BTreeMap<(ComponentName, ReleaseOrder), RolloutId>,
    tombstones: Tombstones,
    freshness: Freshness,
    writes: Writes,
    signer: Signer,
    beacons: Beacons,
    syncs: Syncs,
    relays: Relays,
    links: FewOf<NodeId>,
    addresses: Vec<String>,
    wall_clock: Option<(UnixSeconds, Time)>,
    /// When a register other than a beacon last rose.
    last_change: Time,
    freeze: FreezeWatch,
    /// When the newest census came here.
    census_since: Time,
    generator: Generator,
    started: bool,
    rest: Rest,
    reader: Arc<dyn Reader>,
    /// Who is on the newest census.
    members: Arc<Members>,
    /// Whether this node is one of them.
    enrolled: bool,
}

impl Node {
    /// A node as it starts: `restored` are all records that the driver kept, in any order. What cannot be
    /// read or no longer verifies is left out; it is refused again when it arrives.
    pub fn new(config: Config, restored: Vec<Record>, entropy: Entropy) -> Self {
        Self::reading(config, restored, entropy, Arc::new(Strict))
    }

    /// As [`Node::new`], with another reader than that of production.
    pub fn reading(config: Config, restored: Vec<Record>, entropy: Entropy, reader: Arc<dyn Reader>) -> Self {
        let hand = Hand::Key(config.key);
        restore::node(config.fleet, hand, &config.components, restored, &entropy, reader)
    }

    /// The node `me` as it is played again, without its key: it signs what [`Node::recall`] hands in.
    pub(crate) fn recalling(
        fleet: FleetId,
        me: NodeId,
        components: &BTreeSet<ComponentName>,
        restored: Vec<Record>,
        entropy: Entropy,
    ) -> Self {
        restore::node(fleet, Hand::recalling(me), components, restored, &entropy, Arc::new(Strict))
    }

    /// The signatures that the node made, in their order, when it took the input that comes next.
    pub(crate) fn recall(&mut self, signatures: &[Signature]) {
        self.hand.recall(signatures);
    }

    /// Takes one input and says what follows. Total: no input makes it panic, block or fail.
    pub fn handle(&mut self, now: Time, input: Input<'_>, out: &mut impl Outbox) {
        if !self.started {
            self.started = true;
            self.start(now, out);
        }
        if !matches!(input, Input::Wake | Input::Received { .. } | Input::Probed { .. }) {
            self.rest.stir();
        }
        match input {
            Input::Wake => {}
            Input::WallClock(seconds) => self.wall_clock = Some((seconds, now)),
            Input::Received { from, via, frame } => self.receive(now, from, via, frame, out),
            Input::LinkUp(node) => {
                self.links.insert(node);
                self.linked_holder();
                self.syncs.drop_session(&node);
                self.begin_sync(now, node, out);
            }
            Input::LinkDown(node) => {
                self.links.remove(&node);
                self.syncs.drop_session(&node);
            }
            Input::Addresses(addresses) => self.addresses = bounded(addresses),
            Input::Persisted(id) => self.persisted(now, id, out),
            Input::PersistFailed(id) => {
                self.writes.failed(id, now);
                out.report(Event::PersistFailed);
            }
            Input::Stored { rollout, outcome } => self.stored(now, rollout, outcome, out),
            Input::Staged { rollout, outcome } => self.staged(now, rollout, outcome, out),
            Input::Activated { component, tree, outcome } => {
                self.activated(now, &component, tree, outcome, out);
            }
            Input::Probed { component, tree, report } => self.probed(&component, tree, &report, out),
            Input::Submitted(signed) => self.submitted(now, &signed, out),
        }
        if self.rest.take_unread() || self.rest.is_stale() {
            self.refresh(now, out);
        }
        if self.rest.is_stale() {
            self.rest_until_due(now);
        }
        if self.rest.is_over(now) {
            self.settle(now, out);
            self.rest_until_due(now);
        }
    }

    /// When to call `handle` with `Input::Wake`, unless another input comes before. Replaces what it said before.
    pub fn next_deadline(&self) -> Option<Time> {
        self.rest.deadline()
    }

    fn due(&self) -> Option<Time> {
        let mut due = Time(u64::MAX);
        let mut at = |time: Option<Time>| due = time.map_or(due, |time| time.min(due));
        for tracked in self.rollouts.values() {
            at((!tracked.ended()).then_some(tracked.look_at));
            at(tracked.install.deadline);
        }
        for component in self.components.values() {
            at(component.start_again_at);
        }
        at(self.beacons.deadline());
        at(self.syncs.deadline());
        at(self.relays.deadline());
        at(self.writes.deadline());
        Some(due).filter(|due| *due < Time(u64::MAX))
    }

    /// Works out when time alone will make something due. For some of it nobody need wake this node.
    fn rest_until_due(&mut self, now: Time) {
        let look = self.freeze.next_look().min(self.next_put_away(now));
        self.rest.until(self.due(), look);
    }

    fn start(&mut self, now: Time, out: &mut impl Outbox) {
        self.last_change = now;
        self.census_since = now;
        for tracked in self.rollouts.values_mut() {
            (tracked.watch.since, tracked.watch.led_since) = (now, now);
        }
        self.freeze.start(now);
        self.syncs.start(now);
        self.admit_members(out);
        self.resume_components(now, out);
    }

    /// Does what is due, until nothing is.
    fn settle(&mut self, now: Time, out: &mut impl Outbox) {
        self.writes.retry(now, out);
        self.keep_unsaved(out);
        self.start_again(now, out);
        self.recover(now, out);
        self.refresh(now, out);
        self.collect(now, out);
        let mut last = None;
        while let Some(id) = self.rollout_after(last) {
            self.look_as_juror(id, now, out);
            last = Some(id);
        }
        let mut last = None;
        while let Some(id) = self.rollout_after(last) {
            self.drive_install(id, now, out);
            last = Some(id);
        }
        self.beacon_if_due(now, out);
        self.watch_for_freeze(now, out);
        self.sync_if_due(now, out);
        self.relay_if_due(now, out);
    }

    /// The next rollout by name.
    fn rollout_after(&self, last: Option<RolloutId>) -> Option<RolloutId> {
        self.rollouts.key_after(last.as_ref()).copied()
    }

    fn receive(&mut self, now: Time, from: NodeId, via: Via, bytes: &[u8], out: &mut impl Outbox) {
        let verdict = match self.reader.frame(self.fleet, bytes) {
            Ok(_) if via == Via::Gossip && bytes.len() > FRAME_MAX => Verdict::Refused(Refusal::BadFrame),
            Ok(Heard::Gossip(fact)) => self.gossiped(now, from, fact, out),
            Ok(Heard::Direct(frame)) if via == Via::Direct => {
                self.synced(now, from, &frame, out);
                Verdict::Known
            }
            Ok(_) | Err(_) => Verdict::Refused(Refusal::BadFrame),
        };
        if let Verdict::Refused(why) = verdict {
            out.report(Event::Refused { from: Some(from), why });
        }
        out.verdict(verdict);
    }

    fn gossiped(
        &mut self,
        now: Time,
        from: NodeId,
        fact: Result<Arc<Fact>, BadFact>,
        out: &mut impl Outbox,
    ) -> Verdict {
        match self.judge_read(fact) {
            Ok(Judged::Known) => Verdict::Known,
            Ok(Judged::Rises(fact)) => {
                self.take(now, &fact, out);
                let relayed = self.registers.relayed_mut(&fact.key);
                if relayed.is_none_or(|relayed| self.relays.may_pass(&fact, relayed, now)) {
                    return Verdict::Accepted;
                }
                // It is owed, at a time.
                self.rest.retime();
                Verdict::Known
            }
            Err(why) => {
                if why == Refusal::MissingParent {
                    mark!(MissingParent);
                    self.begin_extra_sync(now, from, out);
                }
                Verdict::Refused(why)
            }
        }
    }

    fn submitted(&mut self, now: Time, signed: &SignedFact, out: &mut impl Outbox) {
        let verdict = match self.judge(signed) {
            Ok(Judged::Known) => Verdict::Known,
            Ok(Judged::Rises(fact)) => {
                self.take(now, &fact, out);
                self.publish(signed, out);
                Verdict::Accepted
            }
            Err(why) => {
                out.report(Event::Refused { from: None, why });
                Verdict::Refused(why)
            }
        };
        out.verdict(verdict);
    }

    fn relay_if_due(&mut self, now: Time, out: &mut impl Outbox) {
        for key in self.relays.due(now) {
            if let Some(fact) = self.registers.get(&key) {
                let signed = fact.signed.clone();
                self.publish(&signed, out);
            }
        }
    }
}

fn bounded(addresses: Vec<String>) -> Vec<String> {
    let fits = |a: &String| {
        (1..=ADDRESS_BYTES_MAX).contains(&a.len()) && a.bytes().all(|byte| byte.is_ascii_graphic())
    };
    addresses.into_iter().filter(fits).take(ADDRESSES_MAX).collect()
}
