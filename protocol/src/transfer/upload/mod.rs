//! Whom to serve, with what, and when: a holder's side of a swarm.
//!
//! A holder that has promised a piece to enough peers refers later askers to those, so the first holder
//! sends about one copy however many ask in the same millisecond; the copies multiply further out. An
//! asker comes back with the names it tried in vain and is then served, so no referral can starve it.
//! Waiting requests are served one a peer in turn, under an optional cap.
//!
//! One door: [`Upload::request`] judges, [`Upload::next`] picks. Bytes, verification and sending are the
//! driver's.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::allowance::Allowance;
use super::egress::{Egress, Purse};
use super::flight::Flight;
use super::groups::Share;
use super::spread::{Haste, Spread};
use super::wire::PEERS_NAMED_MAX;
use crate::digest::Digest;
use crate::identity::NodeId;
use crate::time::{Span, Time};

/// Copies of a piece that a holder hands out before it refers, when it held the whole blob from the
/// start: one, since what it sends is what a publisher pays.
pub const COPIES_FROM_ORIGIN: usize = 1;

/// Blobs up to this size are given to many at once while the line carries it: for them what counts is the time of a
/// referral, not what a copy costs.
pub const SMALL_BYTES_MAX: u64 = 256 * 1024;

/// The same for a holder that fetched the blob itself a moment ago, when its line is busy: the tree of copies grows threefold
/// a step, so 11 receivers are three steps away.
pub const COPIES_FROM_RELAY: usize = 3;

/// How long a promise of a piece is remembered: longer than a fleet's staging of one release takes to
/// start everywhere.
pub const GRANT_MEMORY: Span = Span::seconds(600);

/// Pieces whose receivers are remembered, at most; the oldest are forgotten and may be copied again.
pub const GRANTS_MAX: usize = 16_384;

/// Requests of one peer that wait, at most; an honest asker has fewer under way.
pub const WAITING_PER_PEER_MAX: usize = 32;

/// Peers with requests, at most.
pub const ASKERS_MAX: usize = 256;

/// Pieces handed to the driver and not yet sent, for one peer.
pub const SENDING_PER_PEER_MAX: usize = 2;

/// The same for all peers: 2 MiB of memory.
pub const SENDING_MAX: usize = 32;

/// How a holder came by a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It had the blob whole before this run's swarm: a publisher, or a node that updated long ago.
    Origin,
    /// It fetches the blob now or did so in this run.
    Relay,
}

/// A piece of a blob.
pub type PieceName = (Digest, u32);

/// What an asker wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The piece.
    pub piece: PieceName,
    /// The size of its blob.
    pub of: u64,
    /// What of it.
    pub share: Share,
    /// The share's length, as counted against the cap.
    pub bytes: u32,
    /// Peers that the asker tried in vain.
    pub tried: &'a [NodeId],
    /// The asker will not be referred any more.
    pub insist: bool,
    /// How we came by the blob.
    pub standing: Standing,
}

/// What to answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing now: the piece comes when it is its turn.
    Wait,
    /// These have it or are about to: 1 to [`PEERS_NAMED_MAX`].
    Refer(Vec<NodeId>),
    /// Too much is waiting.
    Busy,
}

/// The next piece to read and send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serve {
    /// To whom.
    pub peer: NodeId,
    /// What.
    pub piece: PieceName,
    /// What of it.
    pub share: Share,
    /// Each group is a message of its own, so that the asker can pass on the first before the last has come.
    pub apart: bool,
}

/// A request that was granted.
#[derive(Clone, Copy)]
struct Granted {
    piece: PieceName,
    share: Share,
    bytes: u32,
}

#[derive(Default)]
struct Asker {
    waiting: VecDeque<Granted>,
    sending: Vec<Granted>,
}

impl Asker {
    fn has(&self, piece: PieceName) -> bool {
        self.sending.iter().chain(&self.waiting).any(|other| other.piece == piece)
    }
}

/// The serving side of all blobs.
pub struct Upload {
    /// What may be sent of which release.
    pub egress: Egress,
    /// Members of this node's site: a relay refers them to each other alone, or a piece that came into the site
    /// would be looked for outside.
    site: BTreeSet<NodeId>,
    allowance: Option<Allowance>,
    askers: BTreeMap<NodeId, Asker>,
    /// Askers with something waiting, in turn.
    turns: VecDeque<NodeId>,
    sending: usize,
    spread: Spread,
    flight: Flight,
    /// When something that waits may leave although nothing was heard.
    waits: Option<Time>,
    grants: BTreeMap<PieceName, Vec<NodeId>>,
    grant_order: VecDeque<(Time, PieceName)>,
}

