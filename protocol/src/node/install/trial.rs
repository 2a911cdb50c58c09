//! From staged to confirmed: fresh news, word to jurors, the switch, the trial.

use std::cmp::Ordering;

use super::{Node, Part};
use crate::bounds::{ANNOUNCE_EVERY, ANNOUNCE_TIMEOUT, FRESHEN_EVERY, START_RETRY, SWITCH_TIMEOUT};
use crate::digest::Digest;
use crate::facts::health::{Health, HealthReport};
use crate::facts::{Key, RolloutId, Statement, VoteState};
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::node::event::{Event, Stage};
use crate::node::input::Trouble;
use crate::node::outbox::Outbox;
use crate::node::record::SlotRecord;
use crate::node::syncing::send_facts;
use crate::node::tracked::Tracked;
use crate::node::writes::Then;
use crate::sorted::Sorted;
use crate::time::{Span, Time};
use crate::trust::manifest::Manifest;
use crate::trust::names::ComponentName;
use crate::wire::frame::Entry;

/// Whether a stop keeps this node from switching.
fn heeds_stop(tracked: &Tracked) -> bool {
    tracked.is_stopped() && !mutations::is(Mutation::ActivateAfterStop)
}

/// Whether an operator's pause keeps this node from switching; what is done is open to all.
fn heeds_pause(tracked: &Tracked) -> bool {
    tracked.derived.paused && !tracked.is_done() && !mutations::is(Mutation::PauseIgnored)
}

impl Node {
    /// Whether this node may begin the switch, but for fresh news.
    fn may_activate(&self, tracked: &Tracked) -> bool {
        let open = match self.part(tracked) {
            Part::Member(rank) => rank < tracked.derived.open,
            Part::Late => tracked.is_done() || mutations::is(Mutation::LateJoinerUngated),
            Part::None => false,
        };
        let manifest = &tracked.manifest;
        let newer = self.components.get(&manifest.component).is_some_and(|component| {
            let older = |slot: &SlotRecord| slot.order < manifest.order;
            component.installed.active.as_ref().is_none_or(older) || mutations::is(Mutation::LowerSequence)
        });
        let alone =
            self.rollouts.values().all(|other| other.id == tracked.id || !other.install.is_under_way());
        open && newer
            && alone
            && self.may_sign()
            && !heeds_stop(tracked)
            && !heeds_pause(tracked)
            && self.requirements_confirmed(manifest)
            && (self.done_order(&manifest.component).is_none_or(|done| done <= manifest.order)
                || mutations::is(Mutation::LowerSequence))
    }

    /// Whether what the release requires is confirmed on this machine; what is not configured here is not in its way.
    fn requirements_confirmed(&self, manifest: &Manifest) -> bool {
        manifest.requires.iter().all(|requirement| match self.components.get(&requirement.component) {
            Some(component) => component
                .installed
                .anchor
                .as_ref()
                .is_some_and(|slot| slot.order.sequence >= requirement.min_sequence),
            None => true,
        })
    }

    fn may_go_on(&self, id: RolloutId) -> bool {
        self.rollouts.get(&id).is_some_and(|tracked| self.may_activate(tracked))
    }

    pub(super) fn consider_activation(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        self.ensure_vote(id, VoteState::Staged, out);
        let Some(tracked) = self.rollouts.get(&id) else { return };
        if !self.may_activate(tracked) {
            return;
        }
        let others = tracked.roster.jury.iter().filter(|juror| **juror != self.me);
        let mut base = Sorted::default();
        for juror in others {
            base.put(*juror, self.heard_of(juror), |_| Ordering::Equal);
        }
        if let Some(install) = self.install(id) {
            install.base = base;
        }
        self.enter(id, Stage::Freshening, Some(now), "its rank is open", out);
    }

