//! What the world holds and tells: a trace, or nothing.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, Say, SignedFact, Statement, VoteState};
use groundswell_protocol::node::event::Event;
use groundswell_protocol::node::{Input, Record, Via};
use groundswell_protocol::wire::frame::Frame;

use super::Trace;
use super::causes::Heard;
use super::traffic::{Kind, gossiped_body, kind};
use crate::checkers::Violation;
use crate::generator::fold;
use crate::machine::effects::Effect;
use crate::world::queue::Moment;

/// The lane of what people do: publish, order.
pub const PEOPLE: &str = "people";

/// The lane of links that carry nothing.
pub const PARTITION: &str = "partition";

/// Beacons that are followed at one time.
const BEACONS_MAX: usize = 256;
/// A followed beacon makes room for another after this: the overlay has carried it everywhere by then.
const BEACON_MILLISECONDS: u64 = 30_000;

/// A trace, or nothing.
#[derive(Default)]
pub struct Recorder(Option<Box<Recording>>);

struct Recording {
    trace: Trace,
    beacons: BTreeMap<u64, Moment>,
    followed: VecDeque<(Moment, u64)>,
}

/// A fact's name here: only for finding it again.
fn name(body: &[u8]) -> u64 {
    fold(0, body)
}

/// How telling a fact is, where several come in one frame.
fn weight(statement: &Statement) -> u8 {
    match statement {
        Statement::Ballot(ballot) if matches!(ballot.say, Say::Stop(_)) => 5,
        Statement::Command(_) => 5,
        Statement::Vote(vote) if matches!(vote.state, VoteState::Failed(_)) => 4,
        Statement::Propose(_) | Statement::Ballot(_) => 3,
        Statement::Vote(_) => 2,
        Statement::Manifest(_) => 1,
        Statement::Policy(_) | Statement::Census(_) | Statement::Beacon(_) => 0,
    }
}

fn body_kind(body: &[u8]) -> Kind {
    match body.first() {
        Some(1 | 2) => Kind::Trust,
        Some(3) => Kind::Manifest,
        Some(4) => Kind::Vote,
        Some(5) => Kind::Ballot,
        Some(6) => Kind::Proposal,
        Some(7) => Kind::Command,
        Some(8) => Kind::Beacon,
        _ => Kind::Unknown,
    }
}

