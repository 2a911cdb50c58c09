//! A small fleet in memory: real nodes and keys, virtual time, links that lose and delay, disks that
//! fail, services that fall ill. The referee watches every step.

pub(crate) mod effects;
pub(crate) mod machine;
pub(crate) mod papers;
pub(crate) mod referee;

use std::collections::{BTreeMap, BTreeSet};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::{Health, HealthNumbers, HealthReport};
use groundswell_protocol::facts::{Fact, RolloutId, SignedFact, Statement};
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::node::record::{Installed, SlotRecord};
use groundswell_protocol::node::status::{RolloutStatus, Signing, Status};
use groundswell_protocol::node::{Entropy, Event, Input, Node, Record, Trouble, Verdict, Via, WriteId};
use groundswell_protocol::rollout::roster::Roster;
use groundswell_protocol::time::{Span, Time};
use groundswell_protocol::trust::census::Census;
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::manifest::{Manifest, ReleaseOrder};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::wire::frame::{Entry, Frame};

use self::effects::{Effect, Effects};
use self::machine::{DiskMode, DiskWork, Machine};
use self::papers::{Papers, plan, web};
use self::referee::{Published, Referee};

/// How frames travel.
#[derive(Clone)]
pub(crate) struct Network {
    /// Whether broadcasts arrive at all: without, sync alone must do.
    pub(crate) gossip: bool,
    pub(crate) loss_permille: u64,
    pub(crate) duplicate_permille: u64,
    /// A frame takes 1 ms and up to so many more.
    pub(crate) jitter_ms: u64,
    /// Nodes hear each other if they are in the same group.
    pub(crate) group: Vec<usize>,
    /// Nodes behind routers that let nobody in: two of them have no link. Gossip comes to them by others.
    pub(crate) behind_routers: BTreeSet<usize>,
}

/// Something that will happen to a machine.
enum Happening {
    Frame { from: usize, via: Via, bytes: Vec<u8> },
    Flush(WriteId),
    Stored(RolloutId),
    Staged(RolloutId),
    Activated { component: ComponentName, tree: Option<Digest> },
    Probed { component: ComponentName, tree: Digest },
    Restart,
}

/// The fleet.
pub(crate) struct Fleet {
    pub(crate) papers: Papers,
    pub(crate) now: Time,
    pub(crate) machines: Vec<Machine>,
    pub(crate) network: Network,
    /// (node, tree) whose probes fail, and those whose probes say nothing.
    pub(crate) sick: BTreeSet<(usize, Digest)>,
    pub(crate) mute: BTreeSet<(usize, Digest)>,
    /// (node, tree) whose switch fails, and those whose switch takes the machine down.
    pub(crate) unstartable: BTreeSet<(usize, Digest)>,
    pub(crate) deadly: BTreeSet<(usize, Digest)>,
    /// Nodes without room, and nodes whose fetches fail.
    pub(crate) full: BTreeSet<usize>,
    pub(crate) referee: Referee,
    pub(crate) events: Vec<(Time, usize, Event)>,
    queue: BTreeMap<(Time, u64), (usize, u64, Happening)>,
    number: u64,
    generator: groundswell_protocol::node::entropy::Generator,
    wakes: BTreeMap<usize, (Time, u32)>,
}

/// The version that every machine of a fleet begins with.
pub(crate) const FIRST: &str = "0.9";

fn first_slot() -> SlotRecord {
    SlotRecord {
        rollout: RolloutId(Digest([0; 32])),
        order: ReleaseOrder { epoch: 1, sequence: 0 },
        version: FIRST.into(),
        tree: Digest::of(FIRST.as_bytes()),
        probes: plan().probes,
    }
}