    /// Fresh-before-activate (hole H28): enough other jurors' beacons have risen since this node learnt
    /// that it is open, and none names a stop or a document that this node lacks. Replays do not rise,
    /// so no clock and no nonce is needed.
    pub(super) fn freshen(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        if !self.may_go_on(id) {
            mark!(NewsComesTooLate);
            return self.enter(id, Stage::Staged, None, "may not go on now", out);
        }
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let needed = tracked.roster.quorum.confirmers() as usize;
        let heard = self.first_heard_of(tracked);
        if let Some(install) = self.install(id).filter(|_| !heard.is_empty()) {
            for (juror, rank) in heard {
                install.base.put(juror, rank, |_| Ordering::Equal);
            }
        }
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let (mut fresh, mut asked) = (0, Vec::new());
        for (juror, base) in tracked.install.base.iter() {
            match base {
                Some(base) if self.gave_news(juror, *base) => fresh += 1,
                _ => asked.push(*juror),
            }
        }
        if fresh >= needed || mutations::is(Mutation::FreshnessIgnored) {
            return self.begin_trial(id, now, out);
        }
        if tracked.install.deadline.is_some_and(|at| now < at) {
            return;
        }
        // Linked jurors answer at once; among them begin anywhere, so that no juror is asked by all.
        asked.sort_by_key(|juror| !self.links.contains(juror));
        let linked = asked.iter().filter(|juror| self.links.contains(juror)).count();
        if linked > 1 {
            let turn = usize::try_from(self.generator.below(linked as u64)).unwrap_or(0);
            asked[..linked].rotate_left(turn);
        }
        let far = tracked.is_far();
        for juror in asked.into_iter().take(needed + 2) {
            if far {
                Self::ask_for_news(juror, out);
            } else {
                self.begin_sync(now, juror, out);
            }
        }
        if let Some(install) = self.install(id) {
            install.deadline = Some(now + FRESHEN_EVERY);
        }
    }

    /// How far a juror's beacons had come when this node last heard of them, if ever.
    fn heard_of(&self, juror: &NodeId) -> Option<u64> {
        let held = self.registers.get(&Key::Beacon(*juror)).map_or(0, |fact| fact.rank);
        Some(held.max(self.freshness.rank(juror))).filter(|rank| *rank > 0)
    }

    /// The first beacons of jurors of whom this node had heard nothing. They may be old ones, played back
    /// (hole H28): only the next ones are news.
    fn first_heard_of(&self, tracked: &Tracked) -> Vec<(NodeId, Option<u64>)> {
        let strangers = tracked.install.base.iter().filter(|(_, base)| base.is_none());
        strangers
            .map(|(juror, _)| (*juror, Some(self.freshness.rank(juror)).filter(|rank| *rank > 0)))
            .filter(|(_, rank)| rank.is_some())
            .collect()
    }

    /// Whether a juror's beacon has risen since it stood at `base`, and shows nothing that this node lacks.
    fn gave_news(&self, juror: &NodeId, base: u64) -> bool {
        // Whatever a register shows beyond that has risen since, and was noted when it did.
        if self.freshness.rank(juror) <= base {
            return false;
        }
        let heads = self.heads();
        match self.registers.get(&Key::Beacon(*juror)).map(|fact| (&fact.statement, fact.rank)) {
            Some((Statement::Beacon(beacon), rank)) => {
                mark!(NewsShowsStop if rank > base && self.knows_a_stop(beacon));
                rank > base
                    && beacon.heads.policy <= heads.policy
                    && beacon.heads.census <= heads.census
                    && !self.knows_a_stop(beacon)
            }
            _ => false,
        }
    }

    fn begin_trial(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let (slot, name) = (Self::slot_of(tracked), tracked.manifest.component.clone());
        let attempt = tracked.install.attempt;
        if let Some(component) = self.components.get_mut(&name) {
            component.installed.trial = Some(slot);
            component.installed.trial_boots = 0;
            component.installed.attempts = attempt;
        }
        self.keep_installed(&name, out);
        if let Some(install) = self.install(id) {
            install.announced_at = Some(now);
            install.base = Sorted::default();
            install.acknowledged.clear();
            install.numbers = crate::facts::health::HealthNumbers::default();
            install.note.clear();
        }
        self.enter(id, Stage::Announcing, Some(now), "news is fresh", out);
    }

