//! The referees: they see everything, and judge every effect before the world performs it.
//!
//! They keep their own books and trust no node's word on itself. The numbers of the properties are
//! those of the design: S for what must never happen, L for what must happen in the end.
//!
//! | file | what it knows |
//! |---|---|
//! | `property` | the properties, and what a breach says |
//! | `release` | who counts, how far votes and ballots let a juror go |
//! | `shadow` | every statement that a node ever signed |
//! | `slots` | switches: forward, back, and what is let go of |
//! | `news` | what a machine heard before it switched |
//! | `progress` | what must go on while nothing around it changes |
//! | `impossible` | why it cannot |

pub mod impossible;
mod news;
pub mod progress;
mod property;
mod release;
pub mod shadow;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use groundswell_protocol::bounds::JURY_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, RolloutId, Say, SignedFact, Statement};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::reader::{Heard, Reader as _};
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::{Event, Record, Size};
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::manifest::ReleaseOrder;
use groundswell_protocol::trust::policy::FleetId;
use groundswell_protocol::wire::frame::Frame;

use crate::fleet::{Fleet, Release};
use crate::machine::message::Payload;
use crate::machine::reader::Remembering;
use crate::world::queue::Moment;
use news::News;
pub use property::{Property, Violation};
use release::Known;
use shadow::Shadow;

/// Breaches that are kept; what follows the first ones says little.
const VIOLATIONS_MAX: usize = 32;

/// What one machine knows of one release, and how far it has come: by what it reported and kept.
#[derive(Clone)]
struct Part {
    /// It knows the manifest.
    met: bool,
    /// Since when, in this life.
    since: Moment,
    /// It said so in this life: it is not to say so again.
    reported: bool,
    /// It has put it away, or given up its bytes: nothing more of it is looked at.
    gone: bool,
    stopped: bool,
    /// It knows a stop that its disk must show as soon as the disk is at rest.
    unsaved: bool,
    done: bool,
    /// The last pause or resume that it knows.
    flow: (u32, bool),
    hold: (Hold, Moment),
    news: Option<News>,
    /// It has switched to it before: another start inside the trial asks nobody again.
    tried: bool,
}

impl Part {
    fn new(now: Moment) -> Self {
        Self {
            met: false,
            since: now,
            reported: false,
            gone: false,
            stopped: false,
            unsaved: false,
            done: false,
            flow: (0, false),
            hold: (Hold::WaitingForHealth, now),
            news: None,
            tried: false,
        }
    }
}

/// What a disk's records show of a release.
#[derive(Clone, Copy, Default)]
struct Shown {
    manifest: bool,
    stops: usize,
    stopped: bool,
    flow: (u32, bool),
}

/// The referees.
pub struct Referees {
    releases: BTreeMap<RolloutId, Known>,
    nodes: Vec<NodeId>,
    liars: BTreeSet<u32>,
    /// Machines whose clocks count otherwise.
    bent: BTreeSet<u32>,
    /// When each machine last started, and when it last sent a beacon that rose.
    started: BTreeMap<u32, Moment>,
    beacons: BTreeMap<u32, Moment>,
    /// Until when links were bad.
    links_bad: Moment,
    /// Whether gossip tells all of every beacon.
    gossip: bool,
    fleet: FleetId,
    reader: Arc<Remembering>,
    shadow: Shadow,
    /// What was last let go of, and by whom: a frame that goes to many is judged once.
    last_sent: Option<(Moment, u32, Payload)>,
    parts: BTreeMap<(u32, RolloutId), Part>,
    /// Stages that must end, and since when.
    moving: BTreeMap<(u32, RolloutId), (Stage, Moment)>,
    /// Machines whose frames are looked at, because they are about to switch.
    listening: Vec<bool>,
    /// Machines that know of a stop which their disk does not show yet.
    unsaved: BTreeSet<u32>,
    began_from: BTreeMap<(u32, Digest), Option<Digest>>,
    anchors: BTreeMap<u32, Digest>,
    /// The trial that a machine's disk shows: its tree and the starts inside it.
    trials: BTreeMap<u32, (Digest, u8)>,
    activated: BTreeMap<ReleaseOrder, RolloutId>,
    bound: BTreeMap<(u32, ReleaseOrder), RolloutId>,
    /// What was said once and is not said again for the machine.
    said_once: BTreeSet<(Property, Option<u32>)>,
    violations: Vec<Violation>,
}

