//! The core of honest machines that must come to its end alone, and why it may be unable to.

use std::collections::BTreeSet;

use super::World;
use super::links::Links;
use super::queue::Moment;
use crate::checkers::impossible::Impossible;
use crate::checkers::progress::Sight;
use crate::fleet::Release;
use crate::machine::Machine;
use crate::machine::parts::Parts;
use crate::scenario::Scenario;
use groundswell_protocol::facts::RolloutId;

/// The side of machines that are cut off for good.
const OUTSIDE: u8 = 255;
/// Of 1,000 cores so many may be too small to end anything.
const SMALL_CORES_PERMILLE: u32 = 150;
/// What cannot end is watched for so long: time enough for every machine to say why.
const HOPELESS_MILLISECONDS: u64 = 300_000;
/// Machines that are measured at one look.
const MEASURED_AT_ONCE: u32 = 64;
/// How much longer things may take when sync alone carries them.
const PATIENCE_WITHOUT_GOSSIP: u64 = 5;

impl World {
    /// Whether a machine is one of those that must come to an end.
    pub(super) fn counts(&self, node: u32) -> bool {
        !self.is_liar(node) && self.core.as_ref().is_none_or(|core| core.contains(&node))
    }

    /// Draws a core, heals it and cuts off everybody else.
    pub(super) fn heal_core(&mut self, step: usize) {
        let mut lot = self.lot(step);
        let mut honest: Vec<u32> = (0..self.scenario.nodes).filter(|node| !self.is_liar(*node)).collect();
        let jurors = self.releases[self.scenario.goal.release()].roster.jury.len();
        let quorum = (jurors + jurors.saturating_sub(1) / 3 + 1).div_ceil(2);
        let least = if lot.chance(SMALL_CORES_PERMILLE) { 1 } else { quorum.min(honest.len()).max(1) };
        let most = honest.len().max(least);
        lot.shuffle(&mut honest);
        let size = least + lot.place(most - least + 1);
        let core: BTreeSet<u32> = honest.into_iter().take(size).collect();
        for node in 0..self.scenario.nodes {
            let inside = core.contains(&node);
            self.links.set_side(node, if inside { 0 } else { OUTSIDE });
            if inside {
                let machine = &mut self.machines[node as usize];
                machine.buried = false;
                machine.disk.set_broken(false);
                machine.disk.mend_all();
                if !machine.is_on() {
                    self.push(self.now.after_milliseconds(1), node, super::Happening::PowerOn { node });
                }
            }
        }
        let what =
            format!("{} of {} machines are healed, the rest is cut off", core.len(), self.scenario.nodes);
        self.story.tell(self.now, &what);
        self.core = Some(core);
        self.end_all_faults();
        self.links_changed();
    }

    /// Lets the referees look around, and measure some machines in turn.
    pub(super) fn look_around(&mut self) {
        let awake = |machine: &Machine| machine.is_on() && !self.faults.is_frozen(machine.place);
        let on: Vec<bool> = self.machines.iter().map(awake).collect();
        let islands = self.links.islands(&on);
        let sight = Sight {
            now: self.now,
            calm_since: self.calm_since,
            on: &on,
            linked: &|one, other| {
                islands[one as usize] == islands[other as usize] && self.faults.speak_alike(one, other)
            },
            meet: &|one, other| may_hear(&self.scenario, &self.links, one, other),
            patience: if self.scenario.gossip { 1 } else { PATIENCE_WITHOUT_GOSSIP },
        };
        self.referees.look(&sight);
        let count = self.scenario.nodes;
        let turn = u32::try_from(self.now.as_milliseconds() / 1000 % u64::from(count.max(1))).unwrap_or(0);
        for step in 0..count.min(MEASURED_AT_ONCE) {
            let machine = &self.machines[((turn + step) % count) as usize];
            if machine.is_on() {
                let (sizes, waits_for) = machine.sizes();
                self.referees.measured(self.now, machine.place, &sizes, waits_for, machine.disk.owes());
            }
        }
    }

    /// Whether the story cannot end, and has been watched for long enough.
    pub(super) fn cannot_end(&self) -> bool {
        self.steps_over()
            && self.now.milliseconds_since(self.calm_since.max(self.last_step())) >= HOPELESS_MILLISECONDS
            && self.now.milliseconds_since(self.last_motion()) >= HOPELESS_MILLISECONDS / 2
            && self.why_impossible().is_some()
    }

