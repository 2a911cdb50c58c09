//! Performs the scenario's steps, and sees when the story is over.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::trust::manifest::ReleaseOrder;

use super::fingerprint::Fingerprint;
use super::queue::{Moment, WORLD};
use super::{Happening, World};
use crate::checkers::Property;
use crate::fleet::Release;
use crate::machine::Machine;
use crate::machine::service::HealthLaw;
use crate::report::trace::PARTITION;
use crate::report::{Counters, Outcome};
use crate::scenario::{Act, Goal, Step, When};

/// After everybody has settled the fleet is watched for so long.
const QUIET_MILLISECONDS: u64 = 75_000;
/// And nothing may move in the last part of it.
const STILL_MILLISECONDS: u64 = 45_000;
/// What an idle machine of a fleet of 12 may send each second; it grows with the fleet, because every
/// beacon reaches everybody.
const IDLE_BYTES_PER_SECOND_OF_12: u64 = 2_048;

impl World {
    pub(super) fn arm_timed_steps(&mut self) {
        for step in 0..self.scenario.steps.len() {
            if let When::At(milliseconds) = self.scenario.steps[step].when {
                self.push(Moment::milliseconds(milliseconds), WORLD, Happening::Step { step });
            }
        }
    }

    /// Queues the steps whose condition holds now. They happen after the present call, never inside it.
    pub(super) fn due_steps(&mut self) {
        for step in 0..self.scenario.steps.len() {
            if self.steps_done[step] {
                continue;
            }
            let due = match self.scenario.steps[step].when {
                When::At(_) | When::After(_) => false,
                When::Opened { release, ranks } => {
                    let ranks = ranks.of(self.scenario.nodes);
                    self.opened.get(&self.releases[release].rollout).is_some_and(|open| *open >= ranks)
                }
                When::Running { release, nodes } => {
                    let nodes = nodes.of(self.scenario.nodes) as usize;
                    self.ran.get(&self.releases[release].tree).is_some_and(|ran| ran.len() >= nodes)
                }
            };
            if due {
                self.steps_done[step] = true;
                self.push(self.now, WORLD, Happening::Step { step });
            }
        }
    }

    pub(super) fn perform_step(&mut self, step: usize) {
        self.steps_done[step] = true;
        let act = self.scenario.steps[step].act.clone();
        match act {
            Act::Publish { release, on } => self.publish(release, self.whom(step, on).first().copied()),
            Act::Crash { who, back_after } => {
                for node in self.whom(step, who) {
                    self.crash(node, back_after);
                }
            }
            Act::Split { permille } => self.split(step, permille),
            Act::Fault(_) => self.begin_fault(step),
            Act::Heal => {
                self.links.heal();
                self.recorder.ended(self.now, PARTITION, None);
                self.referees.links_were_bad(self.now);
                self.story.tell(self.now, "the network heals");
                self.links_changed();
            }
            Act::Disk { who, broken } => {
                for node in self.whom(step, who) {
                    self.machines[node as usize].disk.set_broken(broken);
                    let what = if broken { "refuses writes" } else { "takes writes again" };
                    let what = format!("the disk of machine {node} {what}");
                    self.story.tell(self.now, &what);
                    if broken {
                        self.recorder.began(self.now, "disk", Some(node), &what);
                    } else {
                        self.recorder.ended(self.now, "disk", Some(node));
                    }
                    self.calm_since = self.now;
                }
            }
            Act::Snapshot { who } => {
                for node in self.whom(step, who) {
                    self.machines[node as usize].take_image();
                    let what = format_args!("an image of machine {node} is taken");
                    self.recorder.marked(self.now, "disk", Some(node), what);
                }
            }
            Act::Restore { who } => {
                for node in self.whom(step, who) {
                    self.crash(node, Some(2_000));
                    self.machines[node as usize].put_image_back(self.fleet.id);
                    let what = format!("machine {node} will come back on an old image");
                    self.story.tell(self.now, &what);
                    self.recorder.marked(self.now, "disk", Some(node), &what);
                }
            }
            Act::Enrol { who } => {
                for place in self.whom(step, who) {
                    let census = self.fleet.enrol(place);
                    self.story.tell(self.now, &format!("machine {place} is enrolled"));
                    self.hand_over(0, census, None);
                }
            }
            Act::Core => self.heal_core(step),
            Act::Command { release, order } => self.command(release, order),
        }
        if let Some(Step { when: When::After(milliseconds), .. }) = self.scenario.steps.get(step + 1) {
            let at = self.now.after_milliseconds(*milliseconds);
            self.push(at, WORLD, Happening::Step { step: step + 1 });
        }
    }

