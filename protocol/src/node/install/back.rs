//! The ways back: failing, being stopped, starting again after a crash.

use super::Node;
use crate::bounds::{ATTEMPTS_MAX, DOUBT_BACKOFF, REPROBE, REVERT_RETRY, SWITCH_TIMEOUT, TRIAL_BOOTS_MAX};
use crate::digest::Digest;
use crate::facts::health::{Health, HealthReport};
use crate::facts::{Failure, RolloutId, VoteState};
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::node::event::{Event, Stage};
use crate::node::input::Trouble;
use crate::node::outbox::Outbox;
use crate::node::record::{Ending, SlotRecord};
use crate::node::writes::Then;
use crate::time::{Span, Time};
use crate::trust::names::ComponentName;

impl Node {
    /// The release fails here: back at once, by itself, then the vote.
    pub(super) fn fail(
        &mut self,
        id: RolloutId,
        now: Time,
        report: Option<HealthReport>,
        why: &str,
        out: &mut impl Outbox,
    ) {
        if let Some(install) = self.install(id) {
            if let Some(report) = &report {
                install.numbers = report.numbers;
            }
            let words = report.map(|report| report.note).filter(|note| !note.is_empty());
            install.note = words.unwrap_or_else(|| why.to_owned());
        }
        let note = self.install(id).map(|install| install.note.clone()).unwrap_or_default();
        self.go_back(id, now, true, &note, out);
        self.ensure_vote(id, VoteState::Failed(Failure::Unknown), out);
    }

    /// Whether a slot's release is known to have been stopped.
    fn is_slot_stopped(&self, slot: &SlotRecord) -> bool {
        let tracked = self.rollouts.get(&slot.rollout).is_some_and(|tracked| tracked.is_stopped());
        let ended = self.tombstones.find(slot.rollout).is_some_and(|t| t.ending == Ending::Stopped);
        tracked || ended
    }

    /// The newest slot that is neither this rollout's nor stopped: what ran before the trial, else what
    /// ran before that, else the anchor.
    fn slot_to_go_back_to(&self, id: RolloutId) -> Option<SlotRecord> {
        let component = self.components.get(&self.component_of(id)?)?;
        if mutations::is(Mutation::WrongSlot) {
            return component.installed.previous.clone();
        }
        component.slots().find(|slot| slot.rollout != id && !self.is_slot_stopped(slot)).cloned()
    }

    pub(super) fn go_back(
        &mut self,
        id: RolloutId,
        now: Time,
        failed_here: bool,
        note: &str,
        out: &mut impl Outbox,
    ) {
        let Some(name) = self.component_of(id) else { return };
        let target = self.slot_to_go_back_to(id);
        let had_passed = matches!(self.stage(id), Some(Stage::Healthy | Stage::Confirmed));
        if target.is_none() && (had_passed || !failed_here) {
            mark!(NothingOlder);
            // Nothing older to run: staying, and starting again what ends, is better than stopping the service.
            return self.enter(id, Stage::Stuck, None, "nothing older is left to go back to", out);
        }
        out.revert(&name, target.as_ref().map(|slot| slot.tree));
        if let Some(install) = self.install(id) {
            install.failed_here = failed_here;
            install.target = target;
        }
        self.enter(id, Stage::Reverting, Some(now + SWITCH_TIMEOUT), note, out);
    }

    /// Healthy nodes go back one after the other, so that a stop is no outage (hole H24).
    pub(super) fn go_back_in_turn(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let spread = Span::seconds(u64::from(tracked.manifest.plan.revert_spread_s));
        let (rank, count) = (tracked.my_rank.unwrap_or(0), tracked.roster.count().max(1));
        let share = Span(spread.0 / u64::from(count) * u64::from(rank));
        let stage = tracked.install.stage;
        let Some(install) = self.install(id) else { return };
        let turn = *install.stopped_at.get_or_insert(now) + share;
        if now < turn {
            mark!(RevertWaitsItsTurn);
            return self.enter(id, stage, Some(turn), "", out);
        }
        self.go_back(id, now, false, "the rollout was stopped", out);
    }

    pub(super) fn retry_revert(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        if self.install(id).is_some_and(|install| install.failed_here) {
            self.ensure_vote(id, VoteState::Failed(Failure::Unknown), out);
        }
        let due = self.install(id).is_some_and(|install| install.deadline.is_some_and(|at| at <= now));
        if let (true, Some(name)) = (due, self.component_of(id)) {
            let tree = self.install(id).and_then(|install| install.target.as_ref().map(|slot| slot.tree));
            out.revert(&name, tree);
            self.enter(id, Stage::Reverting, Some(now + SWITCH_TIMEOUT), "", out);
        }
    }

