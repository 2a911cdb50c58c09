//! What follows when a register rises.

use std::sync::Arc;

use super::Node;
use super::event::{Event, Stage};
use super::outbox::Outbox;
use super::record::Record;
use super::tracked::Tracked;
use super::writes::Then;
use crate::bounds::{COUNT_AT_ONCE_MAX, FRESH_PERIODS};
use crate::facts::{
    Ballot, BallotKind, Beacon, Fact, Key, RolloutId, Say, SignedFact, Statement, Vote, VoteState,
};
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::rollout::derived::{Derived, Stop};
use crate::time::Time;
use crate::trust::command::Command;
use crate::trust::manifest::Manifest;

impl Node {
    /// Takes an accepted fact that came from elsewhere. What I signed in an earlier life and hear again
    /// is kept like the day I signed it (S10).
    pub(super) fn take(&mut self, now: Time, fact: &Arc<Fact>, out: &mut impl Outbox) {
        if fact.statement.author() == Some(self.me) && !matches!(fact.key, Key::Beacon(_)) {
            mark!(OwnFactComesBack);
            self.writes.write(Record::Fact(fact.signed.clone()), Then::Nothing, out);
        }
        self.merge(now, fact, out);
    }

    /// Puts an accepted fact into its register and does what follows at once.
    pub(super) fn merge(&mut self, now: Time, fact: &Arc<Fact>, out: &mut impl Outbox) {
        self.registers.merge(fact);
        if !matches!(fact.key, Key::Beacon(_)) {
            self.last_change = now;
        }
        let mine = fact.statement.author() == Some(self.me);
        if mine || !self.brings_nothing_due(&fact.statement) {
            self.rest.stir();
        } else if !matches!(fact.statement, Statement::Ballot(_)) {
            self.rest.retime();
        }
        if is_kept(&fact.statement) && !mine {
            self.writes.write(Record::Fact(fact.signed.clone()), Then::Nothing, out);
        }
        match &fact.statement {
            Statement::Policy(policy) => {
                let before = self.trust.newest_policy().map_or(0, |p| p.version);
                self.trust.add_policy(fact.id, Arc::clone(policy));
                if policy.version > before {
                    out.report(Event::Policy { version: policy.version });
                }
                self.look_at_all(now);
                self.alarm_conflict(out);
            }
            Statement::Census(census) => {
                self.trust.add_census(fact.id, Arc::clone(census));
                if self.trust.newest_census().is_some_and(|(newest, _)| newest == fact.id) {
                    self.census_since = now;
                    self.list_members();
                    let members = u32::try_from(census.members.len()).unwrap_or(u32::MAX);
                    out.report(Event::Census { version: census.version, members });
                    self.admit_members(out);
                    self.look_at_all(now);
                }
                self.alarm_conflict(out);
            }
            Statement::Manifest(manifest) => self.track(now, fact, manifest, out),
            Statement::Vote(vote) => {
                self.note_vote(vote);
                if let Some(tracked) = self.rollouts.get_mut(&vote.rollout) {
                    let large = tracked.roster.count() > COUNT_AT_ONCE_MAX;
                    let at = if large { now + tracked.count_every() } else { now };
                    tracked.look_at = tracked.look_at.min(at);
                    tracked.install.holders_grew |=
                        vote.state != VoteState::Skip(crate::facts::SkipReason::NoComponent);
                }
                out.report(Event::Vote {
                    rollout: vote.rollout,
                    node: vote.node,
                    state: vote.state,
                    attempt: vote.attempt,
                    numbers: vote.numbers,
                    note: vote.note.clone(),
                });
            }
            Statement::Ballot(ballot) => {
                self.note_ballot(ballot);
                if let Some(tracked) = self.rollouts.get_mut(&ballot.rollout)
                    && tracked.derived.may_rise(ballot.say)
                {
                    tracked.stale = true;
                    self.rest.unread();
                }
            }
            Statement::Propose(propose) => {
                if let Some(tracked) = self.rollouts.get_mut(&propose.rollout) {
                    tracked.look_at = now;
                }
            }
            Statement::Command(command) => {
                mark!(PromoteDuringHold if command.kind() == crate::trust::command::CommandKind::Promote
                    && self.rollouts.get(&command.rollout).is_some_and(|r| r.watch.hold == super::event::Hold::Failures));
                out.report(Event::Commanded {
                    rollout: command.rollout,
                    instruction: command.instruction,
                    note: command.note.clone(),
                });
                self.note_command(command);
                self.make_stale(command.rollout, now);
            }
            Statement::Beacon(beacon) => self.heard_beacon(now, beacon, out),
        }
    }