impl Referees {
    /// Referees of a fleet; `liars` are excused from everything that they say.
    pub fn new(fleet: &Fleet, releases: &[Release], liars: BTreeSet<u32>, reader: Arc<Remembering>) -> Self {
        Self {
            releases: releases.iter().map(|r| (r.rollout, Known::new(r))).collect(),
            nodes: fleet.nodes.clone(),
            liars,
            bent: BTreeSet::new(),
            started: BTreeMap::new(),
            beacons: BTreeMap::new(),
            links_bad: Moment::default(),
            gossip: true,
            fleet: fleet.id,
            reader,
            shadow: Shadow::default(),
            last_sent: None,
            parts: BTreeMap::new(),
            moving: BTreeMap::new(),
            listening: vec![false; fleet.nodes.len()],
            unsaved: BTreeSet::new(),
            began_from: BTreeMap::new(),
            anchors: BTreeMap::new(),
            trials: BTreeMap::new(),
            activated: BTreeMap::new(),
            bound: BTreeMap::new(),
            said_once: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    /// The same of a fleet in which gossip carries nothing, unless `gossip`.
    pub fn gossiping(self, gossip: bool) -> Self {
        Self { gossip, ..self }
    }

    /// The breaches so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Notes a breach.
    pub fn breach(&mut self, now: Moment, property: Property, machine: Option<u32>, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { property, at_ms: now.as_milliseconds(), machine, what });
        }
    }

    /// Notes a breach that is seen again at every look, once.
    fn breach_once(&mut self, now: Moment, property: Property, machine: Option<u32>, what: String) {
        if self.said_once.insert((property, machine)) {
            self.breach(now, property, machine, what);
        }
    }

    fn part(&mut self, now: Moment, place: u32, rollout: RolloutId) -> &mut Part {
        self.parts.entry((place, rollout)).or_insert_with(|| Part::new(now))
    }

    /// A machine lets a frame go.
    pub fn sent(&mut self, now: Moment, place: u32, frame: &Payload) {
        let is_again =
            |(at, by, last): &(Moment, u32, Payload)| *at == now && *by == place && Arc::ptr_eq(last, frame);
        let again = self.last_sent.as_ref().is_some_and(is_again);
        if again || self.liars.contains(&place) {
            return;
        }
        self.last_sent = Some((now, place, Payload::clone(frame)));
        match self.reader.heard(self.fleet, frame) {
            Ok(Heard::Gossip(Ok(fact))) => self.sent_fact(now, place, &fact),
            Ok(Heard::Gossip(Err(error))) => {
                let what = format!("gossips what is no fact: {error}");
                self.breach(now, Property::S7, Some(place), what);
            }
            Ok(Heard::Direct(frame)) => match &*frame {
                Frame::Digest { beacon: Some(fact), .. } => self.sent_signed(now, place, fact),
                Frame::Facts { facts, .. } => {
                    for fact in facts {
                        self.sent_signed(now, place, fact);
                    }
                }
                _ => {}
            },
            Err(error) => {
                let what = format!("sends what nobody can read: {error}");
                self.breach(now, Property::S7, Some(place), what);
            }
        }
    }

    fn is_own(&self, place: u32, signed: &SignedFact) -> bool {
        matches!(signed.signatures.as_slice(), [one] if one.key == self.nodes[place as usize])
    }

    fn sent_signed(&mut self, now: Moment, place: u32, signed: &SignedFact) {
        if !self.is_own(place, signed) {
            return;
        }
        match self.reader.fact(self.fleet, signed) {
            Ok(fact) => self.sent_fact(now, place, &fact),
            Err(error) => {
                self.breach(now, Property::S7, Some(place), format!("signs what nobody accepts: {error}"));
            }
        }
    }

    fn sent_fact(&mut self, now: Moment, place: u32, fact: &Arc<Fact>) {
        if !self.is_own(place, &fact.signed) {
            return;
        }
        match self.shadow.sent(place, fact) {
            Ok(new) => {
                if matches!(fact.statement, Statement::Beacon(_)) {
                    self.beacons.insert(place, now);
                }
                if new {
                    self.said(now, place, fact);
                }
            }
            Err((Property::S10, _)) if self.is_forgotten_beacon(place, fact) => {}
            Err((property, what)) => self.breach(now, property, Some(place), what),
        }
    }

