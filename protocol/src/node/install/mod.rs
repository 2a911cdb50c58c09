//! What a node does with a release on its own machine:
//! `Known → Fetching → Staging → Staged → Freshening → Announcing → Activating → Trial → Healthy → Confirmed`,
//! and the ways back.
//!
//! | file | its stages |
//! |---|---|
//! | `bytes` | from known to staged: which recipe, from whom |
//! | `recipes` | the ways to build a tree |
//! | `trial` | from staged to healthy and confirmed: fresh news, word to jurors, switch, trial |
//! | `back` | failing, stopping, starting again after a crash |

mod back;
mod bytes;
mod recipes;
mod trial;

use super::Node;
use super::event::{Event, Stage};
use super::outbox::{Outbox, Work};
use super::record::{Installed, Record, SlotRecord};
use super::tracked::Tracked;
use super::writes::Then;
use crate::digest::Digest;
use crate::facts::health::{HealthNumbers, HealthReport};
use crate::facts::{Failure, Key, RolloutId, Statement, Vote, VoteState};
use crate::few::FewOf;
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::sorted::Sorted;
use crate::time::{Span, Time};
use crate::trust::names::{ComponentName, to_note};
use crate::trust::plan::Plan;

/// A component on this machine.
#[derive(Debug, Default)]
pub(super) struct Component {
    pub(super) installed: Installed,
    /// The tree that the driver said runs.
    pub(super) runs: Option<Digest>,
    /// What the probes last said of it.
    pub(super) report: Option<HealthReport>,
    /// The disk could not take the newest `installed` yet.
    unsaved: bool,
    /// When to ask the driver again for what did not start.
    pub(super) start_again_at: Option<Time>,
}

impl Component {
    /// The release that runs, if any does.
    pub(super) fn running(&self) -> Option<&SlotRecord> {
        let slots = &self.installed;
        let all = [&slots.trial, &slots.active, &slots.previous, &slots.anchor];
        all.into_iter().flatten().find(|slot| Some(slot.tree) == self.runs)
    }

    fn slots(&self) -> impl Iterator<Item = &SlotRecord> {
        let slots = &self.installed;
        [&slots.active, &slots.previous, &slots.anchor].into_iter().flatten()
    }
}

/// How far this node has come with one rollout.
#[derive(Debug)]
pub(super) struct Install {
    pub(super) stage: Stage,
    /// When the stage must be looked at again.
    pub(super) deadline: Option<Time>,
    /// Somebody new holds the tree since the last fetch was asked for.
    pub(super) holders_grew: bool,
    work: Option<Work>,
    /// Which of the recipes is tried, and how often one failed.
    choice: usize,
    retries: u32,
    /// Which trial this is, from 1.
    attempt: u8,
    /// How far the jurors' beacons had come when this node learnt that it is open; `None`: it had heard none.
    base: Sorted<NodeId, Option<u64>>,
    /// When this node began to tell jurors.
    announced_at: Option<Time>,
    /// Jurors that have seen my `Trying`.
    acknowledged: FewOf<NodeId>,
    /// The rank that my vote was seen to have at least: it only rises, and is asked after at every look.
    voted: u64,
    /// The numbers and words for the next vote.
    numbers: HealthNumbers,
    note: String,
    /// Whether this node goes back because it failed here, or because the rollout was stopped.
    failed_here: bool,
    /// What a failed trial was found to be.
    failure: Failure,
    /// When the stop was learnt.
    stopped_at: Option<Time>,
    /// When the trial ends.
    trial_ends: Option<Time>,
    /// The slot that this node goes back to.
    target: Option<SlotRecord>,
}

impl Default for Install {
    fn default() -> Self {
        Self {
            stage: Stage::Known,
            deadline: None,
            holders_grew: false,
            work: None,
            choice: 0,
            retries: 0,
            attempt: 1,
            base: Sorted::default(),
            announced_at: None,
            acknowledged: FewOf::default(),
            voted: 0,
            numbers: HealthNumbers::default(),
            note: String::new(),
            failed_here: false,
            failure: Failure::Unknown,
            stopped_at: None,
            trial_ends: None,
            target: None,
        }
    }
}

