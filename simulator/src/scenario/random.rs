//! Stories drawn from a seed: sizes, links, plans, releases good and bad, faults, operators, liars.
//!
//! Every subject draws from a stream of its own, and so does every single fault: a fault that is left
//! out, or a new kind of one, moves no other draw of the story.

use std::ops::RangeInclusive;

use groundswell_protocol::bounds::JURY_MAX;
use groundswell_protocol::trust::plan::{Plan, Rung};

use super::catalogue::release;
use super::families::{self, FAMILIES, Ground};
use super::{Act, Goal, Group, Liar, Lie, Order, Scenario, Step, When, Who, plan};
use crate::generator::Generator;
use crate::machine::service::HealthLaw;
use crate::world::links::{Bursts, ClassLaw, ClassName, Distance, LinkLaw, Reach};

/// The class of small machines.
const EDGE: &str = "edge";
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
    lay_out(&mut scenario, root.split("layout", 0));
    let health = health(root.split("health", 0), &scenario);
    scenario.releases[1].health = health;
    scenario.goal = match health {
        // Nobody can see that it does not work.
        HealthLaw::Good | HealthLaw::Lies => Goal::Completes(1),
        HealthLaw::FailsOn(_) | HealthLaw::FailsOnClass(_) => Goal::Ends(1),
        _ => Goal::Stops(1),
    };
    let most = FAULTS_MAX + u64::from((nodes / 8).checked_ilog2().unwrap_or(0));
    let zones = u32::try_from(scenario.zones().len()).unwrap_or(1);
    let ground = Ground { nodes, zones, forgetful: forgetful(&root, &scenario) };
    for fault in 0..root.split("faults", 0).below(most) {
        scenario.steps.extend(draw_fault(&ground, root.split("fault", fault)));
    }
    match root.split("turn", 0).below(8) {
        0 => add_successor(&mut scenario, root.split("successor", 0)),
        1 => add_operator(&mut scenario, root.split("operator", 0)),
        2 => add_thief(&mut scenario, root.split("thief", 0)),
        _ => {}
    }
    let for_good = |step: &Step| matches!(&step.act, Act::Fault(fault) if fault.takes_for_good());
    let cries = |liar: &Liar| matches!(liar.lie, Lie::Equivocates | Lie::DoubleVotes);
    let may_stop = scenario.steps.iter().any(for_good) || scenario.liars.iter().any(cries);
    if let (Goal::Completes(release), true) = (scenario.goal, may_stop) {
        // Silence after trying and a word of failure count against a release, whoever goes or lies.
        scenario.goal = Goal::Ends(release);
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
    let (lossy, loss) = (draw.chance(500), number(draw.below(150)));
    let (latency_max_micros, jitter_micros) = (draw.between(1_000, 300_000), draw.between(0, 50_000));
    let (bursting, begin, end) = (draw.chance(200), draw.between(1, 20), draw.between(50, 300));
    let (damaging, damage) = (draw.chance(150), number(draw.between(1, 50)));
    let (reordering, reordered) = (draw.chance(300), number(draw.below(300)));
    LinkLaw {
        loss_permille: if lossy { loss } else { 0 },
        latency_max_micros,
        jitter_micros,
        bursts: bursting.then(|| Bursts { begin: number(begin), end: number(end), loss: 900 }),
        damage_permille: if damaging { damage } else { 0 },
        late_permille: if reordering { reordered } else { 0 },
        ..LinkLaw::default()
    }
}