    fn split(&mut self, step: usize, permille: u32) {
        let mut order: Vec<u32> = (0..self.scenario.nodes).collect();
        self.lot(step).shuffle(&mut order);
        let away = u64::from(self.scenario.nodes) * u64::from(permille) / 1000;
        let away = usize::try_from(away).unwrap_or(0);
        for node in &order[..away] {
            self.links.set_side(*node, 1);
        }
        let what = format!("the network splits: {away} machines here, {} there", order.len() - away);
        self.story.tell(self.now, &what);
        self.recorder.began(self.now, PARTITION, None, &what);
        self.links_changed();
    }

    pub(super) fn is_liar(&self, node: u32) -> bool {
        self.liars.iter().any(|(liar, _)| *liar == node)
    }

    /// How the goal's release ended, as far as any honest machine knows.
    pub(super) fn ending(&self) -> Option<Ending> {
        let rollout = self.releases[self.scenario.goal.release()].rollout;
        let mut known = (0..self.scenario.nodes)
            .filter(|node| self.counts(*node))
            .filter_map(|node| self.endings.get(&(node, rollout)));
        let first = *known.next()?;
        Some(if known.any(|e| *e == Ending::Stopped) { Ending::Stopped } else { first })
    }

    /// The tree that everybody should run, given how the release ended.
    fn wanted(&self, ending: Ending) -> Option<Digest> {
        match ending {
            Ending::Done => Some(self.releases[self.scenario.goal.release()].tree),
            Ending::Stopped | Ending::Superseded => {
                self.scenario.installed.then(|| self.back_to(self.releases[self.scenario.back_to].order).tree)
            }
        }
    }

    /// What machines go back to: the release of this order, or a later one that was done. One that the goal's had
    /// taken the place of goes on when that is stopped (hole H27).
    fn back_to(&self, order: ReleaseOrder) -> &Release {
        let goal = self.scenario.goal.release();
        let done = |release: &&Release| {
            let mut those = (0..self.scenario.nodes).filter(|node| self.counts(*node));
            those.any(|node| self.endings.get(&(node, release.rollout)) == Some(&Ending::Done))
        };
        let others = self.releases.iter().enumerate().filter(|(place, _)| *place != goal).map(|(_, one)| one);
        let later = others.filter(|release| release.order > order).filter(done).max_by_key(|one| one.order);
        later.unwrap_or(&self.releases[self.scenario.back_to])
    }

    /// Honest machines that are on and do not run what they should, or do not know the end.
    pub(super) fn unsettled(&self) -> Vec<u32> {
        match self.ending() {
            Some(ending) => self.not_at(ending).collect(),
            None => (0..self.scenario.nodes).collect(),
        }
    }

    fn is_settled(&self) -> bool {
        self.ending().is_some_and(|ending| self.not_at(ending).next().is_none())
    }

    /// Those that are not where this ending should have led them.
    fn not_at(&self, ending: Ending) -> impl Iterator<Item = u32> {
        let wanted = self.wanted(ending);
        let rollout = self.releases[self.scenario.goal.release()].rollout;
        self.machines
            .iter()
            .filter(|machine| !machine.buried && self.counts(machine.place))
            .filter(move |machine| {
                let active = machine.slots.get(&self.fleet.component).and_then(|slots| slots.active);
                let knows = self.endings.get(&(machine.place, rollout)) == Some(&ending);
                !machine.is_on()
                    || !knows
                    || (active != wanted
                        && !self.failed_by_itself(machine, ending)
                        && !self.has_nothing_older(machine, ending))
            })
            .map(|machine| machine.place)
    }