    /// `Trying` is durable here and seen by enough others before the switch, so that a machine that the
    /// release hangs is told apart from one that was never there (hole H22).
    pub(super) fn announce(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        if !self.may_still_switch(id) || self.is_behind_done(id) || self.announces_in_vain(id, now) {
            return self.abandon_trial(id, out);
        }
        if !self.ensure_vote(id, VoteState::Trying, out) {
            return;
        }
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let needed = match self.part(tracked) {
            Part::Member(_) => tracked.roster.quorum.confirmers() as usize,
            Part::Late | Part::None => 0,
        };
        if tracked.install.acknowledged.len() >= needed || mutations::is(Mutation::NobodyTold) {
            return self.switch(id, now, out);
        }
        if tracked.install.deadline.is_some_and(|at| now < at) {
            return;
        }
        let jurors: Vec<NodeId> = tracked
            .roster
            .jury
            .iter()
            .filter(|juror| **juror != self.me && !tracked.install.acknowledged.contains(juror))
            .copied()
            .collect();
        mark!(ToldAgain if !tracked.install.acknowledged.is_empty());
        if let Some(fact) = self.registers.get(&Key::Vote(id, self.me)).cloned() {
            for juror in jurors {
                send_facts(juror, std::slice::from_ref(&fact), true, false, out);
            }
        }
        if let Some(install) = self.install(id) {
            install.deadline = Some(now + ANNOUNCE_EVERY);
        }
    }

    fn may_still_switch(&self, id: RolloutId) -> bool {
        self.rollouts.get(&id).is_some_and(|r| !heeds_stop(r) && !heeds_pause(r) && self.may_sign())
    }

    /// Whether a later release is done: nobody waits for this one any more, and jurors that have put it
    /// away acknowledge nothing.
    fn is_behind_done(&self, id: RolloutId) -> bool {
        self.rollouts.get(&id).is_some_and(|tracked| {
            let done = self.done_order(&tracked.manifest.component);
            done.is_some_and(|done| done > tracked.manifest.order)
        })
    }

    fn announces_in_vain(&self, id: RolloutId, now: Time) -> bool {
        let since = self.rollouts.get(&id).and_then(|tracked| tracked.install.announced_at);
        since.is_some_and(|since| now >= since + ANNOUNCE_TIMEOUT)
    }

    fn abandon_trial(&mut self, id: RolloutId, out: &mut impl Outbox) {
        let Some(name) = self.component_of(id) else { return };
        if let Some(component) = self.components.get_mut(&name) {
            component.installed.trial = None;
            component.installed.trial_boots = 0;
        }
        self.keep_installed(&name, out);
        let stopped = self.rollouts.get(&id).is_some_and(|tracked| tracked.is_stopped());
        mark!(StopBeforeSwitch if stopped);
        mark!(PauseBeforeSwitch if !stopped && self.rollouts.get(&id).is_some_and(|r| r.derived.paused));
        mark!(OvertakenBeforeSwitch if self.is_behind_done(id));
        let stage = if stopped { Stage::Reverted } else { Stage::Staged };
        self.enter(id, stage, None, "held before the switch", out);
    }

    /// A juror says what it holds of my vote.
    pub(in crate::node) fn acknowledged(&mut self, from: NodeId, entries: &[Entry]) {
        let me = self.me;
        self.rest.stir();
        for (id, tracked) in self.rollouts.iter_mut() {
            if tracked.install.stage != Stage::Announcing || !tracked.roster.is_juror(&from) {
                continue;
            }
            let key = Key::Vote(*id, me);
            let rank = self.registers.get(&key).map_or(u64::MAX, |fact| fact.rank);
            if entries.iter().any(|entry| entry.key == key.short() && entry.rank >= rank) {
                tracked.install.acknowledged.insert(from);
            }
        }
    }

    fn switch(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let Some(name) = self.component_of(id) else { return };
        self.set_trial_boots(&name, 1);
        if mutations::is(Mutation::SwitchBeforePersisted) {
            self.keep_installed(&name, out);
            self.enter(id, Stage::Activating, Some(now + SWITCH_TIMEOUT), "enough jurors know", out);
            return self.switch_on_record(id, now, out);
        }
        if self.keep_installed_then(&name, Then::Switch(id), out) {
            self.enter(id, Stage::Activating, Some(now + SWITCH_TIMEOUT), "enough jurors know", out);
        } else {
            self.set_trial_boots(&name, 0);
            self.enter(id, Stage::Announcing, Some(now + ANNOUNCE_EVERY), "the disk is behind", out);
        }
    }

    pub(super) fn set_trial_boots(&mut self, name: &ComponentName, boots: u8) {
        if let Some(component) = self.components.get_mut(name) {
            component.installed.trial_boots = boots;
        }
    }