    /// Whether a fact of somebody else makes nothing due here, but perhaps something sooner than before.
    fn brings_nothing_due(&self, statement: &Statement) -> bool {
        let awaited = |stage| self.rollouts.values().any(|tracked| tracked.install.stage == stage);
        match statement {
            // Counted when the juror's view is looked at; a node that waits for news takes it from beacons.
            Statement::Beacon(_) => !awaited(Stage::Freshening),
            // The same; and whoever has the bytes is named to a fetch.
            Statement::Vote(_) => !awaited(Stage::Fetching),
            // What follows from it is read at once, and stirs this node if it is anything. No time moves with it.
            Statement::Ballot(_) => true,
            _ => false,
        }
    }

    fn heard_beacon(&mut self, now: Time, beacon: &Beacon, out: &mut impl Outbox) {
        if beacon.node == self.me {
            return self.saw_myself(beacon, out);
        }
        let last = self.freshness.last(&beacon.node);
        // Of members that sit on no jury the views know when they were heard from: see `far`.
        if self.keeps_fresh(&beacon.node) {
            self.freshness.rose(beacon.node, beacon.rank(), now);
        }
        self.note_heard(&beacon.node, last, now);
        out.learn(beacon.node, &beacon.addresses);
        self.sync_if_behind(now, beacon, out);
    }

    /// A juror's ballot as everybody counts it.
    pub(super) fn note_ballot(&mut self, ballot: &Ballot) {
        if let Some(tracked) = self.rollouts.get_mut(&ballot.rollout) {
            tracked.said.says(&tracked.roster, &ballot.juror, ballot.say);
        }
    }

    /// An operator's word as everybody heeds it.
    pub(super) fn note_command(&mut self, command: &Command) {
        if let Some(tracked) = self.rollouts.get_mut(&command.rollout) {
            tracked.said.orders(command.instruction);
        }
    }

    /// A member's vote as jurors count it.
    pub(super) fn note_vote(&mut self, vote: &Vote) {
        if let Some(tracked) = self.rollouts.get_mut(&vote.rollout).filter(|tracked| tracked.counts())
            && let Some(rank) = tracked.roster.rank(&vote.node)
        {
            tracked.view.voted(rank, vote.attempt, vote.state);
        }
    }

    /// A node was heard from, after it `last` had been: those who count it are told, and look again if it had been silent.
    fn note_heard(&mut self, node: &NodeId, last: Option<Time>, now: Time) {
        for tracked in self.rollouts.values_mut().filter(|tracked| tracked.counts()) {
            let rank = tracked.roster.rank(node);
            let was_silent = rank.is_some_and(|rank| tracked.view.heard(rank, now));
            let seat = tracked.roster.seat(node);
            if let Some(seat) = seat {
                tracked.view.jurors().heard(seat, now);
            }
            let far = tracked.is_far() && seat.is_none();
            let silent_after = tracked.roster.juror_period(&tracked.manifest.plan).times(FRESH_PERIODS);
            let came_back = tracked.settled_at.is_none() && last.is_none_or(|at| now >= at + silent_after);
            mark!(MemberComesBack if came_back);
            let look_at = match far {
                true => was_silent.then(|| now + tracked.count_every()),
                false => came_back.then_some(now),
            };
            tracked.look_at = look_at.map_or(tracked.look_at, |at| at.min(tracked.look_at));
        }
    }

    /// Votes of a rollout whose jury was drawn are the jury's: syncs do not carry them.
    pub(super) fn hush_if_far(&mut self, tracked: &Tracked) {
        if tracked.is_far() {
            self.registers.hush(tracked.id);
        }
    }

    /// Tells a new rollout's view when its members were last heard from.
    fn note_all_heard(&mut self, id: RolloutId) {
        if let Some(tracked) = self.rollouts.get_mut(&id).filter(|tracked| tracked.counts()) {
            for (node, at) in self.freshness.heard() {
                if let Some(rank) = tracked.roster.rank(node) {
                    tracked.view.heard(rank, at);
                }
                if let Some(seat) = tracked.roster.seat(node) {
                    tracked.view.jurors().heard(seat, at);
                }
            }
        }
    }

