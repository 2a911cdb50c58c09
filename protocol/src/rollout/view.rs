//! A juror's own view of a rollout: what it has seen, for how long, on a clock that stands while too few jurors are fresh.

use serde::{Deserialize, Serialize};

use super::freshness::Freshness;
use super::roster::Roster;
use crate::bounds::{FRESH_PERIODS, SILENCE};
use crate::facts::{Failure, VoteState};
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::time::{Span, Time};
use crate::trust::plan::Plan;

/// What a juror counts among the open ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Healthy, baked, and not silent since.
    pub good: u32,
    /// Failed while the old version is healthy, or silent after trying.
    pub bad: u32,
    /// Failed, and the release may not be to blame.
    pub doubt: u32,
    /// To be replaced by opening one rank more: bad, doubtful, skipped, too late, or gone after the bake.
    pub lost: u32,
    /// Bad and doubtful nodes at which nothing more opens.
    pub hold_at: u32,
    /// Bad nodes at which it ends.
    pub stop_at: u32,
    /// Fresh jurors, this node among them.
    pub fresh_jurors: u32,
    /// When, on the juror's clock, time alone will next change the count.
    #[serde(skip)]
    pub next: Option<Span>,
}

/// Everything that a view is computed from.
pub struct Scene<'a> {
    /// Its line and jury.
    pub roster: &'a Roster,
    /// Its plan.
    pub plan: &'a Plan,
    /// Who was heard from.
    pub freshness: &'a Freshness,
    /// This node: always fresh to itself.
    pub me: NodeId,
    /// The driver's clock.
    pub now: Time,
}

impl Scene<'_> {
    fn is_fresh(&self, node: &NodeId) -> bool {
        *node == self.me || self.freshness.is_fresh(node, self.now, self.plan.beacon_period())
    }

    /// How many jurors are fresh, this node among them if it is one.
    pub fn fresh_jurors(&self) -> u32 {
        let fresh = self.roster.jury.iter().filter(|juror| self.is_fresh(juror)).count();
        u32::try_from(fresh).unwrap_or(u32::MAX)
    }
}

/// What a juror has seen of one open node.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Its try and state.
    what: Option<(u8, VoteState)>,
    /// Since when, on the juror's clock.
    since: Span,
    /// Whether it was healthy and fresh at the end of its bake.
    baked: bool,
}

/// A juror's memory of one rollout. A restart clears it: then the juror counts again, which costs time and never safety.
#[derive(Debug, Default)]
pub struct View {
    clock: Span,
    last: Option<Time>,
    runs: bool,
    /// By rank, as far as ranks were counted.
    seen: Vec<Option<Seen>>,
    /// By rank, what the members last said.
    votes: Vec<Option<(u8, VoteState)>>,
    /// By rank, when the members' beacons last rose.
    heard: Vec<Option<Time>>,
}

fn put<T: Clone>(list: &mut Vec<Option<T>>, rank: u32, what: T) {
    let place = rank as usize;
    if list.len() <= place {
        list.resize(place + 1, None);
    }
    list[place] = Some(what);
}

impl View {
    /// The juror's clock.
    pub fn clock(&self) -> Span {
        self.clock
    }

    /// How many nodes it remembers.
    pub fn seen(&self) -> usize {
        self.seen.len().max(self.votes.len()).max(self.heard.len())
    }

    /// The member of this rank has voted.
    pub fn voted(&mut self, rank: u32, attempt: u8, state: VoteState) {
        put(&mut self.votes, rank, (attempt, state));
    }

    /// The beacon of the member of this rank rose.
    pub fn heard(&mut self, rank: u32, at: Time) {
        put(&mut self.heard, rank, at);
    }

    /// Forgets when members were heard from for whose rank `keep` is false.
    pub fn keep_heard(&mut self, keep: impl Fn(usize) -> bool) {
        let gone = self.heard.iter_mut().enumerate().filter(|(rank, _)| !keep(*rank));
        gone.for_each(|(_, heard)| *heard = None);
    }

    /// Whether the clock runs: a quorum of jurors is fresh.
    pub fn runs(&self) -> bool {
        self.runs
    }

    /// When the driver's clock will show what the juror's clock shows at `clock`, if it runs on.
    pub fn at(&self, now: Time, clock: Span) -> Time {
        now + Span(clock.0.saturating_sub(self.clock.0))
    }