impl Recorder {
    /// Records into `trace`.
    pub fn of(trace: Trace) -> Self {
        Self(Some(Box::new(Recording { trace, beacons: BTreeMap::new(), followed: VecDeque::new() })))
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A machine's core gets an input.
    #[inline]
    pub fn input(&mut self, now: Moment, node: u32, input: &Input<'_>) {
        if let Some(recording) = &mut self.0 {
            recording.input(now, node, input);
        }
    }

    /// The core decided something; before it is performed.
    #[inline]
    pub fn effect(&mut self, now: Moment, node: u32, effect: &Effect) {
        if let Some(recording) = &mut self.0 {
            recording.effect(now, node, effect);
        }
    }

    /// The input is dealt with.
    #[inline]
    pub fn dealt(&mut self, now: Moment, node: u32) {
        if let Some(recording) = &mut self.0 {
            recording.trace.dealt(now, node);
        }
    }

    /// A frame is put on its way to one machine.
    #[inline]
    pub fn frame(&mut self, now: Moment, frame: &[u8]) {
        if let Some(recording) = &mut self.0 {
            let bucket = recording.trace.bucket(now);
            recording.trace.traffic.frame(bucket, frame);
        }
    }

    /// The overlay itself says something of so many bytes.
    #[inline]
    pub fn announced(&mut self, now: Moment, bytes: u64) {
        if let Some(recording) = &mut self.0 {
            let bucket = recording.trace.bucket(now);
            recording.trace.traffic.announced(bucket, bytes);
        }
    }

    /// Bytes of a release are put on their way to one machine.
    #[inline]
    pub fn payload(&mut self, now: Moment, bytes: u64, from_publisher: bool) {
        if let Some(recording) = &mut self.0 {
            let bucket = recording.trace.bucket(now);
            recording.trace.traffic.payload(bucket, bytes, from_publisher);
        }
    }

    /// A machine gets power, or loses it.
    #[inline]
    pub fn power(&mut self, now: Moment, node: u32, on: bool) {
        if let Some(recording) = &mut self.0 {
            recording.trace.power(now, node, on);
        }
    }

    /// This tree runs on a machine from now on; with `None` nothing does.
    #[inline]
    pub fn runs(&mut self, now: Moment, node: u32, tree: Option<Digest>) {
        if let Some(recording) = &mut self.0 {
            let trace = &mut recording.trace;
            let bucket = trace.bucket(now);
            let release = tree.and_then(|tree| trace.names.trees.get(&tree).copied());
            trace.runs_release(bucket, node, release);
        }
    }

    /// A fault begins: its lane, the machine that it befalls (`None`: the world), and what it is.
    #[inline]
    pub fn began(&mut self, now: Moment, lane: &'static str, node: Option<u32>, words: impl Display) {
        if let Some(recording) = &mut self.0 {
            recording.trace.faults.began(now, lane, node, &words);
            recording.trace.causes.befalls(now, node, words.to_string(), lane == PEOPLE);
        }
    }

    /// The faults of a lane end: those of one machine, or with `None` all of them.
    #[inline]
    pub fn ended(&mut self, now: Moment, lane: &'static str, node: Option<u32>) {
        if let Some(recording) = &mut self.0 {
            recording.trace.faults.ended(now, lane, node);
        }
    }

    /// A step of the scenario begins a fault, which [`Self::ended_by`] of the same step ends.
    #[inline]
    pub fn began_by(
        &mut self,
        step: usize,
        now: Moment,
        lane: &'static str,
        node: Option<u32>,
        words: impl Display,
    ) {
        if let Some(recording) = &mut self.0 {
            recording.trace.faults.began_by(Some(step), now, lane, node, &words);
            recording.trace.causes.befalls(now, node, words.to_string(), false);
        }
    }

    /// The fault that a step began ends.
    #[inline]
    pub fn ended_by(&mut self, step: usize, now: Moment) {
        if let Some(recording) = &mut self.0 {
            recording.trace.faults.ended_by(step, now);
        }
    }

    /// Something happens in an instant: a release is handed in, an operator speaks.
    #[inline]
    pub fn marked(&mut self, now: Moment, lane: &'static str, node: Option<u32>, words: impl Display) {
        if let Some(recording) = &mut self.0 {
            recording.trace.faults.marked(now, lane, node, &words);
            recording.trace.causes.befalls(now, node, words.to_string(), lane == PEOPLE);
        }
    }

    /// These are the breaches so far.
    #[inline]
    pub fn judged(&mut self, breaches: &[Violation]) {
        if let Some(recording) = &mut self.0
            && recording.trace.breaches_seen < breaches.len()
        {
            recording.trace.breached(breaches);
        }
    }

    /// The run is over.
    pub fn finish(self, now: Moment) -> Option<Trace> {
        let mut trace = self.0?.trace;
        trace.bucket(now);
        trace.ended = now;
        Some(trace)
    }
}

impl Trace {
    fn dealt(&mut self, _now: Moment, node: u32) {
        if !self.causes.dealt() {
            return;
        }
        let goal = self.journeys.get(self.goal);
        let stopped = goal.is_some_and(|journey| {
            !journey.stops.is_empty() || journey.end.as_ref().is_some_and(|end| end.stopped.is_some())
        });
        if stopped && !self.stop_told {
            self.stop_told = true;
            self.end_told = true;
            let title = format!("What led to the first stop, on machine {node}");
            self.chains.push(self.causes.chain(title, true, Some(node)));
        } else if !self.end_told && goal.is_some_and(|journey| journey.end.is_some()) {
            self.end_told = true;
            let title = format!("What led to the end, on machine {node}");
            self.chains.push(self.causes.chain(title, false, Some(node)));
        }
    }

    /// The first breach gets its chain, before all others.
    fn breached(&mut self, breaches: &[Violation]) {
        let first = self.breaches_seen == 0;
        self.breaches_seen = breaches.len();
        if let Some(breach) = breaches.first().filter(|_| first) {
            // A breach of the whole fleet has no machine to begin at.
            let begins = if breach.machine.is_some() { "What led to" } else { "What changed last before" };
            let title = format!("{begins} the breach of {:?}: {}", breach.property, breach.what);
            self.chains.insert(0, self.causes.chain(super::faults::clipped(&title), true, breach.machine));
        }
    }
}

impl Recording {
    fn input(&mut self, now: Moment, node: u32, input: &Input<'_>) {
        let heard = match input {
            Input::Received { from, via, frame } => {
                let from = self.trace.names.place(*from).unwrap_or(node);
                match via {
                    Via::Gossip => self.gossip_arrives(now, from, frame),
                    Via::Direct => self.frame_arrives(now, from, frame),
                }
            }
            other => Heard::Own(self.words(other)),
        };
        self.trace.causes.hears(now, node, heard);
    }

    fn gossip_arrives(&mut self, now: Moment, from: u32, frame: &[u8]) -> Heard {
        let kind = kind(frame);
        let Some(body) = gossiped_body(frame) else { return Heard::Frame(kind, from) };
        let name = name(body);
        let latency = &mut self.trace.latency;
        if kind == Kind::Beacon {
            if let Some(sent) = self.beacons.get(&name) {
                latency.beacons.count(now.0.saturating_sub(sent.0));
            }
            return Heard::Frame(kind, from);
        }
        let Some(origin) = self.trace.causes.origin(name) else { return Heard::Frame(kind, from) };
        let histogram = match kind {
            Kind::Vote => &mut latency.votes,
            Kind::Ballot | Kind::Proposal => &mut latency.decisions,
            _ => &mut latency.papers,
        };
        histogram.count(now.0.saturating_sub(origin.at.0));
        Heard::Fact { name, from, by_sync: false }
    }

