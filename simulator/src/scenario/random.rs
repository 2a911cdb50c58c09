//! Stories drawn from a seed: small fleets, random links, random faults, a random release.

use super::catalogue::release;
use super::{Act, Count, Goal, Liar, Lie, Order, Scenario, Step, When, Who, plan};
use crate::fleet::ReleaseLaw;
use crate::generator::Generator;
use crate::machine::service::HealthLaw;
use crate::world::links::LinkLaw;

/// By then every fault has ended.
const FAULTS_END_MILLISECONDS: u64 = 120_000;

/// The story of a seed, for 4 to 12 machines.
pub fn story(seed: u64) -> Scenario {
    let mut generator = Generator::new(seed).split("story", 0);
    let nodes = u32::try_from(generator.between(4, 12)).unwrap_or(4);
    let mut second = release("2.0.0", 2);
    second.health = draw_health(&mut generator);
    let goal = if second.health == HealthLaw::Good { Goal::Completes(1) } else { Goal::Stops(1) };
    let mut steps = vec![Step { when: When::At(4_000), act: Act::Publish { release: 1, on: Who::Node(0) } }];
    for _ in 0..generator.below(8) {
        add_fault(&mut steps, nodes, &mut generator);
    }
    let mut releases = vec![release("1.0.0", 1), second];
    let goal = match generator.below(8) {
        0 => add_successor(&mut steps, &mut releases, &mut generator),
        1 => add_operator(&mut steps, goal, &mut generator),
        _ => goal,
    };
    let liars = if generator.chance(200) {
        let lie = if generator.chance(500) { Lie::CriesStop } else { Lie::Floods };
        vec![Liar { who: Who::Node(u32::try_from(generator.below(u64::from(nodes))).unwrap_or(0)), lie }]
    } else {
        Vec::new()
    };
    let gossip = !generator.chance(100);
    let mut plan = plan();
    if !gossip {
        plan.beacon_ms = 60_000;
    }
    Scenario {
        name: "random".to_owned(),
        about: "whatever the seed brings".to_owned(),
        nodes,
        nodes_min: 1,
        seed: None,
        links: LinkLaw {
            loss_permille: if generator.chance(500) {
                u32::try_from(generator.below(150)).unwrap_or(0)
            } else {
                0
            },
            latency_max_micros: generator.between(1_000, 300_000),
            jitter_micros: generator.between(0, 50_000),
            ..LinkLaw::default()
        },
        gossip,
        plan,
        releases,
        installed: true,
        steps,
        liars,
        goal,
        back_to: 0,
        limit_seconds: 3_600,
    }
}

fn draw_health(generator: &mut Generator) -> HealthLaw {
    match generator.below(10) {
        0 => HealthLaw::FailsAfter(generator.between(0, 4_000)),
        1 => HealthLaw::FailsAfter(generator.between(5_500, 8_500)),
        2 => HealthLaw::CrashesHost(generator.between(500, 4_500)),
        _ => HealthLaw::Good,
    }
}

fn add_fault(steps: &mut Vec<Step>, nodes: u32, generator: &mut Generator) {
    let start = generator.between(1_000, FAULTS_END_MILLISECONDS / 2);
    let lasts = generator.between(100, FAULTS_END_MILLISECONDS / 2);
    let node = u32::try_from(generator.below(u64::from(nodes))).unwrap_or(0);
    match generator.below(7) {
        0 | 1 => {
            let act = Act::Crash { who: Who::Node(node), back_after: Some(lasts.min(30_000)) };
            steps.push(Step { when: When::At(start), act });
        }
        2 => {
            let act = Act::Crash { who: Who::OnTrial, back_after: Some(lasts.min(20_000)) };
            steps.push(Step {
                when: When::Running {
                    release: 1,
                    nodes: Count::Number(1 + u32::try_from(generator.below(3)).unwrap_or(0)),
                },
                act,
            });
        }
        3 => {
            let act = Act::Crash { who: Who::Leader, back_after: Some(lasts) };
            let ranks = 1 + u32::try_from(generator.below(3)).unwrap_or(0);
            steps.push(Step { when: When::Opened { release: 1, ranks: Count::Number(ranks) }, act });
        }
        4 => {
            let permille = u32::try_from(generator.between(100, 500)).unwrap_or(500);
            steps.push(Step { when: When::At(start), act: Act::Split { permille } });
            steps.push(Step { when: When::At(start + lasts), act: Act::Heal });
        }
        5 => {
            // Never the publisher's: with its image the only copy of the bytes would be gone.
            let node = 1 + u32::try_from(generator.below(u64::from(nodes - 1))).unwrap_or(0);
            steps.push(Step { when: When::At(start), act: Act::Snapshot { who: Who::Node(node) } });
            steps.push(Step { when: When::At(start + lasts), act: Act::Restore { who: Who::Node(node) } });
        }
        _ => {
            steps.push(Step { when: When::At(start), act: Act::Disk { who: Who::Node(node), broken: true } });
            steps.push(Step {
                when: When::At(start + lasts.min(20_000)),
                act: Act::Disk { who: Who::Node(node), broken: false },
            });
        }
    }
}

/// A third release comes at some time, and it is the one that must complete.
fn add_successor(steps: &mut Vec<Step>, releases: &mut Vec<ReleaseLaw>, generator: &mut Generator) -> Goal {
    releases.push(release("3.0.0", 3));
    let at = generator.between(4_100, 90_000);
    steps.push(Step { when: When::At(at), act: Act::Publish { release: 2, on: Who::Node(1) } });
    Goal::Completes(2)
}

/// An operator speaks at some time: pauses and resumes, or ends it.
fn add_operator(steps: &mut Vec<Step>, goal: Goal, generator: &mut Generator) -> Goal {
    let say = |at, order| Step { when: When::At(at), act: Act::Command { release: 1, order } };
    let at = generator.between(4_100, 60_000);
    if generator.chance(500) {
        let until = at + generator.between(1_000, 60_000);
        steps.push(say(at, Order::Pause));
        steps.push(say(until, Order::Resume));
        goal
    } else {
        steps.push(say(at, Order::Stop));
        // It may have completed, or been stopped for another reason, before.
        Goal::Ends(1)
    }
}