    /// Until now links lost or held what was sent.
    pub fn links_were_bad(&mut self, now: Moment) {
        self.links_bad = now;
    }

    /// A liar lets go of a fact. Its ballots count like anybody's; what they break is not held against it.
    pub fn lied(&mut self, now: Moment, place: u32, signed: &SignedFact) {
        if let Ok(fact) = self.reader.fact(self.fleet, signed)
            && self.is_own(place, signed)
            && fact.author_signed_if(|one| self.reader.is_signed(&fact, one))
        {
            self.said(now, place, &fact);
        }
    }

    /// Whether a beacon is lower than an earlier one because those who may have been asked never had that, or
    /// forgot it: beacons are kept in memory alone, and as many machines have started since as a node must hear.
    fn is_forgotten_beacon(&self, place: u32, fact: &Fact) -> bool {
        let Some(last) = self.beacons.get(&place) else { return false };
        if !matches!(fact.statement, Statement::Beacon(_)) {
            return false;
        }
        // A sync shows a beacon to one machine: whoever is asked after a loss may never have seen it.
        if !self.gossip || self.links_bad > *last {
            return true;
        }
        let others = self.nodes.len().min(JURY_MAX).saturating_sub(1);
        let asked = (others / 3 + 1).min(others);
        let forgot = self.started.iter().filter(|(other, at)| **other != place && *at > last).count();
        forgot >= asked
    }

    /// A frame is about to reach a machine.
    pub fn received(&mut self, place: u32, from: NodeId, frame: &Payload) {
        if !self.listening[place as usize] {
            return;
        }
        let Ok(heard) = self.reader.heard(self.fleet, frame) else { return };
        for ((_, rollout), part) in self.parts.range_mut(of_machine(place)) {
            if let (Some(news), Some(known)) = (&mut part.news, self.releases.get(rollout)) {
                news.heard(from, &heard, |node| known.seat(node));
            }
        }
    }

    /// A machine's monotonic clock counts otherwise than the referees' from now on: when it opens is judged
    /// by the others' votes alone.
    pub fn clock_bent(&mut self, place: u32) {
        self.bent.insert(place);
    }

    /// A record became durable.
    pub fn durable(&mut self, now: Moment, place: u32, record: &Record) {
        match record {
            Record::Fact(signed) => {
                if self.is_own(place, signed)
                    && let Ok(fact) = self.reader.fact(self.fleet, signed)
                    && self.shadow.durable(place, &fact)
                {
                    self.said(now, place, &fact);
                }
            }
            Record::Installed { installed, .. } => self.keep_trial(place, installed),
            Record::Boot(_) | Record::Binding { .. } | Record::Tombstone { .. } => {}
        }
    }

    fn keep_trial(&mut self, place: u32, installed: &groundswell_protocol::node::record::Installed) {
        match &installed.trial {
            Some(trial) => self.trials.insert(place, (trial.tree, installed.trial_boots)),
            None => self.trials.remove(&place),
        };
    }

    /// A machine's disk has done all that it was asked for. `records` is asked for only if it matters.
    pub fn at_rest(&mut self, now: Moment, place: u32, records: impl FnOnce() -> Vec<Record>) {
        if !self.unsaved.remove(&place) {
            return;
        }
        let shown = self.read(&records());
        let mut forgotten = Vec::new();
        for ((_, rollout), part) in self.parts.range_mut(of_machine(place)) {
            if std::mem::take(&mut part.unsaved) {
                let known = shown.get(rollout).is_some_and(|shown| shown.stopped);
                if !known && !self.liars.contains(&place) {
                    forgotten.push(*rollout);
                }
            }
        }
        for rollout in forgotten {
            let what = format!("knows that {rollout:?} is stopped, and a restart would forget it");
            self.breach(now, Property::S5, Some(place), what);
        }
    }