    /// The driver answered a revert.
    pub(super) fn went_back(
        &mut self,
        id: RolloutId,
        now: Time,
        tree: Option<Digest>,
        outcome: Result<(), Trouble>,
        out: &mut impl Outbox,
    ) {
        let Some((target, failed_here)) = self.install(id).map(|i| (i.target.clone(), i.failed_here)) else {
            return;
        };
        if tree != target.as_ref().map(|slot| slot.tree) {
            return;
        }
        if let Err(trouble) = outcome {
            out.report(Event::Trouble { rollout: id, what: trouble.words().to_owned() });
            return self.enter(id, Stage::Reverting, Some(now + REVERT_RETRY), trouble.words(), out);
        }
        let Some(name) = self.component_of(id) else { return };
        if let Some(component) = self.components.get_mut(&name) {
            let slots = &mut component.installed;
            slots.trial = None;
            slots.trial_boots = 0;
            if slots.active != target {
                slots.previous = slots.anchor.clone().filter(|anchor| Some(anchor) != target.as_ref());
                if slots.anchor.as_ref().is_some_and(|anchor| anchor.rollout == id) {
                    slots.anchor.clone_from(&target);
                }
                slots.active.clone_from(&target);
            }
        }
        self.keep_installed(&name, out);
        match (failed_here, target.is_some()) {
            (true, true) => {
                self.enter(id, Stage::Reprobing, Some(now + REPROBE), "is the old version well?", out);
            }
            (true, false) => self.enter(id, Stage::Failed, None, "there was nothing to go back to", out),
            (false, _) => self.enter(id, Stage::Reverted, None, "", out),
        }
    }

    /// Tells a bad release from a bad day: each node is its own control (hole H20).
    pub(super) fn watch_reprobe(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let component = self.component_of(id).and_then(|name| self.components.get(&name));
        let health =
            component.and_then(|c| c.report.as_ref()).map_or(Health::Unknown, |report| report.health);
        let late = self.rollouts.get(&id).is_some_and(|r| r.install.deadline.is_some_and(|at| at <= now));
        match health {
            Health::Healthy => {
                self.conclude(
                    id,
                    Failure::Recovered,
                    None,
                    "the old version is well: the release is bad",
                    out,
                );
            }
            Health::Unhealthy => self.doubt(id, now, out),
            Health::Unknown if late => self.doubt(id, now, out),
            Health::Unknown => {
                self.ensure_vote(id, VoteState::Failed(Failure::Unknown), out);
            }
        }
    }

    fn doubt(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        mark!(OldVersionFailsToo);
        let again = self.install(id).is_some_and(|install| install.attempt < ATTEMPTS_MAX);
        let next = again.then(|| now + DOUBT_BACKOFF);
        self.conclude(
            id,
            Failure::Doubt,
            next,
            "the old version fails too: perhaps not the release's fault",
            out,
        );
    }

    fn conclude(
        &mut self,
        id: RolloutId,
        failure: Failure,
        next: Option<Time>,
        note: &str,
        out: &mut impl Outbox,
    ) {
        if let Some(install) = self.install(id) {
            install.failure = failure;
        }
        self.enter(id, Stage::Failed, next, note, out);
    }

    pub(super) fn consider_another_trial(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let (stopped, failure, next) =
            (tracked.is_stopped(), tracked.install.failure, tracked.install.deadline);
        // What a trial ended with is said until it is durable, whatever came between.
        self.ensure_vote(id, VoteState::Failed(failure), out);
        if next.is_some_and(|at| at <= now) && !stopped {
            if let Some(install) = self.install(id) {
                install.attempt = install.attempt.saturating_add(1).min(ATTEMPTS_MAX);
            }
            mark!(TriesAgain);
            self.enter(id, Stage::Staged, None, "tries again", out);
        }
    }

    /// After a start: every component runs again, and what was under way goes on or back.
    pub(in crate::node) fn resume_components(&mut self, now: Time, out: &mut impl Outbox) {
        let names: Vec<ComponentName> = self.components.keys().cloned().collect();
        self.read_again(now, out);
        self.recall_failures(now, out);
        for name in names {
            self.resume(&name, now, out);
        }
    }