impl Fleet {
    /// A fleet of `count` running nodes that have `FIRST` installed.
    pub(crate) fn new(count: usize) -> Self {
        let mut fleet = Self::bare(count);
        let installed =
            Installed { active: Some(first_slot()), anchor: Some(first_slot()), ..Installed::default() };
        let record = Record::Installed { component: web(), installed: Box::new(installed) };
        for machine in &mut fleet.machines {
            machine.disk.durable.insert(record.key(fleet.papers.fleet), record.clone());
            machine.slot.insert(web(), first_slot().tree);
        }
        fleet.start_all();
        fleet
    }

    /// A fleet of `count` nodes that have nothing installed and have not started.
    pub(crate) fn bare(count: usize) -> Self {
        let papers = Papers::new(count);
        let mut machines: Vec<Machine> =
            papers.nodes.iter().map(|key| Machine::new(key.clone(), BTreeSet::from([web()]))).collect();
        for machine in &mut machines {
            for fact in [&papers.policy_fact, &papers.census] {
                let record = Record::Fact(fact.signed.clone());
                machine.disk.durable.insert(record.key(papers.fleet), record);
            }
        }
        let group = vec![0; count];
        Self {
            papers,
            now: Time(1000),
            machines,
            network: Network {
                gossip: true,
                loss_permille: 0,
                duplicate_permille: 0,
                jitter_ms: 4,
                group,
                behind_routers: BTreeSet::new(),
            },
            sick: BTreeSet::new(),
            mute: BTreeSet::new(),
            unstartable: BTreeSet::new(),
            deadly: BTreeSet::new(),
            full: BTreeSet::new(),
            referee: Referee::default(),
            events: Vec::new(),
            queue: BTreeMap::new(),
            number: 0,
            generator: groundswell_protocol::node::entropy::Generator::new(&Entropy([7; 32]), "network"),
            wakes: BTreeMap::new(),
        }
    }

    /// Another run of the same fleet: other losses and delays.
    pub(crate) fn seed(&mut self, seed: u64) {
        let entropy = Entropy(Digest::of(&seed.to_le_bytes()).0);
        self.generator = groundswell_protocol::node::entropy::Generator::new(&entropy, "network");
    }

    pub(crate) fn start_all(&mut self) {
        for node in 0..self.machines.len() {
            self.start(node);
        }
    }

    /// Starts a machine's agent and its links.
    pub(crate) fn start(&mut self, node: usize) {
        self.machines[node].boot(self.papers.fleet);
        self.input(node, Input::Wake);
        self.relink(&[node]);
    }

    /// Ends a machine's agent at once.
    pub(crate) fn crash(&mut self, node: usize) {
        self.machines[node].crash();
        let id = self.machines[node].id;
        for other in 0..self.machines.len() {
            self.input(other, Input::LinkDown(id));
        }
    }

    /// Splits the fleet: each list is a side; nodes in none stay on the first.
    pub(crate) fn partition(&mut self, sides: &[&[usize]]) {
        for node in &mut self.network.group {
            *node = 0;
        }
        for (side, nodes) in sides.iter().enumerate() {
            for node in *nodes {
                self.network.group[*node] = side;
            }
        }
        self.relink(&(0..self.machines.len()).collect::<Vec<_>>());
    }

    fn relink(&mut self, nodes: &[usize]) {
        for &a in nodes {
            for b in (0..self.machines.len()).filter(|b| *b != a) {
                let (id_a, id_b) = (self.machines[a].id, self.machines[b].id);
                let up = self.reaches(a, b) && self.is_linked(a, b);
                for (node, peer) in [(a, id_b), (b, id_a)] {
                    let input = if up { Input::LinkUp(peer) } else { Input::LinkDown(peer) };
                    self.input(node, input);
                }
            }
        }
    }

    fn reaches(&self, a: usize, b: usize) -> bool {
        self.network.group[a] == self.network.group[b]
            && self.machines[a].node.is_some()
            && self.machines[b].node.is_some()
    }

    fn is_linked(&self, a: usize, b: usize) -> bool {
        let behind = &self.network.behind_routers;
        !(behind.contains(&a) && behind.contains(&b))
    }