    /// A node has bound itself to a statement, by sending it or by making it durable.
    fn said(&mut self, now: Moment, place: u32, fact: &Fact) {
        let mut breaches = Vec::new();
        match &fact.statement {
            Statement::Ballot(ballot) => {
                if let (Say::Open(open), Some(known)) = (ballot.say, self.releases.get_mut(&ballot.rollout)) {
                    let lies = |node: &NodeId| !self.liars.is_empty() && lies(&self.nodes, &self.liars, node);
                    let most = known.most_allowed(now, lies);
                    if open > most && !self.bent.contains(&place) {
                        let what = format!("opens {open} ranks when the votes allow {most} at most");
                        breaches.push((Property::S4, what));
                    }
                    known.opens(now, ballot.juror, open);
                    let other = *self.bound.entry((place, known.order)).or_insert(ballot.rollout);
                    if other != ballot.rollout {
                        breaches.push((
                            Property::S8,
                            format!("opens {:?}, but is bound to {other:?} of one order", ballot.rollout),
                        ));
                    }
                }
            }
            Statement::Vote(vote) => {
                if let Some(known) = self.releases.get_mut(&vote.rollout) {
                    known.voted(now, vote.node, vote.state);
                }
            }
            Statement::Propose(proposal) => {
                if let Some(known) = self.releases.get(&proposal.rollout) {
                    let leader = known.leader(proposal.term);
                    if leader != Some(proposal.leader) {
                        let what = format!("proposes in term {}, which {leader:?} leads", proposal.term);
                        breaches.push((Property::S3, what));
                    }
                }
            }
            _ => {}
        }
        // A liar's ballots count like anybody's; what they break is not held against the core.
        if !self.liars.contains(&place) {
            for (property, what) in breaches {
                self.breach(now, property, Some(place), what);
            }
        }
    }

    /// An operator signed.
    pub fn commanded(&mut self, now: Moment, rollout: RolloutId, instruction: Instruction) {
        if let (Instruction::Promote(open), Some(known)) = (instruction, self.releases.get_mut(&rollout)) {
            known.promotes(now, open);
        }
    }

    /// A node reports.
    pub fn reported(&mut self, now: Moment, place: u32, event: &Event) {
        let me = self.nodes[place as usize];
        match event {
            Event::Rollout { rollout, .. } => {
                let part = self.part(now, place, *rollout);
                part.met = true;
                if std::mem::replace(&mut part.reported, true) && !self.liars.contains(&place) {
                    let what = format!("takes up {rollout:?} again, which it had put away");
                    self.breach(now, Property::S9, Some(place), what);
                }
            }
            Event::StopBallot { rollout, .. } => {
                if let Some(known) = self.releases.get_mut(rollout) {
                    known.stop_sayers.insert(place);
                }
            }
            Event::Stopped { rollout, .. } => {
                let part = self.part(now, place, *rollout);
                part.stopped = true;
                part.unsaved = true;
                self.unsaved.insert(place);
            }
            Event::Done { rollout } => {
                self.part(now, place, *rollout).done = true;
                self.listen(now, place, *rollout);
            }
            Event::Opened { rollout, to, .. }
                if self.releases.get(rollout).is_some_and(|known| *to >= known.needed(&me)) =>
            {
                self.listen(now, place, *rollout);
            }
            Event::Commanded { rollout, instruction: Instruction::Flow { counter, pause }, .. } => {
                let part = self.part(now, place, *rollout);
                part.flow = part.flow.max((*counter, *pause));
            }
            Event::Holding { rollout, hold } => self.part(now, place, *rollout).hold = (*hold, now),
            Event::Stage { rollout, to, .. } => {
                let known = self.releases.get(rollout);
                if known.is_some_and(|known| progress::stage_bound(*to, &known.plan).is_some()) {
                    self.moving.insert((place, *rollout), (*to, now));
                } else {
                    self.moving.remove(&(place, *rollout));
                }
            }
            _ => {}
        }
    }

    /// A node gives up a release's bytes: it puts it away, or it was stopped.
    pub fn cancelled(&mut self, place: u32, rollout: RolloutId) {
        self.moving.remove(&(place, rollout));
        if let Some(part) = self.parts.get_mut(&(place, rollout)) {
            part.gone = true;
        }
    }

    /// From now on what the machine hears counts as news for its switch to this release.
    fn listen(&mut self, now: Moment, place: u32, rollout: RolloutId) {
        let part = self.part(now, place, rollout);
        if !part.tried && part.news.is_none() {
            part.news = Some(News::default());
            self.listening[place as usize] = true;
        }
    }

