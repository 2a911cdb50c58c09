//! The stories with names.

use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::plan::{Plan, Rung};
use groundswell_protocol::trust::probe::{Probe, ProbeAction};

use super::{Act, Goal, Lie, Scenario, Step, When, Who};
use crate::fleet::ReleaseLaw;
use crate::machine::service::HealthLaw;
use crate::world::links::LinkLaw;

/// All names, in the order in which `all` plays them.
pub const NAMES: [&str; 24] = [
    "good",
    "bad",
    "late-bad",
    "genesis",
    "leader-killed",
    "partition",
    "minority",
    "loss",
    "sync-only",
    "crashes",
    "trial-crash",
    "crashes-host",
    "spoils-state",
    "liar-stops",
    "flood",
    "supersede",
    "fixed",
    "second-bad",
    "pause",
    "abort",
    "promote",
    "twins",
    "unsigned",
    "restored-disk",
];

/// The story of this name for `nodes` machines.
pub fn named(name: &str, nodes: u32) -> Option<Scenario> {
    let good = good(nodes);
    Some(match name {
        "good" => good,
        "bad" => bad(
            nodes,
            name,
            "a release that fails two seconds after each start",
            HealthLaw::FailsAfter(2_000),
        ),
        "late-bad" => bad(nodes, name, "a release that fails while it bakes", HealthLaw::FailsAfter(7_000)),
        "genesis" => genesis(good),
        // Of two jurors both are needed: without one the fleet holds, as it should.
        "leader-killed" if nodes >= 3 => leader_killed(good),
        "partition" => partition(good, name, "the fleet falls into two halves and heals", 500),
        "minority" => partition(good, name, "a third of the fleet is cut off for long and comes back", 330),
        "loss" => loss(good),
        "sync-only" => sync_only(good),
        "crashes" => crashes(good),
        "trial-crash" => trial_crash(good),
        "crashes-host" => bad(
            nodes,
            name,
            "a release that takes its machine down three seconds after each start",
            HealthLaw::CrashesHost(3_000),
        ),
        "spoils-state" => bad(
            nodes,
            name,
            "a release that fails and spoils what the old version needs",
            HealthLaw::SpoilsState,
        ),
        "liar-stops" => liar(good, name, "a juror signs a stop of every release", Lie::CriesStop),
        "supersede" => supersede(good),
        "fixed" => fixed(nodes),
        "second-bad" => second_bad(good),
        "pause" => pause(good),
        "abort" => abort(good),
        "promote" => promote(nodes),
        "twins" => twins(good),
        "unsigned" => unsigned(good),
        "restored-disk" => restored_disk(good),
        "flood" => liar(good, name, "a member raises its registers ten times a second", Lie::Floods),
        _ => return None,
    })
}

/// The plan of simulated releases: waves at the pace of a demonstration, the protocol's own defaults for the rest.
pub fn plan() -> Plan {
    Plan {
        ladder: vec![
            Rung::Nodes(1),
            Rung::Nodes(4),
            Rung::Nodes(16),
            Rung::Permille(500),
            Rung::Permille(1000),
        ],
        bake_s: 4,
        stage_s: 60,
        trial_s: 5,
        hold_s: 600,
        revert_spread_s: 5,
        probes: vec![Probe {
            action: ProbeAction::Http { port: 0, path: "/health".to_owned() },
            initial_delay_ms: 200,
            period_ms: 500,
            timeout_ms: 200,
            success_threshold: 1,
            failure_threshold: 2,
        }],
        ..Plan::default()
    }
}

/// A release that works.
pub fn release(version: &'static str, sequence: u64) -> ReleaseLaw {
    ReleaseLaw {
        version,
        sequence,
        bytes: 20_000_000,
        delta_bytes: Some(800_000),
        health: HealthLaw::Good,
        signed: true,
    }
}

fn at(milliseconds: u64, act: Act) -> Step {
    Step { when: When::At(milliseconds), act }
}