impl Install {
    /// In the middle of a trial: no other trial may begin on this node, and the rollout is not put away.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(
            self.stage,
            Stage::Announcing | Stage::Activating | Stage::Trial | Stage::Reverting | Stage::Reprobing
        )
    }

    /// Whether jurors must hear soon if this node falls silent: it tries the release, or its bake has not ended for
    /// long. After a restart its bake counts from `since`, as jurors' does that have restarted.
    pub(super) fn is_on_trial(&self, plan: &Plan, since: Time, now: Time) -> bool {
        let bake = Span::seconds(u64::from(plan.bake_s));
        let bakes_until = self.trial_ends.unwrap_or(since) + bake + plan.beacon_period();
        self.is_under_way() || self.stage == Stage::Healthy && now < bakes_until
    }

    /// Nothing more happens here unless something new is learnt.
    fn at_rest(&self, stopped: bool) -> bool {
        match self.stage {
            Stage::NotMine | Stage::Reverted | Stage::Confirmed | Stage::Stuck => true,
            Stage::Skipped | Stage::Failed => self.deadline.is_none() || stopped,
            Stage::Known | Stage::Fetching | Stage::Staging | Stage::Staged => stopped,
            _ => false,
        }
    }

    pub(super) fn trial_ends(&self) -> Option<Time> {
        self.trial_ends.filter(|_| self.stage == Stage::Trial)
    }
}

/// A node's part in a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Ranked in the line.
    Member(u32),
    /// Enrolled after the manifest's census: takes the release when it is done (hole H30).
    Late,
    /// None.
    None,
}

impl Node {
    /// Does what is due for one rollout on this machine.
    pub(super) fn drive_install(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        // No path through the stages is longer than their number.
        for _ in 0..16 {
            let Some(stage) = self.stage(id) else { return };
            self.step(id, stage, now, out);
            if self.stage(id) == Some(stage) {
                break;
            }
        }
        if let Some(tracked) = self.rollouts.get_mut(&id) {
            // What a deadline was for has been done or waits for an input now: asking for it again would spin.
            tracked.install.deadline =
                tracked.install.deadline.filter(|at| *at > now || mutations::is(Mutation::DeadlineStands));
            let rests = tracked.ended() && tracked.install.at_rest(tracked.is_stopped());
            match (rests, tracked.settled_at) {
                (true, None) => tracked.settled_at = Some(now),
                (false, Some(_)) => tracked.settled_at = None,
                _ => {}
            }
        }
    }

    fn step(&mut self, id: RolloutId, stage: Stage, now: Time, out: &mut impl Outbox) {
        match stage {
            Stage::Known | Stage::NotMine | Stage::Skipped => self.begin_staging(id, now, out),
            Stage::Fetching | Stage::Staging
                if self.rollouts.get(&id).is_some_and(|tracked| tracked.is_stopped()) =>
            {
                mark!(StopWhileFetching);
                out.cancel(id);
                self.enter(id, Stage::Known, None, "the rollout was stopped", out);
            }
            Stage::Fetching => self.name_new_holders(id, out),
            Stage::Staging => {}
            Stage::Staged => self.consider_activation(id, now, out),
            Stage::Freshening => self.freshen(id, now, out),
            Stage::Announcing => self.announce(id, now, out),
            Stage::Activating => self.await_switch(id, now, out),
            Stage::Trial => self.watch_trial(id, now, out),
            Stage::Healthy | Stage::Confirmed => self.watch_healthy(id, now, out),
            Stage::Reverting => self.retry_revert(id, now, out),
            Stage::Reprobing => self.watch_reprobe(id, now, out),
            Stage::Failed => self.consider_another_trial(id, now, out),
            Stage::Reverted | Stage::Stuck => {}
        }
    }

    fn stage(&self, id: RolloutId) -> Option<Stage> {
        self.rollouts.get(&id).map(|r| r.install.stage)
    }

