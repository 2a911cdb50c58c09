//! A fleet of real agents, and what their recordings say of its rollouts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use groundswell_agent::control::api::Counters;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::event::{Event, Stage};
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::{Input, Via};
use groundswell_protocol::recording::{Block, Effect, Recording};
use tokio::time::sleep;

use super::{Course, Overlay, plan};
use crate::field::Field;
use crate::recordings;

/// Between two looks at whether a rollout has ended: rare, since looking takes time from thirty agents.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between the end of a rollout and the next release: beacons slow down ten seconds after an end, and that belongs to it.
const REST: Duration = Duration::from_secs(15);
const REST_MS: u64 = 15_000;
/// How long one rollout may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// What was measured on real agents.
pub struct Measured {
    /// The rollouts, in their order, and what gossip cost in each.
    pub rollouts: Vec<(Course, Overlay)>,
    /// The sizes of the waves.
    pub targets: Vec<u32>,
    /// Bytes of a release's tree, and of its delta.
    pub tree_bytes: u64,
    /// See `tree_bytes`.
    pub delta_bytes: u64,
    /// How long gossip took from its author to each node, in milliseconds, by rising time: in one hop, and in two.
    pub latencies: [Vec<u64>; 2],
    /// Processor time of all agents for each second of the rollouts, in milliseconds.
    pub cpu_ms_per_second: u64,
}

impl Measured {
    /// Nothing was measured among `nodes` agents.
    pub fn nothing(nodes: u32) -> Self {
        Self {
            rollouts: Vec::new(),
            targets: plan().targets(nodes),
            tree_bytes: 262_149,
            delta_bytes: 66_000,
            latencies: Default::default(),
            cpu_ms_per_second: 0,
        }
    }
}

/// Runs `nodes` agents through `rollouts` releases after a first one, `tell`s how it goes, and reads their recordings.
///
/// # Panics
/// When an agent does not do what it should, or a recording has other effects when it is played again.
pub async fn measure(nodes: usize, rollouts: usize, mut tell: impl FnMut(&str)) -> Measured {
    let mut field = Field::start(nodes).await;
    tell(&format!("{nodes} agents run and sign"));
    let first = field.release("1.0", 1, &[], plan()).await;
    ended(&field, first.rollout()).await;
    let mut before = first;
    let mut windows = Vec::new();
    let (mut cpu_ms, mut lasted_ms) = (0, 0);
    let (mut tree_bytes, mut delta_bytes) = (0, 0);
    sleep(REST).await;
    for number in 1..=rollouts {
        let sequence = number as u64 + 1;
        let begin = counters(&field).await;
        let begun = tokio::time::Instant::now();
        let release = field.release(&format!("{sequence}.0"), sequence, &[&before], plan()).await;
        ended(&field, release.rollout()).await;
        let lasted = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        sleep(REST).await;
        let end = counters(&field).await;
        tell(&format!("rollout {number} of {rollouts} is done"));
        cpu_ms += sum(&end, |counters| counters.cpu_ms) - sum(&begin, |counters| counters.cpu_ms);
        lasted_ms += lasted;
        let manifest = release.manifest();
        tree_bytes = manifest.bytes;
        delta_bytes = manifest.deltas.first().map_or(0, |delta| delta.bytes);
        windows.push((release.rollout(), begin, end));
        before = release;
    }
    field.fleet.end();
    let lives: Vec<Life> = field
        .fleet
        .machines()
        .iter()
        .flat_map(|machine| recordings::of(machine).into_iter().map(|path| (machine.node(), path)))
        .map(|(node, path)| Life::read(node, &path))
        .collect();
    let targets = plan().targets(u32::try_from(nodes).unwrap_or(u32::MAX));
    let mut latencies = [Vec::new(), Vec::new()];
    let rollouts = windows.iter().map(|(rollout, begin, end)| {
        let (course, from, until) = course(&lives, *rollout);
        let received = sum(end, |c| c.gossip_received) - sum(begin, |c| c.gossip_received);
        let copies = sum(end, |c| c.gossip_copies) - sum(begin, |c| c.gossip_copies);
        let mut overlay = Overlay {
            first_copies: received,
            duplicates: copies.saturating_sub(received),
            asked: sum(end, |c| c.gossip_asked) - sum(begin, |c| c.gossip_asked),
            mesh: sum(end, |c| c.gossip_mesh),
            mesh_nodes: end.len() as u64,
            ..Overlay::default()
        };
        ways(&lives, (from, until + REST_MS), &mut overlay, &mut latencies);
        (course, overlay)
    });
    let rollouts = rollouts.collect();
    latencies.iter_mut().for_each(|of| of.sort_unstable());
    let cpu_ms_per_second = cpu_ms * 1_000 / lasted_ms.max(1);
    Measured { rollouts, targets, tree_bytes, delta_bytes, latencies, cpu_ms_per_second }
}

/// Waits until every agent knows that a rollout is done.
async fn ended(field: &Field, rollout: RolloutId) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for place in field.everybody() {
        while !field.rollout(place, rollout).await.is_some_and(|known| known.ending == Some(Ending::Done)) {
            assert!(
                tokio::time::Instant::now() < deadline,
                "agent {place} does not know the rollout to be done"
            );
            sleep(LOOK_EVERY).await;
        }
    }
}

async fn counters(field: &Field) -> Vec<Counters> {
    let mut all = Vec::new();
    for place in field.everybody() {
        all.push(field.status(place).await.expect("an agent that answers").counters);
    }
    all
}