impl Upload {
    /// With a cap on payload bytes, or none.
    pub fn new(allowance: Option<Allowance>) -> Self {
        Self {
            egress: Egress::default(),
            site: BTreeSet::new(),
            allowance,
            askers: BTreeMap::new(),
            turns: VecDeque::new(),
            sending: 0,
            spread: Spread::default(),
            flight: Flight::default(),
            waits: None,
            grants: BTreeMap::new(),
            grant_order: VecDeque::new(),
        }
    }

    /// Says who is of this node's site.
    pub fn set_site(&mut self, site: &[NodeId]) {
        self.site = site.iter().copied().collect();
    }

    /// Changes the cap on payload bytes, or takes it away.
    pub fn set_rate(&mut self, now: Time, bytes_per_second: Option<u64>) {
        match (&mut self.allowance, bytes_per_second) {
            (Some(allowance), Some(rate)) => allowance.set_rate(now, rate),
            (allowance, rate) => *allowance = rate.map(|rate| Allowance::new(rate, now)),
        }
    }

    /// Judges a request for a piece that we hold.
    pub fn request(&mut self, now: Time, peer: NodeId, wanted: Wanted<'_>) -> Verdict {
        self.forget_old_grants(now);
        if self.askers.get(&peer).is_some_and(|asker| asker.has(wanted.piece)) {
            return Verdict::Wait;
        }
        let spent = self.egress.judge(wanted.piece, wanted.bytes) == Purse::Spent;
        let has_room = self.allowance.as_mut().is_none_or(|cap| cap.is_open(now));
        let is_small = wanted.of <= SMALL_BYTES_MAX && has_room && !spent;
        let is_small = is_small && wanted.standing == Standing::Origin;
        let haste = if is_small { self.spread.haste(now, wanted.piece) } else { Haste::None };
        if haste == Haste::Soon && !wanted.insist {
            return Verdict::Busy;
        }
        // A relay gives to whom it can at once: others who were given the piece are as busy as it is.
        let is_relay = wanted.standing == Standing::Relay;
        let gives = is_relay && !spent && self.flight.has_room(now, self.waiting());
        if !wanted.share.completes && !gives {
            // More of it comes: then whoever asks may be given all of it, or be told whom to ask.
            return Verdict::Busy;
        }
        if haste != Haste::Now
            && !gives
            && let Some(peers) = self.referral(peer, &wanted, spent)
        {
            if spent {
                self.egress.referred(&wanted.piece.0);
            }
            return Verdict::Refer(peers);
        }
        if spent
            && (self.is_on_its_way(peer, wanted.piece) || !self.egress.is_stranded(now, wanted.piece, peer))
        {
            return Verdict::Busy;
        }
        let is_origin = wanted.standing == Standing::Origin;
        if is_origin && haste != Haste::Now && !wanted.insist && !self.spread.may_have(now, peer) {
            return Verdict::Busy;
        }
        if !self.askers.contains_key(&peer) && self.askers.len() >= ASKERS_MAX {
            return Verdict::Busy;
        }
        let asker = self.askers.entry(peer).or_default();
        if asker.waiting.len() >= WAITING_PER_PEER_MAX {
            return Verdict::Busy;
        }
        if asker.waiting.is_empty() {
            self.turns.push_back(peer);
        }
        let Wanted { piece, share, bytes, .. } = wanted;
        asker.waiting.push_back(Granted { piece, share, bytes });
        self.egress.charge(wanted.piece, wanted.bytes);
        self.grant(now, peer, wanted.piece);
        if haste == Haste::Now {
            self.flight.hurries(wanted.piece.0);
            self.spread.given_in_haste(now, peer, wanted.piece);
        } else if is_origin {
            self.spread.given(now, peer, wanted.piece);
        }
        Verdict::Wait
    }

