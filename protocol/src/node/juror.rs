//! A juror's duties: look, stop, stand in a term, propose as leader, open.

use std::sync::Arc;

use super::Node;
use super::event::{Event, Hold};
use super::outbox::Outbox;
use super::record::Record;
use super::tracked::Tracked;
use super::writes::Then;
use crate::bounds::{FRESH_PERIODS, PROPOSE_EVERY, SEQUENCE_LEAD_MAX};
use crate::facts::{Ballot, BallotKind, Key, Propose, RolloutId, Say, Statement, StopReason};
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::rollout::derived::said;
use crate::rollout::gate::{Shut, allowed};
use crate::rollout::view::Scene;
use crate::time::{Span, Time};
use crate::trust::manifest::{Manifest, ReleaseOrder};
use crate::trust::names::ComponentName;

impl Node {
    /// Looks at a rollout as a juror would, and does a juror's duties if this node is one.
    pub(super) fn look_as_juror(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        if self.rollouts.get(&id).is_none_or(|r| r.ended() || now < r.look_at) {
            return;
        }
        if let Some(tracked) = self.rollouts.get_mut(&id).filter(|tracked| !tracked.counts()) {
            tracked.look_at = Time(u64::MAX);
            return;
        }
        self.review_signers(id);
        let shut = self.shut(id, now);
        let Some(mut tracked) = self.rollouts.remove(&id) else { return };
        self.look(&mut tracked, &shut, now, out);
        if tracked.i_judge {
            self.ask_for_what_is_missed(&mut tracked, now, out);
        }
        if tracked.i_judge && self.may_sign() {
            self.stop_if_called_for(&tracked, out);
            self.stand_in_term(&tracked, now, out);
            self.propose_if_leading(&mut tracked, now, out);
            self.open_if_proposed(&tracked, &shut, out);
        }
        self.rollouts.insert(id, tracked);
    }

    /// Asks the newest policy whether it accepts the manifest's signers: once for each policy, since
    /// verifying costs. What a signature merely claims to be counts for nothing.
    fn review_signers(&mut self, id: RolloutId) {
        let (Some(policy), Some(tracked)) = (self.trust.newest_policy(), self.rollouts.get_mut(&id)) else {
            return;
        };
        if tracked.signers.as_ref().is_none_or(|(asked, _)| !Arc::ptr_eq(asked, policy)) {
            let accepted = tracked
                .fact
                .role_signed_if(&policy.roles.release, |one| self.reader.is_signed(&tracked.fact, one));
            tracked.signers = Some((Arc::clone(policy), accepted));
        }
    }

    /// What shuts the gate, beside what the votes say.
    fn shut(&self, id: RolloutId, now: Time) -> Shut {
        let Some(tracked) = self.rollouts.get(&id) else { return Shut::default() };
        let manifest = &tracked.manifest;
        let bound = self.bindings.get(&(manifest.component.clone(), manifest.order));
        let opened = said(&self.registers, id, self.me, BallotKind::Open).is_some();
        let newer_census = self.trust.newest_census().is_some_and(|(newest, _)| newest != manifest.census);
        let hold = Span::seconds(u64::from(manifest.plan.hold_s));
        Shut {
            bound: bound.is_some_and(|rollout| *rollout != id),
            superseded: self.superseded(manifest),
            signers_revoked: tracked.signers.as_ref().is_some_and(|(_, accepted)| !accepted),
            census_outdated: newer_census && !opened && now >= self.census_since + hold,
            expired: self.wall(now).is_some_and(|wall| wall > manifest.expires),
            sequence_too_far: self.too_far(&manifest.component, manifest.order),
            requirement_not_done: manifest
                .requires
                .iter()
                .any(|r| self.done_order(&r.component).is_none_or(|done| done.sequence < r.min_sequence)),
        }
    }

    /// The wall clock, carried on by the monotonic one.
    fn wall(&self, now: Time) -> Option<u64> {
        self.wall_clock.map(|(seconds, at)| seconds.saturating_add(now.since(at).0 / 1000))
    }

    /// The newest order of a component that was done.
    pub(super) fn done_order(&self, component: &ComponentName) -> Option<ReleaseOrder> {
        let kept = self.rollouts.values().filter(|r| r.manifest.component == *component && r.is_done());
        kept.map(|r| r.manifest.order).chain(self.tombstones.done(component)).max()
    }

