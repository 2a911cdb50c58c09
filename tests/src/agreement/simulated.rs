//! The scenario in the simulator, over many seeds.

use groundswell_simulator::fleet::{ReleaseLaw, Thief};
use groundswell_simulator::machine::service::HealthLaw;
use groundswell_simulator::report::trace::{HEALTHY, Journey, Trace};
use groundswell_simulator::scenario::words::Who;
use groundswell_simulator::scenario::{Act, Goal, Scenario, Step, When};
use groundswell_simulator::world::World;
use groundswell_simulator::world::links::LinkLaw;
use groundswell_simulator::world::queue::Moment;

use super::{Course, Overlay, plan};

/// When the release is published, in milliseconds: by then everybody is linked and signs.
const PUBLISHED_MILLISECONDS: u64 = 20_000;

/// The rollout among `nodes` machines on loopback: one release runs, the next is published with a delta of so many bytes.
pub fn scenario(nodes: u32, tree_bytes: u64, delta_bytes: u64) -> Scenario {
    let release = |version: &str, sequence, delta_bytes| ReleaseLaw {
        version: version.to_owned(),
        sequence,
        bytes: tree_bytes,
        delta_bytes,
        health: HealthLaw::Good,
        signed: true,
        thief: Thief::default(),
    };
    Scenario {
        name: "agreement".to_owned(),
        about: "a good release on a fleet on loopback".to_owned(),
        nodes,
        nodes_min: 1,
        seed: None,
        limit_seconds: 600,
        goal: Goal::Completes(1),
        back_to: 0,
        installed: true,
        gossip: true,
        links: loopback(),
        classes: Vec::new(),
        plan: plan(),
        groups: Vec::new(),
        releases: vec![release("1.0", 1, None), release("2.0", 2, Some(delta_bytes))],
        liars: Vec::new(),
        steps: vec![Step {
            when: When::At(PUBLISHED_MILLISECONDS),
            act: Act::Publish { release: 1, on: Who::Node(0) },
        }],
    }
}

/// Links within one machine that thirty agents share: there is no wire, but agents wait for a processor before they send
/// and before they judge. The last two numbers are those at which hops and duplicates are nearest to real ones.
fn loopback() -> LinkLaw {
    LinkLaw {
        latency_min_micros: 300,
        latency_max_micros: 600,
        jitter_micros: 6_000,
        judging_micros: 5_000,
        duplicate_permille: 0,
        up_bytes: 100_000_000,
        down_bytes: 100_000_000,
        ..LinkLaw::default()
    }
}

/// Plays it with one seed.
///
/// # Panics
/// When a property of the fleet was breached.
pub fn play(scenario: &Scenario, seed: u64) -> (Course, Overlay) {
    let (outcome, trace) = World::play_recorded(scenario.clone(), seed, Box::new(|_| {}));
    assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
    let trace = trace.expect("a run that was recorded has its trace");
    let counters = outcome.counters;
    let overlay = Overlay {
        first_copies: counters.first_copies,
        duplicates: counters.duplicates,
        asked: counters.asked_for,
        ways: counters.first_copies,
        hops: counters.hops,
        hops_max: counters.hops_max,
        straight: counters.straight,
        mesh: counters.mesh_neighbours,
        mesh_nodes: u64::from(outcome.nodes),
    };
    (course(&trace, &trace.journeys[1]), overlay)
}

fn course(trace: &Trace, journey: &Journey) -> Course {
    let Some((begun, _)) = journey.published else { return Course::default() };
    let since = |at: Moment| at.milliseconds_since(begun);
    let mut opened: Vec<(u64, u32)> = Vec::new();
    for gate in &journey.gates {
        if opened.iter().all(|(_, open)| *open < gate.open) {
            opened.push((since(gate.at), gate.open));
        }
    }
    let mut proposed: Vec<(u64, u32)> = Vec::new();
    for proposal in &journey.proposals {
        if proposed.iter().all(|(_, open)| *open < proposal.open) {
            proposed.push((since(proposal.at), proposal.open));
        }
    }
    // What lies in a bucket happened in its middle, on average.
    let middle = |bucket: u32| since(trace.clock.begins(bucket).after_micros(trace.clock.width_micros() / 2));
    let mut switched = Vec::new();
    for point in journey.running.points() {
        while (switched.len() as u64) < point.high {
            switched.push(middle(point.bucket));
        }
    }
    let mut healthy = Vec::new();
    for (bucket, sums) in (0..).zip(journey.verdicts.buckets()) {
        healthy.extend((0..sums[HEALTHY]).map(|_| middle(bucket)));
    }
    let done = journey.end.as_ref().filter(|end| end.stopped.is_none()).map(|end| since(end.at));
    Course { opened, proposed, switched, healthy, done }
}
