//! The stories that are measured: a rollout at the pace of a real fleet, with faults.

use groundswell_protocol::trust::plan::{Plan, Rung};
use groundswell_protocol::trust::probe::{Probe, ProbeAction};

use crate::scenario::catalogue::release;
use crate::scenario::{Act, Count, Fault, Goal, Scenario, Step, When, Who, Whom};
use crate::world::links::LinkLaw;

/// When the release is published.
const PUBLISHED_MILLISECONDS: u64 = 60_000;

/// A good release for `nodes` machines in an hour: waves up to half the fleet, then all of it. Machines
/// come and go all the while, a part of the fleet is cut off, the leader is lost, some links are lossy.
pub(super) fn rollout(nodes: u32) -> Scenario {
    let at = |milliseconds, act| Step { when: When::At(milliseconds), act };
    let fault = |milliseconds, fault| at(milliseconds, Act::Fault(fault));
    let opened = |ranks, act| Step { when: When::Opened { release: 1, ranks: Count::Permille(ranks) }, act };
    let all = || Whom::from(Who::OfFleet(1000));
    Scenario {
        name: "rollout".to_owned(),
        about: "a good release in a large fleet, with faults".to_owned(),
        nodes,
        nodes_min: 1,
        seed: None,
        limit_seconds: 3_600,
        goal: Goal::Completes(1),
        back_to: 0,
        installed: true,
        gossip: true,
        links: LinkLaw::default(),
        classes: Vec::new(),
        plan: plan(),
        groups: Vec::new(),
        releases: vec![release("1.0.0", 1), release("2.0.0", 2)],
        liars: Vec::new(),
        steps: vec![
            at(PUBLISHED_MILLISECONDS, Act::Publish { release: 1, on: Who::Node(0) }),
            fault(90_000, Fault::Churn { who: all(), every: 5_000, away: 60_000, lasts: 2_400_000 }),
            fault(
                300_000,
                Fault::Weather {
                    who: Who::Zone(1).into(),
                    loss: 50,
                    bursts: None,
                    duplicates: 10,
                    reordered: 10,
                    damage: 0,
                    delay: 0,
                    lasts: 600_000,
                },
            ),
            opened(10, Act::Crash { who: Who::Leader, back_after: Some(120_000) }),
            opened(100, Act::Split { permille: 100 }),
            Step { when: When::After(120_000), act: Act::Heal },
        ],
    }
}

fn plan() -> Plan {
    Plan {
        ladder: vec![
            Rung::Nodes(1),
            Rung::Nodes(16),
            Rung::Permille(10),
            Rung::Permille(100),
            Rung::Permille(500),
            Rung::Permille(1000),
        ],
        bake_s: 120,
        stage_s: 600,
        trial_s: 60,
        hold_s: 1_800,
        revert_spread_s: 30,
        beacon_ms: 60_000,
        probes: vec![Probe {
            action: ProbeAction::Http { port: 0, path: "/health".to_owned() },
            initial_delay_ms: 1_000,
            period_ms: 20_000,
            timeout_ms: 1_000,
            success_threshold: 1,
            failure_threshold: 2,
        }],
        ..Plan::default()
    }
}