    /// Whether a sequence is so far ahead of the newest done one that it must be a mistake or a theft (hole H33).
    fn too_far(&self, component: &ComponentName, order: ReleaseOrder) -> bool {
        let done = self.done_order(component).unwrap_or_default();
        let base = if done.epoch == order.epoch { done.sequence } else { 0 };
        order.sequence > base.saturating_add(SEQUENCE_LEAD_MAX)
    }

    /// Whether a later release of the component is known that is neither stopped nor too far ahead.
    pub(super) fn superseded(&self, manifest: &Manifest) -> bool {
        self.rollouts.values().any(|other| {
            other.manifest.component == manifest.component
                && other.manifest.order > manifest.order
                && !mutations::is(Mutation::LowerSequence)
                && !other.is_stopped()
                && !self.too_far(&other.manifest.component, other.manifest.order)
        })
    }

    /// Counts the open ranks and moves the stopwatches.
    fn look(&mut self, tracked: &mut Tracked, shut: &Shut, now: Time, out: &mut impl Outbox) {
        let open = tracked.derived.open;
        let scene = Scene { roster: &tracked.roster, plan: &tracked.manifest.plan, me: self.me, open, now };
        tracked.tally = tracked.view.tally(&scene, open);
        tracked.allowed = allowed(&tracked.roster, &tracked.derived, &tracked.tally, shut);
        let clock = tracked.view.clock();
        let passed = Span(clock.0.saturating_sub(tracked.watch.clock.0));
        tracked.watch.clock = clock;
        let more = tracked.allowed.open > open;
        if more {
            tracked.watch.impatient_since.get_or_insert(clock);
        } else {
            tracked.watch.impatient_since = None;
        }
        // What I have opened and too few others open stands as still as what nobody may open. While a leader
        // keeps me waiting nothing is opened: no liar can let a good release expire by proposing nothing.
        let alone = self.my_number(tracked, BallotKind::Open) > open;
        if more && !alone {
            tracked.watch.still = Span(0);
        } else if !tracked.derived.paused && !shut.superseded {
            tracked.watch.still.0 = tracked.watch.still.0.saturating_add(passed.0);
        }
        let hold = match tracked.allowed.hold {
            hold if mutations::is(Mutation::TooFewUnsaid) => hold,
            Hold::None if !tracked.view.runs() => Hold::TooFewJurors,
            Hold::None if self.proposal(tracked).is_none_or(|p| p.open <= open) => Hold::WaitingForLeader,
            Hold::WaitingForHealth if !tracked.view.runs() => Hold::TooFewJurors,
            hold => hold,
        };
        // A leader needs a moment to propose, and a quorum to open: only what lasts is worth a word.
        let passing = matches!(hold, Hold::None | Hold::WaitingForLeader)
            && tracked.watch.hold == Hold::WaitingForHealth
            && tracked.watch.impatient_since.is_some_and(|since| {
                Span(clock.0.saturating_sub(since.0)) < tracked.manifest.plan.beacon_period()
            });
        if hold != tracked.watch.hold && !passing {
            tracked.watch.hold = hold;
            out.report(Event::Holding { rollout: tracked.id, hold });
        }
        let period = tracked.manifest.plan.beacon_period();
        let soonest = if tracked.is_far() { tracked.count_every() } else { Span(1) };
        let by_clock = tracked.tally.next.map(|next| tracked.view.at(now, next));
        tracked.look_at = by_clock.map_or(now + period, |at| at.min(now + period)).max(now + soonest);
    }

    /// The proposal of the leader of the term that counts.
    pub(super) fn proposal(&self, tracked: &Tracked) -> Option<&Propose> {
        let leader = tracked.roster.leader(tracked.derived.term)?;
        match &self.registers.get(&Key::Propose(tracked.id, leader))?.statement {
            Statement::Propose(propose) if propose.term == tracked.derived.term => Some(propose),
            _ => None,
        }
    }

    fn ballot(&mut self, tracked: &Tracked, say: Say, out: &mut impl Outbox) -> bool {
        self.state(Statement::Ballot(Ballot { rollout: tracked.id, juror: self.me, say }), out)
    }

    fn my_number(&self, tracked: &Tracked, kind: BallotKind) -> u32 {
        match said(&self.registers, tracked.id, self.me, kind) {
            Some(Say::Term(number) | Say::Open(number)) => number,
            _ => 0,
        }
    }

