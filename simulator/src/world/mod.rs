//! The world: machines, links and one queue of what will happen.
//!
//! The one door is [`World::play`]: it plays a scenario to its end and returns what is to be said of
//! it. Rooms: [`queue`] orders, [`links`] and [`overlay`] carry, `perform` does what the cores decide,
//! `transfer` moves bytes and slots, `script` performs the scenario's steps and sees when it is over,
//! `operator` hands over what people sign, `whom` finds the machines that a step means, `faults` begins what goes
//! wrong and ends it, `lies` speaks for liars. Nothing here judges: that is the referees'.

mod carry;
mod core;
mod faults;
pub mod fetch;
pub mod fingerprint;
pub mod flows;
mod lies;
pub mod links;
mod operator;
pub mod overlay;
mod perform;
pub mod queue;
mod script;
mod transfer;
mod whom;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::{Input, Verdict, Work};
use groundswell_protocol::trust::names::ComponentName;

use crate::checkers::impossible::Impossible;
use crate::checkers::{Property, Referees};
use crate::fleet::{Fleet, Release};
use crate::generator::Generator;
use crate::machine::Machine;
use crate::machine::effects::{Effect, Effects};
use crate::machine::message::Payload;
use crate::machine::reader::Remembering;
use crate::machine::records::Name;
use crate::report::kinds::Kind;
use crate::report::story::Story;
use crate::report::trace::{Recorder, Trace};
use crate::report::{Counters, Outcome};
use crate::scenario::{Act, Group, Lie, Scenario};
use faults::Faults;
use fetch::{Bulk, Coming};
use fingerprint::{Fingerprint, Keep};
use flows::FlowId;
use lies::Lying;
use links::Links;
use operator::Handed;
use overlay::flight::Flight;
use overlay::{HEARTBEAT_MILLISECONDS, Overlay};
use queue::{Moment, Queue, Source, WORLD};

/// Inputs that a core may ask for at one moment before it counts as spinning.
const WAKES_AT_ONCE_MAX: u32 = 1_000;
/// How often a machine reads the clock on the wall.
const WALL_CLOCK_MILLISECONDS: u64 = 60_000;

/// Everything that can be in the queue.
#[derive(Debug)]
enum Happening {
    /// A machine gets power.
    PowerOn { node: u32 },
    /// The core asked to be woken.
    Wake { node: u32, life: u32, serial: u64 },
    /// A frame arrives.
    Direct { to: u32, from: u32, frame: Payload },
    /// A gossiped frame arrives, after so many hops.
    Gossip { to: u32, from: u32, hops: u8, flight: Flight },
    /// A frame arrives that the way damaged.
    Damaged { to: u32, from: u32, frame: Payload, gossip: bool },
    /// A link of a machine came up or went down.
    Link { node: u32, peer: u32, up: bool },
    /// Several of one machine did, one after the other: when a fleet starts all have all their links to come.
    Links { node: u32, changes: Box<[(u32, bool)]> },
    /// A commit ends.
    Commit { node: u32, life: u32 },
    /// A fetch looks for somebody who has the bytes.
    Seek { node: u32, life: u32, rollout: Box<RolloutId> },
    /// A flow may be at its end.
    Flow { flow: FlowId },
    /// A part of a release has come.
    Part { node: u32, life: u32, part: Box<Coming> },
    /// A fetch has brought the bytes.
    Fetched { node: u32, life: u32, rollout: Box<RolloutId> },
    /// A tree is built.
    Built { node: u32, life: u32, work: Box<Work> },
    /// A switch ends.
    Switched { node: u32, life: u32, switch: Box<(ComponentName, Option<Digest>)> },
    /// A probe is due.
    Probe { node: u32, life: u32, serial: u64, component: Box<ComponentName> },
    /// What runs takes the machine down.
    HostDies { node: u32, life: u32 },
    /// The wall clock is read.
    WallClock { node: u32, life: u32 },
    /// The overlay is mended, and announces.
    Heartbeat,
    /// A step of the scenario is due.
    Step { step: usize },
    /// A fault strikes again.
    FaultTurn { step: usize },
    /// A fault ends.
    FaultEnds { step: usize },
    /// Is it over?
    Look,
    /// A liar speaks.
    Lie { node: u32 },
}

