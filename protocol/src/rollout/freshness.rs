//! Who was heard from lately: the only sense of time that nodes share.

use crate::bounds::FRESH_PERIODS;
use crate::identity::NodeId;
use crate::places::first_bytes;
use crate::sorted::Sorted;
use crate::time::{Span, Time};

/// When a node was last heard from.
#[derive(Clone, Copy, Debug)]
struct Heard {
    node: NodeId,
    /// The rank of its newest beacon.
    rank: u64,
    at: Time,
}

/// When each member's beacon last rose. Replayed beacons do not rise, so they prove nothing.
/// Bounded by the census: entries of others are pruned with it.
#[derive(Debug, Default)]
pub struct Freshness {
    /// By the names' first bytes: a look at a whole jury compares many names.
    heard: Sorted<u64, Heard>,
    count: usize,
}

impl Freshness {
    /// The node's beacon rose to `rank`.
    pub fn rose(&mut self, node: NodeId, rank: u64, now: Time) {
        let heard = Heard { node, rank, at: now };
        let before = self.heard.put(first_bytes(&node), heard, |held| held.node.cmp(&node));
        self.count += usize::from(before.is_none());
    }

    fn of(&self, node: &NodeId) -> Option<&Heard> {
        self.heard.of(first_bytes(node)).find(|held| held.node == *node)
    }

    /// When the node's beacon last rose.
    pub fn last(&self, node: &NodeId) -> Option<Time> {
        self.of(node).map(|heard| heard.at)
    }

    /// All that were heard from, and when they last were.
    pub fn heard(&self) -> impl Iterator<Item = (&NodeId, Time)> {
        self.heard.iter().map(|(_, heard)| (&heard.node, heard.at))
    }

    /// All that were heard from.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.heard().map(|(node, _)| node)
    }

    /// The rank of the node's newest beacon; 0 if there is none.
    pub fn rank(&self, node: &NodeId) -> u64 {
        self.of(node).map_or(0, |heard| heard.rank)
    }

    /// Whether the node's beacon rose within `FRESH_PERIODS` periods.
    pub fn is_fresh(&self, node: &NodeId, now: Time, period: Span) -> bool {
        self.last(node).is_some_and(|at| now < at + period.times(FRESH_PERIODS))
    }

    /// When the node will cease to be fresh unless it is heard from.
    pub fn stale_at(&self, node: &NodeId, period: Span) -> Option<Time> {
        self.last(node).map(|at| at + period.times(FRESH_PERIODS))
    }

    /// How many nodes were heard from.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nobody was.
    pub fn is_empty(&self) -> bool {
        self.heard.is_empty()
    }

    /// Forgets nodes for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&NodeId) -> bool) {
        self.heard.retain(|_, heard| keep(&heard.node));
        self.count = self.heard.iter().count();
    }
}

/// When the beacons of a rollout's jurors last rose, by seat: a look at a jury counts them all.
#[derive(Debug, Default)]
pub struct Jurors(Vec<Option<Time>>);

impl Jurors {
    /// The beacon of the juror of this seat rose.
    pub fn heard(&mut self, seat: usize, at: Time) {
        if self.0.len() <= seat {
            self.0.resize(seat + 1, None);
        }
        self.0[seat] = Some(at);
    }

    /// When the beacon of the juror of this seat last rose.
    pub fn last(&self, seat: usize) -> Option<Time> {
        self.0.get(seat).copied().flatten()
    }

    /// Forgets those for whose seat `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for (_, at) in self.0.iter_mut().enumerate().filter(|(seat, _)| !keep(*seat)) {
            *at = None;
        }
    }

    /// How many rose within `FRESH_PERIODS` periods; the juror of my own seat counts as one of them.
    pub fn fresh(&self, now: Time, period: Span, mine: Option<usize>) -> u32 {
        let span = period.times(FRESH_PERIODS);
        let is_fresh = |at: &Option<Time>| at.is_some_and(|at| now < at + span);
        let fresh = self.0.iter().filter(|at| is_fresh(at)).count();
        let me = mine.is_some_and(|seat| !self.0.get(seat).is_some_and(is_fresh));
        u32::try_from(fresh + usize::from(me)).unwrap_or(u32::MAX)
    }
}