    fn look_at_all(&mut self, now: Time) {
        for tracked in self.rollouts.values_mut() {
            tracked.look_at = now;
        }
    }

    fn make_stale(&mut self, rollout: RolloutId, now: Time) {
        if let Some(tracked) = self.rollouts.get_mut(&rollout) {
            tracked.stale = true;
            if tracked.counts() {
                tracked.look_at = now;
            }
        }
    }

    fn alarm_conflict(&self, out: &mut impl Outbox) {
        if let Some(what) = self.trust.conflict() {
            out.report(Event::Conflict { what });
        }
    }

    pub(super) fn admit_members(&mut self, out: &mut impl Outbox) {
        let Some((_, census)) = self.trust.newest_census() else { return };
        let census = Arc::clone(census);
        out.admit(&self.members.nodes);
        self.freshness.retain(|node| census.member(node).is_some());
        for tracked in self.rollouts.values_mut() {
            let roster = Arc::clone(&tracked.roster);
            let stays = |node: Option<&NodeId>| node.is_some_and(|node| census.member(node).is_some());
            tracked.view.keep_heard(|rank| stays(roster.members.get(rank)));
            tracked.view.jurors().retain(|seat| stays(roster.jury.get(seat)));
        }
        let gone: Vec<Key> = self
            .registers
            .beacons()
            .filter(|fact| fact.statement.author().is_some_and(|node| census.member(&node).is_none()))
            .map(|fact| fact.key.clone())
            .collect();
        for key in gone {
            self.registers.remove(&key);
        }
    }

    /// Follows a rollout from now on.
    pub(super) fn track(
        &mut self,
        now: Time,
        fact: &Arc<Fact>,
        manifest: &Arc<Manifest>,
        out: &mut impl Outbox,
    ) {
        let id = RolloutId(fact.id);
        let Some(census) = self.trust.census(manifest.census) else { return };
        let roster = self.reader.roster(id, manifest, census);
        out.report(Event::Rollout {
            rollout: id,
            component: manifest.component.clone(),
            version: manifest.version.clone(),
            order: manifest.order,
            members: roster.count(),
        });
        let tracked = Tracked::new(id, Arc::clone(fact), Arc::clone(manifest), roster, &self.me, now);
        self.hush_if_far(&tracked);
        self.rollouts.insert(id, Box::new(tracked));
        self.note_all_heard(id);
        for other in self.rollouts.values_mut() {
            other.look_at = now;
            other.stale |=
                other.manifest.component == manifest.component && other.manifest.order == manifest.order;
        }
        let jitter = self.generator.below(manifest.plan.beacon_period().0 / 4);
        self.beacons.not_after(now + crate::time::Span(jitter));
        self.syncs.live(now);
    }

    /// Whether another manifest claims the same place in the component's order.
    fn conflicts(&self, id: RolloutId) -> bool {
        let Some(this) = self.rollouts.get(&id) else { return false };
        let twin = |other: &Tracked| {
            other.id != id
                && other.manifest.order == this.manifest.order
                && other.manifest.component == this.manifest.component
        };
        if mutations::is(Mutation::TwinsIgnored) {
            return false;
        }
        // A twin that was put away is no less a twin: a stop is never unsaid.
        let buried = self.tombstones.iter().any(|t| {
            t.rollout != id && t.order == this.manifest.order && t.component == this.manifest.component
        });
        mark!(TwinOfBuried if buried);
        mark!(TwinsMeet if self.rollouts.values().any(|other| twin(other)));
        buried || self.rollouts.values().any(|other| twin(other))
    }

    /// Reads the registers of rollouts whose registers have risen, reports what changed, and keeps what
    /// it rests on.
    pub(super) fn refresh(&mut self, now: Time, out: &mut impl Outbox) {
        if self.rollouts.values().all(|tracked| !tracked.stale) {
            return;
        }
        for id in self.read_again(now, out) {
            self.keep_ballots(id, out);
        }
    }