fn good(nodes: u32) -> Scenario {
    Scenario {
        name: "good".to_owned(),
        about: "a good release goes out in waves".to_owned(),
        nodes,
        links: LinkLaw::default(),
        gossip: true,
        plan: plan(),
        releases: vec![release("1.0.0", 1), release("2.0.0", 2)],
        installed: true,
        steps: vec![at(5_000, Act::Publish { release: 1, at: 0 })],
        liars: Vec::new(),
        goal: Goal::Completes(1),
        back_to: 0,
        limit_seconds: 900,
    }
}

fn bad(nodes: u32, name: &str, about: &str, health: HealthLaw) -> Scenario {
    let mut story = good(nodes);
    name.clone_into(&mut story.name);
    about.clone_into(&mut story.about);
    story.releases[1].health = health;
    story.goal = Goal::Stops(1);
    story.limit_seconds = 1_800;
    story
}

fn genesis(mut story: Scenario) -> Scenario {
    story.name = "genesis".to_owned();
    story.about = "the first release of all, on machines that run nothing".to_owned();
    story.installed = false;
    story.steps = vec![at(5_000, Act::Publish { release: 0, at: 0 })];
    story.goal = Goal::Completes(0);
    story
}

fn leader_killed(mut story: Scenario) -> Scenario {
    story.name = "leader-killed".to_owned();
    story.about = "the leader is killed when the second wave opens and never comes back".to_owned();
    story.steps.push(Step {
        when: When::Opened { release: 1, ranks: 2 },
        act: Act::Crash { who: Who::Leader, back_after: None },
    });
    story
}

fn partition(mut story: Scenario, name: &str, about: &str, permille: u32) -> Scenario {
    name.clone_into(&mut story.name);
    about.clone_into(&mut story.about);
    story.steps.push(Step { when: When::Opened { release: 1, ranks: 1 }, act: Act::Split { permille } });
    story.steps.push(Step { when: When::After { step: 1, milliseconds: 60_000 }, act: Act::Heal });
    story
}

fn loss(mut story: Scenario) -> Scenario {
    story.name = "loss".to_owned();
    story.about = "one frame in ten is lost".to_owned();
    story.links.loss_permille = 100;
    story.limit_seconds = 1_800;
    story
}

fn sync_only(mut story: Scenario) -> Scenario {
    story.name = "sync-only".to_owned();
    story.about = "gossip is switched off: sync alone carries everything".to_owned();
    story.gossip = false;
    // Signs of life come no faster than syncs do: a fleet without gossip needs a plan that expects this.
    story.plan.beacon_ms = 60_000;
    story.limit_seconds = 3_600;
    story
}

fn crashes(mut story: Scenario) -> Scenario {
    story.name = "crashes".to_owned();
    story.about = "a machine loses its power every two seconds and comes back after five".to_owned();
    for crash in 0..20 {
        let node = crash * 7 % story.nodes;
        story.steps.push(at(
            6_000 + u64::from(crash) * 2_000,
            Act::Crash { who: Who::Node(node), back_after: Some(5_000) },
        ));
    }
    story.limit_seconds = 1_800;
    story
}

fn trial_crash(mut story: Scenario) -> Scenario {
    story.name = "trial-crash".to_owned();
    story.about = "the first machine on trial loses its power and comes back".to_owned();
    story.steps.push(Step {
        when: When::Running { release: 1, nodes: 1 },
        act: Act::Crash { who: Who::OnTrial, back_after: Some(4_000) },
    });
    story
}

fn liar(mut story: Scenario, name: &str, about: &str, lie: Lie) -> Scenario {
    name.clone_into(&mut story.name);
    about.clone_into(&mut story.about);
    story.liars = vec![(story.nodes / 2, lie)];
    // With fewer than four jurors none may lie: one word suffices to stop.
    if lie == Lie::CriesStop && story.nodes < 4 {
        story.goal = Goal::Stops(1);
    }
    story
}

/// Names a story and says what it shows.
fn titled(mut story: Scenario, name: &str, about: &str) -> Scenario {
    name.clone_into(&mut story.name);
    about.clone_into(&mut story.about);
    story
}