    fn install(&mut self, id: RolloutId) -> Option<&mut Install> {
        self.rollouts.get_mut(&id).map(|r| &mut r.install)
    }

    fn enter(&mut self, id: RolloutId, to: Stage, deadline: Option<Time>, note: &str, out: &mut impl Outbox) {
        let Some(install) = self.install(id) else { return };
        let from = std::mem::replace(&mut install.stage, to);
        install.deadline = deadline;
        if from != to {
            out.report(Event::Stage { rollout: id, from, to, note: to_note(note) });
        }
    }

    fn part(&self, tracked: &Tracked) -> Part {
        if let Some(rank) = tracked.my_rank {
            return Part::Member(rank);
        }
        let pinned = self.trust.census(tracked.manifest.census);
        let was_there = pinned.is_some_and(|census| census.member(&self.me).is_some());
        let late = self.trust.newest_census().is_some_and(|(_, census)| {
            census.member(&self.me).is_some_and(|member| tracked.manifest.select.includes(census, member))
        });
        if late && !was_there { Part::Late } else { Part::None }
    }

    /// Sees to it that my vote says at least `state`. Returns whether it does, durably; without a seat
    /// there is nothing to say.
    fn ensure_vote(&mut self, id: RolloutId, state: VoteState, out: &mut impl Outbox) -> bool {
        let Some(tracked) = self.rollouts.get(&id) else { return false };
        // A drawn jury takes `Staged` for silence: it would be signed for nobody.
        if tracked.my_rank.is_none() || state == VoteState::Staged && tracked.is_far() {
            return true;
        }
        let install = &tracked.install;
        let (attempt, beat) = (install.attempt, 0);
        let rank = Vote::rank_of(attempt, state, beat);
        if install.voted >= rank {
            return true;
        }
        if self.my_vote(id).is_some_and(|held| held.rank() >= rank) {
            self.install(id).into_iter().for_each(|install| install.voted = rank);
            return true;
        }
        let (numbers, note) = (install.numbers, to_note(&install.note));
        self.state(
            Statement::Vote(Vote { rollout: id, node: self.me, state, attempt, beat, numbers, note }),
            out,
        );
        false
    }

    fn my_vote(&self, id: RolloutId) -> Option<&Vote> {
        match &self.registers.get(&Key::Vote(id, self.me))?.statement {
            Statement::Vote(vote) => Some(vote),
            _ => None,
        }
    }

    fn component_of(&self, id: RolloutId) -> Option<ComponentName> {
        self.rollouts.get(&id).map(|r| r.manifest.component.clone())
    }

    /// Keeps what is installed of a component over restarts.
    fn keep_installed(&mut self, name: &ComponentName, out: &mut impl Outbox) {
        self.keep_installed_then(name, Then::Nothing, out);
    }

    /// Keeps what is installed of a component over restarts, and goes on with `then`. Returns whether
    /// the write was taken; if not, it is made up for as soon as the disk moves, without `then`.
    fn keep_installed_then(&mut self, name: &ComponentName, then: Then, out: &mut impl Outbox) -> bool {
        let Some(component) = self.components.get_mut(name) else { return false };
        let installed = Box::new(component.installed.clone());
        let record = Record::Installed { component: name.clone(), installed };
        component.unsaved = !self.writes.write(record, then, out);
        !component.unsaved
    }

    /// Makes up for what the disk could not take.
    pub(super) fn keep_unsaved(&mut self, out: &mut impl Outbox) {
        let unsaved = self.components.iter().filter(|(_, component)| component.unsaved);
        let names: Vec<ComponentName> = unsaved.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.keep_installed(&name, out);
        }
    }

    /// The slot that a rollout's release has or will have.
    fn slot_of(tracked: &Tracked) -> SlotRecord {
        SlotRecord {
            rollout: tracked.id,
            order: tracked.manifest.order,
            version: tracked.manifest.version.clone(),
            tree: tracked.manifest.tree,
            probes: tracked.manifest.plan.probes.clone(),
        }
    }
}
