//! Finds the machines that a step or a lie means, at the moment when it matters.

use std::collections::BTreeSet;

use super::World;
use crate::fleet::{Fleet, Release};
use crate::generator::{Generator, fold};
use crate::scenario::{Lie, Scenario, Who};

/// The first of `order`, after it was shuffled by `lot`.
fn by_lot(mut order: Vec<u32>, count: u32, mut lot: Generator) -> Vec<u32> {
    lot.shuffle(&mut order);
    order.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    order
}

/// The places of a release's jurors, by seat.
fn jury(fleet: &Fleet, release: &Release) -> Vec<u32> {
    release.roster.jury.iter().filter_map(|juror| fleet.place(*juror)).collect()
}

fn share_by_lot(order: Vec<u32>, permille: u32, lot: Generator) -> Vec<u32> {
    let whole = u32::try_from(order.len()).unwrap_or(u32::MAX);
    by_lot(order, Who::share_of(whole, permille), lot)
}

fn zone(scenario: &Scenario, zone: u32) -> Vec<u32> {
    let Some(name) = scenario.zones().into_iter().nth(zone as usize) else { return Vec::new() };
    (0..).zip(scenario.labels()).filter(|(_, labels)| labels.zone == name).map(|(place, _)| place).collect()
}

/// The lot of something that a scenario says: it depends on the words alone, not on what stands beside.
fn lot(lots: &Generator, words: &impl std::fmt::Debug) -> Generator {
    lots.split("words", fold(0, format!("{words:?}").as_bytes()))
}

/// Who lies, and how. Parts that machines come to play later are nobody's yet.
pub(super) fn liars(
    scenario: &Scenario,
    fleet: &Fleet,
    releases: &[Release],
    lots: &Generator,
) -> Vec<(u32, Lie)> {
    let nodes = scenario.nodes;
    let goal = &releases[scenario.goal.release()];
    let mut liars = Vec::new();
    for liar in &scenario.liars {
        let lot = lot(lots, liar);
        let places = match liar.who {
            Who::Leader => goal.roster.leader(0).and_then(|node| fleet.place(node)).into_iter().collect(),
            Who::OfFleet(permille) => share_by_lot((0..nodes).collect(), permille, lot),
            Who::OfJury(permille) => share_by_lot(jury(fleet, goal), permille, lot),
            Who::Zone(number) => zone(scenario, number),
            Who::Any => by_lot((0..nodes).collect(), 1, lot),
            fixed => fixed.place(nodes).into_iter().collect(),
        };
        liars.extend(places.into_iter().map(|place| (place, liar.lie)));
    }
    let mut seen = BTreeSet::new();
    liars.retain(|(place, lie)| seen.insert((*place, format!("{lie:?}"))));
    liars
}

impl World {
    /// A step's own lot.
    pub(super) fn lot(&self, step: usize) -> Generator {
        lot(&self.lots, &self.scenario.steps[step])
    }

    /// The machines that a step means, now.
    pub(super) fn whom(&self, step: usize, who: Who) -> Vec<u32> {
        let nodes = self.scenario.nodes;
        let goal = &self.releases[self.scenario.goal.release()];
        match who {
            Who::Leader => {
                let first = || goal.roster.leader(0).and_then(|node| self.fleet.place(node));
                self.last_leader.or_else(first).into_iter().collect()
            }
            Who::OnTrial => self.last_switched.into_iter().collect(),
            Who::Publisher => self.story.publisher(goal.rollout).into_iter().collect(),
            Who::Any => {
                let on = (0..nodes).filter(|place| self.machines[*place as usize].is_on());
                by_lot(on.collect(), 1, self.lot(step))
            }
            Who::OfFleet(permille) => share_by_lot((0..nodes).collect(), permille, self.lot(step)),
            Who::OfJury(permille) => share_by_lot(jury(&self.fleet, goal), permille, self.lot(step)),
            Who::Zone(number) => zone(&self.scenario, number),
            Who::Node(_) | Who::At(_) => who.place(nodes).into_iter().collect(),
        }
    }
}
