//! The address book: where nodes were last said to be, and when to try them again.
//!
//! A pure table: the caller brings the time and the random numbers. Its one door for the swarm's task is
//! [`AddressBook::due`]. Deliberately absent: who may be dialled (the gate) and who is linked (the
//! connection table); a wrong address costs a dial that the key check ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use groundswell_protocol::identity::NodeId;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::identity::node_of;
use super::settings::{ADDRESSES_MAX, transport_of};

/// Nodes whose addresses are kept. Beyond it a new node displaces another.
pub(super) const NODES_MAX: usize = 16_384;
/// Longest address, bytes in its binary form; a DNS name has at most 253.
const ADDRESS_BYTES_MAX: usize = 320;
/// Wait after a first failure; a fleet of agents starts at once and in any order.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest wait between two tries.
const RETRY_LAST: Duration = Duration::from_secs(30);
/// Longest wait while this node has no link at all.
const RETRY_LONELY: Duration = Duration::from_secs(5);
/// Head start of the node with the smaller key when two could call each other at the same time.
const GIVE_WAY: Duration = Duration::from_millis(250);

/// Who said where a node is. A lower one never replaces what a higher one said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Another peer, unsigned. Goes no further than this node.
    Hint,
    /// The node itself, on a connection with its key.
    Itself,
    /// Its signed beacon.
    Beacon,
}

struct Entry {
    /// From the configuration: never forgotten.
    fixed: Vec<Multiaddr>,
    /// What `source` said, at most [`ADDRESSES_MAX`].
    learned: Vec<Multiaddr>,
    source: Source,
    failures: u32,
    due: Instant,
}

/// Addresses of nodes and the state of their dials.
pub(super) struct AddressBook {
    own: NodeId,
    entries: BTreeMap<NodeId, Entry>,
}

impl AddressBook {
    pub(super) fn new(own: NodeId) -> Self {
        Self { own, entries: BTreeMap::new() }
    }

    /// Adds an address from the configuration, without its `/p2p` part.
    pub(super) fn add_bootstrap(&mut self, node: NodeId, address: Multiaddr, now: Instant) {
        if node == self.own {
            return;
        }
        let due = now + self.head_start(&node);
        self.entry(node, due).fixed.push(address);
    }

    /// Takes what `source` says of a node, in place of what the same or a lower source said; only a beacon
    /// adds to the configuration. Unusable addresses are left out; an empty list changes nothing. A new
    /// address is tried without waiting for the end of the backoff, unless it is one more hint.
    pub(super) fn learn(
        &mut self,
        node: NodeId,
        addresses: impl Iterator<Item = Multiaddr>,
        source: Source,
        now: Instant,
    ) {
        let mut usable: Vec<_> =
            addresses.filter_map(|address| usable(&node, address)).take(ADDRESSES_MAX).collect();
        usable.sort_by_key(transport_of);
        usable.dedup();
        if node == self.own || usable.is_empty() || !self.takes(&node, source) {
            return;
        }
        if !self.entries.contains_key(&node) && self.entries.len() >= NODES_MAX {
            self.displace_neighbour(&node);
        }
        let due = now + self.head_start(&node);
        let entry = self.entry(node, due);
        let begin_again = entry.learned.is_empty() || source > Source::Hint;
        entry.source = source;
        if entry.learned != usable {
            entry.learned = usable;
            if begin_again {
                entry.failures = 0;
                entry.due = due;
            }
        }
    }

    fn takes(&self, node: &NodeId, source: Source) -> bool {
        match (self.entries.get(node), source) {
            (_, Source::Beacon) => true,
            // Hints displace nobody.
            (None, Source::Hint) => self.entries.len() < NODES_MAX,
            (None, Source::Itself) => true,
            (Some(entry), _) if !entry.fixed.is_empty() => false,
            // A liar can be corrected, but a hint that has not been tried yet gets its chance.
            (Some(entry), Source::Hint) => entry.source == Source::Hint && entry.failures > 0,
            (Some(entry), Source::Itself) => entry.source <= Source::Itself,
        }
    }

    /// Drops what was learned about nodes that are no longer welcome.
    pub(super) fn keep_only(&mut self, welcome: impl Fn(&NodeId) -> bool) {
        self.entries.retain(|node, entry| {
            let keep = welcome(node);
            if !keep {
                entry.learned.clear();
                entry.source = Source::Hint;
            }
            keep || !entry.fixed.is_empty()
        });
    }

