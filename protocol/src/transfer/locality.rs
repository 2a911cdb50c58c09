//! Nodes of one site bring a piece in once: each piece has its turn, and the others wait for the site's copy.
//!
//! The members of a site that are there draw lots for each piece, by a hash that all of them reckon alike: the
//! first fetches it from outside, the others from inside. Nobody says anything to anybody for that. Where the
//! first is slow or gone, those after it step in one by one, so that waiting has an end: see [`Locality::allows`].
//!
//! That is for fleets in which whoever has its turn can fetch, as in the simulated rollouts. In a swarm most members
//! know only a few holders outside; there those who know one ask for leave (`turns`), and this module says who is
//! of the site and how long a node that gets nothing waits.
//!
//! What a site is, is for the caller to say: a label in the census. Members whom nodes see differently cost
//! copies, never pieces.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::identity::NodeId;
use crate::time::{Span, Time};

/// Members of a site that draw lots, at most; of a larger site those whose keys come first.
pub const SITE_MEMBERS_MAX: usize = 1024;

/// Members of the site that a download asks from the start; they name others.
pub const SITE_ASKED_MAX: usize = 16;

/// How long a node that gets nothing waits before the next in turn asks outside, at least.
pub const SITE_PATIENCE: Span = Span::seconds(1);

/// Those who wait the longest wait so many times as long.
const PLACES: u8 = 4;

/// How many times the usual pause between two pieces is a reason to step in.
const PAUSES: u64 = 4;

/// Whom a node shares a site with, and when it may ask others.
#[derive(Clone, Debug, Default)]
pub struct Locality {
    /// Other members of the site that are there.
    near: BTreeSet<NodeId>,
    /// What those draw by who draw lots: all but those who are known to bring nothing in.
    lots: BTreeMap<NodeId, u64>,
    mine: u64,
    /// How many of the site come before this node, by piece; at most [`PLACES`].
    places: Vec<u8>,
    /// When a piece came last.
    came: Option<Time>,
    /// Eight times the usual pause between two pieces, in milliseconds.
    pause_8: u64,
}

impl Locality {
    /// Node `me` among `site`, for a blob of `pieces`.
    pub fn new(me: NodeId, site: &[NodeId], blob: Digest, pieces: u32) -> Self {
        let mut members: BTreeSet<NodeId> = site.iter().copied().filter(|node| *node != me).collect();
        while members.len() >= SITE_MEMBERS_MAX {
            members.pop_last();
        }
        if members.is_empty() {
            return Self::default();
        }
        let lots = members.iter().map(|node| (*node, salt(blob, *node))).collect();
        let places = vec![0; pieces as usize];
        let mut locality = Self { near: members, lots, mine: salt(blob, me), places, came: None, pause_8: 0 };
        locality.draw_lots();
        locality
    }

    fn draw_lots(&mut self) {
        for (piece, place) in (0..).zip(&mut self.places) {
            let lot = draw(self.mine, piece);
            let before = self.lots.values().filter(|salt| draw(**salt, piece) > lot);
            *place = u8::try_from(before.take(usize::from(PLACES)).count()).unwrap_or(PLACES);
        }
    }

    /// `peer` has the whole blob, or fetches nothing of it: it brings nothing in.
    pub fn takes_no_turn(&mut self, peer: &NodeId) {
        if self.lots.remove(peer).is_some() {
            self.draw_lots();
        }
    }

    /// Whether anybody else of the site is there.
    pub fn is_alone(&self) -> bool {
        self.near.is_empty()
    }

    /// The other members of the site that are there, by rising key.
    pub fn near(&self) -> impl Iterator<Item = &NodeId> {
        self.near.iter()
    }

    /// Whether `peer` is of this site.
    pub fn is_near(&self, peer: &NodeId) -> bool {
        self.near.contains(peer)
    }

