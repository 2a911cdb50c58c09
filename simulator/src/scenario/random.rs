//! Stories drawn from a seed: sizes, links, plans, releases good and bad, faults, operators, liars.
//!
//! Every subject draws from a stream of its own, and so does every single fault: a fault that is left
//! out, or a new kind of one, moves no other draw of the story.

use std::ops::RangeInclusive;

use groundswell_protocol::bounds::JURY_MAX;
use groundswell_protocol::trust::plan::{Plan, Rung};

use super::catalogue::release;
use super::{Act, Count, Goal, Liar, Lie, Order, Scenario, Step, When, Who, plan};
use crate::generator::Generator;
use crate::machine::service::HealthLaw;
use crate::world::links::LinkLaw;

/// By then every fault has ended.
const FAULTS_END_MILLISECONDS: u64 = 120_000;
/// When the release is published.
const PUBLISHED_MILLISECONDS: u64 = 4_000;
/// Most faults of a small fleet; larger ones get one more each time their size doubles.
const FAULTS_MAX: u64 = 8;

/// The story of a seed; its number of machines is drawn from `sizes`.
pub fn story(seed: u64, sizes: &RangeInclusive<u32>) -> Scenario {
    let root = Generator::new(seed).split("story", 0);
    let nodes = number(root.split("size", 0).between(u64::from(*sizes.start()), u64::from(*sizes.end())));
    let gossip = !root.split("gossip", 0).chance(100);
    let mut scenario = Scenario {
        name: "random".to_owned(),
        about: format!("what seed {seed} brings"),
        nodes,
        nodes_min: 1,
        seed: Some(seed),
        limit_seconds: 3_600,
        goal: Goal::Completes(1),
        back_to: 0,
        installed: true,
        gossip,
        links: links(root.split("links", 0)),
        groups: Vec::new(),
        classes: Vec::new(),
        plan: paced(root.split("plan", 0), gossip),
        releases: vec![release("1.0.0", 1), release("2.0.0", 2)],
        liars: liars(&root, nodes),
        steps: vec![step(PUBLISHED_MILLISECONDS, Act::Publish { release: 1, on: Who::Node(0) })],
    };
    let health = health(root.split("health", 0), &scenario.plan);
    scenario.releases[1].health = health;
    scenario.goal = match health {
        HealthLaw::Good => Goal::Completes(1),
        HealthLaw::FailsOn(_) => Goal::Ends(1),
        _ => Goal::Stops(1),
    };
    let most = FAULTS_MAX + u64::from((nodes / 8).checked_ilog2().unwrap_or(0));
    let forgetful = forgetful(&root, &scenario);
    for fault in 0..root.split("faults", 0).below(most) {
        add_fault(&mut scenario, &forgetful, root.split("fault", fault));
    }
    match root.split("turn", 0).below(8) {
        0 => add_successor(&mut scenario, root.split("successor", 0)),
        1 => add_operator(&mut scenario, root.split("operator", 0)),
        _ => {}
    }
    scenario
}

fn number(wide: u64) -> u32 {
    u32::try_from(wide).unwrap_or(u32::MAX)
}

fn step(milliseconds: u64, act: Act) -> Step {
    Step { when: When::At(milliseconds), act }
}

fn links(mut draw: Generator) -> LinkLaw {
    let lossy = draw.chance(500);
    let loss = number(draw.below(150));
    LinkLaw {
        loss_permille: if lossy { loss } else { 0 },
        latency_max_micros: draw.between(1_000, 300_000),
        jitter_micros: draw.between(0, 50_000),
        ..LinkLaw::default()
    }
}

/// A plan at the pace of a demonstration, with waves and times of its own.
fn paced(mut draw: Generator, gossip: bool) -> Plan {
    let ladders: [&[Rung]; 5] = [
        &[Rung::Nodes(1), Rung::Nodes(4), Rung::Nodes(16), Rung::Permille(500)],
        &[Rung::Nodes(1), Rung::Permille(250), Rung::Permille(500)],
        &[Rung::Nodes(2), Rung::Nodes(3), Rung::Nodes(5), Rung::Nodes(8)],
        &[Rung::Permille(100)],
        &[Rung::Permille(1000)],
    ];
    // The first one, the usual, as often as all others together.
    let ladder = if draw.chance(500) { 0 } else { draw.place(ladders.len()) };
    let mut plan = Plan {
        ladder: ladders[ladder].to_vec(),
        trial_s: number(draw.between(3, 10)),
        bake_s: number(draw.between(0, 8)),
        ..plan()
    };
    if !gossip {
        // Signs of life come no faster than syncs do.
        plan.beacon_ms = 60_000;
    }
    plan
}

fn health(mut draw: Generator, plan: &Plan) -> HealthLaw {
    let (trial, bake) = (u64::from(plan.trial_s) * 1000, u64::from(plan.bake_s) * 1000);
    match draw.below(20) {
        0 | 1 => HealthLaw::FailsAfter(draw.between(0, trial - 1_000)),
        2 if bake >= 2_000 => HealthLaw::FailsAfter(draw.between(trial + 500, trial + bake - 500)),
        3 | 4 => HealthLaw::CrashesHost(draw.between(500, trial - 500)),
        5 => HealthLaw::FailsOn(number(draw.between(10, 400))),
        _ => HealthLaw::Good,
    }
}

/// How many jurors may lie.
fn liars_max(nodes: u32) -> u64 {
    let jury = nodes.min(u32::try_from(JURY_MAX).unwrap_or(u32::MAX));
    u64::from(jury.saturating_sub(1) / 3)
}