    /// Forgets past failures: what refused this node before may take it now.
    pub(super) fn retry_all(&mut self, now: Instant) {
        let own = self.own;
        for (node, entry) in &mut self.entries {
            if entry.failures > 0 {
                entry.failures = 0;
                entry.due = entry.due.min(now + head_start(&own, node));
            }
        }
    }

    /// Where to dial a node: learned addresses first, they are fresher. Empty when none is known.
    pub(super) fn addresses(&self, node: &NodeId) -> Vec<Multiaddr> {
        let Some(entry) = self.entries.get(node) else { return Vec::new() };
        let mut all = entry.learned.clone();
        all.extend(entry.fixed.iter().filter(|address| !entry.learned.contains(address)).cloned());
        all
    }

    /// Nodes whose addresses may be passed on: from the configuration, or said by the nodes themselves.
    pub(super) fn vouched(&self) -> impl Iterator<Item = &NodeId> {
        self.entries
            .iter()
            .filter(|(_, entry)| !entry.fixed.is_empty() || entry.source > Source::Hint)
            .map(|(node, _)| node)
    }

    /// A dial begins: the next one is due only after a backoff, whatever comes of this one.
    pub(super) fn dialled(&mut self, node: &NodeId, now: Instant, lonely: bool, random: u64) {
        let own = self.own;
        if let Some(entry) = self.entries.get_mut(node) {
            entry.due = now + backoff(entry.failures, lonely, random) + head_start(&own, node);
            entry.failures = entry.failures.saturating_add(1);
        }
    }

    /// A link that lasted has ended: begin again with short waits.
    pub(super) fn lost(&mut self, node: &NodeId, now: Instant, random: u64) {
        let own = self.own;
        if let Some(entry) = self.entries.get_mut(node) {
            entry.failures = 0;
            entry.due = now + backoff(0, false, random) + head_start(&own, node);
        }
    }

    /// Up to `limit` nodes that `wanted` names and whose time has come, and when the next one's comes.
    /// `random` says where to begin, so that the nodes of a large fleet do not all choose the same ones.
    pub(super) fn due(
        &self,
        now: Instant,
        limit: usize,
        random: u64,
        wanted: impl Fn(&NodeId) -> bool,
    ) -> (Vec<NodeId>, Option<Instant>) {
        let mut start = self.own;
        start.0[..8].copy_from_slice(&random.to_be_bytes());
        let around = self.entries.range(start..).chain(self.entries.range(..start));
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        for (node, entry) in around.filter(|(node, _)| wanted(node)) {
            if entry.due > now {
                next = Some(next.map_or(entry.due, |next| next.min(entry.due)));
            } else if due.len() < limit {
                due.push(*node);
            }
        }
        (due, next)
    }

    /// Whether a node that both may have just heard of is left to call first.
    pub(super) fn gives_way(&self, node: &NodeId, now: Instant) -> bool {
        let waits = |entry: &Entry| entry.failures == 0 && now < entry.due && entry.due <= now + GIVE_WAY;
        self.own > *node && self.entries.get(node).is_some_and(waits)
    }

    fn head_start(&self, node: &NodeId) -> Duration {
        head_start(&self.own, node)
    }

    fn entry(&mut self, node: NodeId, due: Instant) -> &mut Entry {
        self.entries.entry(node).or_insert_with(|| Entry {
            fixed: Vec::new(),
            learned: Vec::new(),
            source: Source::Hint,
            failures: 0,
            due,
        })
    }

    /// Makes room by forgetting the next node in key order that no configuration names. Keys are
    /// random, so nobody can choose who is forgotten.
    fn displace_neighbour(&mut self, node: &NodeId) {
        let neighbour = self
            .entries
            .range(node..)
            .chain(self.entries.range(..node))
            .find(|(_, entry)| entry.fixed.is_empty())
            .map(|(neighbour, _)| *neighbour);
        if let Some(neighbour) = neighbour {
            self.entries.remove(&neighbour);
        }
    }
}

fn head_start(own: &NodeId, node: &NodeId) -> Duration {
    if own < node { Duration::ZERO } else { GIVE_WAY }
}

/// Doubles from [`RETRY_FIRST`], between three and five quarters of that, so that many do not come at once.
fn backoff(failures: u32, lonely: bool, random: u64) -> Duration {
    let longest = if lonely { RETRY_LONELY } else { RETRY_LAST };
    let whole = RETRY_FIRST.saturating_mul(1 << failures.min(16)).min(longest);
    let percent = 75 + u32::try_from(random % 51).unwrap_or(0);
    whole * percent / 100
}

