//! Begins the faults of a story and ends them: every fault has its end.
//!
//! Faults of links live in [`super::links`], those of disks and clocks in the machines; here is who they
//! befall, when they end, and what lasts beside: machines that stand still, that come and go, and that lose
//! their power at one exact point.

mod frozen;
#[cfg(test)]
mod tests;
mod traps;
mod versions;
mod words;

use std::collections::BTreeMap;

use super::links::Places;
use super::queue::WORLD;
use super::{Happening, World};
use crate::scenario::{Act, ClockFault, Fault, Whom};
use frozen::Frozen;
use traps::Trap;
use versions::Versions;

/// The faults that are under way.
#[derive(Default)]
pub(super) struct Faults {
    /// By the step that began them.
    ongoing: BTreeMap<usize, Ongoing>,
    frozen: Frozen,
    /// By machine.
    traps: BTreeMap<u32, Vec<Trap>>,
    versions: Versions,
}

/// A fault under way.
struct Ongoing {
    fault: Fault,
    who: Vec<u32>,
    /// How often it has struck so far, for those that strike again and again.
    turns: u64,
}

impl Faults {
    /// Whether a machine stands still.
    pub(super) fn is_frozen(&self, node: u32) -> bool {
        self.frozen.holds(node)
    }

    /// Whether two machines' frames have one version.
    pub(super) fn speak_alike(&self, one: u32, other: u32) -> bool {
        self.versions.differs(one) == self.versions.differs(other)
    }

    /// Whether none is under way.
    pub(super) fn are_over(&self) -> bool {
        self.ongoing.is_empty()
    }
}

impl World {
    /// Whether a machine is surrounded by liars now.
    pub(super) fn is_eclipsed(&self, node: u32) -> bool {
        let surrounds =
            |ongoing: &Ongoing| matches!(ongoing.fault, Fault::Eclipse { .. }) && ongoing.who.contains(&node);
        self.faults.ongoing.values().any(surrounds)
    }

