//! Whether a story still gives the fleet a chance: a release that nobody publishes completes in no fleet.

use std::collections::BTreeSet;

use crate::scenario::{Act, DiskFault, Fault, Order, Scenario, When};

/// What a story leaves open at its end: wounds that nothing heals.
fn open_wounds(scenario: &Scenario) -> BTreeSet<String> {
    let mut open = BTreeSet::from(["the goal's release is not published".to_owned()]);
    let mut steps: Vec<(u64, &Act)> = Vec::new();
    let mut last = 0;
    for step in &scenario.steps {
        // Steps with a condition come when they come: they stand where they stand in the list.
        last = match step.when {
            When::At(milliseconds) => milliseconds,
            When::After(milliseconds) => last + milliseconds,
            When::Opened { .. } | When::Running { .. } => last,
        };
        steps.push((last, &step.act));
    }
    steps.sort_by_key(|(at, _)| *at);
    for (_, act) in steps {
        match *act {
            Act::Publish { release, .. } if release == scenario.goal.release() => {
                open.remove("the goal's release is not published");
            }
            Act::Split { .. } => {
                open.insert("split".to_owned());
            }
            Act::Heal => {
                open.remove("split");
            }
            Act::Disk { who, broken: true } => {
                open.insert(format!("disk of {who}"));
            }
            Act::Disk { who, broken: false } => {
                open.remove(&format!("disk of {who}"));
            }
            Act::Command { release, order: Order::Pause } => {
                open.insert(format!("pause of {release}"));
            }
            Act::Command { release, order: Order::Resume } => {
                open.remove(&format!("pause of {release}"));
            }
            Act::Crash { who, back_after: None } => {
                open.insert(format!("{who} is gone"));
            }
            Act::Core => {
                open.insert("all but a core is cut off".to_owned());
            }
            Act::Publish { .. }
            | Act::Enrol { .. }
            | Act::Crash { .. }
            | Act::Fault(_)
            | Act::Snapshot { .. }
            | Act::Restore { .. }
            | Act::Command { .. } => {}
        }
    }
    open
}

/// Whether a fleet is large enough for what goes wrong in it: fewer than a third may lie, be gone for good,
/// or have forgotten what they signed.
fn bears(scenario: &Scenario) -> bool {
    let heavy = |act: &Act| match act {
        Act::Crash { back_after, .. } => back_after.is_none(),
        Act::Restore { .. } => true,
        Act::Fault(fault) => {
            fault.takes_for_good()
                || matches!(fault, Fault::Wipe { .. } | Fault::BadDisk { how: DiskFault::Forgets, .. })
        }
        _ => false,
    };
    let burden = scenario.steps.iter().filter(|step| heavy(&step.act)).count() + scenario.liars.len();
    burden * 3 < scenario.nodes as usize
}

/// Whether a story asks no more of the fleet than another did.
pub(super) fn is_as_fair_as(scenario: &Scenario, original: &Scenario, liveness: bool) -> bool {
    (bears(scenario) || !bears(original))
        && (!liveness || open_wounds(scenario).is_subset(&open_wounds(original)))
}