    /// A release that failed here before the restart is not tried as if it were new.
    fn recall_failures(&mut self, now: Time, out: &mut impl Outbox) {
        let ids: Vec<RolloutId> = self.rollouts.keys().copied().collect();
        for id in ids {
            let Some((attempt, state)) = self.my_vote(id).map(|vote| (vote.attempt, vote.state)) else {
                continue;
            };
            let Some(install) = self.install(id) else { continue };
            install.attempt = attempt;
            if let VoteState::Failed(failure) = state {
                mark!(FailureRecalled);
                install.failed_here = true;
                if failure == Failure::Unknown && self.has_older_slot(id) {
                    // The old version is about to start, and will tell.
                    self.enter(
                        id,
                        Stage::Reprobing,
                        Some(now + REPROBE.times(2)),
                        "is the old version well?",
                        out,
                    );
                    continue;
                }
                let Some(install) = self.install(id) else { continue };
                install.failure = failure;
                let again = failure == Failure::Doubt && attempt < ATTEMPTS_MAX;
                let next = again.then(|| now + DOUBT_BACKOFF);
                self.enter(id, Stage::Failed, next, "failed before the agent ended", out);
            }
        }
    }

    fn has_older_slot(&self, id: RolloutId) -> bool {
        let component = self.component_of(id).and_then(|name| self.components.get(&name));
        component.is_some_and(|c| c.installed.active.as_ref().is_some_and(|slot| slot.rollout != id))
    }

    /// What was running before the agent ended did not start: again, until it does.
    pub(in crate::node) fn start_again(&mut self, now: Time, out: &mut impl Outbox) {
        for (name, component) in self.components.iter_mut() {
            if component.start_again_at.is_some_and(|at| at <= now) {
                component.start_again_at = None;
                if let Some(active) = component.installed.active.as_ref().filter(|_| component.runs.is_none())
                {
                    out.activate(name, active.tree);
                }
            }
        }
    }

    fn resume(&mut self, name: &ComponentName, now: Time, out: &mut impl Outbox) {
        let Some(component) = self.components.get(name) else { return };
        let slots = component.installed.clone();
        if let Some(trial) = &slots.trial
            && slots.trial_boots > 0
        {
            return self.resume_trial(name, trial, slots.attempts, now, out);
        }
        let Some(active) = &slots.active else { return };
        let failed =
            matches!(self.my_vote(active.rollout).map(|vote| vote.state), Some(VoteState::Failed(_)));
        if failed && self.rollouts.contains_key(&active.rollout) {
            return self.go_back(active.rollout, now, true, "it had failed before the agent ended", out);
        }
        if self.is_slot_stopped(active) && self.rollouts.contains_key(&active.rollout) {
            // It does not run now, so going back at once costs less than waiting for its turn. With
            // nothing older it is started below: a stopped service is worse.
            self.go_back(active.rollout, now, false, "the rollout was stopped", out);
            if self.stage(active.rollout) != Some(Stage::Stuck) {
                return;
            }
            return out.activate(name, active.tree);
        }
        out.activate(name, active.tree);
        self.enter(active.rollout, Stage::Healthy, None, "runs since before the agent started", out);
    }

    /// The agent ended inside a trial. What this node knows of a stop comes before anything else.
    fn resume_trial(
        &mut self,
        name: &ComponentName,
        trial: &SlotRecord,
        attempt: u8,
        now: Time,
        out: &mut impl Outbox,
    ) {
        let id = trial.rollout;
        let Some(tracked) = self.rollouts.get(&id) else {
            // Its rollout is not known any more: what ran before is what runs.
            return self.drop_trial(name, out);
        };
        let stopped = tracked.is_stopped();
        let failed = matches!(self.my_vote(id).map(|vote| vote.state), Some(VoteState::Failed(_)));
        let boots = self.components.get(name).map_or(0, |c| c.installed.trial_boots);
        if let Some(install) = self.install(id) {
            install.attempt = attempt.clamp(1, ATTEMPTS_MAX);
        }
        if stopped {
            mark!(StopFoundInResume);
            return self.go_back(id, now, false, "the rollout was stopped", out);
        }
        mark!(TrialGivenUp if !failed && boots > TRIAL_BOOTS_MAX);
        if failed || boots > TRIAL_BOOTS_MAX && !mutations::is(Mutation::BootsUncounted) {
            return self.fail(id, now, None, "the agent ended too often inside the trial", out);
        }
        mark!(TrialResumed);
        self.set_trial_boots(name, boots.saturating_add(1));
        self.keep_installed_then(name, Then::Switch(id), out);
        self.enter(
            id,
            Stage::Activating,
            Some(now + SWITCH_TIMEOUT),
            "the agent ended inside the trial",
            out,
        );
    }

    fn drop_trial(&mut self, name: &ComponentName, out: &mut impl Outbox) {
        let Some(component) = self.components.get_mut(name) else { return };
        component.installed.trial = None;
        component.installed.trial_boots = 0;
        let active = component.installed.active.as_ref().map(|slot| slot.tree);
        self.keep_installed(name, out);
        out.revert(name, active);
    }
}
