//! When linked peers are asked where other nodes are.
//!
//! A pure table: the caller brings the time and the random numbers, and knows whether links are missing.
//! A new link is asked soon and a few times, because a fleet that starts at once is learned about one node
//! after another; from then on one peer is asked now and then. A schedule, not a promise: what was due
//! while no link was missing is not made up for later.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use groundswell_protocol::identity::NodeId;

/// After a link is up, its peer is asked at these times.
const QUICK: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];
/// Afterwards one peer of all is asked this often. A node that stays away for weeks must cost next to
/// nothing: an answer of 1 KiB each time is 35 bytes/s.
const SLOW: Duration = Duration::from_secs(30);

struct Peer {
    since: Instant,
    /// How many of the [`QUICK`] times have passed.
    passed: usize,
    /// It has been asked and has not answered.
    asked: bool,
}

impl Peer {
    fn next(&self) -> Option<Instant> {
        QUICK.get(self.passed).map(|wait| self.since + *wait)
    }
}

/// What was asked of whom.
pub(super) struct Asking {
    peers: BTreeMap<NodeId, Peer>,
    slow_due: Instant,
}

impl Asking {
    pub(super) fn new(now: Instant) -> Self {
        Self { peers: BTreeMap::new(), slow_due: now + SLOW }
    }

    /// A link is up.
    pub(super) fn linked(&mut self, node: NodeId, now: Instant) {
        self.peers.insert(node, Peer { since: now, passed: 0, asked: false });
    }

    /// A link has ended.
    pub(super) fn unlinked(&mut self, node: &NodeId) {
        self.peers.remove(node);
    }

    /// An ask of a peer is over, whatever came of it.
    pub(super) fn answered(&mut self, node: &NodeId) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.asked = false;
        }
    }

    /// Other nodes count from now on: what was answered before may have been ignored.
    pub(super) fn begin_again(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.since = now;
            peer.passed = 0;
        }
    }

    /// The peers to ask now; never one that has not answered yet. `missing`: whether this node lacks links.
    pub(super) fn due(&mut self, now: Instant, missing: bool, random: u64) -> Vec<NodeId> {
        let mut due = Vec::new();
        for (node, peer) in &mut self.peers {
            let passed = QUICK.iter().filter(|wait| peer.since + **wait <= now).count();
            if passed > peer.passed && !peer.asked {
                due.push(*node);
            }
            peer.passed = passed;
        }
        if missing && self.slow_due <= now {
            self.slow_due = now + SLOW;
            let idle: Vec<_> = self.peers.iter().filter(|(_, peer)| !peer.asked).collect();
            let chosen = idle.get(usize::try_from(random % idle.len().max(1) as u64).unwrap_or(0));
            due.extend(chosen.map(|(node, _)| **node).filter(|node| !due.contains(node)));
        }
        if !missing {
            due.clear();
        }
        for node in &due {
            if let Some(peer) = self.peers.get_mut(node) {
                peer.asked = true;
            }
        }
        due
    }

    /// When somebody is due next.
    pub(super) fn next(&self) -> Instant {
        let quick = self.peers.values().filter_map(Peer::next).min();
        quick.map_or(self.slow_due, |quick| quick.min(self.slow_due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::identity::PublicKey;

    const ONE: NodeId = PublicKey([1; 32]);
    const OTHER: NodeId = PublicKey([2; 32]);

    /// The milliseconds at which `ONE` is asked within a minute, when it answers at once.
    fn asked_at(asking: &mut Asking, begin: Instant, missing: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut times = Vec::new();
        for millisecond in 0..60_000 {
            let now = begin + Duration::from_millis(millisecond);
            for node in asking.due(now, missing(millisecond), millisecond) {
                asking.answered(&node);
                times.push(millisecond);
            }
        }
        times
    }

    #[test]
    fn a_new_link_is_asked_soon_and_then_now_and_then() {
        let begin = Instant::now();
        let mut asking = Asking::new(begin);
        asking.linked(ONE, begin);
        assert_eq!(asked_at(&mut asking, begin, |_| true), [0, 300, 1000, 3000, 30_000]);
    }

    #[test]
    fn nobody_is_asked_while_no_link_is_missing_and_nothing_is_made_up_for() {
        let begin = Instant::now();
        let mut asking = Asking::new(begin);
        asking.linked(ONE, begin);
        assert_eq!(asked_at(&mut asking, begin, |millisecond| millisecond >= 40_000), [40_000]);
    }

    #[test]
    fn a_peer_that_does_not_answer_is_not_asked_again() {
        let begin = Instant::now();
        let mut asking = Asking::new(begin);
        asking.linked(ONE, begin);
        asking.linked(OTHER, begin);
        assert_eq!(asking.due(begin, true, 0), [ONE, OTHER]);
        asking.answered(&OTHER);
        let later = begin + Duration::from_secs(1);
        assert_eq!(asking.due(later, true, 0), [OTHER]);
        assert!(asking.due(begin + SLOW, true, 0).is_empty(), "neither has answered");
    }

    #[test]
    fn slowly_only_one_of_all_is_asked() {
        let begin = Instant::now();
        let mut asking = Asking::new(begin);
        for byte in 1..=9 {
            asking.linked(PublicKey([byte; 32]), begin);
        }
        asking.due(begin + Duration::from_secs(4), false, 0);
        assert_eq!(asking.next(), begin + SLOW);
        assert_eq!(asking.due(begin + SLOW, true, 7).len(), 1);
        assert_eq!(asking.next(), begin + SLOW * 2);
    }

    #[test]
    fn a_new_census_is_a_new_beginning() {
        let begin = Instant::now();
        let mut asking = Asking::new(begin);
        asking.linked(ONE, begin);
        asked_at(&mut asking, begin, |_| false);
        let later = begin + Duration::from_secs(61);
        asking.begin_again(later);
        assert_eq!(asking.due(later, true, 0), [ONE]);
        assert_eq!(asking.next(), later + QUICK[1]);
    }
}
