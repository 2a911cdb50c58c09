//! A juror's own view of a rollout: what it has seen, for how long, on a clock that stands while too few jurors are fresh.

mod missed;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::freshness::Jurors;
use super::outage::{Clocks, Heard, Outages};
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
    /// Failed, or silent together with its zone: the release may not be to blame.
    pub doubt: u32,
    /// Of the doubtful, those that are silent together with their zone.
    #[serde(default)]
    pub zone_out: u32,
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
    /// This node: always fresh to itself.
    pub me: NodeId,
    /// How many ranks are open.
    pub open: u32,
    /// The driver's clock.
    pub now: Time,
}

impl Scene<'_> {
    fn member_period(&self) -> Span {
        self.roster.member_period(self.plan, self.open)
    }

    fn quiet_period(&self) -> Span {
        self.roster.quiet_period(self.plan, self.open)
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
    /// As what it is counted.
    counted: Counted,
    /// When the juror's clock alone will next change that, or `NEVER`.
    next: Span,
    /// Whether it matters that it was silent when it was counted: it is counted again when it is heard from.
    silent: bool,
    /// Whether it stands in `by_silence`.
    watched: bool,
}

impl Seen {
    /// Whether it runs the release and has not proved itself yet.
    fn is_on_trial(&self) -> bool {
        match self.what.map(|(_, state)| state) {
            Some(VoteState::Trying) => true,
            Some(VoteState::Healthy) => !self.baked,
            None | Some(VoteState::Staged | VoteState::Skip(_) | VoteState::Failed(_)) => false,
        }
    }
}

const NEVER: Span = Span(u64::MAX);

/// As what an open node is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Counted {
    /// As nothing yet.
    #[default]
    Open,
    Good,
    Bad,
    /// Bad, unless its zone is out.
    Silent,
    Doubt,
    Lost,
}

/// How many open nodes are counted as what.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    good: u32,
    bad: u32,
    silent: u32,
    doubt: u32,
    lost: u32,
}

impl Counts {
    fn of(&mut self, counted: Counted) -> Option<&mut u32> {
        match counted {
            Counted::Open => None,
            Counted::Good => Some(&mut self.good),
            Counted::Bad => Some(&mut self.bad),
            Counted::Silent => Some(&mut self.silent),
            Counted::Doubt => Some(&mut self.doubt),
            Counted::Lost => Some(&mut self.lost),
        }
    }
}

/// Ranks are noted as possibly silent by the second.
const SECOND: u64 = 1_000;