    /// The disk knows of the trial: only now may the switch begin, so that a release that takes the
    /// machine down with it finds its starts counted. What was learnt meanwhile is heeded first (S5).
    pub(in crate::node) fn switch_on_record(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let Some(tracked) = self.rollouts.get(&id) else { return };
        if tracked.install.stage != Stage::Activating {
            return;
        }
        let (name, tree) = (tracked.manifest.component.clone(), tracked.manifest.tree);
        let stopped = heeds_stop(tracked);
        let Some(component) = self.components.get_mut(&name) else { return };
        component.report = None;
        let first = component.installed.trial_boots == 1;
        if first && !self.may_still_switch(id) {
            return self.abandon_trial(id, out);
        }
        if stopped {
            return self.go_back(id, now, false, "the rollout was stopped", out);
        }
        out.activate(&name, tree);
        self.enter(id, Stage::Activating, Some(now + SWITCH_TIMEOUT), "", out);
    }

    pub(super) fn await_switch(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let late = self.install(id).is_some_and(|install| install.deadline.is_some_and(|at| at <= now));
        if late {
            self.fail(id, now, None, "the switch did not end in time", out);
        }
    }

    pub(in crate::node) fn activated(
        &mut self,
        now: Time,
        name: &ComponentName,
        tree: Option<Digest>,
        outcome: Result<(), Trouble>,
        out: &mut impl Outbox,
    ) {
        let busy = self.rollouts.values().find(|r| {
            r.manifest.component == *name && matches!(r.install.stage, Stage::Activating | Stage::Reverting)
        });
        let busy = busy.map(|r| (r.id, r.install.stage, r.manifest.tree));
        if outcome.is_ok() {
            self.now_runs(name, tree, busy.is_some_and(|(_, stage, _)| stage == Stage::Reverting), out);
        }
        match (busy, outcome) {
            (Some((id, Stage::Activating, wanted)), Ok(())) if tree == Some(wanted) => {
                self.trial_began(id, now, out);
            }
            (Some((id, Stage::Activating, wanted)), Err(trouble)) if tree == Some(wanted) => {
                self.fail(id, now, None, trouble.words(), out);
            }
            (Some((id, Stage::Reverting, _)), outcome) => self.went_back(id, now, tree, outcome, out),
            (_, Err(trouble)) => self.did_not_start(name, &trouble, now, out),
            (_, Ok(())) => {}
        }
    }

    fn now_runs(&mut self, name: &ComponentName, tree: Option<Digest>, revert: bool, out: &mut impl Outbox) {
        let Some(component) = self.components.get_mut(name) else { return };
        component.runs = tree;
        component.report = None;
        let Some(tree) = tree else { return };
        if let Some(slot) = component.running() {
            out.probe(name, tree, &slot.probes);
        }
        out.report(Event::Switched { component: name.clone(), tree, revert });
    }

    fn did_not_start(&mut self, name: &ComponentName, trouble: &Trouble, now: Time, out: &mut impl Outbox) {
        let Some(component) = self.components.get_mut(name) else { return };
        component.start_again_at = Some(now + START_RETRY);
        if let Some(slot) = &component.installed.active {
            out.report(Event::Trouble { rollout: slot.rollout, what: trouble.words().to_owned() });
        }
    }

    fn trial_span(&self, id: RolloutId) -> Span {
        self.rollouts.get(&id).map_or(Span(0), |r| Span::seconds(u64::from(r.manifest.plan.trial_s)))
    }

    fn trial_began(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let ends = now + self.trial_span(id);
        if let Some(install) = self.install(id) {
            install.trial_ends = Some(ends);
            install.acknowledged.clear();
        }
        self.enter(id, Stage::Trial, Some(ends), "", out);
    }

    pub(in crate::node) fn probed(
        &mut self,
        name: &ComponentName,
        tree: Digest,
        report: &HealthReport,
        out: &mut impl Outbox,
    ) {
        let Some(component) = self.components.get_mut(name) else { return };
        if component.runs != Some(tree) {
            return;
        }
        let note = crate::trust::names::to_note(&report.note);
        let changed = component.report.as_ref().is_none_or(|before| before.health != report.health);
        let report = HealthReport { note, ..report.clone() };
        component.report = Some(report.clone());
        if changed {
            self.rest.stir();
            out.report(Event::Health { component: name.clone(), report });
        }
    }

    fn report_of(&self, id: RolloutId) -> Option<HealthReport> {
        let tracked = self.rollouts.get(&id)?;
        let component = self.components.get(&tracked.manifest.component)?;
        component.report.clone().filter(|_| component.runs == Some(tracked.manifest.tree))
    }

