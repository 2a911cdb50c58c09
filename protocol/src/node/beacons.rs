//! Signs of life: when this node sends its own.

use std::sync::Arc;

use super::Node;
use super::event::Event;
use super::outbox::Outbox;
use super::tracked::Tracked;
use crate::bounds::{
    BEACON_ACTIVE_MAX, BEACON_FAR, BEACON_IDLE, BEACON_ON_DEMAND_EVERY, FREEZE_AFTER, LIVE_LINGER,
    NEWS_AT_PLANS_PACE,
};
use crate::facts::health::Health;
use crate::facts::{Beacon, BeaconActive, BeaconInstalled, Fact, Heads, SignedFact, Statement};
use crate::identity::NodeId;
use crate::time::{Span, Time};

/// When the next beacon is due, and what the last one was.
#[derive(Debug, Default)]
pub(super) struct Beacons {
    count: u32,
    next_at: Option<Time>,
    last_at: Option<Time>,
    latest: Option<SignedFact>,
    /// So many more come at the plan's pace, whatever the fleet's size.
    at_plans_pace: u8,
}

impl Beacons {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.next_at
    }

    /// A beacon is due at once.
    pub(super) fn hurry(&mut self, now: Time) {
        self.next_at = Some(now);
    }

    /// A beacon is due no later than `at`.
    pub(super) fn not_after(&mut self, at: Time) {
        self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
    }

    /// A vote was sent: until it was said again some more times beacons come at the plan's pace.
    pub(super) fn repeat_news(&mut self) {
        self.at_plans_pace = NEWS_AT_PLANS_PACE;
    }

    /// The newest beacon, if one was signed.
    pub(super) fn latest(&self) -> Option<SignedFact> {
        self.latest.clone()
    }
}

/// Watches for a node that is kept from fresh news (hole H34).
#[derive(Debug, Default)]
pub(super) struct FreezeWatch {
    next_at: Time,
    suspected: bool,
}

impl FreezeWatch {
    pub(super) fn start(&mut self, now: Time) {
        self.next_at = now + FREEZE_AFTER;
    }

    /// When it is time to look again.
    pub(super) fn next_look(&self) -> Time {
        self.next_at
    }
}

impl Node {
    /// Looks now and then whether enough electors were heard from lately, and says so once if not.
    pub(super) fn watch_for_freeze(&mut self, now: Time, out: &mut impl Outbox) {
        if now < self.freeze.next_at {
            return;
        }
        self.freeze.next_at = now + BEACON_IDLE;
        let Some((_, census)) = self.trust.newest_census() else { return };
        let long = self.freeze_after();
        let lately = |node: &NodeId| self.freshness.last(node).is_some_and(|at| now < at + long);
        let elector = |node: &NodeId| *node != self.me && census.is_elector(node);
        let heard = self.freshness.nodes().filter(|node| elector(node) && lately(node)).count();
        let heard = if self.is_large() { heard + self.syncs.ended_since(now, long) } else { heard };
        let (heard, needed) = (u32::try_from(heard).unwrap_or(u32::MAX), self.electors().confirmers());
        let suspected = heard < needed && !self.links.is_empty();
        if suspected && !self.freeze.suspected {
            out.report(Event::FreezeSuspected { heard, needed });
        }
        self.freeze.suspected = suspected;
    }

    /// Whether the rollout asks for the live pace: it goes on, or has ended so lately that others may not know.
    pub(super) fn is_live(tracked: &Tracked, now: Time) -> bool {
        tracked.settled_at.is_none_or(|at| now < at + LIVE_LINGER)
    }

    fn period_in(&self, tracked: &Tracked, now: Time) -> Span {
        let (plan, roster, open) = (&tracked.manifest.plan, &tracked.roster, tracked.derived.open);
        let leads = || roster.leader(tracked.derived.term) == Some(self.me);
        // The end of a rollout, and a new vote, are to be known soon.
        if self.beacons.at_plans_pace > 0 || tracked.ended() || leads() {
            return plan.beacon_period();
        }
        let member = tracked.my_rank.filter(|rank| *rank < open).map(|_| {
            let on_trial = tracked.install.is_on_trial(plan, tracked.watch.since, now);
            if on_trial { roster.member_period(plan, open) } else { roster.quiet_period(plan, open) }
        });
        let juror = tracked.i_judge.then(|| roster.juror_period(plan));
        member.into_iter().chain(juror).min().unwrap_or_else(|| plan.beacon_period())
    }