    /// What records show of the releases.
    fn read(&self, records: &[Record]) -> BTreeMap<RolloutId, Shown> {
        let mut shown: BTreeMap<RolloutId, Shown> = BTreeMap::new();
        let mut places: BTreeMap<ReleaseOrder, BTreeSet<RolloutId>> = BTreeMap::new();
        for record in records {
            match record {
                // Manifests, ballots, commands: see the table of `facts::fact`.
                Record::Fact(signed) if matches!(signed.body.first(), Some(3 | 5 | 7)) => {
                    let read = self.reader.fact(self.fleet, signed).ok();
                    match read.as_ref().map(|fact| (&fact.statement, fact.id)) {
                        Some((Statement::Ballot(ballot), _)) => {
                            let stop = matches!(ballot.say, Say::Stop(_));
                            shown.entry(ballot.rollout).or_default().stops += usize::from(stop);
                        }
                        Some((Statement::Command(command), _)) => {
                            let shown = shown.entry(command.rollout).or_default();
                            match command.instruction {
                                Instruction::Stop => shown.stopped = true,
                                Instruction::Flow { counter, pause } => {
                                    shown.flow = shown.flow.max((counter, pause));
                                }
                                Instruction::Promote(_) => {}
                            }
                        }
                        Some((Statement::Manifest(manifest), id)) => {
                            shown.entry(RolloutId(id)).or_default().manifest = true;
                            places.entry(manifest.order).or_default().insert(RolloutId(id));
                        }
                        _ => {}
                    }
                }
                Record::Tombstone { rollout, ending, order, .. } => {
                    shown.entry(*rollout).or_default().stopped |= *ending == Ending::Stopped;
                    places.entry(*order).or_default().insert(*rollout);
                }
                _ => {}
            }
        }
        for twins in places.values().filter(|twins| twins.len() > 1) {
            for twin in twins {
                shown.entry(*twin).or_default().stopped = true;
            }
        }
        for (rollout, shown) in &mut shown {
            shown.stopped |= self.releases.get(rollout).is_some_and(|known| shown.stops >= known.stoppers);
        }
        shown
    }

    /// A machine starts on these records: what it knew and did not keep, it knows no more.
    pub fn restarted(&mut self, now: Moment, place: u32, records: &[Record]) {
        self.started.insert(place, now);
        self.listening[place as usize] = false;
        self.unsaved.remove(&place);
        let moving: Vec<_> = self.moving.range(of_machine(place)).map(|(key, _)| *key).collect();
        for key in moving {
            self.moving.remove(&key);
        }
        for (_, part) in self.parts.range_mut(of_machine(place)) {
            *part = Part { tried: part.tried, ..Part::new(now) };
        }
        for record in records {
            // What is on trial when it starts goes on trial again: it need not ask anew.
            if let Record::Installed { installed, .. } = record
                && let Some(trial) = &installed.trial
            {
                self.part(now, place, trial.rollout).tried = true;
            }
        }
        for (rollout, shown) in self.read(records) {
            let part = self.part(now, place, rollout);
            (part.met, part.stopped, part.flow) = (shown.manifest, shown.stopped, shown.flow);
        }
        self.trials.remove(&place);
        for record in records {
            if let Record::Installed { installed, .. } = record {
                self.keep_trial(place, installed);
            }
        }
        self.count_starts(now, place);
    }

    /// How large a machine's tables are, and how many writes its disk still owes.
    pub fn measured(&mut self, now: Moment, place: u32, sizes: &[Size], waits_for: usize, owed: usize) {
        for size in sizes.iter().filter(|size| size.count > size.most) {
            let what = format!("{}: {}, bound {}", size.name, size.count, size.most);
            self.breach_once(now, Property::S7, Some(place), what);
        }
        if waits_for > owed {
            let what = format!("waits for {waits_for} writes, and its disk owes {owed}");
            self.breach_once(now, Property::S7, Some(place), what);
        }
    }
}

/// The keys of one machine's parts.
fn of_machine(place: u32) -> std::ops::RangeInclusive<(u32, RolloutId)> {
    (place, RolloutId(Digest([0; 32])))..=(place, RolloutId(Digest([255; 32])))
}

fn lies(nodes: &[NodeId], liars: &BTreeSet<u32>, node: &NodeId) -> bool {
    let place = nodes.binary_search(node).ok().and_then(|place| u32::try_from(place).ok());
    place.is_none_or(|place| liars.contains(&place))
}