    fn last_step(&self) -> Moment {
        let timed = self.scenario.steps.iter().filter_map(|step| match step.when {
            crate::scenario::When::At(milliseconds) => Some(Moment::milliseconds(milliseconds)),
            _ => None,
        });
        timed.max().unwrap_or_default()
    }

    /// Why those that count cannot come to an end, if there is a reason that is nobody's fault.
    pub(super) fn why_impossible(&self) -> Option<Impossible> {
        let goal = &self.releases[self.scenario.goal.release()];
        let version = goal.law.version.to_owned();
        let there: Vec<u32> = (0..self.scenario.nodes)
            .filter(|node| self.counts(*node) && self.machines[*node as usize].is_on())
            .collect();
        if self.story.publisher(goal.rollout).is_none() {
            return Some(Impossible::NeverPublished { version });
        }
        let jurors: Vec<u32> = goal.roster.jury.iter().filter_map(|juror| self.fleet.place(*juror)).collect();
        let on: Vec<bool> = self.machines.iter().map(Machine::is_on).collect();
        let islands = self.links.islands(&on);
        let reaches = |node: u32, juror: u32| {
            !self.is_liar(juror)
                && self.machines[juror as usize].is_on()
                && islands[node as usize] == islands[juror as usize]
        };
        let reached = |node: u32| jurors.iter().filter(|juror| reaches(node, **juror)).count();
        let quorum = goal.roster.quorum;
        let needed = quorum.confirmers() as usize;
        // What a node signed each elector must tell it itself.
        let others = |node: u32| {
            let meets = |juror: u32| {
                juror != node && reaches(node, juror) && may_hear(&self.scenario, &self.links, juror, node)
            };
            jurors.iter().filter(|juror| meets(**juror)).count()
        };
        // To open more, as many must each hear from as many.
        let mut heard: Vec<usize> =
            there.iter().filter(|node| jurors.contains(node)).map(|node| reached(*node)).collect();
        heard.sort_unstable_by(|one, other| other.cmp(one));
        let hear = |least: usize| heard.iter().filter(|count| **count >= least).count();
        let most = heard.iter().copied().filter(|least| hear(*least) >= *least).max().unwrap_or(0);
        if self.ending().is_none() && most < quorum.quorum as usize {
            let (of, quorum) = (jurors.len(), quorum.quorum as usize);
            return Some(Impossible::TooFewElectors { there: most, of, quorum });
        }
        if let Some(machine) = there.iter().copied().find(|node| others(*node) < needed) {
            return Some(Impossible::CannotRecover { machine, needed });
        }
        if self.ending().is_none() && self.is_paused(goal.rollout) {
            return Some(Impossible::Paused { version });
        }
        let stopped = self.ending() == Some(groundswell_protocol::node::record::Ending::Stopped);
        if stopped {
            return None;
        }
        let reachable: Vec<u32> = (0..self.scenario.nodes)
            .filter(|node| {
                self.machines[*node as usize].is_on()
                    && there.iter().any(|one| self.links.connected(*one, *node))
            })
            .collect();
        self.nobody_holds(goal, &reachable)
    }

    /// Whether these machines together lack bytes of a release: all of them, or some piece.
    fn nobody_holds(&self, release: &Release, nodes: &[u32]) -> Option<Impossible> {
        let (rollout, version) = (release.rollout, release.law.version.clone());
        let slots = |node: &u32| self.machines[*node as usize].slots.get(&self.fleet.component);
        if nodes.iter().filter_map(slots).any(|slots| slots.serves(rollout, release.tree)) {
            return None;
        }
        let parts: Vec<&Parts> =
            nodes.iter().filter_map(slots).filter_map(|slots| slots.parts.get(&rollout)).collect();
        // A delta and the whole are two blobs with pieces of their own: one of them suffices.
        let lacking = |blob: &&Parts| {
            let held = |piece: u32| parts.iter().any(|p| p.bytes() == blob.bytes() && p.has(piece));
            (0..blob.count()).filter(|piece| !held(*piece)).collect::<Vec<u32>>()
        };
        let piece = match parts.iter().map(lacking).min_by_key(Vec::len) {
            Some(lacking) => Some(lacking.first().copied()?),
            None => None,
        };
        Some(Impossible::NobodyHolds { version, piece })
    }

    fn is_paused(&self, rollout: RolloutId) -> bool {
        self.paused.contains(&rollout)
    }
}

/// Whether one machine's answers come to another on the same island: gossip carries them over others, a sync needs the
/// two that hold it.
fn may_hear(scenario: &Scenario, links: &Links, one: u32, other: u32) -> bool {
    scenario.gossip || one == other || links.connected(one, other)
}