    /// Moves the clock to now, notes what is new, and counts the ranks below `open`.
    pub fn tally(&mut self, scene: &Scene<'_>, open: u32) -> Tally {
        let fresh_jurors = self.advance(scene);
        let f_is_zero = scene.roster.quorum.faulty == 0;
        let counted = open.min(scene.roster.count()).max(1);
        let band = |permille: u16| {
            if f_is_zero {
                return 1;
            }
            let share = (u64::from(counted) * u64::from(permille)).div_ceil(1000);
            u32::try_from(share).unwrap_or(u32::MAX).max(2)
        };
        let mut tally = Tally {
            hold_at: band(scene.plan.hold_permille),
            stop_at: band(scene.plan.stop_permille),
            fresh_jurors,
            ..Tally::default()
        };
        let open = scene.roster.open_members(open);
        if self.seen.len() < open.len() {
            self.seen.resize(open.len(), None);
        }
        for (rank, node) in open.iter().enumerate() {
            self.count(scene, rank, node, &mut tally);
        }
        tally.lost += tally.bad + tally.doubt;
        tally
    }

    fn advance(&mut self, scene: &Scene<'_>) -> u32 {
        if let Some(last) = self.last
            && self.runs
        {
            self.clock.0 = self.clock.0.saturating_add(scene.now.since(last).0);
        }
        self.last = Some(scene.now);
        let fresh_jurors = scene.fresh_jurors();
        mark!(ClockStands if self.runs && fresh_jurors < scene.roster.quorum.quorum);
        self.runs = fresh_jurors >= scene.roster.quorum.quorum;
        fresh_jurors
    }

    fn count(&mut self, scene: &Scene<'_>, rank: usize, node: &NodeId, tally: &mut Tally) {
        let (clock, what) = (self.clock, self.votes.get(rank).copied().flatten());
        let heard = self.heard.get(rank).copied().flatten();
        let lately = heard.is_some_and(|at| scene.now < at + scene.plan.beacon_period().times(FRESH_PERIODS));
        let seen = self.seen[rank].get_or_insert(Seen { what, since: clock, baked: false });
        if phase(seen.what) != phase(what) {
            *seen = Seen { what, since: clock, baked: false };
        }
        let seconds = |s: u32| Span::seconds(u64::from(s));
        let (fresh, since) = (lately || *node == scene.me, seen.since);
        let silent_limit =
            Span(since.0.saturating_add(seconds(scene.plan.trial_s).0).saturating_add(SILENCE.0));
        let mut wait_until = |limit: Span| {
            if limit > clock {
                tally.next = Some(tally.next.map_or(limit, |next| next.min(limit)));
            }
            limit <= clock
        };
        match what.map(|(_, state)| state) {
            None | Some(VoteState::Staged) => {
                if wait_until(Span(since.0.saturating_add(seconds(scene.plan.stage_s).0))) {
                    mark!(StagedTooLate);
                    tally.lost += 1;
                }
            }
            Some(VoteState::Skip(_)) => tally.lost += 1,
            Some(VoteState::Trying) => {
                if wait_until(silent_limit) && !fresh {
                    mark!(SilentWhileTrying);
                    if mutations::is(Mutation::SilenceIsHealthy) {
                        tally.good += 1;
                    } else {
                        tally.bad += 1;
                    }
                }
            }
            Some(VoteState::Healthy) => {
                let baked = wait_until(Span(since.0.saturating_add(seconds(scene.plan.bake_s).0)))
                    || mutations::is(Mutation::BakeIgnored);
                seen.baked |= baked && fresh;
                let silent = wait_until(silent_limit) && !fresh;
                mark!(GoneAfterBake if silent && seen.baked);
                mark!(SilentInBake if silent && !seen.baked);
                match (seen.baked, silent) {
                    (true, false) => tally.good += 1,
                    // It had proved itself; whatever took it away later, others must come in its place.
                    (true, true) => tally.lost += 1,
                    // Silent since its bake: the release may have killed it (hole H23).
                    (false, true) => tally.bad += 1,
                    (false, false) => {}
                }
            }
            Some(VoteState::Failed(Failure::Recovered)) => tally.bad += 1,
            Some(VoteState::Failed(Failure::Unknown | Failure::Doubt)) => tally.doubt += 1,
        }
    }
}

/// What starts a node's clock anew: another try, or another phase. `None` and `Staged` are one: the node has not begun.
fn phase(what: Option<(u8, VoteState)>) -> (u8, u8) {
    match what {
        None | Some((_, VoteState::Staged)) => (0, 0),
        Some((_, VoteState::Skip(_))) => (0, 1),
        Some((attempt, VoteState::Trying)) => (attempt, 2),
        Some((attempt, VoteState::Healthy)) => (attempt, 3),
        Some((attempt, VoteState::Failed(_))) => (attempt, 4),
    }
}