fn supersede(story: Scenario) -> Scenario {
    let mut story = titled(story, "supersede", "a third release comes while the second is under way");
    story.releases.push(release("3.0.0", 3));
    let act = Act::Publish { release: 2, at: 1 };
    story.steps.push(Step { when: When::Running { release: 1, nodes: 1 }, act });
    story.goal = Goal::Completes(2);
    story
}

fn fixed(nodes: u32) -> Scenario {
    let about = "a bad release is stopped, and the fixed one follows";
    let mut story = bad(nodes, "fixed", about, HealthLaw::FailsAfter(1_000));
    story.releases.push(release("2.0.1", 3));
    story.steps.push(at(60_000, Act::Publish { release: 2, at: 0 }));
    story.goal = Goal::Completes(2);
    story
}

fn second_bad(story: Scenario) -> Scenario {
    let mut story = titled(story, "second-bad", "a good release completes; the one after it is bad");
    let mut third = release("3.0.0", 3);
    third.health = HealthLaw::FailsAfter(1_000);
    story.releases.push(third);
    story.steps.push(at(300_000, Act::Publish { release: 2, at: 0 }));
    story.goal = Goal::Stops(2);
    story.back_to = 1;
    story.limit_seconds = 1_800;
    story
}

fn flow(counter: u32, pause: bool) -> Act {
    Act::Command { release: 1, instruction: Instruction::Flow { counter, pause } }
}

fn pause(story: Scenario) -> Scenario {
    let mut story = titled(story, "pause", "an operator pauses for two minutes and resumes");
    story.steps.push(Step { when: When::Running { release: 1, nodes: 1 }, act: flow(1, true) });
    story.steps.push(Step { when: When::After { step: 1, milliseconds: 120_000 }, act: flow(2, false) });
    story
}

fn abort(story: Scenario) -> Scenario {
    let mut story = titled(story, "abort", "an operator ends a good release when it is half out");
    let act = Act::Command { release: 1, instruction: Instruction::Stop };
    let nodes = usize::try_from(story.nodes).unwrap_or(1).div_ceil(2);
    story.steps.push(Step { when: When::Running { release: 1, nodes }, act });
    story.goal = Goal::Stops(1);
    story
}

fn promote(nodes: u32) -> Scenario {
    let mut story = titled(good(nodes), "promote", "an operator opens everything at once");
    let act = Act::Command { release: 1, instruction: Instruction::Promote(nodes) };
    story.steps.push(Step { when: When::Running { release: 1, nodes: 1 }, act });
    story
}

fn twins(story: Scenario) -> Scenario {
    let mut story =
        titled(story, "twins", "two signed releases of one sequence, one in each half of a split fleet");
    story.releases.push(release("2.0.0-twin", 2));
    let last = story.nodes - 1;
    story.steps = vec![
        at(4_000, Act::Split { permille: 500 }),
        at(5_000, Act::Publish { release: 1, at: 0 }),
        at(5_000, Act::Publish { release: 2, at: last }),
        at(60_000, Act::Heal),
    ];
    story.goal = Goal::Stops(1);
    story
}

fn unsigned(story: Scenario) -> Scenario {
    let mut story =
        titled(story, "unsigned", "a release that too few keys signed is handed in beside a good one");
    let mut forged = release("9.9.9", 9);
    forged.signed = false;
    story.releases.push(forged);
    story.steps.push(at(5_500, Act::Publish { release: 2, at: 1 }));
    story
}

fn restored_disk(story: Scenario) -> Scenario {
    let mut story =
        titled(story, "restored-disk", "machines come back on images that were taken before the release");
    for node in 0..story.nodes.min(3) {
        // A start in between: the image does not know of it, and its number must not be used twice.
        story.steps.push(at(3_000, Act::Snapshot(node)));
        let act = Act::Crash { who: Who::Node(node), back_after: Some(1_000) };
        story.steps.push(at(8_000 + u64::from(node) * 3_000, act));
        story.steps.push(at(17_000 + u64::from(node) * 12_000, Act::Restore(node)));
    }
    story
}