    /// Others' ballots are kept when they have opened or stopped something, so that a restart forgets
    /// neither; what jurors say beside that comes back by sync. So no juror can make this disk write at
    /// the juror's pace (hole H40).
    fn keep_ballots(&mut self, id: RolloutId, out: &mut impl Outbox) {
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let open = tracked.derived.open;
        let behind = |say: &Say| match *say {
            Say::Open(said) => said >= open,
            Say::Stop(_) => !mutations::is(Mutation::StopForgotten),
            Say::Term(_) => false,
        };
        let others = tracked.roster.jury.iter().filter(|juror| **juror != self.me);
        let keys = others
            .flat_map(|juror| [BallotKind::Open, BallotKind::Stop].map(|kind| Key::Ballot(id, *juror, kind)));
        let kept: Vec<SignedFact> = keys
            .filter_map(|key| self.registers.get(&key))
            .filter(|fact| matches!(&fact.statement, Statement::Ballot(ballot) if behind(&ballot.say)))
            .map(|fact| fact.signed.clone())
            .collect();
        for signed in kept {
            self.writes.write(Record::Fact(signed), Then::Nothing, out);
        }
    }

    /// Reads the registers of rollouts whose registers have risen, and reports what changed. Returns
    /// those where more is open or a stop is new.
    pub(super) fn read_again(&mut self, now: Time, out: &mut impl Outbox) -> Vec<RolloutId> {
        let mut moved = Vec::new();
        let stale: Vec<RolloutId> = self.rollouts.values().filter(|r| r.stale).map(|r| r.id).collect();
        for id in stale {
            let conflict = self.conflicts(id);
            let Some(tracked) = self.rollouts.get_mut(&id) else { continue };
            let before = tracked.derived;
            let after = before.after(&tracked.said, &tracked.roster, conflict);
            tracked.derived = after;
            tracked.stale = false;
            if after != before {
                self.rest.stir();
                if tracked.counts() {
                    tracked.look_at = now;
                }
            }
            report_change(tracked, &before, now, out);
            if after.stop.is_some() != before.stop.is_some() || after.open != before.open {
                self.look_at_all(now);
                moved.push(id);
            }
        }
        moved
    }
}

fn report_change(tracked: &mut Tracked, before: &Derived, now: Time, out: &mut impl Outbox) {
    let (id, after) = (tracked.id, tracked.derived);
    mark!(TermInMidWave if after.term != before.term && (1..tracked.roster.count()).contains(&after.open));
    mark!(StopRacesGrant if after.stop.is_some() && before.stop.is_none()
            && (1..after.open).contains(&before.open));
    mark!(StopAfterDone if after.stop.is_some() && before.done(&tracked.roster));
    if after.term != before.term
        && let Some(leader) = tracked.roster.leader(after.term)
    {
        out.report(Event::Term { rollout: id, term: after.term, leader });
        tracked.watch.led_since = now;
        tracked.watch.impatient_since = None;
        tracked.watch.proposed_at = None;
        tracked.watch.patience = tracked.watch.patience.times(2).min(crate::bounds::PATIENCE_MAX);
    }
    if after.open != before.open {
        tracked.watch.patience = crate::bounds::PATIENCE;
        tracked.watch.impatient_since = None;
        tracked.watch.still = crate::time::Span(0);
        let count = tracked.roster.count();
        if after.open.min(count) != before.open.min(count) {
            out.report(Event::Opened {
                rollout: id,
                from: before.open.min(count),
                to: after.open.min(count),
            });
        }
    }
    if after.stop.is_some() && before.stop.is_none() {
        let why = after.stop.map_or("", Stop::words).to_owned();
        if after.stop == Some(Stop::Conflict) {
            out.report(Event::Conflict { what: why.clone() });
        }
        out.report(Event::Stopped { rollout: id, why });
    }
    if after.done(&tracked.roster) && !before.done(&tracked.roster) {
        out.report(Event::Done { rollout: id });
    }
}

/// Facts that must survive a restart as soon as they are here, whoever signed them: trust and commands.
/// Ballots are kept when they add up to something; votes and proposals come back by sync.
fn is_kept(statement: &Statement) -> bool {
    match statement {
        Statement::Command(_) if mutations::is(Mutation::StopForgotten) => false,
        Statement::Policy(_) | Statement::Census(_) | Statement::Manifest(_) | Statement::Command(_) => true,
        Statement::Ballot(_) | Statement::Vote(_) | Statement::Propose(_) | Statement::Beacon(_) => false,
    }
}