fn sum(all: &[Counters], of: impl Fn(&Counters) -> u64) -> u64 {
    all.iter().map(of).sum()
}

/// What one recording tells. Times are those of the wall clock, in milliseconds since 1970.
struct Life {
    node: NodeId,
    /// Frames that came through gossip: when, what, and from which neighbour.
    heard: Vec<(u64, Digest, NodeId)>,
    /// Frames that the node gossiped itself.
    said: Vec<(u64, Digest)>,
    events: Vec<(u64, Event)>,
}

impl Life {
    fn read(node: NodeId, path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("a recording that can be read");
        let mut recording = Recording::open(&bytes).expect("a recording");
        let origin = recording.head().origin_unix_ms;
        let mut life = Self { node, heard: Vec::new(), said: Vec::new(), events: Vec::new() };
        let mut at = origin;
        while let Some(block) = recording.next_block().expect("blocks of this version") {
            match block {
                Block::Input { now, input } => {
                    at = origin + now.0;
                    if let Input::Received { from, via: Via::Gossip, frame } = input {
                        life.heard.push((at, Digest::of(frame), from));
                    }
                }
                Block::Effects(effects) => {
                    for effect in effects.list {
                        match effect {
                            Effect::Broadcast(frame) => life.said.push((at, Digest::of(&frame))),
                            Effect::Report(event) => life.events.push((at, event)),
                            _ => {}
                        }
                    }
                }
                Block::Head(_) | Block::Closing(_) => {}
            }
        }
        life
    }
}

/// A rollout's course, and when it began and was done.
fn course(lives: &[Life], rollout: RolloutId) -> (Course, u64, u64) {
    let mut begun = u64::MAX;
    let (mut opened, mut proposed) = (BTreeMap::<u32, u64>::new(), BTreeMap::<u32, u64>::new());
    let (mut switched, mut healthy) = (Vec::new(), Vec::new());
    let (mut done, mut last) = (None::<u64>, 0);
    let earlier = |known: &mut u64, at: u64| *known = at.min(*known);
    for (at, event) in lives.iter().flat_map(|life| &life.events) {
        let at = *at;
        match event {
            Event::Rollout { rollout: of, .. } if *of == rollout => earlier(&mut begun, at),
            Event::Opened { rollout: of, to, .. } if *of == rollout => {
                earlier(opened.entry(*to).or_insert(at), at);
            }
            Event::Proposed { rollout: of, open, .. } if *of == rollout => {
                earlier(proposed.entry(*open).or_insert(at), at);
            }
            Event::Stage { rollout: of, from, to, .. } if *of == rollout => match to {
                Stage::Trial => switched.push(at),
                Stage::Healthy if *from == Stage::Trial => healthy.push(at),
                _ => {}
            },
            Event::Done { rollout: of } if *of == rollout => {
                done = Some(done.map_or(at, |known| known.min(at)));
                last = last.max(at);
            }
            _ => {}
        }
    }
    let since = |at: u64| at.saturating_sub(begun);
    let rising = |all: BTreeMap<u32, u64>| -> Vec<(u64, u32)> {
        all.into_iter().map(|(open, at)| (since(at), open)).collect()
    };
    let sorted = |mut all: Vec<u64>| -> Vec<u64> {
        all.sort_unstable();
        all.into_iter().map(since).collect()
    };
    let course = Course {
        opened: rising(opened),
        proposed: rising(proposed),
        switched: sorted(switched),
        healthy: sorted(healthy),
        done: done.map(since),
    };
    (course, begun, last)
}

/// The ways of what was gossiped in a span of time: a node has a message one hop later than the neighbour that it had it
/// from. The overlay remembers a message for a minute, so what is said again within it goes nowhere.
fn ways(lives: &[Life], span: (u64, u64), overlay: &mut Overlay, latencies: &mut [Vec<u64>; 2]) {
    let within = |at: u64| (span.0..=span.1).contains(&at);
    let mut authors = BTreeMap::<Digest, (NodeId, u64)>::new();
    for life in lives {
        for (at, message) in life.said.iter().filter(|(at, _)| within(*at)) {
            let first = authors.entry(*message).or_insert((life.node, *at));
            if *at < first.1 {
                *first = (life.node, *at);
            }
        }
    }
    let mut copies = BTreeMap::<Digest, BTreeMap<NodeId, (u64, NodeId)>>::new();
    for life in lives {
        for (at, message, from) in &life.heard {
            if authors.contains_key(message) {
                copies.entry(*message).or_default().entry(life.node).or_insert((*at, *from));
            }
        }
    }
    for (message, copies) in &copies {
        let (author, said) = authors[message];
        for (node, (at, _)) in copies.iter().filter(|(node, _)| **node != author) {
            let (mut hops, mut place, mut met) = (0, *node, BTreeSet::new());
            while place != author && met.insert(place) {
                let Some((_, from)) = copies.get(&place) else { break };
                (hops, place) = (hops + 1, *from);
            }
            if place == author {
                overlay.ways += 1;
                overlay.hops += hops;
                overlay.hops_max = overlay.hops_max.max(hops);
                overlay.straight += u64::from(hops == 1);
                match hops {
                    1 => latencies[0].push(at.saturating_sub(said)),
                    2 => latencies[1].push(at.saturating_sub(said)),
                    _ => {}
                }
            }
        }
    }
}