    /// This node fetches `piece` from outside. If it was not its turn, those before it who are not known to take part
    /// draw no more: nobody waits for them again.
    pub fn stepped_in(&mut self, piece: u32, takes_part: impl Fn(&NodeId) -> bool) {
        if self.places.get(piece as usize).is_none_or(|place| *place == 0) {
            return;
        }
        let (lot, before) = (draw(self.mine, piece), self.lots.len());
        self.lots.retain(|node, salt| draw(*salt, piece) < lot || takes_part(node));
        if self.lots.len() < before {
            self.draw_lots();
        }
    }

    /// Whether there are more members than one asks from the start, so that nobody knows all.
    pub fn is_large(&self) -> bool {
        self.near.len() > SITE_ASKED_MAX
    }

    /// Members of the site to begin with, at most `most`: those that are one, two, four and so on places away from `me`
    /// in the order of keys, on both sides. So each is asked by about as many as it asks, who asks is asked back, and
    /// from anybody to anybody it is a few steps.
    pub fn to_begin_with(&self, me: NodeId, most: usize) -> Vec<NodeId> {
        let ring: Vec<NodeId> = self.near.range(me..).chain(self.near.range(..me)).copied().collect();
        let steps = std::iter::successors(Some(1_usize), |step| step.checked_mul(2));
        let steps = steps.take_while(|step| *step <= ring.len());
        let fingers = steps.flat_map(|step| [ring.get(step - 1), ring.get(ring.len() - step)]).flatten();
        let mut named: Vec<NodeId> = Vec::new();
        for node in fingers.chain(&ring) {
            if named.len() < most && !named.contains(node) {
                named.push(*node);
            }
        }
        named
    }

    /// A piece came, from anybody, or the fetch began.
    pub fn came(&mut self, now: Time) {
        if let Some(before) = self.came {
            let pause = now.since(before).0;
            self.pause_8 = self.pause_8 - self.pause_8 / 8 + pause;
        }
        self.came = Some(now);
    }

    /// Whether nothing came for so many times as long as a node waits.
    pub fn starves(&self, now: Time, times: u64) -> bool {
        let patience = SITE_PATIENCE.0.max(self.pause_8 / 8 * PAUSES);
        self.came.is_some_and(|came| now >= came + Span(patience).times(times))
    }

    /// Whether `piece` may be asked of somebody outside; `inside`: some peer of the site has it.
    ///
    /// Yes if it is this node's turn and nobody inside has it. Else only for who has got nothing for a while: a
    /// second, or a few times the usual pause, and the longer the later its turn. So a whole site waits for its
    /// first, then for its second, and a piece that comes to the site ends the waiting of all.
    pub fn allows(&self, now: Time, piece: u32, inside: bool) -> bool {
        if self.near.is_empty() {
            return true;
        }
        let place = self.places.get(piece as usize).copied().unwrap_or(0);
        if place == 0 && !inside {
            return true;
        }
        self.starves(now, u64::from(place.max(1)))
    }
}

pub(super) fn salt(blob: Digest, node: NodeId) -> u64 {
    let digest = Digest::of_parts("groundswell site turn", &[&blob.0, &node.0]);
    u64::from_le_bytes(std::array::from_fn(|at| digest.0[at]))
}