impl Happening {
    /// What sort of thing happens, and to whom: for the fingerprint.
    fn tag(&self) -> u64 {
        let (sort, node) = match self {
            Self::PowerOn { node } => (1, *node),
            Self::Wake { node, .. } => (2, *node),
            Self::Direct { to, .. } => (3, *to),
            Self::Gossip { to, .. } => (4, *to),
            Self::Link { node, .. } | Self::Links { node, .. } => (5, *node),
            Self::Commit { node, .. } => (6, *node),
            Self::Seek { node, .. } => (7, *node),
            Self::Fetched { node, .. } => (8, *node),
            Self::Built { node, .. } => (9, *node),
            Self::Switched { node, .. } => (10, *node),
            Self::Probe { node, .. } => (11, *node),
            Self::HostDies { node, .. } => (12, *node),
            Self::WallClock { node, .. } => (13, *node),
            Self::Heartbeat => (14, WORLD),
            Self::Step { .. } => (15, WORLD),
            Self::Look => (16, WORLD),
            Self::Lie { node } => (17, *node),
            Self::Damaged { to, .. } => (18, *to),
            Self::Flow { .. } => (19, WORLD),
            Self::Part { node, .. } => (20, *node),
            Self::FaultTurn { .. } => (21, WORLD),
            Self::FaultEnds { .. } => (22, WORLD),
        };
        sort << 32 | u64::from(node)
    }

    /// What it counts as; of wakes and frames that is known only once they are here.
    fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Wake { .. } | Self::Direct { .. } | Self::Gossip { .. } => return None,
            Self::PowerOn { .. } => Kind::PowerOn,
            Self::Damaged { .. } => Kind::Damaged,
            Self::Link { .. } | Self::Links { .. } => Kind::Link,
            Self::Commit { .. } => Kind::Commit,
            Self::Seek { .. }
            | Self::Flow { .. }
            | Self::Part { .. }
            | Self::Fetched { .. }
            | Self::Built { .. } => Kind::Fetch,
            Self::Switched { .. } => Kind::Switch,
            Self::Probe { .. } => Kind::Probe,
            Self::WallClock { .. } => Kind::WallClock,
            Self::Lie { .. } => Kind::Lie,
            Self::HostDies { .. }
            | Self::Heartbeat
            | Self::Step { .. }
            | Self::FaultTurn { .. }
            | Self::FaultEnds { .. }
            | Self::Look => Kind::World,
        })
    }
}

/// A world in the middle of a story.
pub struct World {
    now: Moment,
    queue: Queue<Happening>,
    scenario: Scenario,
    fleet: Fleet,
    releases: Vec<Release>,
    machines: Vec<Machine>,
    links: Links,
    faults: Faults,
    bulk: Bulk,
    overlay: Overlay,
    referees: Referees,
    story: Story,
    recorder: Recorder,
    counters: Counters,
    fingerprint: Fingerprint,
    reader: Arc<Remembering>,
    /// Emptied and used again with every input.
    effects: Effects,
    /// Lots by which steps choose machines: a step's own, whatever other steps there are.
    lots: Generator,
    /// Who lies, and how.
    liars: Vec<(u32, Lie)>,
    /// Pauses and resumes that operators signed.
    flows: u32,
    /// Rollouts whose last such word is a pause.
    paused: BTreeSet<RolloutId>,
    /// What people handed over and have no answer to.
    handed: Vec<Handed>,
    serial: u64,
    lying: Lying,
    steps_done: Vec<bool>,
    /// The highest `open` that any machine reported.
    opened: BTreeMap<RolloutId, u32>,
    /// Machines that ever ran a tree.
    ran: BTreeMap<Digest, BTreeSet<u32>>,
    last_leader: Option<u32>,
    last_switched: Option<u32>,
    endings: BTreeMap<(u32, RolloutId), Ending>,
    settled_at: Option<Moment>,
    last_motion: Moment,
    /// When a machine, a disk or a link last changed.
    calm_since: Moment,
    /// The machines that must come to an end alone; `None`: all.
    core: Option<BTreeSet<u32>>,
    impossible: Option<Impossible>,
    bytes_when_idle: Option<(Moment, u64)>,
    over: bool,
}

