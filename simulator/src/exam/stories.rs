//! The stories of the exam: those that any seed brings, and now and then what these lack.

use std::ops::RangeInclusive;

use groundswell_protocol::trust::plan::Plan;

use crate::generator::Generator;
use crate::machine::service::HealthLaw;
use crate::scenario::catalogue::release;
use crate::scenario::{Act, Count, Goal, Group, Liar, Lie, Order, Scenario, Step, When, Who, plan, random};
use crate::world::links::LinkLaw;

/// By then the faults of a random story have ended.
const FAULTS_END_MILLISECONDS: u64 = 125_000;
/// Machines of a story: from so many to so many.
pub const SIZES: (u32, u32) = (4, 12);

/// The story of a seed.
pub fn story(seed: u64) -> Scenario {
    sized(seed, &(SIZES.0..=SIZES.1))
}

/// The story of a seed, with a number of machines from these.
pub fn sized(seed: u64, sizes: &RangeInclusive<u32>) -> Scenario {
    let mut story = random::story(seed, sizes);
    let mut luck = Generator::new(seed).split("exam", 0);
    match luck.below(19) {
        0 => forger(&mut story, &mut luck),
        1 => twins(&mut story, &mut luck),
        2 => unsigned(&mut story, &mut luck),
        3 | 14 => attrition(&mut story, &mut luck),
        4 => leader_lost(&mut story),
        5 => core(&mut story),
        6 => latecomer(&mut story, &mut luck),
        7 => flurry(&mut story, &mut luck),
        8 => older(&mut story),
        9 => pause(&mut story, &mut luck),
        10 => abort(&mut story, &mut luck),
        11 => promote(&mut story, &mut luck),
        12 => buried_twin(&mut story, &mut luck),
        15 => overtaken(&mut story, &mut luck),
        13 => first_of_all(&mut story, &mut luck),
        16 => dark_zone(&mut story, &mut luck),
        _ => {}
    }
    story
}

fn at(milliseconds: u64, act: Act) -> Step {
    Step { when: When::At(milliseconds), act }
}

fn some(nodes: u32, luck: &mut Generator) -> u32 {
    u32::try_from(luck.below(u64::from(nodes))).unwrap_or(0)
}

/// A member signs other jurors' ballots.
fn forger(story: &mut Scenario, luck: &mut Generator) {
    story.liars = vec![Liar { who: Who::Node(some(story.nodes, luck)), lie: Lie::Forges }];
}

/// A second release claims the place of the first.
fn twins(story: &mut Scenario, luck: &mut Generator) {
    let twin = story.releases.len();
    story.releases.push(release("2.0.0-twin", 2));
    // Sometimes so late that the first is done.
    let (earliest, latest) = if luck.chance(500) { (4_000, 40_000) } else { (200_000, 300_000) };
    let at_ms = luck.between(earliest, latest);
    let act = Act::Publish { release: twin, on: Who::Node(some(story.nodes, luck)) };
    story.steps.push(at(at_ms, act));
    if luck.chance(500) {
        story.releases.push(release("2.0.0-third", 2));
        let act = Act::Publish { release: twin + 1, on: Who::Node(some(story.nodes, luck)) };
        story.steps.push(at(at_ms + luck.between(0, 5_000), act));
    }
    story.goal = Goal::Ends(story.goal.release());
}

/// A release that too few keys signed is handed in.
fn unsigned(story: &mut Scenario, luck: &mut Generator) {
    let mut forged = release("9.9.9-forged", 9);
    forged.signed = false;
    let place = story.releases.len();
    story.releases.push(forged);
    story.steps.push(at(
        luck.between(4_500, 20_000),
        Act::Publish { release: place, on: Who::Node(1.min(story.nodes - 1)) },
    ));
}

/// Machines go for good, on trial or not: sometimes more than a quorum can bear.
fn attrition(story: &mut Scenario, luck: &mut Generator) {
    let most = u64::from(story.nodes / 2);
    for _ in 0..luck.between(1, most) {
        // Never the publisher.
        let node = 1 + some(story.nodes - 1, luck);
        let step = if luck.chance(500) {
            at(luck.between(6_000, 60_000), Act::Crash { who: Who::Node(node), back_after: None })
        } else {
            let nodes = Count::Number(1 + some(3, luck));
            let act = Act::Crash { who: Who::OnTrial, back_after: None };
            Step { when: When::Running { release: 1, nodes }, act }
        };
        story.steps.push(step);
    }
    story.goal = Goal::Ends(story.goal.release());
}

