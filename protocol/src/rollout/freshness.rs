//! Who was heard from lately: the only sense of time that nodes share.

use std::cmp::Ordering;

use crate::bounds::FRESH_PERIODS;
use crate::identity::NodeId;
use crate::sorted::Sorted;
use crate::time::{Span, Time};

/// When each member's beacon last rose. Replayed beacons do not rise, so they prove nothing.
/// Bounded by the census: entries of others are pruned with it.
#[derive(Debug, Default)]
pub struct Freshness {
    heard: Sorted<NodeId, (u64, Time)>,
    count: usize,
}

impl Freshness {
    /// The node's beacon rose to `rank`.
    pub fn rose(&mut self, node: NodeId, rank: u64, now: Time) {
        let before = self.heard.put(node, (rank, now), |_| Ordering::Equal);
        self.count += usize::from(before.is_none());
    }

    /// When the node's beacon last rose.
    pub fn last(&self, node: &NodeId) -> Option<Time> {
        self.heard.of(*node).next().map(|(_, at)| *at)
    }

    /// All that were heard from, and when they last were.
    pub fn heard(&self) -> impl Iterator<Item = (&NodeId, Time)> {
        self.heard.iter().map(|(node, (_, at))| (node, *at))
    }

    /// All that were heard from.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.heard.iter().map(|(node, _)| node)
    }

    /// The rank of the node's newest beacon; 0 if there is none.
    pub fn rank(&self, node: &NodeId) -> u64 {
        self.heard.of(*node).next().map_or(0, |(rank, _)| *rank)
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
        self.heard.retain(|node, _| keep(node));
        self.count = self.heard.iter().count();
    }
}