/// A dialable address without its `/p2p` part, if it names no other node.
fn usable(node: &NodeId, mut address: Multiaddr) -> Option<Multiaddr> {
    if address.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    if let Some(Protocol::P2p(peer)) = address.iter().last() {
        if node_of(&peer)? != *node {
            return None;
        }
        address.pop();
    }
    let unspecified = match address.iter().next()? {
        Protocol::Ip4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        Protocol::Ip6(ip) => ip.is_unspecified() || ip.is_multicast(),
        _ => false,
    };
    let port = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    });
    (!unspecified && port != Some(0) && transport_of(&address).is_some()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::identity::PublicKey;
    use proptest::prelude::*;

    fn node(byte: u8) -> NodeId {
        PublicKey([byte; 32])
    }

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn quic(port: u16) -> Multiaddr {
        address(&format!("/ip4/10.0.0.1/udp/{port}/quic-v1"))
    }

    #[test]
    fn the_larger_key_leaves_the_first_call_to_the_smaller_and_then_calls_itself() {
        let (small, large, now) = (node(2), node(7), Instant::now());
        for (own, other, waits) in [(large, small, true), (small, large, false)] {
            let mut book = AddressBook::new(own);
            assert!(!book.gives_way(&other, now), "nothing is known of it");
            book.learn(other, std::iter::once(quic(1)), Source::Beacon, now);
            assert_eq!(book.gives_way(&other, now), waits);
            assert!(!book.gives_way(&other, now + GIVE_WAY));
            book.dialled(&other, now, false, 0);
            assert!(!book.gives_way(&other, now), "it did not call");
        }
    }

    #[test]
    fn hostile_addresses_are_left_out() {
        let other = super::super::identity::peer_of(node(9));
        let now = Instant::now();
        let mut book = AddressBook::new(node(1));
        let hostile = [
            "/ip4/0.0.0.0/udp/1/quic-v1".to_owned(),
            "/ip4/10.0.0.1/udp/0/quic-v1".to_owned(),
            "/ip4/224.0.0.1/tcp/1".to_owned(),
            "/memory/7".to_owned(),
            format!("/ip4/10.0.0.1/tcp/1/p2p/{other}"),
            format!("/dns/{}/tcp/1", "a".repeat(400)),
        ];
        book.learn(node(2), hostile.iter().map(|text| address(text)), Source::Beacon, now);
        assert!(book.addresses(&node(2)).is_empty());
        book.learn(node(1), std::iter::once(quic(1)), Source::Beacon, now);
        assert!(book.addresses(&node(1)).is_empty(), "this node does not dial itself");
    }

    #[test]
    fn addresses_per_node_are_bounded_and_quic_comes_first() {
        let mut book = AddressBook::new(node(1));
        let many = [address("/ip4/10.0.0.1/tcp/1")].into_iter().chain((1..100).map(quic));
        book.learn(node(2), many, Source::Beacon, Instant::now());
        let kept = book.addresses(&node(2));
        assert_eq!(kept.len(), ADDRESSES_MAX);
        assert_eq!(kept[0], quic(1));
        assert_eq!(kept[ADDRESSES_MAX - 1], address("/ip4/10.0.0.1/tcp/1"));
    }

    #[test]
    fn nodes_are_bounded_and_bootstrap_peers_stay() {
        let now = Instant::now();
        let mut book = AddressBook::new(node(1));
        book.add_bootstrap(node(2), quic(1), now);
        for number in 0..=u32::try_from(NODES_MAX).unwrap() {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_le_bytes());
            book.learn(PublicKey(key), std::iter::once(quic(2)), Source::Beacon, now);
        }
        assert_eq!(book.entries.len(), NODES_MAX);
        assert_eq!(book.addresses(&node(2)), [quic(1)]);
    }

    #[test]
    fn a_new_address_is_tried_at_once_and_a_repeated_one_changes_nothing() {
        let now = Instant::now();
        let mut book = AddressBook::new(node(1));
        book.learn(node(2), std::iter::once(quic(1)), Source::Beacon, now);
        for _ in 0..10 {
            book.dialled(&node(2), now, false, 0);
        }
        let soon = now + Duration::from_secs(1);
        book.learn(node(2), std::iter::once(quic(1)), Source::Beacon, soon);
        assert!(book.due(soon, 9, 0, |_| true).0.is_empty());
        book.learn(node(2), std::iter::once(quic(2)), Source::Beacon, soon);
        assert_eq!(book.due(soon, 9, 0, |_| true).0, [node(2)]);
    }

    #[test]
    fn the_larger_key_gives_way() {
        let now = Instant::now();
        let mut book = AddressBook::new(node(5));
        book.learn(node(2), std::iter::once(quic(1)), Source::Beacon, now);
        book.learn(node(7), std::iter::once(quic(1)), Source::Beacon, now);
        let (due, next) = book.due(now, 9, 0, |_| true);
        assert_eq!((due, next), (vec![node(7)], Some(now + GIVE_WAY)));
    }

    fn said(book: &mut AddressBook, about: u8, port: u16, source: Source) -> Vec<Multiaddr> {
        book.learn(node(about), std::iter::once(quic(port)), source, Instant::now());
        book.addresses(&node(about))
    }

    #[test]
    fn a_hint_never_replaces_what_is_configured_or_what_the_node_said() {
        let mut book = AddressBook::new(node(1));
        book.add_bootstrap(node(2), quic(1), Instant::now());
        assert_eq!(said(&mut book, 2, 9, Source::Hint), [quic(1)]);
        for source in [Source::Hint, Source::Itself, Source::Beacon] {
            assert_eq!(said(&mut book, 3, 5, source), [quic(5)], "each replaces a hint");
        }
        assert_eq!(said(&mut book, 3, 9, Source::Hint), [quic(5)]);
        assert_eq!(said(&mut book, 3, 9, Source::Itself), [quic(5)]);
        assert_eq!(said(&mut book, 3, 6, Source::Beacon), [quic(6)]);
        assert_eq!(said(&mut book, 4, 7, Source::Itself), [quic(7)]);
        assert_eq!(said(&mut book, 4, 9, Source::Hint), [quic(7)]);
    }

    #[test]
    fn a_hint_is_corrected_by_another_only_after_it_was_tried_and_keeps_its_backoff() {
        let now = Instant::now();
        let mut book = AddressBook::new(node(1));
        assert_eq!(said(&mut book, 3, 5, Source::Hint), [quic(5)]);
        assert_eq!(said(&mut book, 3, 6, Source::Hint), [quic(5)]);
        book.dialled(&node(3), now, false, 0);
        assert_eq!(said(&mut book, 3, 6, Source::Hint), [quic(6)]);
        assert!(book.due(now, 9, 0, |_| true).0.is_empty());
    }

    #[test]
    fn hints_are_not_passed_on_and_displace_nobody() {
        let mut book = AddressBook::new(node(1));
        book.add_bootstrap(node(2), quic(1), Instant::now());
        said(&mut book, 3, 1, Source::Hint);
        said(&mut book, 4, 1, Source::Itself);
        said(&mut book, 5, 1, Source::Beacon);
        assert_eq!(book.vouched().copied().collect::<Vec<_>>(), [node(2), node(4), node(5)]);
        for number in 0..u32::try_from(NODES_MAX).unwrap() {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_le_bytes());
            book.learn(PublicKey(key), std::iter::once(quic(2)), Source::Beacon, Instant::now());
        }
        let before: Vec<_> = book.entries.keys().copied().collect();
        said(&mut book, 200, 1, Source::Hint);
        assert!(book.entries.keys().eq(&before));
    }

    #[test]
    fn strangers_are_forgotten_but_the_configuration_is_not() {
        let now = Instant::now();
        let mut book = AddressBook::new(node(1));
        book.add_bootstrap(node(2), quic(1), now);
        book.learn(node(2), std::iter::once(quic(2)), Source::Beacon, now);
        book.learn(node(3), std::iter::once(quic(3)), Source::Beacon, now);
        book.keep_only(|_| false);
        assert_eq!(book.addresses(&node(2)), [quic(1)]);
        assert!(book.addresses(&node(3)).is_empty());
    }

    proptest! {
        #[test]
        fn waits_grow_and_stay_within_their_bounds(failures: u32, random: u64) {
            let wait = backoff(failures, false, random);
            prop_assert!(wait >= RETRY_FIRST * 3 / 4 && wait <= RETRY_LAST * 5 / 4);
            prop_assert!(backoff(failures, true, random) <= RETRY_LONELY * 5 / 4);
            prop_assert!(backoff(0, false, random) <= Duration::from_millis(300));
        }

        #[test]
        fn no_more_than_the_limit_are_due(limit in 0usize..5, random: u64) {
            let now = Instant::now();
            let mut book = AddressBook::new(node(0));
            for byte in 1..20 {
                book.learn(node(byte), std::iter::once(quic(1)), Source::Beacon, now);
            }
            prop_assert_eq!(book.due(now, limit, random, |_| true).0.len(), limit);
        }
    }
}