impl World {
    /// Plays `scenario` under `seed` to its end. `tell` gets each line of the story as it happens.
    pub fn play(scenario: Scenario, seed: u64, tell: Box<dyn FnMut(&str)>) -> Outcome {
        Self::new(scenario, seed, tell, Keep::default()).run(seed).0
    }

    /// As [`World::play`], and keeps of the fingerprint's way what is asked for.
    pub fn play_keeping(
        scenario: Scenario,
        seed: u64,
        tell: Box<dyn FnMut(&str)>,
        keep: Keep,
    ) -> (Outcome, Fingerprint) {
        let (outcome, _, fingerprint) = Self::new(scenario, seed, tell, keep).run(seed);
        (outcome, fingerprint)
    }

    /// Plays it and records what a page needs. The run is the same, to the last event.
    pub fn play_recorded(
        scenario: Scenario,
        seed: u64,
        tell: Box<dyn FnMut(&str)>,
    ) -> (Outcome, Option<Trace>) {
        let mut world = Self::new(scenario, seed, tell, Keep::default());
        world.recorder = Recorder::of(Trace::new(&world.scenario, &world.fleet, &world.releases));
        let (outcome, trace, _) = world.run(seed);
        (outcome, trace)
    }

    fn run(self, seed: u64) -> (Outcome, Option<Trace>, Fingerprint) {
        let mut world = self;
        world.begin();
        while !world.over {
            let Some((now, what)) = world.queue.pop() else { break };
            world.now = now;
            match what {
                Happening::Links { node, changes } => {
                    for &(peer, up) in &changes {
                        world.take_turn(Happening::Link { node, peer, up });
                    }
                }
                what => world.take_turn(what),
            }
        }
        let trace = std::mem::take(&mut world.recorder).finish(world.now);
        let fingerprint = std::mem::take(&mut world.fingerprint);
        (world.outcome(seed, &fingerprint), trace, fingerprint)
    }

    /// One event.
    fn take_turn(&mut self, what: Happening) {
        let now = self.now;
        self.counters.happenings += 1;
        if let Some(what) = self.unless_frozen(what) {
            self.fingerprint.begin(now, what.tag(), || format!("{what:?}"));
            self.happen(what);
            #[cfg(test)]
            if self.fingerprint.is_planted() {
                self.deliver(0, Input::Wake);
            }
            self.fingerprint.end(now);
        }
        self.recorder.judged(self.referees.violations());
    }