/// Liars, fewer than a third of the jury.
fn liars(root: &Generator, nodes: u32) -> Vec<Liar> {
    let mut draw = root.split("liars", 0);
    let most = liars_max(nodes);
    if !draw.chance(200) || most == 0 {
        return Vec::new();
    }
    let count = draw.between(1, most);
    let liar = |number_of| {
        let mut draw = root.split("liar", number_of);
        let lie = if draw.chance(500) { Lie::CriesStop } else { Lie::Floods };
        Liar { who: Who::Node(number(draw.below(u64::from(nodes)))), lie }
    };
    let mut liars: Vec<Liar> = Vec::new();
    for liar in (0..count).map(liar) {
        if liars.iter().all(|other| other.who != liar.who) {
            liars.push(liar);
        }
    }
    liars
}

/// Machines that may come back on an old image. Never the publisher: with its image the only copy of the
/// bytes would be gone. And never more than may lie: who has forgotten what it signed is told so by a third
/// of the electors.
fn forgetful(root: &Generator, scenario: &Scenario) -> Vec<u32> {
    let mut places: Vec<u32> = (1..scenario.nodes).collect();
    root.split("forgetful", 0).shuffle(&mut places);
    let most = liars_max(scenario.nodes).saturating_sub(scenario.liars.len() as u64);
    places.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    places
}

fn add_fault(scenario: &mut Scenario, forgetful: &[u32], mut draw: Generator) {
    let nodes = u64::from(scenario.nodes);
    let start = draw.between(1_000, FAULTS_END_MILLISECONDS / 2);
    let lasts = draw.between(100, FAULTS_END_MILLISECONDS / 2);
    let who = Who::Node(number(draw.below(nodes)));
    let zone = Who::Zone(number(draw.split("zone", 0).below(scenario.zones().len() as u64)));
    let steps = &mut scenario.steps;
    match draw.below(8) {
        0 | 1 => steps.push(step(start, Act::Crash { who, back_after: Some(lasts.min(30_000)) })),
        2 => {
            let act = Act::Crash { who: Who::OnTrial, back_after: Some(lasts.min(20_000)) };
            let nodes = Count::Number(1 + number(draw.below(3)));
            steps.push(Step { when: When::Running { release: 1, nodes }, act });
        }
        3 => {
            let act = Act::Crash { who: Who::Leader, back_after: Some(lasts) };
            let ranks = Count::Number(1 + number(draw.below(3)));
            steps.push(Step { when: When::Opened { release: 1, ranks }, act });
        }
        4 => {
            steps.push(step(start, Act::Split { permille: number(draw.between(100, 500)) }));
            steps.push(Step { when: When::After(lasts), act: Act::Heal });
        }
        5 => {
            if let Some(node) = forgetful.get(draw.place(forgetful.len())) {
                let who = Who::Node(*node);
                steps.push(step(start, Act::Snapshot { who }));
                steps.push(Step { when: When::After(lasts), act: Act::Restore { who } });
            }
        }
        6 => {
            steps.push(step(start, Act::Crash { who: zone, back_after: Some(lasts.min(20_000)) }));
        }
        _ => {
            steps.push(step(start, Act::Disk { who, broken: true }));
            steps.push(Step { when: When::After(lasts.min(20_000)), act: Act::Disk { who, broken: false } });
        }
    }
}

/// A third release comes at some time, and it is the one that must complete.
fn add_successor(scenario: &mut Scenario, mut draw: Generator) {
    scenario.releases.push(release("3.0.0", 3));
    let at = draw.between(PUBLISHED_MILLISECONDS + 100, 90_000);
    let on = Who::Node(1.min(scenario.nodes - 1));
    scenario.steps.push(step(at, Act::Publish { release: 2, on }));
    scenario.goal = Goal::Completes(2);
}

/// An operator speaks at some time: pauses and resumes, or ends it.
fn add_operator(scenario: &mut Scenario, mut draw: Generator) {
    let at = draw.between(PUBLISHED_MILLISECONDS + 100, 60_000);
    let say = |order| Act::Command { release: 1, order };
    if draw.chance(500) {
        let pause = draw.between(1_000, 60_000);
        scenario.steps.push(step(at, say(Order::Pause)));
        scenario.steps.push(Step { when: When::After(pause), act: say(Order::Resume) });
    } else {
        scenario.steps.push(step(at, say(Order::Stop)));
        // It may have completed, or been stopped for another reason, before.
        scenario.goal = Goal::Ends(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_is_sound_whatever_the_size() {
        for seed in 0..300 {
            for sizes in [1..=1, 4..=12, 50..=100] {
                let story = story(seed, &sizes);
                assert_eq!(story.check(), Ok(()), "seed {seed}");
                assert!(sizes.contains(&story.nodes));
            }
        }
    }

    #[test]
    fn liars_are_fewer_than_a_third_of_the_jury() {
        for seed in 0..300 {
            let story = story(seed, &(1..=40));
            assert!(story.liars.len() * 3 < story.nodes as usize, "seed {seed}");
        }
    }

    #[test]
    fn a_fault_less_moves_no_other_draw() {
        let root = Generator::new(9).split("story", 0);
        let mut all = story(1, &(9..=9));
        all.steps.clear();
        let mut fewer = all.clone();
        for fault in 0..6 {
            add_fault(&mut all, &[3, 4], root.split("fault", fault));
            if fault != 2 {
                add_fault(&mut fewer, &[3, 4], root.split("fault", fault));
            }
        }
        assert!(fewer.steps.len() < all.steps.len());
        let mut left = all.steps.iter();
        assert!(
            fewer.steps.iter().all(|step| left.any(|other| other == step)),
            "the rest stands as it stood"
        );
    }
}