/// The leader goes for good as soon as something opened.
fn leader_lost(story: &mut Scenario) {
    let act = Act::Crash { who: Who::Leader, back_after: None };
    story.steps.push(Step { when: When::Opened { release: 1, ranks: Count::Number(1) }, act });
    story.goal = Goal::Ends(story.goal.release());
}

/// A core of honest machines is left alone.
fn core(story: &mut Scenario) {
    story.steps.push(at(FAULTS_END_MILLISECONDS, Act::Core));
    story.goal = Goal::Ends(story.goal.release());
}

/// A machine is enrolled while the rollout goes on.
fn latecomer(story: &mut Scenario, luck: &mut Generator) {
    let node = 1 + some(story.nodes - 1, luck);
    story.liars.retain(|liar| liar.who != Who::Node(node));
    story.steps.push(at(luck.between(5_000, 30_000), Act::Enrol { who: Who::Node(node) }));
}

/// Releases follow each other faster than any of them can go out.
fn flurry(story: &mut Scenario, luck: &mut Generator) {
    story.releases.truncate(2);
    story.releases[1].health = HealthLaw::Good;
    story.steps.retain(|step| !matches!(step.act, Act::Publish { release, .. } if release > 1));
    story.steps.retain(|step| !matches!(step.act, Act::Command { .. }));
    let begin = if luck.chance(500) { 5_000 } else { 62_000 };
    for (release_number, version) in (2..).zip(["3.0.0", "4.0.0", "5.0.0", "6.0.0"]) {
        story.releases.push(release(version, release_number + 1));
        let number = usize::try_from(release_number).unwrap_or(2);
        let act = Act::Publish { release: number, on: Who::Node(some(story.nodes, luck)) };
        story.steps.push(at(begin + release_number * luck.between(500, 2_000), act));
    }
    // Who sleeps through it brings back what the others have put away.
    let node = some(story.nodes, luck);
    let act = Act::Crash { who: Who::Node(node), back_after: Some(luck.between(50_000, 80_000)) };
    story.steps.push(at(begin + 10_000, act));
    story.goal = Goal::Completes(5);
}

/// After the second release, which goes out without a fault, an older one is handed in.
fn older(story: &mut Scenario) {
    story.releases.truncate(2);
    story.releases[1].sequence = 4;
    story.releases[1].health = HealthLaw::Good;
    story.releases.push(release("1.5.0", 3));
    story.liars.clear();
    story.steps = vec![
        at(4_000, Act::Publish { release: 1, on: Who::Node(0) }),
        at(400_000, Act::Publish { release: 2, on: Who::Node(0) }),
    ];
    story.goal = Goal::Completes(1);
}

fn says(release: usize, order: Order) -> Act {
    Act::Command { release, order }
}

/// An operator pauses while a wave begins, and lets it go on much later.
fn pause(story: &mut Scenario, luck: &mut Generator) {
    let opened = When::Opened { release: 1, ranks: Count::Number(1 + some(4, luck)) };
    let (soon, later) = (luck.between(0, 600), luck.between(10_000, 60_000));
    story.steps.push(Step { when: opened, act: says(1, Order::Resume) });
    story.steps.push(Step { when: When::After(soon), act: says(1, Order::Pause) });
    story.steps.push(Step { when: When::After(later), act: says(1, Order::Resume) });
    story.goal = Goal::Ends(story.goal.release());
}

/// An operator ends it in the middle of a wave.
fn abort(story: &mut Scenario, luck: &mut Generator) {
    // Where a wave opens, or in the middle of a trial.
    let when = if luck.chance(400) {
        When::Opened { release: 1, ranks: Count::Number(1 + some(6, luck)) }
    } else {
        When::Running { release: 1, nodes: Count::Number(1 + some(4, luck)) }
    };
    if luck.chance(300) {
        story.gossip = false;
        story.plan.beacon_ms = 60_000;
    }
    story.steps.push(Step { when, act: says(1, Order::Stop) });
    if luck.chance(500) {
        // The power goes where the way back has just begun.
        story.links = LinkLaw::default();
        let when = When::After(luck.between(20, 120));
        story.steps.push(Step { when, act: Act::Crash { who: Who::OnTrial, back_after: Some(5_000) } });
    }
    story.goal = Goal::Ends(story.goal.release());
}