    fn new(scenario: Scenario, seed: u64, tell: Box<dyn FnMut(&str)>, keep: Keep) -> Self {
        let root = Generator::new(seed);
        let nodes = scenario.nodes;
        let enrolled_later = scenario.steps.iter().filter_map(|step| match step.act {
            Act::Enrol { who } => who.place(nodes),
            _ => None,
        });
        let labels = scenario.labels();
        let fleet = Fleet::labelled(labels.clone(), &enrolled_later.collect(), &root);
        let mut releases: Vec<Release> = Vec::new();
        for law in &scenario.releases {
            let release = fleet.release(law, &scenario.plan, releases.first());
            releases.push(release);
        }
        let nodes = fleet.nodes.len();
        let reader = Remembering::new(nodes, keep.notary.clone());
        let machine = |n| Machine::new(n, fleet.config(n), Arc::clone(&reader), &root);
        let machines = (0..scenario.nodes).map(machine).collect();
        let links = Self::links(&scenario, &labels, &root);
        let bulk = Bulk::new((0..scenario.nodes).map(|node| links.rates(node)).collect());
        let lots = root.split("lots", 0);
        let liars = whom::liars(&scenario, &fleet, &releases, &lots);
        let lying = liars.iter().map(|(node, _)| *node).collect();
        Self {
            now: Moment::default(),
            queue: Queue::default(),
            links,
            faults: Faults::default(),
            bulk,
            overlay: Overlay::new(scenario.gossip, nodes, &root).judging(scenario.links.judging_micros),
            referees: Referees::new(&fleet, &releases, lying, Arc::clone(&reader)).gossiping(scenario.gossip),
            story: Story::new(tell, &releases),
            recorder: Recorder::default(),
            counters: Counters::default(),
            fingerprint: Fingerprint::new(keep),
            effects: Effects::default(),
            lots,
            lying: Lying::new(&liars, &root),
            liars,
            flows: 0,
            paused: BTreeSet::new(),
            handed: Vec::new(),
            serial: 0,
            steps_done: vec![false; scenario.steps.len()],
            opened: BTreeMap::new(),
            ran: BTreeMap::new(),
            last_leader: None,
            last_switched: None,
            endings: BTreeMap::new(),
            settled_at: None,
            last_motion: Moment::default(),
            calm_since: Moment::default(),
            core: None,
            impossible: None,
            bytes_when_idle: None,
            over: false,
            scenario,
            fleet,
            releases,
            machines,
            reader,
        }
    }

    fn links(scenario: &Scenario, labels: &[Group], root: &Generator) -> Links {
        let numbers: BTreeMap<String, u16> = scenario.zones().into_iter().zip(0..).collect();
        let zones: Vec<u16> = labels.iter().map(|of| numbers.get(&of.zone).copied().unwrap_or(0)).collect();
        let mut links = Links::new(scenario.links.clone(), &zones, root);
        for (node, of) in (0..).zip(labels) {
            if let Some(class) = scenario.classes.iter().find(|class| class.name.as_str() == of.class) {
                links.set_class(node, class);
            }
        }
        links
    }

    /// Puts the first things into the queue.
    fn begin(&mut self) {
        let running = self.scenario.installed.then(|| (&self.releases[0], &self.scenario.plan));
        let records = self.fleet.first_records(running);
        let keys: Vec<Name> = records.iter().map(|record| record.key(self.fleet.id).into()).collect();
        for machine in &mut self.machines {
            for (key, record) in keys.iter().zip(&records) {
                machine.disk.install(key.clone(), record.clone());
            }
            if self.scenario.installed {
                let slots = machine.slots_of(&self.fleet.component);
                slots.trees.insert(self.releases[0].tree);
                slots.active = Some(self.releases[0].tree);
            }
            let at = Moment(machine.luck().below(500_000));
            self.queue.push(at, machine.place, Happening::PowerOn { node: machine.place });
        }
        self.queue.push(Moment::milliseconds(600), WORLD, Happening::Heartbeat);
        self.queue.push(Moment::seconds(1), WORLD, Happening::Look);
        for (node, lie) in &self.liars {
            self.recorder.began(self.now, "lies", Some(*node), format_args!("machine {node} lies: {lie:?}"));
        }
        self.begin_lies();
        self.arm_timed_steps();
    }