    fn stop_if_called_for(&mut self, tracked: &Tracked, out: &mut impl Outbox) {
        let hold = Span::seconds(u64::from(tracked.manifest.plan.hold_s));
        let evidence = tracked.tally.bad >= tracked.tally.stop_at;
        let reason = if evidence && !mutations::is(Mutation::EvidenceIgnored) {
            StopReason::Evidence
        } else if tracked.watch.still >= hold {
            StopReason::Expired
        } else {
            return;
        };
        if self.ballot(tracked, Say::Stop(reason), out) {
            mark!(StopExpired if reason == StopReason::Expired);
            mark!(StopNotFollowed if reason == StopReason::Expired
                && self.my_number(tracked, BallotKind::Open) > tracked.derived.open);
            mark!(StopOnEvidence if reason == StopReason::Evidence);
            out.report(Event::StopBallot { rollout: tracked.id, reason });
        }
    }

    fn stand_in_term(&mut self, tracked: &Tracked, now: Time, out: &mut impl Outbox) {
        let (term, mine) = (tracked.derived.term, self.my_number(tracked, BallotKind::Term));
        if tracked.derived.hinted_term > mine {
            mark!(TermFollowed if tracked.derived.hinted_term > tracked.derived.term);
            self.ballot(tracked, Say::Term(tracked.derived.hinted_term), out);
            return;
        }
        if mine > term || !tracked.view.runs() || mutations::is(Mutation::LeaderForLife) {
            return;
        }
        // A leader speaks at the plan's pace, and as a juror that was not heard from at any pace it is not waited for.
        let plan = &tracked.manifest.plan;
        let heard_since = |period: Span, since: Time| {
            let heard = |leader: NodeId| leader == self.me || self.freshness.is_fresh(&leader, now, period);
            now < since + period.times(FRESH_PERIODS) || tracked.roster.leader(term).is_none_or(heard)
        };
        let silent = !heard_since(plan.beacon_period(), tracked.watch.led_since)
            || !heard_since(tracked.roster.juror_period(plan), tracked.watch.since);
        let clock = tracked.view.clock();
        let impatient =
            tracked.watch.impatient_since.is_some_and(|since| clock.0 - since.0 >= tracked.watch.patience.0);
        if silent || impatient {
            mark!(LeaderSilent if silent);
            mark!(LeaderStuck if impatient && !silent);
            self.ballot(tracked, Say::Term(term.saturating_add(1)), out);
        }
    }

    fn propose_if_leading(&mut self, tracked: &mut Tracked, now: Time, out: &mut impl Outbox) {
        let (term, open) = (tracked.derived.term, tracked.allowed.open);
        let leads = tracked.roster.leader(term) == Some(self.me)
            || mutations::is(Mutation::ProposeWithoutLeading)
            || mutations::is(Mutation::TwoLeaders) && tracked.roster.leader(term + 1) == Some(self.me);
        if !leads || open <= tracked.derived.open {
            return;
        }
        let propose = Propose { rollout: tracked.id, term, leader: self.me, open };
        if self.state(Statement::Propose(propose), out) {
            tracked.watch.proposed_at = Some(now);
            out.report(Event::Proposed { rollout: tracked.id, term, open });
        } else if tracked.watch.proposed_at.is_none_or(|at| at + PROPOSE_EVERY <= now)
            && let Some(fact) = self.registers.get(&Key::Propose(tracked.id, self.me))
        {
            tracked.watch.proposed_at = Some(now);
            let signed = fact.signed.clone();
            self.publish(&signed, out);
        }
    }

    fn open_if_proposed(&mut self, tracked: &Tracked, shut: &Shut, out: &mut impl Outbox) {
        let Some(open) = self.proposal(tracked).map(|propose| propose.open) else { return };
        if open > tracked.allowed.open || open <= self.my_number(tracked, BallotKind::Open) || shut.bound {
            return;
        }
        if self.bind(tracked, out) {
            self.ballot(tracked, Say::Open(open), out);
        }
    }

    /// Binds the component's order to this rollout, before the first opening and for ever (S8). The
    /// record goes to disk before the ballot does, so the ballot's durability covers it.
    fn bind(&mut self, tracked: &Tracked, out: &mut impl Outbox) -> bool {
        let key = (tracked.manifest.component.clone(), tracked.manifest.order);
        if let Some(bound) = self.bindings.get(&key) {
            return *bound == tracked.id;
        }
        let record = Record::Binding { component: key.0.clone(), order: key.1, rollout: tracked.id };
        let taken = self.writes.write(record, Then::Nothing, out);
        if taken {
            self.bindings.insert(key, tracked.id);
        }
        taken
    }
}