    /// The machines that a step's words mean, each once, by place.
    fn group(&self, step: usize, whom: &Whom) -> Vec<u32> {
        let mut all: Vec<u32> = whom.0.iter().flat_map(|who| self.whom(step, *who)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn places(&self, who: &[u32]) -> Places {
        Places::of(self.machines.len(), who.iter().copied())
    }

    pub(super) fn begin_fault(&mut self, step: usize) {
        let Act::Fault(fault) = &self.scenario.steps[step].act else { return };
        let fault = fault.clone();
        let who = match &fault {
            Fault::Cut { from, .. } => self.group(step, from),
            Fault::Clog { who, .. }
            | Fault::Weather { who, .. }
            | Fault::BadDisk { who, .. }
            | Fault::BadClock { who, .. }
            | Fault::Freeze { who, .. }
            | Fault::Wipe { who, .. }
            | Fault::Churn { who, .. }
            | Fault::Attrition { who, .. }
            | Fault::CrashPoint { who, .. }
            | Fault::OtherVersion { who, .. }
            | Fault::Eclipse { who, .. } => self.group(step, who),
        };
        self.calm_since = self.now;
        let line = words::begins(&fault, &who);
        self.story.tell(self.now, &line);
        let one = if let [one] = who.as_slice() { Some(*one) } else { None };
        self.recorder.began_by(step, self.now, words::lane(&fault), one, &line);
        self.strike(step, &fault, &who);
        let end = self.now.after_milliseconds(fault.lasts());
        self.faults.ongoing.insert(step, Ongoing { fault, who, turns: 0 });
        self.push(end, WORLD, Happening::FaultEnds { step });
    }

    fn strike(&mut self, step: usize, fault: &Fault, who: &[u32]) {
        let id = step as u64;
        match fault {
            Fault::Cut { to, one_way, .. } => {
                let from = self.places(who);
                let to = if to.is_empty() { from.others() } else { self.places(&self.group(step, to)) };
                if !one_way {
                    self.links.cut(id, to.clone(), from.clone());
                }
                self.links.cut(id, from, to);
                self.links_changed();
            }
            Fault::Clog { to, lasts, .. } => {
                let (one, until) = (self.places(who), self.now.after_milliseconds(*lasts));
                let all = || self.places(&[]).others();
                let other = if to.is_empty() { all() } else { self.places(&self.group(step, to)) };
                self.links.clog(id, other.clone(), one.clone(), until);
                self.links.clog(id, one, other, until);
                self.tear_cut_flows();
            }
            Fault::Weather { .. } => {
                if let Some(weather) = fault.weather() {
                    self.links.darken(id, self.places(who), weather);
                }
            }
            Fault::BadDisk { how, .. } => {
                who.iter().for_each(|node| self.machines[*node as usize].ail(*how));
            }
            Fault::BadClock { how, .. } => who.iter().for_each(|node| self.bend_clock(*node, *how)),
            Fault::Freeze { .. } => who.iter().for_each(|node| self.faults.frozen.freeze(*node)),
            Fault::Wipe { lasts, .. } => who.iter().for_each(|node| self.wipe(*node, *lasts)),
            Fault::Churn { .. } | Fault::Attrition { .. } => {
                self.push(self.now, WORLD, Happening::FaultTurn { step });
            }
            Fault::CrashPoint { point, nth, back_after, .. } => {
                let trap = Trap { step, point: *point, left: *nth, back_after: *back_after };
                who.iter().for_each(|node| self.faults.traps.entry(*node).or_default().push(trap));
            }
            Fault::OtherVersion { .. } => self.faults.versions.differ(step, who),
            Fault::Eclipse { .. } => {
                let victims = self.places(who);
                let honest =
                    (0..self.scenario.nodes).filter(|node| !self.is_liar(*node) && !who.contains(node));
                let honest = Places::of(self.machines.len(), honest);
                self.links.cut(id, victims.clone(), honest.clone());
                self.links.cut(id, honest, victims);
                self.links_changed();
            }
        }
    }

    pub(super) fn end_fault(&mut self, step: usize) {
        let Some(Ongoing { fault, who, .. }) = self.faults.ongoing.remove(&step) else { return };
        self.calm_since = self.now;
        if fault.is_of_links() {
            self.referees.links_were_bad(self.now);
        }
        self.links.end(step as u64);
        self.recorder.ended_by(step, self.now);
        match &fault {
            Fault::Cut { .. } | Fault::Eclipse { .. } => self.links_changed(),
            Fault::BadDisk { how, .. } => {
                who.iter().for_each(|node| self.machines[*node as usize].mend_disk(*how));
            }
            Fault::BadClock { .. } => who.iter().for_each(|node| self.set_clock_right(*node)),
            Fault::Freeze { .. } => who.iter().for_each(|node| self.thaw(*node)),
            Fault::CrashPoint { .. } => self.spring_no_more(step),
            Fault::OtherVersion { .. } => self.faults.versions.agree(step),
            Fault::Clog { .. }
            | Fault::Weather { .. }
            | Fault::Wipe { .. }
            | Fault::Churn { .. }
            | Fault::Attrition { .. } => {}
        }
        if let Some(line) = words::ends(&fault) {
            self.story.tell(self.now, &line);
        }
    }

    /// All faults end at once.
    pub(super) fn end_all_faults(&mut self) {
        let steps: Vec<usize> = self.faults.ongoing.keys().copied().collect();
        steps.into_iter().for_each(|step| self.end_fault(step));
    }

    /// A fault that strikes again and again takes its next machine.
    pub(super) fn fault_turn(&mut self, step: usize) {
        let mut lot = self.lot(step);
        let Some(ongoing) = self.faults.ongoing.get_mut(&step) else { return };
        lot = lot.split("turn", ongoing.turns);
        ongoing.turns += 1;
        let on: Vec<u32> =
            ongoing.who.iter().copied().filter(|node| self.machines[*node as usize].is_on()).collect();
        let (every, back_after) = match ongoing.fault {
            Fault::Churn { every, away, .. } => (every, Some(lot.between(1, away.saturating_mul(2).max(1)))),
            Fault::Attrition { every, permille, .. } => {
                let gone = self.machines.iter().filter(|machine| machine.buried).count() as u64;
                if (gone + 1) * 1000 > u64::from(self.scenario.nodes) * u64::from(permille) {
                    return;
                }
                (every, None)
            }
            _ => return,
        };
        if !on.is_empty() {
            self.crash(on[lot.place(on.len())], back_after);
        }
        self.push(self.now.after_milliseconds(every), WORLD, Happening::FaultTurn { step });
    }

    fn bend_clock(&mut self, node: u32, how: ClockFault) {
        let now = self.now;
        let clock = &mut self.machines[node as usize].clock;
        let milliseconds = |by: u64| i64::try_from(by).unwrap_or(i64::MAX);
        match how {
            ClockFault::Drift(gained) => {
                clock.drift(now, gained);
                self.referees.clock_bent(node);
            }
            ClockFault::WallAhead(by) => clock.set_wall(milliseconds(by)),
            ClockFault::WallBehind(by) => clock.set_wall(-milliseconds(by)),
            ClockFault::Leap(by) => {
                clock.leap(by);
                self.referees.clock_bent(node);
            }
        }
        self.clock_changed(node);
    }

    fn set_clock_right(&mut self, node: u32) {
        let now = self.now;
        let clock = &mut self.machines[node as usize].clock;
        clock.drift(now, 0);
        clock.set_wall(0);
        self.clock_changed(node);
    }

    /// The machine may read its clock on the wall at any moment: it does so now. And its deadline is at
    /// another moment than before.
    fn clock_changed(&mut self, node: u32) {
        if self.machines[node as usize].is_on() {
            self.read_wall_clock(node);
        }
    }

    fn wipe(&mut self, node: u32, away: u64) {
        self.crash(node, Some(away));
        let running = self.scenario.installed.then(|| (&self.releases[0], &self.scenario.plan));
        let records = self.fleet.first_records(running);
        let tree = running.map(|(release, _)| release.tree);
        self.machines[node as usize].wipe(self.fleet.id, records, &self.fleet.component, tree);
    }
}
