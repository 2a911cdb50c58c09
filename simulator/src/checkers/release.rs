//! What the referees know of a release: who counts, who has opened how far, and how far the votes let a
//! juror go. The arithmetic of the gate is theirs, written a second time from the rules.

use std::collections::{BTreeMap, BTreeSet};

use groundswell_protocol::bounds::SILENCE;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Failure, RolloutId, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::places::Places;
use groundswell_protocol::time::Span;
use groundswell_protocol::trust::manifest::ReleaseOrder;
use groundswell_protocol::trust::plan::Plan;

use crate::fleet::Release;
use crate::world::queue::Moment;

/// Of a juror's time so much is forgiven, of 1,000: clocks may run a little fast.
const CLOCK_FAST_PERMILLE: u64 = 20;

/// What a node has said of a release on itself, ever.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    tried: Option<Moment>,
    healthy: Option<Moment>,
    failed: bool,
    skipped: bool,
}

/// What the referees know of a release.
pub(super) struct Known {
    pub(super) rollout: RolloutId,
    pub(super) order: ReleaseOrder,
    pub(super) tree: Digest,
    pub(super) signed: bool,
    pub(super) plan: Plan,
    /// How often its jurors speak.
    pub(super) juror_period: Span,
    pub(super) jury: Vec<NodeId>,
    seats: Places,
    pub(super) quorum: usize,
    pub(super) stoppers: usize,
    pub(super) faulty: usize,
    pub(super) promoted: u32,
    line: Vec<NodeId>,
    ranks: BTreeMap<NodeId, u32>,
    targets: Vec<u32>,
    everybody_judges: bool,
    opens: BTreeMap<NodeId, u32>,
    /// When the quorum had opened so much.
    opened: Vec<(u32, Moment)>,
    words: BTreeMap<NodeId, Word>,
    /// Those that found it bad while the version before is healthy.
    recovered: BTreeSet<NodeId>,
    /// Jurors that said stop, by place: they open nothing any more.
    pub(super) stop_sayers: BTreeSet<u32>,
    /// Since when enough nodes have failed to end it.
    pub(super) evidence_since: Option<Moment>,
}

impl Known {
    pub(super) fn new(release: &Release) -> Self {
        let roster = &release.roster;
        let jurors = roster.jury.len().max(1);
        let faulty = (jurors - 1) / 3;
        Self {
            rollout: release.rollout,
            order: release.order,
            tree: release.tree,
            signed: release.law.signed,
            plan: release.plan.clone(),
            juror_period: roster.juror_period(&release.plan),
            jury: roster.jury.clone(),
            seats: Places::of(&roster.jury),
            quorum: (jurors + faulty + 1).div_ceil(2),
            stoppers: faulty + 1,
            faulty,
            promoted: 0,
            ranks: (0..).zip(&roster.members).map(|(rank, node)| (*node, rank)).collect(),
            line: roster.members.clone(),
            targets: release.plan.targets(roster.count()),
            everybody_judges: roster.everybody_judges,
            opens: BTreeMap::new(),
            opened: Vec::new(),
            words: BTreeMap::new(),
            recovered: BTreeSet::new(),
            stop_sayers: BTreeSet::new(),
            evidence_since: None,
        }
    }

    pub(super) fn members(&self) -> u32 {
        u32::try_from(self.line.len()).unwrap_or(u32::MAX)
    }

    /// What `open` must be for this node to activate: its rank and one; for others, done.
    pub(super) fn needed(&self, node: &NodeId) -> u32 {
        self.ranks.get(node).map_or(self.members() + 1, |rank| rank + 1)
    }

    /// Where in its jury a node sits.
    pub(super) fn seat(&self, node: &NodeId) -> Option<usize> {
        self.seats.find(&self.jury, node).and_then(|seat| usize::try_from(seat).ok())
    }

    /// Jurors whom a node asks for news and tells first: f + 1, or all others that there are.
    pub(super) fn confirmers(&self) -> usize {
        self.stoppers.min(self.jury.len().saturating_sub(1))
    }

    pub(super) fn leader(&self, term: u32) -> Option<NodeId> {
        let seat = usize::try_from(term).ok()?.checked_rem(self.jury.len())?;
        self.jury.get(seat).copied()
    }

    /// A node has bound itself to a vote.
    pub(super) fn voted(&mut self, now: Moment, node: NodeId, state: VoteState) {
        let word = self.words.entry(node).or_default();
        match state {
            VoteState::Staged => {}
            VoteState::Skip(_) => word.skipped = true,
            VoteState::Trying => word.tried = word.tried.or(Some(now)),
            VoteState::Healthy => word.healthy = word.healthy.or(Some(now)),
            VoteState::Failed(failure) => {
                word.failed = true;
                if failure == Failure::Recovered {
                    self.recovered.insert(node);
                }
            }
        }
    }

    /// A juror has bound itself to an opening.
    pub(super) fn opens(&mut self, now: Moment, juror: NodeId, open: u32) {
        let opened = self.opens.entry(juror).or_default();
        *opened = open.max(*opened);
        self.note_opening(now);
    }

    /// An operator has promoted.
    pub(super) fn promotes(&mut self, now: Moment, open: u32) {
        self.promoted = self.promoted.max(open);
        self.note_opening(now);
    }