    /// Puts nodes behind routers that let nobody in.
    pub(crate) fn put_behind_routers(&mut self, nodes: impl IntoIterator<Item = usize>) {
        self.network.behind_routers = nodes.into_iter().collect();
        self.relink(&(0..self.machines.len()).collect::<Vec<_>>());
    }

    /// A signed release of `web`; known to the referee, not yet to the fleet.
    pub(crate) fn release(&mut self, sequence: u64, version: &str) -> (RolloutId, SignedFact) {
        let manifest = self.papers.manifest(sequence, version);
        self.sign(manifest)
    }

    /// Signs a manifest against the fleet's first census.
    pub(crate) fn sign(&mut self, manifest: Manifest) -> (RolloutId, SignedFact) {
        let Statement::Census(census) = self.papers.census.statement.clone() else { unreachable!() };
        self.sign_for(manifest, &census)
    }

    /// Signs a manifest that pins `census`.
    pub(crate) fn sign_for(&mut self, manifest: Manifest, census: &Census) -> (RolloutId, SignedFact) {
        let (rollout, fact) = self.papers.sign(manifest.clone());
        let roster = Roster::draw(rollout, &manifest, census);
        let (component, order, version, tree) =
            (manifest.component, manifest.order, manifest.version, manifest.tree);
        self.referee.published.insert(rollout, Published { component, order, version, tree, roster });
        (rollout, fact.signed)
    }

    /// Signs a release and hands it to a node.
    pub(crate) fn publish(&mut self, at: usize, sequence: u64, version: &str) -> RolloutId {
        let (rollout, fact) = self.release(sequence, version);
        assert_eq!(self.submit(at, fact), Verdict::Accepted);
        rollout
    }

    /// Hands a fact to a node.
    pub(crate) fn submit(&mut self, at: usize, fact: SignedFact) -> Verdict {
        let effects = self.input(at, Input::Submitted(fact));
        effects.expect("the node runs").verdict().expect("a verdict on what was submitted")
    }

    /// Signs a command and hands it to a node.
    pub(crate) fn order(&mut self, at: usize, rollout: RolloutId, instruction: Instruction) {
        self.referee.ordered(rollout, instruction);
        let command = self.papers.command(rollout, instruction);
        assert_eq!(self.submit(at, command), Verdict::Accepted);
    }

    /// The nodes by rank in a rollout.
    pub(crate) fn line(&self, rollout: RolloutId) -> Vec<usize> {
        let members = &self.referee.published[&rollout].roster.members;
        members.iter().map(|id| self.machines.iter().position(|m| m.id == *id).unwrap()).collect()
    }

    /// The node that leads a term.
    pub(crate) fn leader(&self, rollout: RolloutId, term: u32) -> usize {
        let id = self.referee.published[&rollout].roster.leader(term).unwrap();
        self.machines.iter().position(|m| m.id == id).unwrap()
    }

    pub(crate) fn status(&self, node: usize) -> Status {
        self.machines[node].node.as_ref().expect("the node runs").status(self.now)
    }

    pub(crate) fn rollout(&self, node: usize, rollout: RolloutId) -> Option<RolloutStatus> {
        self.status(node).rollouts.into_iter().find(|r| r.rollout == rollout)
    }

    pub(crate) fn stage(&self, node: usize, rollout: RolloutId) -> Option<Stage> {
        self.rollout(node, rollout).map(|r| r.my_stage)
    }

    /// Whether every running node is in this stage.
    pub(crate) fn all_at(&self, rollout: RolloutId, stage: Stage) -> bool {
        self.running().all(|node| self.stage(node, rollout) == Some(stage))
    }