/// An operator opens everything, also what failures hold.
fn promote(story: &mut Scenario, luck: &mut Generator) {
    story.releases.truncate(2);
    story.steps.retain(|step| !matches!(step.act, Act::Publish { release, .. } if release > 1));
    story.steps.retain(|step| !matches!(step.act, Act::Command { .. }));
    story.releases[1].health = HealthLaw::FailsOn(u32::try_from(luck.between(100, 400)).unwrap_or(100));
    let when = When::Opened { release: 1, ranks: Count::Number(1) };
    story.steps.push(Step { when, act: says(1, Order::Resume) });
    let when = When::After(luck.between(5_000, 60_000));
    story.steps.push(Step { when, act: says(1, Order::Promote(Count::Number(story.nodes))) });
    story.goal = Goal::Ends(1);
}

/// Somebody signs another release of the order that is done and put away.
fn buried_twin(story: &mut Scenario, luck: &mut Generator) {
    let twin = story.releases.len();
    story.releases.push(release("1.0.0-twin", 1));
    let act = Act::Publish { release: twin, on: Who::Node(some(story.nodes, luck)) };
    story.steps.push(at(luck.between(2_000, 20_000), act));
}

/// The first release of all, ended by an operator on some way: nothing older is there to go back to.
fn first_of_all(story: &mut Scenario, luck: &mut Generator) {
    story.installed = false;
    story.releases.truncate(1);
    story.liars.clear();
    let nodes = Count::Number(1 + some(4, luck));
    story.steps = vec![
        at(4_000, Act::Publish { release: 0, on: Who::Node(0) }),
        Step { when: When::Running { release: 0, nodes }, act: says(0, Order::Stop) },
    ];
    story.goal = Goal::Ends(0);
}

/// A third of the machines lose their power for longer than a trial, some of them in the middle of one.
fn dark_zone(story: &mut Scenario, luck: &mut Generator) {
    story.nodes = 12;
    story.groups =
        (0..3).map(|zone| Group { nodes: 4, zone: format!("zone-{zone}"), ..Group::usual(0) }).collect();
    story.releases.truncate(2);
    story.releases[1].health = HealthLaw::Good;
    story.liars.clear();
    story.gossip = true;
    story.links = LinkLaw::default();
    story.plan = Plan { trial_s: 5, bake_s: 120, ..plan() };
    let who = Who::Zone(1 + some(2, luck));
    let when = When::Running { release: 1, nodes: Count::Number(5 + some(3, luck)) };
    story.steps = vec![
        at(4_000, Act::Publish { release: 1, on: Who::Node(0) }),
        Step { when, act: Act::Crash { who, back_after: Some(luck.between(100_000, 200_000)) } },
    ];
    story.goal = Goal::Ends(1);
}

/// A few machines are cut off as the first wave opens, and miss that a later release is done.
fn overtaken(story: &mut Scenario, luck: &mut Generator) {
    story.nodes = 5;
    story.releases.truncate(2);
    story.releases[1].health = HealthLaw::Good;
    story.releases.push(release("3.0.0", 3));
    story.liars.clear();
    story.gossip = true;
    story.plan.beacon_ms = plan().beacon_ms;
    story.links = LinkLaw { latency_min_micros: 100_000, latency_max_micros: 200_000, ..LinkLaw::default() };
    let lasts = luck.between(3_000, 40_000);
    let later = luck.between(250, 600);
    let opened = When::Opened { release: 1, ranks: Count::Number(1 + some(2, luck)) };
    story.steps = vec![
        at(4_000, Act::Publish { release: 1, on: Who::Node(0) }),
        Step { when: opened, act: says(1, Order::Resume) },
        Step { when: When::After(later), act: Act::Split { permille: 400 } },
        Step { when: When::After(10), act: Act::Publish { release: 2, on: Who::Node(0) } },
        Step { when: When::After(1_000), act: says(2, Order::Promote(Count::Number(story.nodes + 1))) },
        Step { when: When::After(lasts), act: Act::Heal },
    ];
    story.goal = Goal::Ends(2);
}