    /// Whether a machine has found a release bad on itself that the fleet found good: it is back on what it ran
    /// before, and that is where it belongs.
    fn failed_by_itself(&self, machine: &Machine, ending: Ending) -> bool {
        let active = machine.slots.get(&self.fleet.component).and_then(|slots| slots.active);
        let rollout = self.releases[self.scenario.goal.release()].rollout;
        ending == Ending::Done
            && (active == self.wanted(Ending::Stopped)
                || active.is_some_and(|tree| self.gave_way(machine.place, tree)))
            && machine.standing(rollout).is_some_and(|standing| standing.stage == Stage::Failed)
    }

    /// Whether a tree is of an older release that this machine does not know to be stopped: it goes back to that one,
    /// also if the goal's took its place before it was done.
    fn gave_way(&self, node: u32, tree: Digest) -> bool {
        let stopped =
            |release: &Release| self.endings.get(&(node, release.rollout)) == Some(&Ending::Stopped);
        let goal = &self.releases[self.scenario.goal.release()];
        let mut older = self.releases.iter().filter(|release| release.order < goal.order);
        older.any(|release| release.tree == tree && !stopped(release))
    }

    /// Whether a machine stays on a release that was stopped, because nothing older was ever here.
    fn has_nothing_older(&self, machine: &Machine, ending: Ending) -> bool {
        let rollout = self.releases[self.scenario.goal.release()].rollout;
        ending == Ending::Stopped
            && self.wanted(ending).is_none()
            && machine.standing(rollout).is_some_and(|standing| standing.stage == Stage::Stuck)
    }

    /// Machines that are on, honest, and not on the release although it is done.
    fn left_behind(&self) -> usize {
        let Some(ending) = self.ending() else { return 0 };
        self.machines.iter().filter(|machine| self.failed_by_itself(machine, ending)).count()
    }

    /// Machines that run what does not work, and say that they are healthy.
    fn unnoticed(&self) -> u32 {
        let lies = |machine: &&Machine| {
            let slots = machine.slots.get(&self.fleet.component);
            slots.and_then(|slots| slots.active).is_some_and(|tree| self.law(tree) == HealthLaw::Lies)
        };
        u32::try_from(self.machines.iter().filter(|machine| machine.is_on()).filter(lies).count())
            .unwrap_or(u32::MAX)
    }

    pub(super) fn look(&mut self) {
        self.look_around();
        self.hand_over_again();
        let settled = self.steps_over() && self.faults.are_over() && self.is_settled();
        match self.settled_at {
            None if settled => self.settled_at = Some(self.now),
            Some(_) if !settled => self.settled_at = None,
            _ => {}
        }
        if let Some(settled_at) = self.settled_at {
            let watched = self.now.milliseconds_since(settled_at);
            if watched < QUIET_MILLISECONDS - STILL_MILLISECONDS {
                self.bytes_when_idle = None;
            } else if self.bytes_when_idle.is_none() {
                self.bytes_when_idle = Some((self.now, self.counters.frame_bytes));
            }
            let until = Moment::seconds(self.fingerprint.until_seconds());
            if watched >= QUIET_MILLISECONDS && self.now >= until {
                return self.end();
            }
        }
        if self.now >= Moment::seconds(self.scenario.limit_seconds)
            || self.has_safety_breach()
            || (!settled && self.cannot_end())
        {
            return self.end();
        }
        self.push(self.now.after_milliseconds(1_000), WORLD, Happening::Look);
    }

    /// Whether no step is still to come. A step whose condition has not come true may never happen.
    pub(super) fn steps_over(&self) -> bool {
        // What follows a step that never happens never happens either.
        let mut before = true;
        self.scenario.steps.iter().zip(&self.steps_done).all(|(step, done)| {
            let to_come = match step.when {
                When::At(_) => true,
                When::After(_) => before,
                When::Opened { .. } | When::Running { .. } => false,
            };
            before = *done;
            *done || !to_come
        })
    }

    fn has_safety_breach(&self) -> bool {
        self.referees.violations().iter().any(|v| v.property.is_safety())
    }

    fn end(&mut self) {
        self.over = true;
        self.judge_ending();
        if self.settled_at.is_some() {
            self.judge_quiet();
        } else if !self.has_safety_breach() {
            self.impossible = self.why_impossible();
            if self.impossible.is_none() {
                self.judge_unsettled();
            }
        }
    }