    /// Whether every running node may sign.
    pub(crate) fn all_sign(&self) -> bool {
        self.running().all(|node| self.status(node).signing == Signing::Yes)
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.machines.len()).filter(|node| self.machines[*node].node.is_some())
    }

    /// What a node holds, beacons apart: the entries of the summary that it would send.
    pub(crate) fn holds(&mut self, node: usize) -> Vec<Entry> {
        let from = self.machines[(node + 1) % self.machines.len()].id;
        let frame =
            Frame::Digest { digest: Digest([1; 32]), beacon: None, yours: None, equal: false }.encode();
        let mut out = Effects::default();
        let input = Input::Received { from, via: Via::Direct, frame: &frame };
        self.machines[node].node.as_mut().unwrap().handle(self.now, input, &mut out);
        let mut entries = Vec::new();
        for frame in out.frames() {
            if let Ok(Frame::Summary { entries: page, .. }) = Frame::decode(frame) {
                entries.extend(page);
            }
        }
        self.perform(node, &out);
        entries
    }

    /// Whether all running nodes hold the same facts.
    pub(crate) fn agrees(&mut self) -> bool {
        let running: Vec<usize> = self.running().collect();
        let mut all: Vec<Vec<Entry>> = running.into_iter().map(|node| self.holds(node)).collect();
        all.dedup();
        all.len() <= 1
    }

    /// The records of a machine's web component, newest first: what is on its way, else what is durable.
    pub(crate) fn installed(&self, node: usize) -> Installed {
        installed(&self.machines[node], &web())
    }

    /// Makes a version well or ill on a node, and tells the node if it runs it.
    pub(crate) fn set_sick(&mut self, node: usize, version: &str, sick: bool) {
        let tree = Digest::of(version.as_bytes());
        if sick {
            self.sick.insert((node, tree));
        } else {
            self.sick.remove(&(node, tree));
        }
        if self.machines[node].runs.get(&web()) == Some(&tree) {
            self.later(node, 20, Happening::Probed { component: web(), tree });
        }
    }

    /// Changes what a machine's disk does; a sound one makes up for what it has put off.
    pub(crate) fn set_disk(&mut self, node: usize, mode: DiskMode) {
        self.machines[node].disk.mode = mode;
        if mode == DiskMode::Sound
            && let Some(newest) = self.machines[node].disk.newest()
        {
            self.later(node, 1, Happening::Flush(newest));
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, span: Span) {
        self.run_until(span, |_| false);
    }

    /// Goes on until `done`, at most for `limit`. Returns whether it came to that.
    pub(crate) fn run_until(&mut self, limit: Span, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            let deadline = self.running().filter_map(|node| Some((self.deadline(node)?, node))).min();
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let next = match (deadline, queued) {
                (Some((at, _)), Some(queued)) => at.min(queued),
                (Some((at, _)), None) => at,
                (None, Some(queued)) => queued,
                (None, None) => end,
            };
            if next >= end {
                self.now = end;
                return done(self);
            }
            self.now = self.now.max(next);
            if queued == Some(next) {
                let (_, (to, start, happening)) = self.queue.pop_first().unwrap();
                self.happen(to, start, happening);
            } else if let Some((_, node)) = deadline {
                let wakes = self.wakes.entry(node).or_insert((self.now, 0));
                *wakes = if wakes.0 == self.now { (self.now, wakes.1 + 1) } else { (self.now, 1) };
                assert!(wakes.1 < 4, "node {node} spins at {:?}", self.now);
                self.input(node, Input::Wake);
            }
        }
        true
    }

    fn deadline(&self, node: usize) -> Option<Time> {
        self.machines[node].node.as_ref().and_then(Node::next_deadline)
    }

    fn later(&mut self, to: usize, milliseconds: u64, happening: Happening) {
        self.number += 1;
        let at = self.now + Span::milliseconds(milliseconds);
        self.queue.insert((at, self.number), (to, self.machines[to].start, happening));
    }

    fn happen(&mut self, to: usize, start: u64, happening: Happening) {
        if let Happening::Restart = happening {
            return if self.machines[to].node.is_none() {
                self.start(to);
            };
        }
        if let Happening::Frame { from, via, bytes } = happening {
            if self.reaches(from, to) {
                let from = self.machines[from].id;
                self.input(to, Input::Received { from, via, frame: &bytes });
            }
            return;
        }
        if self.machines[to].start != start {
            return;
        }
        match happening {
            Happening::Flush(id) => self.flush(to, id),
            Happening::Stored(rollout) => {
                let outcome = self.room(to);
                self.input(to, Input::Stored { rollout, outcome });
            }
            Happening::Staged(rollout) => {
                let outcome = self.room(to);
                self.input(to, Input::Staged { rollout, outcome });
            }
            Happening::Activated { component, tree } => self.switched(to, component, tree),
            Happening::Probed { component, tree } => self.probed(to, component, tree),
            Happening::Frame { .. } | Happening::Restart => {}
        }
    }

    fn room(&self, node: usize) -> Result<(), Trouble> {
        if self.full.contains(&node) { Err(Trouble::NoSpace("the disk is full".into())) } else { Ok(()) }
    }

    fn flush(&mut self, node: usize, id: WriteId) {
        let fleet = self.papers.fleet;
        let disk = &mut self.machines[node].disk;
        let waits = disk.queue.iter().any(|w| matches!(w, DiskWork::Write(number, _) if *number <= id));
        match disk.mode {
            DiskMode::Sound if waits => {
                disk.flush(id, fleet);
                self.input(node, Input::Persisted(id));
            }
            DiskMode::Failing if waits => {
                disk.fail(id);
                self.input(node, Input::PersistFailed(id));
            }
            _ => {}
        }
    }

    fn switched(&mut self, node: usize, component: ComponentName, tree: Option<Digest>) {
        let machine = &mut self.machines[node];
        let outcome = match tree {
            Some(tree) if self.unstartable.contains(&(node, tree)) => {
                Err(Trouble::Local("it does not start".into()))
            }
            Some(tree) => {
                machine.slot.insert(component.clone(), tree);
                machine.runs.insert(component.clone(), tree);
                Ok(())
            }
            None => {
                machine.slot.remove(&component);
                machine.runs.remove(&component);
                Ok(())
            }
        };
        if tree.is_some_and(|tree| self.deadly.contains(&(node, tree))) {
            self.crash(node);
            return self.later(node, 500, Happening::Restart);
        }
        self.input(node, Input::Activated { component, tree, outcome });
    }

    fn probed(&mut self, node: usize, component: ComponentName, tree: Digest) {
        let health = if self.mute.contains(&(node, tree)) {
            Health::Unknown
        } else if self.sick.contains(&(node, tree)) {
            Health::Unhealthy
        } else {
            Health::Healthy
        };
        let note = if health == Health::Unhealthy { "the probe failed" } else { "" }.to_owned();
        let report = HealthReport { health, numbers: HealthNumbers::default(), note };
        self.input(node, Input::Probed { component, tree, report });
    }

    /// Gives a running node an input, and performs what follows.
    pub(crate) fn input(&mut self, node: usize, input: Input<'_>) -> Option<Effects> {
        let now = self.now;
        let core = self.machines[node].node.as_mut()?;
        let mut out = Effects::default();
        core.handle(now, input, &mut out);
        let deadline = core.next_deadline();
        assert!(deadline.is_none_or(|at| at > now), "node {node} asks for {deadline:?} at {now:?}");
        self.perform(node, &out);
        Some(out)
    }

    fn perform(&mut self, node: usize, effects: &Effects) {
        let fleet = self.papers.fleet;
        for effect in &effects.0 {
            match effect.clone() {
                Effect::Send(to, frame) => {
                    self.referee.sent(fleet, &self.machines[node], &frame);
                    // Machines that share a key both hear what is said to it.
                    for other in (0..self.machines.len()).filter(|other| *other != node) {
                        if self.machines[other].id == to {
                            self.carry(node, other, Via::Direct, &frame);
                        }
                    }
                }
                Effect::Broadcast(frame) => {
                    self.referee.sent(fleet, &self.machines[node], &frame);
                    let reached = if self.network.gossip { self.machines.len() } else { 0 };
                    for to in (0..reached).filter(|to| *to != node) {
                        self.carry(node, to, Via::Gossip, &frame);
                    }
                }
                Effect::Persist(id, record) => {
                    let disk = &mut self.machines[node].disk;
                    assert_eq!(Record::decode(&record.encode()), Ok(record.clone()));
                    disk.queue.push_back(DiskWork::Write(id, record));
                    disk.asked += 1;
                    if self.machines[node].crash_at_write == Some(self.machines[node].disk.asked) {
                        self.crash(node);
                        return self.later(node, 500, Happening::Restart);
                    }
                    self.later(node, 1, Happening::Flush(id));
                }
                Effect::Forget(key) => self.machines[node].disk.queue.push_back(DiskWork::Forget(key)),
                Effect::Fetch(work) => self.later(node, 5, Happening::Stored(work.rollout)),
                Effect::Stage(work) => self.later(node, 5, Happening::Staged(work.rollout)),
                Effect::Activate(component, tree) => {
                    let machine = &self.machines[node];
                    let active = installed(machine, &component).active.map(|slot| slot.order);
                    self.referee.activates(fleet, machine, &component, tree, active);
                    self.later(node, 10, Happening::Activated { component, tree: Some(tree) });
                }
                Effect::Revert(component, tree) => {
                    self.later(node, 10, Happening::Activated { component, tree });
                }
                Effect::Probe(component, tree) => {
                    self.later(node, 20, Happening::Probed { component, tree });
                }
                Effect::Report(event) => {
                    if let Event::Stopped { rollout, .. } = event {
                        self.machines[node].stops.insert(rollout);
                    }
                    self.events.push((self.now, node, event));
                }
                Effect::Verdict(_) | Effect::Cancel | Effect::Confirm => {}
            }
        }
    }

    fn carry(&mut self, from: usize, to: usize, via: Via, frame: &[u8]) {
        let gets_there = self.reaches(from, to) && (via == Via::Gossip || self.is_linked(from, to));
        if !gets_there || self.generator.below(1000) < self.network.loss_permille {
            return;
        }
        let twice = self.generator.below(1000) < self.network.duplicate_permille;
        for _ in 0..=u8::from(twice) {
            let delay = 1 + self.generator.below(self.network.jitter_ms + 1);
            self.later(to, delay, Happening::Frame { from, via, bytes: frame.to_vec() });
        }
    }

    /// Whether an event like this was reported, and by whom first.
    pub(crate) fn first(&self, like: impl Fn(&Event) -> bool) -> Option<(Time, usize)> {
        self.events.iter().find(|(_, _, event)| like(event)).map(|(at, node, _)| (*at, *node))
    }

    /// How often an event like this was reported.
    pub(crate) fn count(&self, like: impl Fn(usize, &Event) -> bool) -> usize {
        self.events.iter().filter(|(_, node, event)| like(*node, event)).count()
    }
}

fn installed(machine: &Machine, component: &ComponentName) -> Installed {
    let of = |record: &Record| match record {
        Record::Installed { component: of, installed } if of == component => Some((**installed).clone()),
        _ => None,
    };
    let queued = machine.disk.queue.iter().rev().find_map(|work| match work {
        DiskWork::Write(_, record) => of(record),
        DiskWork::Forget(_) => None,
    });
    queued.or_else(|| machine.disk.durable.values().find_map(of)).unwrap_or_default()
}

/// The fact as gossip.
pub(crate) fn gossip(fact: &Fact) -> Vec<u8> {
    Frame::Gossip(fact.signed.clone()).encode()
}