    fn my_period(&self, now: Time) -> Span {
        let live = || self.rollouts.values().filter(|tracked| Self::is_live(tracked, now));
        match live().filter(|tracked| tracked.takes_part()).map(|tracked| self.period_in(tracked, now)).min()
        {
            Some(period) => period,
            None if live().next().is_some() => BEACON_FAR,
            None => BEACON_IDLE,
        }
    }

    pub(super) fn beacon_if_due(&mut self, now: Time, out: &mut impl Outbox) {
        if !self.may_sign() {
            self.beacons.next_at = None;
            return;
        }
        let period = self.my_period(now);
        if let Some(last) = self.beacons.last_at {
            self.beacons.not_after(last + period);
        } else {
            self.beacons.not_after(now);
        }
        if self.beacons.next_at.is_some_and(|at| at <= now) {
            if self.is_awaited(now) {
                self.beacons.at_plans_pace = self.beacons.at_plans_pace.saturating_sub(1);
                let fact = self.sign_beacon(now, out);
                self.spread_beacon(now, &fact, out);
            } else {
                self.beacons.last_at = Some(now);
            }
            // A little unevenness keeps a fleet that started at once from speaking at once.
            let jitter = self.generator.below(period.0 / 8 + 1);
            self.beacons.next_at = Some(now + period - Span(jitter));
        }
    }

    /// A beacon for a peer that asks for news: newly signed, so that it rises, but not for every question.
    pub(super) fn beacon_on_demand(&mut self, now: Time, out: &mut impl Outbox) -> Option<SignedFact> {
        if !self.is_watched_by_all() {
            return None;
        }
        let recent = self.beacons.last_at.is_some_and(|at| now < at + BEACON_ON_DEMAND_EVERY);
        if recent || !self.may_sign() {
            self.beacons.latest()
        } else {
            Some(self.sign_beacon(now, out).signed.clone())
        }
    }

    /// A beacon for a peer that syncs. Where it may be that others wait for it, it is newly signed; whoever waits for
    /// news of a drawn jury asks for them.
    pub(super) fn beacon_for_sync(&mut self, now: Time, out: &mut impl Outbox) -> Option<SignedFact> {
        if self.is_near() { self.beacon_on_demand(now, out) } else { self.beacon_at_hand() }
    }

    /// The newest beacon, if others turn on this node's signs of life.
    pub(super) fn beacon_at_hand(&self) -> Option<SignedFact> {
        self.beacons.latest().filter(|_| self.is_watched_by_all())
    }

    fn sign_beacon(&mut self, now: Time, out: &mut impl Outbox) -> Arc<Fact> {
        self.beacons.count = self.beacons.count.saturating_add(1);
        self.beacons.last_at = Some(now);
        let beacon = self.compose_beacon();
        let fact = self.sign(Statement::Beacon(beacon), out);
        self.beacons.latest = Some(fact.signed.clone());
        self.merge(now, &fact, out);
        fact
    }

    fn compose_beacon(&self) -> Beacon {
        let mut live: Vec<&Tracked> = self
            .rollouts
            .values()
            .map(|tracked| &**tracked)
            .filter(|tracked| tracked.settled_at.is_none() || tracked.is_stopped())
            .collect();
        // There is room for so many: stops that others may not know come first, and old ones last.
        live.sort_by_key(|tracked| match (tracked.is_stopped(), tracked.settled_at) {
            (true, None) => (0, Time(0)),
            (false, _) => (1, Time(0)),
            (true, Some(at)) => (2, Time(u64::MAX - at.0)),
        });
        let active = live.into_iter().map(|tracked| BeaconActive {
            rollout: tracked.id,
            open: tracked.derived.open,
            stop: tracked.is_stopped(),
        });
        let installed = self.components.values().filter_map(|component| {
            let slot = component.running()?;
            let healthy = component.report.as_ref().is_some_and(|r| r.health == Health::Healthy);
            Some(BeaconInstalled { rollout: slot.rollout, healthy })
        });
        Beacon {
            node: self.me,
            boot: self.signer.boot().unwrap_or(0),
            incarnation: self.signer.incarnation,
            count: self.beacons.count,
            heads: self.heads(),
            active: active.take(BEACON_ACTIVE_MAX).collect(),
            installed: installed.take(BEACON_ACTIVE_MAX).collect(),
            addresses: self.addresses.clone(),
        }
    }

    /// The newest that this node knows.
    pub(super) fn heads(&self) -> Heads {
        let mut facts = [0; 8];
        facts.copy_from_slice(&self.registers.digest().0[..8]);
        Heads {
            policy: self.trust.newest_policy().map_or(0, |policy| policy.version),
            census: self.trust.newest_census().map_or(0, |(_, census)| census.version),
            facts: u64::from_be_bytes(facts),
        }
    }
}