    pub(super) fn watch_trial(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        if self.rollouts.get(&id).is_some_and(|tracked| tracked.is_stopped()) {
            mark!(StopInTrial);
            return self.go_back(id, now, false, "the rollout was stopped", out);
        }
        let report = self.report_of(id);
        let health = report.as_ref().map_or(Health::Unknown, |report| report.health);
        let ended = self.install(id).is_some_and(|i| i.trial_ends.is_some_and(|at| at <= now))
            && !mutations::is(Mutation::TrialWithoutEnd);
        match (health, ended) {
            (Health::Unhealthy, _) => self.fail(id, now, report, "", out),
            (_, false) => {}
            (Health::Healthy, true) => self.pass(id, report, out),
            (Health::Unknown, true) => {
                // No data means hold, never pass; but not for ever.
                let last = self.install(id).and_then(|i| i.trial_ends).unwrap_or(now) + self.trial_span(id);
                if now >= last {
                    self.fail(id, now, report, "the probes gave no verdict in twice the trial time", out);
                } else {
                    self.enter(id, Stage::Trial, Some(last), "", out);
                }
            }
        }
    }

    fn pass(&mut self, id: RolloutId, report: Option<HealthReport>, out: &mut impl Outbox) {
        let Some(name) = self.component_of(id) else { return };
        if let Some(component) = self.components.get_mut(&name) {
            let slots = &mut component.installed;
            if let Some(passed) = slots.trial.take() {
                slots.previous = slots.active.replace(passed);
            }
            slots.trial_boots = 0;
        }
        self.keep_installed(&name, out);
        if let (Some(install), Some(report)) = (self.install(id), report) {
            install.numbers = report.numbers;
            install.note = report.note;
        }
        self.enter(id, Stage::Healthy, None, "passed its trial", out);
    }

    pub(super) fn watch_healthy(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let (done, stopped) = (tracked.is_done(), tracked.is_stopped());
        let confirmed = tracked.install.stage == Stage::Confirmed;
        if !self.is_active(id) {
            // A later release took its place here: what becomes of this one is for others to live with.
            mark!(TakenOver if !done && !stopped);
            let stage = if stopped { Stage::Reverted } else { Stage::Confirmed };
            if stopped || (done && self.ensure_vote(id, VoteState::Healthy, out)) {
                self.enter(id, stage, None, "a later release runs here", out);
            }
            return;
        }
        if self.another_is_under_way(id) {
            // Whatever the probes say now, they say of a switch between the two.
            return;
        }
        if stopped {
            return self.go_back_in_turn(id, now, out);
        }
        if !self.ensure_vote(id, VoteState::Healthy, out) || confirmed {
            return;
        }
        if done {
            return self.confirm(id, out);
        }
        if let Some(report) = self.report_of(id)
            && report.health == Health::Unhealthy
        {
            mark!(FailsInBake);
            self.fail(id, now, Some(report), "", out);
        }
    }

    /// Whether the rollout's release is what a trial would go back to.
    fn is_active(&self, id: RolloutId) -> bool {
        let component = self.component_of(id).and_then(|name| self.components.get(&name));
        component.and_then(|c| c.installed.active.as_ref()).is_some_and(|slot| slot.rollout == id)
    }

    fn another_is_under_way(&self, id: RolloutId) -> bool {
        let Some(name) = self.component_of(id) else { return false };
        self.rollouts
            .values()
            .any(|other| other.id != id && other.manifest.component == name && other.install.is_under_way())
    }

    fn confirm(&mut self, id: RolloutId, out: &mut impl Outbox) {
        let Some(name) = self.component_of(id) else { return };
        if let Some(component) = self.components.get_mut(&name) {
            let slots = &mut component.installed;
            slots.anchor = slots.active.clone();
            let installed = [&slots.active, &slots.previous].into_iter().flatten().map(|slot| slot.tree);
            // Trees of later releases may be staged already.
            let announced = self.rollouts.values().filter(|r| r.manifest.component == name);
            let keep = installed.chain(announced.map(|r| r.manifest.tree));
            let keep: Vec<Digest> = keep.filter(|_| !mutations::is(Mutation::SlotsDropped)).collect();
            if let Some(anchor) = &slots.anchor {
                out.confirm(&name, anchor.tree, &keep);
            }
        }
        self.keep_installed(&name, out);
        self.enter(id, Stage::Confirmed, None, "done fleet-wide", out);
    }
}