    fn happen(&mut self, what: Happening) {
        if let Some(kind) = what.kind() {
            self.counters.kinds.count(kind);
        }
        match what {
            Happening::PowerOn { node } => self.power_on(node),
            Happening::Wake { node, life, serial } => self.wake(node, life, serial),
            Happening::Direct { to, from, frame } => self.arrive(to, from, &frame),
            Happening::Gossip { to, from, hops, flight } => self.arrive_gossip(to, from, hops, &flight),
            Happening::Damaged { to, from, frame, gossip } => self.arrive_damaged(to, from, &frame, gossip),
            Happening::Link { node, peer, up } => {
                let peer = self.fleet.nodes[peer as usize];
                self.deliver(node, if up { Input::LinkUp(peer) } else { Input::LinkDown(peer) });
            }
            Happening::Links { node, changes } => {
                changes.into_iter().for_each(|(peer, up)| self.happen(Happening::Link { node, peer, up }));
            }
            Happening::Commit { node, life } => self.commit(node, life),
            Happening::Seek { node, life, rollout } => self.seek(node, life, *rollout),
            Happening::Flow { flow } => self.look_at_flow(flow),
            Happening::Part { node, life, part } => self.part_came(node, life, *part),
            Happening::Fetched { node, life, rollout } => self.fetched(node, life, *rollout),
            Happening::Built { node, life, work } => self.built(node, life, &work),
            Happening::Switched { node, life, switch } => self.switched(node, life, switch.0, switch.1),
            Happening::Probe { node, life, component, serial } => self.probe(node, life, component, serial),
            Happening::HostDies { node, life } => {
                if self.lives(node, life) {
                    self.crash(node, Some(10_000));
                }
            }
            Happening::WallClock { node, life } => self.wall_clock(node, life),
            Happening::Heartbeat => self.heartbeat(),
            Happening::Step { step } => self.perform_step(step),
            Happening::FaultTurn { step } => self.fault_turn(step),
            Happening::FaultEnds { step } => self.end_fault(step),
            Happening::Look => self.look(),
            Happening::Lie { node } => self.lie(node),
        }
    }

    /// Whether a machine still lives the life in which something was asked for.
    fn lives(&self, node: u32, life: u32) -> bool {
        let machine = &self.machines[node as usize];
        machine.is_on() && machine.life == life
    }

    /// Hands an input to a machine's core and performs what it decides.
    fn deliver(&mut self, node: u32, input: Input<'_>) -> Option<Verdict> {
        self.counters.inputs += 1;
        self.recorder.input(self.now, node, &input);
        let life = self.machines[node as usize].life;
        self.machines[node as usize].handle(self.now, input, &mut self.effects);
        let mut effects = std::mem::take(&mut self.effects.all);
        self.fingerprint.mix(u64::from(node) << 32 | effects.len() as u64);
        let mut verdict = None;
        for effect in effects.drain(..) {
            if self.machines[node as usize].life != life {
                // It lost its power in the middle of its work: the rest of it never happens.
                break;
            }
            if let Effect::Verdict(one) = &effect {
                verdict = Some(one.clone());
            }
            self.recorder.effect(self.now, node, &effect);
            self.perform(node, effect);
        }
        self.effects.all = effects;
        self.recorder.dealt(self.now, node);
        self.rearm(node);
        verdict
    }

    fn push(&mut self, at: Moment, source: Source, what: Happening) {
        self.queue.push(at, source, what);
    }

    fn rearm(&mut self, node: u32) {
        let machine = &mut self.machines[node as usize];
        let Some(deadline) = machine.deadline() else { return };
        let deadline = deadline.max(self.now);
        // A wake that comes too early looks again when it comes: one that is moved back costs nothing.
        if machine.armed.is_some_and(|(armed, _)| armed <= deadline) {
            return;
        }
        self.serial += 1;
        machine.armed = Some((deadline, self.serial));
        let what = Happening::Wake { node, life: machine.life, serial: self.serial };
        self.queue.push(deadline, node, what);
    }

    fn wake(&mut self, node: u32, life: u32, serial: u64) {
        let armed = self.machines[node as usize].armed;
        if !self.lives(node, life) || armed.is_none_or(|(_, last)| last != serial) {
            self.counters.kinds.count(Kind::EarlyWake);
            return;
        }
        let machine = &mut self.machines[node as usize];
        machine.armed = None;
        if machine.deadline().is_none_or(|deadline| deadline > self.now) {
            self.counters.kinds.count(Kind::EarlyWake);
            return self.rearm(node);
        }
        self.counters.kinds.count(Kind::Wake);
        let times = if machine.woken.0 == self.now { machine.woken.1 + 1 } else { 1 };
        machine.woken = (self.now, times);
        if times > WAKES_AT_ONCE_MAX {
            let what = "asks to be woken again and again at one moment".to_owned();
            self.referees.breach(self.now, Property::S7, Some(node), what);
            self.over = true;
            return;
        }
        self.deliver(node, Input::Wake);
    }