    fn frame_arrives(&mut self, now: Moment, from: u32, frame: &[u8]) -> Heard {
        let kind = kind(frame);
        let Some(facts) = facts_of(kind, frame) else { return Heard::Frame(kind, from) };
        let mut best: Option<(u8, Moment, u64)> = None;
        for fact in &facts {
            let name = name(&fact.body);
            let Some(origin) = self.trace.causes.origin(name).filter(|o| o.kind != Kind::Beacon) else {
                continue;
            };
            self.trace.latency.synced.count(now.0.saturating_sub(origin.at.0));
            best = best.max(Some((origin.weight, origin.at, name)));
        }
        best.map_or(Heard::Frame(kind, from), |(_, _, name)| Heard::Fact { name, from, by_sync: true })
    }

    fn words(&self, input: &Input<'_>) -> String {
        let ended = |what: &str, outcome: &Result<(), groundswell_protocol::node::Trouble>| match outcome {
            Ok(()) => what.to_owned(),
            Err(trouble) => format!("{what}: {}", trouble.words()),
        };
        match input {
            Input::Wake => "its deadline has come".to_owned(),
            Input::WallClock(_) => "the clock on the wall".to_owned(),
            Input::Received { .. } => "a frame".to_owned(),
            Input::LinkUp(peer) => format!("a link to {} is up", self.trace.names.machine(*peer)),
            Input::LinkDown(peer) => format!("the link to {} is gone", self.trace.names.machine(*peer)),
            Input::Addresses(_) => "its addresses".to_owned(),
            Input::Persisted(_) => "what it wrote is durable".to_owned(),
            Input::PersistFailed(_) => "its disk refused a write".to_owned(),
            Input::Stored { outcome, .. } => ended("the bytes are here", outcome),
            Input::Staged { outcome, .. } => ended("the tree is built", outcome),
            Input::Activated { outcome, .. } => ended("the switch is done", outcome),
            Input::Probed { .. } => "its probes report".to_owned(),
            Input::Submitted(_) => "a signed document is handed in".to_owned(),
        }
    }

    fn effect(&mut self, now: Moment, node: u32, effect: &Effect) {
        match effect {
            Effect::Broadcast(frame) => self.says(now, node, frame.bytes(), true),
            Effect::Send(_, frame) => self.says(now, node, frame.bytes(), false),
            Effect::Persist(_, record) => self.writes(node, record),
            Effect::Report(event) => self.reports(now, node, event),
            _ => {}
        }
    }

    fn reports(&mut self, now: Moment, node: u32, event: &Event) {
        self.trace.reported(now, node, event);
    }

    /// A node decides what to sign: it writes it down before it says it.
    fn writes(&mut self, node: u32, record: &Record) {
        let Record::Fact(signed) = record else { return };
        if !self.is_by(node, signed) || body_kind(&signed.body) == Kind::Beacon {
            return;
        }
        if let Ok((_, statement)) = Fact::read_body(&signed.body, None) {
            let words = format!("signs its {}", self.trace.names.statement(&statement));
            self.trace.causes.does(words);
        }
    }

    fn is_by(&self, node: u32, signed: &SignedFact) -> bool {
        let me = self.trace.names.nodes.get(node as usize);
        matches!(signed.signatures.as_slice(), [one] if Some(&one.key) == me)
    }

    fn says(&mut self, now: Moment, node: u32, frame: &[u8], gossip: bool) {
        let kind = kind(frame);
        if kind == Kind::Beacon && gossip {
            return self.follow_beacon(now, frame);
        }
        if kind.is_gossip() {
            let known =
                gossiped_body(frame).is_some_and(|body| self.trace.causes.origin(name(body)).is_some());
            if !known && let Ok(Frame::Gossip(fact)) = Frame::decode(frame) {
                self.says_first(&fact);
            }
        } else if let Some(facts) = facts_of(kind, frame) {
            for fact in &facts {
                if self.is_by(node, fact) && self.trace.causes.origin(name(&fact.body)).is_none() {
                    self.says_first(fact);
                }
            }
        }
    }

    fn says_first(&mut self, fact: &SignedFact) {
        let kind = body_kind(&fact.body);
        if kind == Kind::Beacon {
            return;
        }
        if let Ok((_, statement)) = Fact::read_body(&fact.body, None) {
            let words = self.trace.names.statement(&statement);
            self.trace.causes.says(name(&fact.body), kind, weight(&statement), words);
        }
    }

    fn follow_beacon(&mut self, now: Moment, frame: &[u8]) {
        if self.followed.len() >= BEACONS_MAX {
            let Some((since, _)) = self.followed.front() else { return };
            if now.milliseconds_since(*since) < BEACON_MILLISECONDS {
                return;
            }
            if let Some((_, oldest)) = self.followed.pop_front() {
                self.beacons.remove(&oldest);
            }
        }
        if let Some(body) = gossiped_body(frame) {
            let name = name(body);
            if self.beacons.insert(name, now).is_none() {
                self.followed.push_back((now, name));
            }
        }
    }
}

/// The facts of a frame that carries several.
fn facts_of(kind: Kind, frame: &[u8]) -> Option<Vec<SignedFact>> {
    if kind != Kind::Facts {
        return None;
    }
    match Frame::decode(frame) {
        Ok(Frame::Facts { facts, .. }) => Some(facts),
        _ => None,
    }
}
