//! How near the swarm comes to the physical limit: the goals of the large fleets, on the transfer of production.
//!
//! The fleets are as large as the goals say; the blob is as large as lets a run end within minutes. What costs a
//! fleet a fixed time, such as the way of the first piece to everybody, weighs the more the smaller the blob is.

use super::{Means, Row};
use crate::report::kinds::Kinds;
use crate::spread::{Outcome, Plan, play};

/// The blob of the runs of a thousand machines: 16 s at 4 MiB/s.
const BYTES: u64 = 64 << 20;
/// The same of the run of ten thousand: 4 s.
const BYTES_OF_MANY: u64 = 16 << 20;
/// Machines that leave in a minute.
const CHURN_PERMILLE: u32 = 100;
/// What two sites are apart, one way.
const BETWEEN_MICROS: u64 = 25_000;

/// Measures them, and hands out each row as it is known.
pub(super) fn rows(means: Means, found: &mut dyn FnMut(Row)) {
    let nodes = means.nodes.unwrap_or(1_000);
    let plan = Plan { nodes, bytes: BYTES, ..Plan::default() };
    let Some(calm) = run(&plan, found) else { return };
    found(ratio("swarm", &plan, &calm, "the last has it at 1.10 of the bound", 1_100));
    let one = Plan { nodes: 1, ..plan.clone() };
    if let Some(alone) = run(&one, found) {
        let permille = over(calm.micros, alone.micros);
        found(row(
            "swarm-one",
            &plan,
            "at most 1.15 of the time for one machine",
            permille,
            permille <= 1_150,
            &calm,
        ));
    }
    let churned = Plan { churn_permille: CHURN_PERMILLE, ..plan.clone() };
    if let Some(churn) = run(&churned, found) {
        let permille = over(churn.micros, calm.micros);
        let goal = "10 % churn a minute: at most 1.10 of the time without";
        found(row("swarm-churn", &churned, goal, permille, permille <= 1_100, &churn));
    }
    sites(&plan, found);
    let many = Plan { nodes: means.nodes.map_or(10_000, |nodes| nodes * 10), bytes: BYTES_OF_MANY, ..plan };
    if let Some(outcome) = run(&many, found) {
        found(ratio("swarm-many", &many, &outcome, "the last has it at 1.15 of the bound", 1_150));
    }
}

fn sites(plan: &Plan, found: &mut dyn FnMut(Row)) {
    let plan = Plan { sites: 10, latency_micros: BETWEEN_MICROS, ..plan.clone() };
    if let Some(outcome) = run(&plan, found) {
        let copies = outcome.copies_permille(plan.bytes);
        let goal = "at most 1.05 copies enter each of ten sites";
        found(row("swarm-copies", &plan, goal, copies, copies <= 1_050, &outcome));
        found(ratio(
            "swarm-sites",
            &plan,
            &outcome,
            "the same, at most 1.15 of the bound of who is blind to sites",
            1_150,
        ));
    }
}

/// Plays a plan; what has no end is a row of its own.
fn run(plan: &Plan, found: &mut dyn FnMut(Row)) -> Option<Outcome> {
    let stuck = match play(plan, &mut |_| {}) {
        Ok(outcome) => return Some(outcome),
        Err(stuck) => stuck,
    };
    found(Row {
        name: "swarm-stuck",
        run: plan.command(),
        goal: "everybody has everything",
        reached: stuck.to_string(),
        ok: false,
        beside: String::new(),
        kinds: Kinds::default(),
    });
    None
}

fn over(micros: u64, other: u64) -> u64 {
    micros.saturating_mul(1000) / other.max(1)
}

fn ratio(name: &'static str, plan: &Plan, outcome: &Outcome, goal: &'static str, most: u64) -> Row {
    let permille = outcome.ratio_permille();
    row(name, plan, goal, permille, permille <= most, outcome)
}

fn row(
    name: &'static str,
    plan: &Plan,
    goal: &'static str,
    permille: u64,
    ok: bool,
    outcome: &Outcome,
) -> Row {
    let seconds = |micros: u64| format!("{}.{:02} s", micros / 1_000_000, micros / 10_000 % 100);
    Row {
        name,
        run: plan.command(),
        goal,
        reached: format!("{}.{:03}", permille / 1000, permille % 1000),
        ok,
        beside: format!(
            "last {}, half {}, bound {}, publisher {} ‰, copies into a site {} ‰",
            seconds(outcome.micros),
            seconds(outcome.median_micros),
            seconds(outcome.bound_micros),
            over(outcome.publisher_bytes, plan.bytes),
            outcome.copies_permille(plan.bytes),
        ),
        kinds: Kinds::default(),
    }
}