    fn note_opening(&mut self, now: Moment) {
        let open = self.open();
        if open > self.opened.last().map_or(0, |(open, _)| *open) {
            self.opened.push((open, now));
        }
    }

    /// How many ranks a quorum or an operator has opened.
    pub(super) fn open(&self) -> u32 {
        let mut opens: Vec<u32> = self.opens.values().copied().collect();
        opens.sort_unstable_by(|a, b| b.cmp(a));
        opens.get(self.quorum - 1).copied().unwrap_or(0).max(self.promoted)
    }

    /// How many jurors have opened at least so much.
    pub(super) fn openers(&self, needed: u32) -> usize {
        self.jury.iter().filter(|juror| self.opens.get(*juror).is_some_and(|open| *open >= needed)).count()
    }

    fn band(&self, open: u32, permille: u16) -> usize {
        if self.faulty == 0 {
            return 1;
        }
        let share = (u64::from(open.max(1)) * u64::from(permille)).div_ceil(1000);
        usize::try_from(share).unwrap_or(usize::MAX).max(2)
    }

    /// Whether so many nodes that `counts` have found it bad as must end it.
    pub(super) fn must_stop(&self, counts: impl Fn(&NodeId) -> bool) -> bool {
        let bad = self.recovered.iter().filter(|node| counts(node)).count();
        bad >= self.band(self.open().min(self.members()), self.plan.stop_permille)
    }

    /// How far any honest juror may have been let go by now, at most: the gate's rule, with every doubt
    /// about what the juror saw decided in its favour.
    pub(super) fn most_allowed(&self, now: Moment, lies: impl Fn(&NodeId) -> bool) -> u32 {
        let count = self.members();
        let open = self.open().min(count);
        let counted = self.count(now, open, lies);
        let either = counted.good_alone + counted.both + counted.lost_alone;
        if self.open() >= count {
            let done = either >= u64::from(count) && counted.good_alone + counted.both >= 1;
            return if done { count + 1 } else { count };
        }
        let good = counted.good_alone + counted.both;
        let mut most = 0;
        for reached in 0..=self.targets.iter().filter(|target| u64::from(**target) <= good).count() {
            // To have reached this target some of those who may be either must be good.
            let needed = reached.checked_sub(1).map_or(0, |before| u64::from(self.targets[before]));
            let spent = needed.saturating_sub(counted.good_alone);
            let lost = counted.lost_alone + counted.both.saturating_sub(spent);
            let target = u64::from(self.targets.get(reached).copied().unwrap_or(count));
            most = most.max(target + lost);
        }
        if self.everybody_judges {
            let off_trial = self.jury.len().saturating_sub(self.quorum).max(1) as u64;
            most = most.min(either + off_trial);
        }
        u32::try_from(most).unwrap_or(u32::MAX).min(count)
    }

    fn count(&self, now: Moment, open: u32, lies: impl Fn(&NodeId) -> bool) -> Counted {
        let passed = |since: Moment, seconds: u64| {
            now.milliseconds_since(since) + 10 >= seconds * (1000 - CLOCK_FAST_PERMILLE)
        };
        let silent = u64::from(self.plan.trial_s) + SILENCE.0 / 1000;
        let mut counted = Counted::default();
        let (mut failed_alone, mut failed_or_good) = (0, 0);
        for (rank, node) in (0..open).zip(&self.line) {
            let word = self.words.get(node).copied().unwrap_or_default();
            let since = self.opened.iter().find(|(open, _)| *open > rank).map(|(_, at)| *at);
            let late = since.is_some_and(|since| passed(since, u64::from(self.plan.stage_s)));
            let gone = |since: Option<Moment>| since.is_some_and(|since| passed(since, silent));
            let good = word.healthy.is_some_and(|at| passed(at, u64::from(self.plan.bake_s))) || lies(node);
            let lost = word.skipped || late || gone(word.healthy) || lies(node);
            let failed = word.failed || gone(word.tried);
            match (good, lost, failed) {
                (true, true, _) => counted.both += 1,
                (true, false, true) => failed_or_good += 1,
                (true, false, false) => counted.good_alone += 1,
                (false, true, _) => counted.lost_alone += 1,
                (false, false, true) => failed_alone += 1,
                (false, false, false) => {}
            }
        }
        // At the hold band nothing opens: so many failures at most have been replaced.
        let mut room = (self.band(open, self.plan.hold_permille) - 1) as u64;
        let replaced = room.min(failed_alone);
        counted.lost_alone += replaced;
        room -= replaced;
        let either = room.min(failed_or_good);
        counted.both += either;
        counted.good_alone += failed_or_good - either;
        counted
    }
}

/// Open nodes as jurors may have counted them.
#[derive(Default)]
struct Counted {
    good_alone: u64,
    both: u64,
    lost_alone: u64,
}

/// The jurors as machines' places.
pub(super) fn places(nodes: &[NodeId], jury: &[NodeId]) -> BTreeSet<u32> {
    let place = |node: &NodeId| nodes.binary_search(node).ok().and_then(|place| u32::try_from(place).ok());
    jury.iter().filter_map(place).collect()
}