/// The finalizer of SplitMix64.
pub(super) fn draw(salt: u64, piece: u32) -> u64 {
    let number = salt ^ u64::from(piece).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PublicKey;

    const BLOB: Digest = Digest([5; 32]);

    fn site(members: u8) -> Vec<NodeId> {
        (1..=members).map(|number| PublicKey([number; 32])).collect()
    }

    #[test]
    fn each_piece_is_the_turn_of_exactly_one_member_and_turns_are_spread_evenly() {
        let site = site(10);
        let views: Vec<Locality> = site.iter().map(|me| Locality::new(*me, &site, BLOB, 1000)).collect();
        for piece in 0..1000 {
            let first = views.iter().filter(|view| view.allows(Time(0), piece, false)).count();
            assert_eq!(first, 1, "piece {piece}");
        }
        for view in &views {
            let turns = view.places.iter().filter(|place| **place == 0).count();
            assert!((60..=140).contains(&turns), "{turns} of 1000");
        }
    }

    #[test]
    fn waiting_has_an_end_and_those_whose_turn_comes_later_wait_longer() {
        let site = site(10);
        let mut views: Vec<Locality> = site.iter().map(|me| Locality::new(*me, &site, BLOB, 1)).collect();
        views.iter_mut().for_each(|view| view.came(Time(1_000)));
        let allowed = |at: u64| views.iter().filter(|view| view.allows(Time(at), 0, false)).count();
        let counts: Vec<usize> = [1_000, 1_999, 2_000, 3_000, 4_000, 5_000].map(allowed).to_vec();
        assert_eq!(counts, [1, 1, 2, 3, 4, 10]);
        let first = views.iter().find(|view| view.allows(Time(1_000), 0, false)).unwrap();
        assert!(!first.allows(Time(1_000), 0, true), "it is inside already");
        assert!(first.allows(Time(2_000), 0, true), "and does not come");
    }

    #[test]
    fn where_pieces_come_seldom_a_pause_is_no_reason_to_step_in() {
        let site = site(2);
        let mut view = Locality::new(site[0], &site, BLOB, 100);
        for piece in 0..60 {
            view.came(Time(piece * 2_000));
        }
        let later = (0..100).find(|piece| !view.allows(Time(118_000), *piece, false)).unwrap();
        assert!(!view.allows(Time(118_000) + Span::seconds(7), later, false));
        assert!(view.allows(Time(118_000) + Span::seconds(9), later, false));
    }

    #[test]
    fn nobody_waits_twice_for_those_who_take_no_part() {
        let site = site(10);
        let mut view = Locality::new(site[0], &site, BLOB, 1000);
        view.came(Time(0));
        let mine = |view: &Locality| (0..1000).filter(|piece| view.allows(Time(0), *piece, false)).count();
        let before = mine(&view);
        let other = (0..1000).find(|piece| !view.allows(Time(0), *piece, false)).unwrap();
        view.stepped_in(other, |_| true);
        assert_eq!(mine(&view), before, "they take part");
        view.stepped_in(other, |_| false);
        assert!(view.allows(Time(0), other, false) && mine(&view) > before);
        site[1..].iter().for_each(|node| view.takes_no_turn(node));
        assert_eq!(mine(&view), 1000);
    }

    #[test]
    fn the_members_to_begin_with_are_few_ask_each_other_and_from_all_it_is_not_far_to_all() {
        let site = site(100);
        let named = |me: &NodeId| Locality::new(*me, &site, BLOB, 100).to_begin_with(*me, SITE_ASKED_MAX);
        let all: BTreeMap<NodeId, Vec<NodeId>> = site.iter().map(|me| (*me, named(me))).collect();
        for (me, named) in &all {
            let different: BTreeSet<NodeId> = named.iter().copied().collect();
            assert_eq!((named.len(), different.len()), (SITE_ASKED_MAX, SITE_ASKED_MAX));
            assert!(named.iter().all(|node| node != me && site.contains(node)));
            let back = named.iter().filter(|node| all[*node].contains(me)).count();
            assert!(back >= SITE_ASKED_MAX - 4, "{back} ask back");
            let mut reached = different;
            for _ in 0..3 {
                reached = reached.iter().flat_map(|node| all[node].iter().copied()).chain([*me]).collect();
            }
            assert_eq!(reached.len(), 100, "in four steps");
        }
        let asked_by = |node: &NodeId| all.values().filter(|named| named.contains(node)).count();
        assert!(site.iter().all(|node| (8..=24).contains(&asked_by(node))));
        let two = Locality::new(site[0], &site[..2], BLOB, 1);
        assert!(!two.is_large() && Locality::new(site[0], &site, BLOB, 1).is_large());
        assert_eq!(two.to_begin_with(site[0], 8), [site[1]]);
    }

    #[test]
    fn who_is_alone_waits_for_nobody() {
        let me = PublicKey([1; 32]);
        let view = Locality::new(me, &[me], BLOB, 3);
        assert!(view.is_alone() && (0..4).all(|piece| view.allows(Time(0), piece, false)));
    }
}