    fn power_on(&mut self, node: u32) {
        let machine = &mut self.machines[node as usize];
        if machine.is_on() || machine.buried {
            return;
        }
        self.referees.restarted(self.now, node, &machine.disk.records());
        if let Some(slots) = machine.slots.get(&self.fleet.component) {
            self.referees.starting(self.now, node, slots.active, &slots.trees);
        }
        machine.start();
        let life = machine.life;
        self.recorder.power(self.now, node, true);
        self.recorder.ended(self.now, "power", Some(node));
        self.deliver(node, Input::Wake);
        self.read_wall_clock(node);
        self.deliver(node, Input::Addresses(vec![format!("/sim/{node}")]));
        let at = self.now.after_milliseconds(WALL_CLOCK_MILLISECONDS);
        self.push(at, node, Happening::WallClock { node, life });
        self.service_starts(node);
        self.overlay.touch(node);
        self.calm_since = self.now;
    }

    fn crash(&mut self, node: u32, back_after: Option<u64>) {
        let machine = &mut self.machines[node as usize];
        if !machine.is_on() {
            return;
        }
        machine.buried = back_after.is_none();
        let durable = machine.crash();
        for record in &durable {
            self.referees.durable(self.now, node, record);
        }
        self.overlay.forget(node);
        self.forget_what_waits(node);
        self.tear_flows_of(node);
        self.story.crashed(self.now, node, back_after);
        self.recorder.power(self.now, node, false);
        self.recorder.began(self.now, "power", Some(node), format_args!("machine {node} loses its power"));
        if let Some(back_after) = back_after {
            self.push(self.now.after_milliseconds(back_after), node, Happening::PowerOn { node });
        }
        self.overlay.touch(node);
        self.calm_since = self.now;
    }

    /// Who can reach whom changed.
    fn links_changed(&mut self) {
        self.tear_cut_flows();
        self.disturb();
    }

    /// Links changed: the overlay is mended at its next heartbeat.
    fn disturb(&mut self) {
        self.calm_since = self.now;
        self.overlay.touch_all();
    }

    fn heartbeat(&mut self) {
        self.push(self.now.after_milliseconds(HEARTBEAT_MILLISECONDS), WORLD, Happening::Heartbeat);
        self.mend_overlay();
        self.announce();
        self.overlay.expire(self.now);
    }

    fn mend_overlay(&mut self) {
        if self.overlay.is_mended() {
            return;
        }
        let alive: Vec<bool> = self.machines.iter().map(Machine::is_on).collect();
        let change = self.overlay.mend(&alive, &self.links);
        let mut by_node: BTreeMap<u32, Vec<(u32, bool)>> = BTreeMap::new();
        for (links, up) in [(change.down, false), (change.up, true)] {
            for (node, peer) in links {
                by_node.entry(node).or_default().push((peer, up));
            }
        }
        for (node, changes) in by_node {
            let changes = changes.into_boxed_slice();
            self.push(self.now.after_milliseconds(1), node, Happening::Links { node, changes });
        }
    }

    fn read_wall_clock(&mut self, node: u32) {
        let shows = self.machines[node as usize].clock.wall(self.now);
        self.deliver(node, Input::WallClock(shows));
    }

    fn wall_clock(&mut self, node: u32, life: u32) {
        if self.lives(node, life) {
            self.read_wall_clock(node);
            let at = self.now.after_milliseconds(WALL_CLOCK_MILLISECONDS);
            self.push(at, node, Happening::WallClock { node, life });
        }
    }
}
