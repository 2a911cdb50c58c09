//! Makes the fleet smaller. Machines that were named by place get a place in the smaller fleet.

use super::{Candidate, Failing, Shrinking};
use crate::scenario::{Act, Count, Scenario, Step, When, Who};

/// Sizes that are worth a try before the one below the present.
const SMALL: [u32; 8] = [4, 7, 10, 16, 32, 64, 128, 256];
/// In another fleet a seed brings other luck: so many other seeds are tried for a size.
const OTHER_SEEDS: u64 = 6;

/// Tries fleets that are much smaller.
pub(super) fn coarse(shrinking: &mut Shrinking<'_>) -> bool {
    let nodes = shrinking.best.scenario.nodes;
    let mut sizes: Vec<u32> = SMALL.into_iter().filter(|size| *size < nodes).collect();
    sizes.extend([nodes / 2, nodes - nodes / 4].into_iter().filter(|size| *size > 16 && *size < nodes));
    sizes.sort_unstable();
    sizes.dedup();
    sizes.into_iter().any(|size| try_size(shrinking, size, OTHER_SEEDS))
}

/// Tries each smaller size of a small fleet, and the next smaller of a large one.
pub(super) fn fine(shrinking: &mut Shrinking<'_>) -> bool {
    let nodes = shrinking.best.scenario.nodes;
    let sizes = if nodes <= 12 { 1..nodes } else { nodes - 1..nodes };
    sizes.into_iter().any(|size| try_size(shrinking, size, 2 * OTHER_SEEDS))
}

fn try_size(shrinking: &mut Shrinking<'_>, size: u32, seeds: u64) -> bool {
    if size == 0 || shrinking.hunt.is_over() {
        return false;
    }
    let best = &shrinking.best;
    let ways: [fn(u32, u32, u32) -> u32; 2] = [scaled, folded];
    let mut stories: Vec<Scenario> = Vec::new();
    for way in ways {
        let story = resized(&best.scenario, size, way);
        if !stories.contains(&story) {
            stories.push(story);
        }
    }
    let seeds = std::iter::once(best.seed).chain((1..=seeds).filter(|seed| *seed != best.seed));
    let candidates = seeds
        .flat_map(|seed| stories.iter().map(move |story| (seed, story.clone())))
        .map(|(seed, scenario)| Candidate {
            failing: Failing { scenario, seed },
            what: format!("{size} machines, seed {seed}"),
        })
        .collect();
    shrinking.take_first(candidates)
}

/// The place as far along the fleet as before.
fn scaled(place: u32, from: u32, to: u32) -> u32 {
    let along = u64::from(place) * u64::from(to) / u64::from(from.max(1));
    u32::try_from(along).unwrap_or(0).min(to - 1)
}

/// The same place, counted round.
fn folded(place: u32, _: u32, to: u32) -> u32 {
    place % to
}

fn resized(scenario: &Scenario, size: u32, way: fn(u32, u32, u32) -> u32) -> Scenario {
    let mut smaller = scenario.clone();
    let from = std::mem::replace(&mut smaller.nodes, size);
    let place = |who: &mut Who| {
        if let Who::Node(place) = who {
            *place = way(*place, from, size);
        }
    };
    for liar in &mut smaller.liars {
        place(&mut liar.who);
    }
    let mut liars = Vec::new();
    for liar in std::mem::take(&mut smaller.liars) {
        if !liars.contains(&liar) {
            liars.push(liar);
        }
    }
    smaller.liars = liars;
    for step in &mut smaller.steps {
        whom(step).into_iter().for_each(place);
        if let When::Opened { ranks: Count::Number(number), .. }
        | When::Running { nodes: Count::Number(number), .. } = &mut step.when
        {
            *number = (*number).min(size);
        }
    }
    smaller
}

/// The machines that a step names.
fn whom(step: &mut Step) -> Vec<&mut Who> {
    match &mut step.act {
        Act::Publish { on: who, .. }
        | Act::Crash { who, .. }
        | Act::Disk { who, .. }
        | Act::Snapshot { who }
        | Act::Restore { who }
        | Act::Enrol { who } => vec![who],
        Act::Fault(fault) => fault.groups_mut().into_iter().flat_map(|whom| whom.0.iter_mut()).collect(),
        Act::Split { .. } | Act::Heal | Act::Core | Act::Command { .. } => Vec::new(),
    }
}