/// Sometimes the fleet is in two regions far apart, or a part of it is small machines behind routers.
fn lay_out(scenario: &mut Scenario, mut draw: Generator) {
    let (far, near) = (Distance(draw.between(20_000, 200_000)), Distance(0));
    let (apart, small) = (draw.chance(300), draw.chance(300));
    let reach = if draw.chance(500) { Reach::Zone } else { Reach::Nobody };
    let up = draw.between(20_000, 2_000_000);
    if !apart && !small {
        return;
    }
    let group = |nodes, zone: &str, class: &str| {
        let (zone, class) = (zone.to_owned(), class.to_owned());
        Group { nodes, zone, class, ..Group::usual(0) }
    };
    let second = if small { EDGE } else { "server" };
    scenario.groups = vec![
        group(7, "near", "server"),
        group(3, "near", second),
        group(7, "far", "server"),
        group(3, "far", second),
    ];
    if apart {
        scenario.links.distances = vec![vec![near, far], vec![far, near]];
    }
    if small {
        let name = ClassName::new(EDGE).expect("BUG: a constant name is valid");
        scenario.classes = vec![ClassLaw { name, up_bytes: Some(up), down_bytes: Some(4 * up), reach }];
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

fn health(mut draw: Generator, scenario: &Scenario) -> HealthLaw {
    let plan = &scenario.plan;
    let (trial, bake) = (u64::from(plan.trial_s) * 1000, u64::from(plan.bake_s) * 1000);
    match draw.below(20) {
        0 | 1 => HealthLaw::FailsAfter(draw.between(0, trial - 1_000)),
        2 if bake >= 2_000 => HealthLaw::FailsAfter(draw.between(trial + 500, trial + bake - 500)),
        3 | 4 => HealthLaw::CrashesHost(draw.between(500, trial - 500)),
        5 => HealthLaw::FailsOn(number(draw.between(10, 400))),
        6 => HealthLaw::FailsAtBoot,
        7 => HealthLaw::Leaks(draw.between(500, trial / 2)),
        8 => scenario.classes.first().map_or(HealthLaw::Good, |class| HealthLaw::FailsOnClass(class.name)),
        9 => HealthLaw::Lies,
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
    let mut liars: Vec<Liar> = Vec::new();
    for liar in (0..count).filter_map(|which| families::liar(&mut root.split("liar", which), nodes)) {
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

/// One fault of some family.
fn draw_fault(ground: &Ground, mut draw: Generator) -> Vec<Step> {
    let family = &FAMILIES[draw.place(FAMILIES.len())];
    (family.draw)(&mut draw, ground)
}

/// A third release comes at some time, and it is the one that must complete.
fn add_successor(scenario: &mut Scenario, mut draw: Generator) {
    scenario.releases.push(release("3.0.0", 3));
    let at = draw.between(PUBLISHED_MILLISECONDS + 100, 90_000);
    let on = Who::Node(1.min(scenario.nodes - 1));
    scenario.steps.push(step(at, Act::Publish { release: 2, on }));
    scenario.goal = Goal::Completes(2);
}

/// Somebody with too few keys hands in a release of a higher place.
fn add_thief(scenario: &mut Scenario, mut draw: Generator) {
    let mut forged = release("9.9.9", 9);
    (forged.signed, forged.thief) = (false, families::thief(&mut draw));
    let on = Who::Node(number(draw.below(u64::from(scenario.nodes))));
    let at = draw.between(PUBLISHED_MILLISECONDS + 500, 60_000);
    scenario.steps.push(step(at, Act::Publish { release: scenario.releases.len(), on }));
    scenario.releases.push(forged);
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
        let ground = Ground { nodes: 9, zones: 4, forgetful: vec![3, 4] };
        let drawn = |fault| draw_fault(&ground, root.split("fault", fault));
        let all: Vec<Step> = (0..12).flat_map(drawn).collect();
        for gone in 0..12 {
            let fewer: Vec<Step> = (0..12).filter(|fault| *fault != gone).flat_map(drawn).collect();
            let mut left = all.iter();
            assert!(fewer.iter().all(|step| left.any(|other| other == step)), "the rest stands as it stood");
        }
    }

    #[test]
    fn seeds_bring_every_family_every_lie_and_every_sort_of_release() {
        let stories: Vec<Scenario> = (0..2_000).map(|seed| story(seed, &(7..=12))).collect();
        let words: String = stories.iter().map(crate::scenario::file::write).collect();
        for word in [
            "cut = ",
            "clog = ",
            "weather = ",
            "bad-disk = ",
            "bad-clock = ",
            "freeze = ",
            "wipe = ",
            "churn = ",
            "attrition = ",
            "crash-point = ",
            "eclipse = ",
            "other-version = ",
            "one-way = true",
            "damage = ",
            "bursts = ",
            "snapshot = ",
            "restore = ",
            "distances = ",
            "reach = ",
            "fails-at-boot",
            "leaks = ",
            "fails-on-class",
            "\"lies\"",
            "thief = ",
            "cries-stop",
            "floods",
            "withholds",
            "forges",
            "equivocates",
            "replays",
            "double-votes",
            "spams",
            "eclipses",
            "colludes",
            "leads-early",
            "leads-too-far",
            "leads-nowhere",
        ] {
            assert!(words.contains(word), "no seed brings {word}");
        }
    }
}