    fn judge_ending(&mut self) {
        let Some(ending) = self.ending() else { return };
        let matches = match self.scenario.goal {
            Goal::Completes(_) => ending == Ending::Done,
            Goal::Stops(_) => ending == Ending::Stopped,
            Goal::Ends(_) => true,
        };
        if !matches {
            let what = format!("the release ended {ending:?}; the story wants {:?}", self.scenario.goal);
            self.referees.breach(self.now, Property::L3, None, what);
        }
    }

    fn judge_quiet(&mut self) {
        let moved = self.last_motion();
        // Liars never rest: what they stir up is theirs. And syncs alone take minutes to tell all to all.
        let honest = self.liars.is_empty() && self.scenario.gossip;
        if self.now.milliseconds_since(moved) < STILL_MILLISECONDS && honest {
            let what = format!("something still moved at {moved}");
            self.referees.breach(self.now, Property::L5, None, what);
        }
        let Some((since, bytes)) = self.bytes_when_idle else { return };
        let seconds = (self.now.milliseconds_since(since) / 1000).max(1);
        let nodes = u64::from(self.scenario.nodes);
        let idle = (self.counters.frame_bytes - bytes) / seconds / nodes;
        self.counters.idle_bytes_per_second = idle;
        let budget = IDLE_BYTES_PER_SECOND_OF_12 * nodes.max(12) / 12;
        if idle > budget && honest {
            let what = format!("an idle machine sends {idle} bytes a second; the budget is {budget}");
            self.referees.breach(self.now, Property::L5, None, what);
        }
    }

    fn judge_unsettled(&mut self) {
        let unsettled = self.unsettled();
        let rollout = self.releases[self.scenario.goal.release()].rollout;
        let why: Vec<String> = unsettled
            .iter()
            .take(4)
            .map(|node| {
                let machine = &self.machines[*node as usize];
                let Some(status) = machine.status(self.now) else { return format!("{node} is off") };
                let Some(view) = status.rollouts.iter().find(|r| r.rollout == rollout) else {
                    return format!("{node} does not know it ({:?})", status.signing);
                };
                format!(
                    "{node}: rank {:?} {:?}, open {}, term {}, allowed {}, holds for {:?}, {:?}, {:?}",
                    view.my_rank,
                    view.my_stage,
                    view.open,
                    view.term,
                    view.allowed,
                    view.hold,
                    view.tally,
                    status.signing
                )
            })
            .collect();
        let what = format!("{} machines have not settled in time: {}", unsettled.len(), why.join("; "));
        self.referees.breach(self.now, Property::L1, None, what);
    }

    pub(super) fn outcome(self, seed: u64, fingerprint: &Fingerprint) -> Outcome {
        let goal = &self.releases[self.scenario.goal.release()];
        let exposed = self.ran.get(&goal.tree).map_or(0, std::collections::BTreeSet::len);
        let ending = self.ending();
        let traffic = self.bulk.traffic().clone();
        let checks = self.reader.checks();
        let counters = Counters {
            signatures_asked: checks.asked,
            signatures_verified: checks.verified,
            way: self.links.tally(),
            mesh_neighbours: (0..self.scenario.nodes).map(|node| self.overlay.mesh(node).len() as u64).sum(),
            crossed_bytes: traffic.crossed(),
            most_sent_bytes: traffic.sent.iter().copied().max().unwrap_or(0),
            ..self.counters
        };
        Outcome {
            scenario: self.scenario.name.clone(),
            about: self.scenario.about.clone(),
            nodes: self.scenario.nodes,
            seed,
            ending: ending.map(|e| format!("{e:?}").to_lowercase()),
            virtual_ms: self.now.as_milliseconds(),
            settled_ms: self.settled_at.map(Moment::as_milliseconds),
            unnoticed: self.unnoticed(),
            left_behind: u32::try_from(self.left_behind()).unwrap_or(u32::MAX),
            exposed: u32::try_from(exposed).unwrap_or(u32::MAX),
            waves: self.story.waves(goal.rollout),
            counters,
            traffic,
            fingerprint: format!("{:016x}", fingerprint.value()),
            impossible: self.impossible,
            violations: self.referees.violations().to_vec(),
            again: format!(
                "swell-sim run {} --nodes {} --seed {seed}",
                self.scenario.name, self.scenario.nodes
            ),
            real_ms: 0,
        }
    }
}