    /// The next piece to send at `now`, if the cap and what is under way allow one. The driver reports
    /// each with [`Upload::sent`] when it has left or failed.
    pub fn next(&mut self, now: Time) -> Option<Serve> {
        self.waits = None;
        if self.sending >= SENDING_MAX || !self.allowance.as_mut().is_none_or(|cap| cap.is_open(now)) {
            return None;
        }
        let (flight, mut waits) = (&self.flight, None::<Time>);
        let turn = self.turns.iter().position(|peer| {
            let Some(first) = self.free_asker(peer).and_then(|asker| asker.waiting.front()) else {
                return false;
            };
            let until = flight.waits(now, first.piece.0);
            waits = waits.into_iter().chain(until).min();
            until.is_none()
        });
        self.waits = waits.filter(|_| turn.is_none());
        let turn = turn?;
        let peer = self.turns.remove(turn)?;
        let asker = self.askers.get_mut(&peer)?;
        let granted = asker.waiting.pop_front()?;
        let Granted { piece, share, .. } = granted;
        asker.sending.push(granted);
        if !asker.waiting.is_empty() {
            self.turns.push_back(peer);
        }
        self.sending += 1;
        if let Some(cap) = &mut self.allowance {
            cap.spend(now, u64::from(granted.bytes));
        }
        let apart = !share.completes || share.groups.count() > 1 && self.flight.is_slow();
        if share.completes {
            // Of others nobody says that they came.
            self.flight.left(now, peer, piece);
        }
        Some(Serve { peer, piece, share, apart })
    }

    /// The requests of a peer to which one piece more may leave.
    fn free_asker(&self, peer: &NodeId) -> Option<&Asker> {
        self.askers.get(peer).filter(|asker| asker.sending.len() < SENDING_PER_PEER_MAX)
    }

    /// A piece has left for its peer, or could not be read (`delivered` false: others are not referred
    /// to that peer for it).
    pub fn sent(&mut self, serve: Serve, delivered: bool) {
        let Some(asker) = self.askers.get_mut(&serve.peer) else { return };
        let Some(at) = asker.sending.iter().position(|granted| granted.piece == serve.piece) else {
            return;
        };
        let Granted { bytes, .. } = asker.sending.swap_remove(at);
        self.sending -= 1;
        if asker.sending.is_empty() && asker.waiting.is_empty() {
            self.askers.remove(&serve.peer);
        }
        if delivered {
            self.egress.received(&serve.piece.0, serve.peer);
        } else {
            self.flight.forget(serve.peer, |piece| piece == serve.piece);
            self.revoke(serve.peer, serve.piece, bytes, false);
        }
    }

    /// The peer says which pieces of `blob` came to it, from anybody.
    pub fn has(&mut self, now: Time, peer: NodeId, blob: Digest, pieces: &[u32]) {
        for piece in pieces {
            self.spread.has(now, peer, (blob, *piece));
            self.flight.came(now, peer, (blob, *piece));
        }
    }

    /// The peer no longer needs `piece`, if it still waits for it.
    pub fn cancel(&mut self, peer: NodeId, piece: PieceName) {
        self.drop_waiting(peer, |waiting| waiting == piece);
    }

    /// The peer no longer needs anything of `blob`.
    pub fn forget(&mut self, peer: NodeId, blob: Digest) {
        self.drop_waiting(peer, |(waiting, _)| waiting == blob);
        self.flight.forget(peer, |(left, _)| left == blob);
    }

    /// The peer is gone; what it was promised and did not get is free for others.
    pub fn lost(&mut self, peer: NodeId) {
        self.drop_waiting(peer, |_| true);
        if let Some(asker) = self.askers.remove(&peer) {
            self.sending -= asker.sending.len();
            for Granted { piece, bytes, .. } in asker.sending {
                self.revoke(peer, piece, bytes, true);
            }
        }
        self.egress.lost(peer);
        self.spread.lost(peer);
        self.flight.forget(peer, |_| true);
    }