/// A juror's memory of one rollout. A restart clears it: then the juror counts again, which costs time and never safety.
///
/// A look counts only the ranks for which something may have changed: those that were opened, that voted, that were
/// silent and are heard from, and those for which a time has passed. What the others are counted as is kept.
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
    jurors: Jurors,
    counts: Counts,
    /// Ranks to count at the next look, each once: by rank it is kept which stand here.
    changed: Vec<u32>,
    is_changed: Vec<bool>,
    /// Ranks by when the juror's clock will change what they are counted as. One that has another time by now may
    /// still stand here.
    by_clock: BTreeMap<Span, Vec<u32>>,
    /// Ranks by the second in which they may fall silent, on the driver's clock.
    by_silence: BTreeMap<u64, Vec<u32>>,
    outages: Outages,
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
        self.note_changed(rank);
    }

    fn note_changed(&mut self, rank: u32) {
        let place = rank as usize;
        if self.is_changed.len() <= place {
            self.is_changed.resize(place + 1, false);
        }
        if !std::mem::replace(&mut self.is_changed[place], true) {
            self.changed.push(rank);
        }
    }

    /// The beacon of the member of this rank rose. Returns whether that may change as what it is counted.
    pub fn heard(&mut self, rank: u32, at: Time) -> bool {
        put(&mut self.heard, rank, at);
        let was_silent = matches!(self.seen.get(rank as usize), Some(Some(Seen { silent: true, .. })));
        if was_silent {
            self.note_changed(rank);
        }
        was_silent
    }

    /// When its jurors were heard from.
    pub fn jurors(&mut self) -> &mut Jurors {
        &mut self.jurors
    }

    /// Forgets when members were heard from for whose rank `keep` is false.
    pub fn keep_heard(&mut self, keep: impl Fn(usize) -> bool) {
        for (rank, place) in (0..).zip(0..self.heard.len()).filter(|(_, place)| !keep(*place)) {
            self.heard[place] = None;
            self.note_changed(rank);
        }
    }

    /// Whether the clock runs: a quorum of jurors is fresh.
    pub fn runs(&self) -> bool {
        self.runs
    }

    /// When the driver's clock will show what the juror's clock shows at `clock`, if it runs on.
    pub fn at(&self, now: Time, clock: Span) -> Time {
        now + Span(clock.0.saturating_sub(self.clock.0))
    }

    /// Moves the clock to now, notes what is new, and counts the ranks below `open`, which never falls.
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
        let from = self.seen.len();
        if from < open.len() {
            self.seen.resize(open.len(), None);
            (0..).take(open.len()).skip(from).for_each(|rank| self.note_changed(rank));
        }
        self.note_what_time_changed(scene.now);
        for rank in std::mem::take(&mut self.changed) {
            self.is_changed[rank as usize] = false;
            if let Some(node) = open.get(rank as usize) {
                self.count(scene, rank, node);
            }
        }
        let Counts { good, bad, silent, doubt, lost } = self.counts;
        (tally.good, tally.lost) = (good, lost + bad + silent + doubt);
        let (doubted, doubt_ends) = if silent > 0 && bad + silent + doubt >= tally.hold_at {
            self.doubted(scene)
        } else {
            // So few decide nothing, whatever took them away.
            self.outages.clear();
            (0, None)
        };
        tally.zone_out = doubted;
        (tally.bad, tally.doubt) = (bad + (silent - doubted), doubt + doubted);
        tally.next = [self.next_by_clock(), doubt_ends].into_iter().flatten().min();
        tally
    }

    /// How many of the silent ranks may be silent because their zone is out, and when the clock alone will change that.
    fn doubted(&mut self, scene: &Scene<'_>) -> (u32, Option<Span>) {
        let (mut silent, mut witnesses) = (BTreeMap::new(), Vec::new());
        for (rank, at) in (0..).zip(&self.heard).filter_map(|(rank, at)| Some((rank, (*at)?))) {
            let Some(zone) = scene.roster.zone(rank) else { continue };
            match self.seen.get(rank as usize).and_then(Option::as_ref) {
                Some(seen) if seen.counted == Counted::Silent => {
                    silent.insert(rank, Heard { zone, at });
                }
                Some(seen) if seen.is_on_trial() => {}
                _ => witnesses.push(Heard { zone, at }),
            }
        }
        let clocks = Clocks {
            now: scene.now,
            juror: self.clock,
            period: scene.quiet_period(),
            grace: Span(Span::seconds(u64::from(scene.plan.trial_s)).0.saturating_add(SILENCE.0)),
        };
        self.outages.doubted(clocks, &silent, witnesses.into_iter())
    }

    /// Notes the ranks for which a time has passed since the last look.
    fn note_what_time_changed(&mut self, now: Time) {
        while let Some(passed) = self.by_clock.first_entry().filter(|entry| *entry.key() <= self.clock) {
            passed.remove().into_iter().for_each(|rank| self.note_changed(rank));
        }
        let second = now.0 / SECOND;
        while let Some(passed) = self.by_silence.first_entry().filter(|entry| *entry.key() <= second) {
            for rank in passed.remove() {
                if let Some(seen) = self.seen.get_mut(rank as usize).and_then(Option::as_mut) {
                    seen.watched = false;
                }
                self.note_changed(rank);
            }
        }
    }

    /// When the juror's clock alone will next change what any rank is counted as.
    fn next_by_clock(&mut self) -> Option<Span> {
        while let Some(mut first) = self.by_clock.first_entry() {
            let at = *first.key();
            let ranks = first.get_mut();
            while let Some(rank) = ranks.last() {
                if self.seen.get(*rank as usize).copied().flatten().is_some_and(|seen| seen.next == at) {
                    return Some(at);
                }
                ranks.pop();
            }
            first.remove();
        }
        None
    }

    fn advance(&mut self, scene: &Scene<'_>) -> u32 {
        if let Some(last) = self.last
            && self.runs
        {
            self.clock.0 = self.clock.0.saturating_add(scene.now.since(last).0);
        }
        self.last = Some(scene.now);
        let period = scene.roster.juror_period(scene.plan);
        let fresh_jurors = self.jurors.fresh(scene.now, period, scene.roster.seat(&scene.me));
        mark!(ClockStands if self.runs && fresh_jurors < scene.roster.quorum.quorum);
        self.runs = fresh_jurors >= scene.roster.quorum.quorum;
        fresh_jurors
    }

    fn count(&mut self, scene: &Scene<'_>, rank: u32, node: &NodeId) {
        let place = rank as usize;
        let (clock, what) = (self.clock, self.votes.get(place).copied().flatten());
        let heard = self.heard.get(place).copied().flatten();
        // Whoever is on trial speaks more often than others, and must have been heard so lately that it has proved
        // itself. It is called silent by the pace of those who bear witness to its zone.
        let lately = |period: Span| heard.is_some_and(|at| scene.now < at + period.times(FRESH_PERIODS));
        let is_me = *node == scene.me;
        let (fresh, here) = (is_me || lately(scene.member_period()), is_me || lately(scene.quiet_period()));
        let first = Seen {
            what,
            since: clock,
            baked: false,
            counted: Counted::Open,
            next: NEVER,
            silent: false,
            watched: false,
        };
        let before = self.seen[place].unwrap_or(first);
        let mut seen = before;
        if phase(seen.what) != phase(what) {
            seen = Seen { watched: before.watched, ..first };
        }
        let seconds = |s: u32| Span::seconds(u64::from(s));
        let since = seen.since;
        let silent_limit =
            Span(since.0.saturating_add(seconds(scene.plan.trial_s).0).saturating_add(SILENCE.0));
        let mut next = NEVER;
        let mut wait_until = |limit: Span| {
            if limit > clock {
                next = next.min(limit);
            }
            limit <= clock
        };
        let mut freshness_matters = false;
        let counted = match what.map(|(_, state)| state) {
            None | Some(VoteState::Staged) => {
                if wait_until(Span(since.0.saturating_add(seconds(scene.plan.stage_s).0))) {
                    mark!(StagedTooLate);
                    Counted::Lost
                } else {
                    Counted::Open
                }
            }
            Some(VoteState::Skip(_)) => Counted::Lost,
            Some(VoteState::Trying) => {
                freshness_matters = true;
                if wait_until(silent_limit) && !here {
                    mark!(SilentWhileTrying);
                    if mutations::is(Mutation::SilenceIsHealthy) { Counted::Good } else { Counted::Silent }
                } else {
                    Counted::Open
                }
            }
            Some(VoteState::Healthy) => {
                freshness_matters = true;
                let baked = wait_until(Span(since.0.saturating_add(seconds(scene.plan.bake_s).0)))
                    || mutations::is(Mutation::BakeIgnored);
                seen.baked |= baked && fresh;
                let silent = wait_until(silent_limit) && !here;
                mark!(GoneAfterBake if silent && seen.baked);
                mark!(SilentInBake if silent && !seen.baked);
                match (seen.baked, silent) {
                    (true, false) => Counted::Good,
                    // It had proved itself; whatever took it away later, others must come in its place.
                    (true, true) => Counted::Lost,
                    // Silent since its bake: the release may have killed it (hole H23).
                    (false, true) => Counted::Silent,
                    (false, false) => Counted::Open,
                }
            }
            Some(VoteState::Failed(Failure::Recovered)) => Counted::Bad,
            Some(VoteState::Failed(Failure::Unknown | Failure::Doubt)) => Counted::Doubt,
        };
        if let Some(at) = heard.filter(|_| freshness_matters && here && !is_me && !seen.watched) {
            let silent_at = at + scene.quiet_period().times(FRESH_PERIODS);
            seen.watched = true;
            self.by_silence.entry(silent_at.0 / SECOND).or_default().push(rank);
        }
        self.keep(rank, Seen { counted, next, silent: freshness_matters && !fresh, ..seen });
    }

    /// Keeps what a rank was counted as.
    fn keep(&mut self, rank: u32, seen: Seen) {
        let before = self.seen[rank as usize].replace(seen);
        if let Some(count) = before.and_then(|before| self.counts.of(before.counted)) {
            *count -= 1;
        }
        if let Some(count) = self.counts.of(seen.counted) {
            *count += 1;
        }
        if seen.next != NEVER && before.is_none_or(|before| before.next != seen.next) {
            self.by_clock.entry(seen.next).or_default().push(rank);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::identity::PublicKey;

    type Word = Option<(u8, VoteState)>;

    /// Counts every open rank at every look.
    #[derive(Default)]
    struct Plain {
        seen: Vec<Option<(Word, Span, bool)>>,
        votes: Vec<Word>,
        heard: Vec<Option<Time>>,
    }

    impl Plain {
        fn tally(&mut self, scene: &Scene<'_>, clock: Span, open: u32) -> (u32, u32, u32, u32, Option<Span>) {
            let (mut good, mut bad, mut doubt, mut lost, mut next) = (0, 0, 0, 0, None::<Span>);
            for (place, node) in scene.roster.open_members(open).iter().enumerate() {
                if self.seen.len() <= place {
                    self.seen.resize(place + 1, None);
                }
                let what = self.votes.get(place).copied().flatten();
                let heard = self.heard.get(place).copied().flatten();
                let within = |period: Span| {
                    let lately = |at| scene.now < at + period.times(FRESH_PERIODS);
                    *node == scene.me || heard.is_some_and(lately)
                };
                let (fresh, here) = (within(scene.member_period()), within(scene.quiet_period()));
                let seen = self.seen[place].get_or_insert((what, clock, false));
                if phase(seen.0) != phase(what) {
                    *seen = (what, clock, false);
                }
                let after = |seconds: u32| Span(seen.1.0 + Span::seconds(u64::from(seconds)).0);
                let silent_limit = Span(after(scene.plan.trial_s).0 + SILENCE.0);
                let (stage_limit, bake_limit) = (after(scene.plan.stage_s), after(scene.plan.bake_s));
                let mut passed = |limit: Span| {
                    if limit > clock {
                        next = Some(next.map_or(limit, |next: Span| next.min(limit)));
                    }
                    limit <= clock
                };
                match what.map(|(_, state)| state) {
                    None | Some(VoteState::Staged) => lost += u32::from(passed(stage_limit)),
                    Some(VoteState::Skip(_)) => lost += 1,
                    Some(VoteState::Trying) => bad += u32::from(passed(silent_limit) && !here),
                    Some(VoteState::Healthy) => {
                        seen.2 |= passed(bake_limit) && fresh;
                        match (seen.2, passed(silent_limit) && !here) {
                            (true, false) => good += 1,
                            (true, true) => lost += 1,
                            (false, true) => bad += 1,
                            (false, false) => {}
                        }
                    }
                    Some(VoteState::Failed(Failure::Recovered)) => bad += 1,
                    Some(VoteState::Failed(_)) => doubt += 1,
                }
            }
            (good, bad, doubt, lost + bad + doubt, next)
        }
    }

    /// Numbers as good as random.
    struct Lots(u64);

    impl Lots {
        fn below(&mut self, bound: u64) -> u64 {
            let digest = Digest::of(&self.0.to_be_bytes()).0;
            self.0 += 1;
            u64::from(u16::from_be_bytes([digest[0], digest[1]])) % bound
        }
    }

    #[test]
    fn what_is_kept_is_what_counting_every_rank_finds() {
        let members: Vec<_> = (0_u32..40).map(|n| PublicKey(Digest::of(&n.to_be_bytes()).0)).collect();
        let roster = Roster::of(members.clone(), members[..7].to_vec());
        let plan = Plan { bake_s: 20, stage_s: 60, trial_s: 10, beacon_ms: 5_000, ..Plan::default() };
        let states = [
            VoteState::Staged,
            VoteState::Trying,
            VoteState::Healthy,
            VoteState::Healthy,
            VoteState::Failed(Failure::Doubt),
            VoteState::Failed(Failure::Recovered),
        ];
        let mut found = Tally::default();
        for seed in 0..30 {
            let mut lots = Lots(seed << 32);
            let (mut view, mut plain) = (View::default(), Plain::default());
            let (mut now, mut open) = (Time(50_000), 0);
            for turn in 0..700 {
                now = now + Span(lots.below(1_500));
                let rank = u32::try_from(lots.below(40)).expect("BUG: below 40");
                match lots.below(12) {
                    0..3 if rank % 3 > 0 => {
                        let (attempt, state) =
                            (1, states[usize::try_from(lots.below(6)).expect("BUG: below 6")]);
                        view.voted(rank, attempt, state);
                        put(&mut plain.votes, rank, (attempt, state));
                    }
                    3..9 => {
                        view.heard(rank, now);
                        put(&mut plain.heard, rank, now);
                        if rank < 7 {
                            view.jurors().heard(rank as usize, now);
                        }
                    }
                    9 => open = (open + u32::from(lots.below(4) == 0)).min(40),
                    10 if lots.below(20) == 0 => {
                        view.keep_heard(|place| place != rank as usize);
                        if let Some(heard) = plain.heard.get_mut(rank as usize) {
                            *heard = None;
                        }
                    }
                    _ => {
                        // Now and then the clock stands.
                        if turn % 100 > 10 {
                            (0..7).for_each(|seat| view.jurors().heard(seat, now));
                        }
                        let scene = Scene { roster: &roster, plan: &plan, me: members[3], open, now };
                        let tally = view.tally(&scene, open);
                        let counted = (tally.good, tally.bad, tally.doubt, tally.lost, tally.next);
                        assert_eq!(
                            counted,
                            plain.tally(&scene, view.clock(), open),
                            "seed {seed}, turn {turn}"
                        );
                        found.good = found.good.max(tally.good);
                        found.bad = found.bad.max(tally.bad);
                        found.lost = found.lost.max(tally.lost - tally.bad - tally.doubt);
                    }
                }
            }
        }
        assert!(found.good > 2 && found.bad > 2 && found.lost > 2, "{found:?}");
    }
}