    /// When [`Upload::next`] may have something again because of time alone: not while all who wait have enough under way.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.sending >= SENDING_MAX || !self.turns.iter().any(|peer| self.free_asker(peer).is_some()) {
            return None;
        }
        self.allowance.iter().map(Allowance::opens_at).chain(self.waits).max()
    }

    /// Requests that wait, of all peers.
    pub fn waiting(&self) -> usize {
        self.askers.values().map(|asker| asker.waiting.len()).sum()
    }

    /// Those to ask instead: promised the piece, not the asker, not tried by it. None if it should be
    /// served: it insists, was promised the piece itself, or too few copies went out. When the budget of
    /// its release is spent, only having tried everybody counts.
    fn referral(&self, peer: NodeId, wanted: &Wanted<'_>, spent: bool) -> Option<Vec<NodeId>> {
        if spent {
            return self.referral_for_all(peer, wanted);
        }
        let granted = self.grants.get(&wanted.piece)?;
        let copies = match wanted.standing {
            Standing::Origin => COPIES_FROM_ORIGIN,
            Standing::Relay => COPIES_FROM_RELAY,
        };
        let inside = wanted.standing == Standing::Relay && self.site.contains(&peer);
        let counts = |other: &&NodeId| !inside || self.site.contains(*other);
        let enough = granted.iter().filter(counts).count() >= copies;
        if wanted.insist || !enough || granted.contains(&peer) {
            return None;
        }
        let newest_first = granted.iter().rev().filter(counts).filter(|other| !wanted.tried.contains(other));
        let peers: Vec<NodeId> = newest_first.copied().take(PEERS_NAMED_MAX).collect();
        (!peers.is_empty()).then_some(peers)
    }

    /// Those promised the piece, or some of its blob if nobody remembers, whom the asker has not tried.
    fn referral_for_all(&self, peer: NodeId, wanted: &Wanted<'_>) -> Option<Vec<NodeId>> {
        let granted = self.grants.get(&wanted.piece).into_iter().flatten().rev().copied();
        let mut peers: Vec<NodeId> = granted.filter(|granted| *granted != peer).collect();
        if peers.is_empty() {
            peers = self.egress.receivers(&wanted.piece.0, peer).collect();
        }
        peers.retain(|other| !wanted.tried.contains(other));
        peers.truncate(PEERS_NAMED_MAX);
        (!wanted.insist && !peers.is_empty()).then_some(peers)
    }

    /// Whether another peer waits for this piece here: the copy that others are to have it from.
    fn is_on_its_way(&self, peer: NodeId, piece: PieceName) -> bool {
        let others = self.grants.get(&piece).into_iter().flatten().filter(|other| **other != peer);
        others.filter_map(|other| self.askers.get(other)).any(|asker| asker.has(piece))
    }

    fn grant(&mut self, now: Time, peer: NodeId, piece: PieceName) {
        let granted = self.grants.entry(piece).or_default();
        if granted.is_empty() {
            self.grant_order.push_back((now, piece));
        }
        granted.retain(|other| *other != peer);
        granted.push(peer);
        if granted.len() > PEERS_NAMED_MAX {
            granted.remove(0);
        }
        while self.grant_order.len() > GRANTS_MAX {
            self.forget_oldest_grant();
        }
    }

    /// Takes a promise back. `unknown` if some of the piece may have left all the same.
    fn revoke(&mut self, peer: NodeId, piece: PieceName, bytes: u32, unknown: bool) {
        self.spread.forget(piece);
        if let Some(granted) = self.grants.get_mut(&piece) {
            granted.retain(|other| *other != peer);
            if granted.is_empty() {
                // Its place in `grant_order` must go too, or a piece granted and revoked again and again
                // would fill the order with itself.
                self.grants.remove(&piece);
                self.grant_order.retain(|(_, other)| *other != piece);
            }
        }
        self.egress.refund(piece, bytes, unknown, self.grants.contains_key(&piece));
    }

    fn forget_old_grants(&mut self, now: Time) {
        while self.grant_order.front().is_some_and(|(at, _)| now.since(*at) > GRANT_MEMORY) {
            self.forget_oldest_grant();
        }
    }

    fn forget_oldest_grant(&mut self) {
        if let Some((_, piece)) = self.grant_order.pop_front() {
            self.grants.remove(&piece);
            self.spread.forget(piece);
        }
    }

    fn drop_waiting(&mut self, peer: NodeId, unwanted: impl Fn(PieceName) -> bool) {
        let Some(asker) = self.askers.get_mut(&peer) else { return };
        let (dropped, kept) = asker.waiting.drain(..).partition(|granted| unwanted(granted.piece));
        asker.waiting = kept;
        let dropped: VecDeque<Granted> = dropped;
        if asker.waiting.is_empty() {
            self.turns.retain(|turn| *turn != peer);
            if asker.sending.is_empty() {
                self.askers.remove(&peer);
            }
        }
        for Granted { piece, bytes, .. } in dropped {
            self.revoke(peer, piece, bytes, false);
        }
    }
}
