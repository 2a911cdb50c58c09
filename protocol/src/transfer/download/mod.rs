//! The fetching of one blob from whoever has it: rarest piece first, each verified before it is kept.
//!
//! One door: [`Download::handle`] takes an [`Event`] and pushes [`Action`]s; one clock:
//! [`Download::next_deadline`]. It completes as long as one holder of every piece lives and answers: peers
//! that fall silent are asked again with growing pauses for ever, referrals are followed and, when they
//! lead nowhere, answered with the names that were tried.
//!
//! A peer that serves a piece or an outline that does not verify is named and never asked again.
//! Deliberately absent: streams, files, and the giving up, which is the driver's to decide.

mod arrival;
mod door;
mod late;
#[cfg(test)]
mod model;
mod nearness;
mod peer;
mod reach;
mod site;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod swarm;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::groups::{Begun, Parts};
use super::intake::Intake;
use super::locality::Locality;
use super::outline::{Outline, piece_count, piece_range};
use super::pieces::PieceSet;
use super::round_trip::Usual;
use super::turns::Turns;
use super::wire::{Answer, Ask, OUTLINE_PAGE_VALUES};
use crate::digest::Digest;
use crate::identity::NodeId;
use crate::time::{Span, Time};
use arrival::Group;
pub use door::{Action, Event};
pub use late::ENDGAME_PIECES_MAX;
use peer::{Peer, Standing};
use reach::Whom;

/// Peers of one download, at most.
pub const PEERS_MAX: usize = 64;
/// Those among them that were named by other peers, at most, so that they cannot crowd out the caller's.
/// Each peer more must be told of every piece that comes, and in a fleet of hundreds everybody is full of peers: with 48
/// such news are 5 % of all that is sent, with 16 they are 4 %, and nobody is done later.
pub const REFERRED_MAX: usize = 16;
/// The same where the caller named many, in any case;
const REFERRED_MIN: usize = 4;
/// that is for downloads with at least so many peers in all.
const ENOUGH_PEERS: usize = 28;
/// Requests under way at one peer: 512 KiB, which fills 10 MB/s at a round trip of 50 ms.
pub const REQUESTS_PER_PEER: usize = 8;
/// Pieces of one holder that wait on a referral, at most; beyond, it is asked for nothing new.
pub const REFUSALS_MAX: usize = 512;
/// Candidates looked at for one choice; the start is random, so large blobs are sampled.
const CANDIDATES_MAX: usize = 1024;
/// Peers that are remembered as having served bad bytes.
const BANNED_MAX: usize = 64;
/// How long a peer that says it is busy is left alone.
pub(super) const BUSY_PAUSE: Span = Span::milliseconds(500);
/// When a peer without the blob is asked again; it would tell by itself if it gained a piece.
const ABSENT_PAUSE: Span = Span::seconds(15);
/// How often referrals and late requests are looked at while there are any.
const TICK: Span = Span::milliseconds(200);

const _: () = assert!(CANDIDATES_MAX > REFUSALS_MAX, "one free candidate is always seen");
const _: () = assert!(REFERRED_MAX < PEERS_MAX);

/// The outline while it comes page by page from one peer.
struct OutlineFetch {
    peer: NodeId,
    pages: BTreeMap<u16, Vec<[u8; 32]>>,
    needed: u16,
}

/// The state of one blob's fetching.
pub struct Download {
    me: NodeId,
    blob: Digest,
    bytes: u64,
    outline: Option<Arc<Outline>>,
    outline_fetch: Option<OutlineFetch>,
    held: PieceSet,
    /// Pieces of which some is here.
    parts: Parts,
    /// Held or asked for.
    taken: PieceSet,
    asked_of: BTreeMap<u32, Vec<NodeId>>,
    availability: Vec<u16>,
    usual: Usual,
    /// Pieces in the order in which they came.
    came: Vec<u32>,
    /// When those who have the blob whole may hear of more of them.
    tell_at: Time,
    /// The least time that an answer took, of all peers.
    nearest: Option<Span>,
    peers: BTreeMap<NodeId, Peer>,
    banned: VecDeque<NodeId>,
    random: u64,
    requests_max: usize,
    locality: Locality,
    /// What came from outside this node's site.
    intake: Intake,
    turns: Turns,
    /// How many peers of the site have each piece.
    inside: Vec<u16>,
    tick: Option<Time>,
    /// When to be woken, as far as was reckoned last: never later than is right.
    deadline: Option<Time>,
    complete: bool,
}

impl Download {
    /// Of a blob of `bytes` of which `held` is here already, with the outline if it is known. `entropy`
    /// breaks ties, so that nodes which start together ask for different pieces.
    pub fn new(
        me: NodeId,
        blob: Digest,
        bytes: u64,
        held: PieceSet,
        outline: Option<Arc<Outline>>,
        entropy: u64,
    ) -> Self {
        let pieces = piece_count(bytes);
        let single = Outline::single(blob, bytes).map(Arc::new);
        Self {
            me,
            blob,
            bytes,
            outline: outline.or(single),
            outline_fetch: None,
            taken: held.clone(),
            held,
            parts: Parts::default(),
            asked_of: BTreeMap::new(),
            availability: vec![0; pieces as usize],
            usual: Usual::default(),
            came: Vec::new(),
            tell_at: Time(0),
            nearest: None,
            peers: BTreeMap::new(),
            banned: VecDeque::new(),
            random: entropy,
            requests_max: PEERS_MAX * REQUESTS_PER_PEER,
            locality: Locality::default(),
            intake: Intake::default(),
            turns: Turns::default(),
            inside: Vec::new(),
            tick: None,
            deadline: None,
            complete: false,
        }
    }

    /// With at most `requests` pieces (at least 1) asked for and not come, of all peers together: for who
    /// can take only so much in, and would else mistake its own slowness for theirs.
    pub fn with_requests_max(mut self, requests: usize) -> Self {
        self.requests_max = requests.max(1);
        self
    }

    /// The blob.
    pub fn blob(&self) -> Digest {
        self.blob
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The pieces that are kept.
    pub fn held(&self) -> &PieceSet {
        &self.held
    }

    /// The outline, once known.
    pub fn outline(&self) -> Option<&Arc<Outline>> {
        self.outline.as_ref()
    }

    /// Bytes of the pieces that are kept.
    pub fn held_bytes(&self) -> u64 {
        let last = self.held.pieces() - 1;
        let missing_of_last = match piece_range(self.bytes, last) {
            Some((_, length)) if self.held.contains(last) => {
                u64::from(super::outline::PIECE_BYTES) - u64::from(length)
            }
            _ => 0,
        };
        u64::from(self.held.held()) * u64::from(super::outline::PIECE_BYTES) - missing_of_last
    }

    /// Peers that have some of the blob and answer.
    pub fn ready_peers(&self) -> usize {
        self.peers.values().filter(|peer| peer.standing == Standing::Ready && peer.pieces.held() > 0).count()
    }

    /// Whether a peer is known to have a piece.
    pub fn knows_to_have(&self, peer: &NodeId, piece: u32) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.pieces.contains(piece))
    }

    /// Everybody known to take part, to be named to others, those that answer first.
    pub fn known_peers(&self) -> Vec<NodeId> {
        let ready = self.peers.iter().filter(|(_, peer)| peer.standing == Standing::Ready);
        ready.map(|(id, _)| *id).collect()
    }

    /// Takes an event and pushes what follows from it.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        if self.complete {
            return;
        }
        if self.is_only_news(now, &event) {
            if let Event::Answered { peer: id, answer: Answer::News { gained, begun, .. } } = event {
                self.told(now, id, &gained, &begun);
                self.say_of_turns(out);
                self.peers.get_mut(&id).into_iter().for_each(|peer| peer.heard(now));
            }
            return;
        }
        self.make_up_for_own_sleep(now);
        let whom = self.concerned(&event);
        match event {
            Event::Found { peer, hinted } => {
                let ask_at = if hinted { now } else { self.named_are_asked_at(now) };
                self.found(peer, hinted, ask_at);
            }
            Event::Answered { peer, answer } => self.answered(now, peer, answer, out),
            Event::Alive { peer } => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.heard(now);
                }
                return;
            }
            Event::Said { peer, ask } => self.said(now, peer, &ask),
            Event::Lost { peer } => {
                self.turns.lost(now, peer);
                self.failed(now, peer);
            }
            Event::Wake => {}
        }
        self.tell_what_came(now, out);
        if self.held.is_full() {
            self.finish(out);
            return;
        }
        self.mind_the_clock(now, out);
        self.turns.expire(now);
        let whom = if self.take_back(now, out) { Whom::All } else { whom };
        self.ask_outline(now, out);
        self.ask_pieces(now, whom, out);
        self.give_unused_back(now);
        self.say_of_turns(out);
        let watching = !self.asked_of.is_empty()
            || self.peers.values().any(|peer| !peer.refusals.is_empty() || peer.rests_until() > now)
            || !self.locality.is_alone() && !self.taken.is_full();
        let rests = self.peers.values().map(Peer::rests_until).filter(|until| *until > now);
        self.tick = watching.then(|| rests.fold(now + TICK, Time::min));
        self.deadline = self.reckon_deadline();
    }

    /// When to call with [`Event::Wake`] at the latest; none when complete or without peers.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| !self.complete)
    }

    fn reckon_deadline(&self) -> Option<Time> {
        let tell = self.peers.values().any(|peer| self.is_to_be_told(peer)).then_some(self.tell_at);
        let silences = self.peers.iter().filter_map(|(id, peer)| peer.silence(self.usual_pause(id)));
        self.peers.values().filter_map(Peer::deadline).chain(silences).chain(self.tick).chain(tell).min()
    }

    /// A peer may have the blob: it is asked at `ask_at`, if it was not yet.
    fn found(&mut self, id: NodeId, hinted: bool, ask_at: Time) {
        if id == self.me || self.banned.contains(&id) {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.hinted |= hinted;
            if !hinted {
                // It asks for the blob, or was named by others.
                self.turns.begins(&id);
            }
            if matches!(peer.standing, Standing::Away(until) if until > ask_at && peer.failures == 0) {
                peer.standing = Standing::Away(ask_at);
            }
            return;
        }
        let referred = self.peers.values().filter(|peer| !peer.hinted).count();
        let full = self.peers.len() >= PEERS_MAX || !hinted && referred >= self.referred_max();
        if full && !self.make_place(hinted) {
            return;
        }
        self.peers.insert(id, Peer::new(hinted, piece_count(self.bytes), ask_at));
    }

    /// Who knows many by itself needs few more.
    fn referred_max(&self) -> usize {
        let hinted = self.peers.values().filter(|peer| peer.hinted).count();
        ENOUGH_PEERS.saturating_sub(hinted).clamp(REFERRED_MIN, REFERRED_MAX)
    }

    /// Lets the peer go that failed most; the caller's only for another of the caller's.
    fn make_place(&mut self, for_hinted: bool) -> bool {
        let away = self.peers.iter().filter(|(_, peer)| {
            matches!(peer.standing, Standing::Away(_)) && peer.failures > 0 && (for_hinted || !peer.hinted)
        });
        let worst = away.max_by_key(|(_, peer)| (!peer.hinted, peer.failures)).map(|(id, _)| *id);
        worst.is_some_and(|id| self.peers.remove(&id).is_some())
    }

    fn answered(&mut self, now: Time, id: NodeId, answer: Answer, out: &mut Vec<Action>) {
        let answer = match answer {
            Answer::Piece { piece, data, .. } => return self.piece_came(now, id, piece, data, out),
            Answer::Group { piece, group, values, data, .. } => {
                return self.group_came(now, id, Group { piece, group, values, data }, out);
            }
            other => other,
        };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if matches!(peer.standing, Standing::Away(_)) {
            return;
        }
        let since = peer.since(&answer);
        if let Some(since) = since {
            self.note_round_trip(now, id, since);
        }
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match answer {
            Answer::Have(have) => match have.pieces().filter(|_| have.bytes == self.bytes) {
                Some(pieces) => {
                    peer.standing = Standing::Ready;
                    self.turns.begins(&id);
                    if pieces.is_full() {
                        peer.whole = true;
                        self.turns.pass_over(&id);
                    }
                    self.set_pieces(now, id, pieces);
                    let ask_at = self.named_are_asked_at(now);
                    have.peers.iter().for_each(|other| self.found(*other, false, ask_at));
                }
                None => self.absent(now, id),
            },
            Answer::NotHere { .. } => self.absent(now, id),
            Answer::Outline { page, values, .. } => self.page_came(now, id, page, values, out),
            Answer::Refer { piece, peers, .. } => self.referred(now, id, piece, peers),
            Answer::Busy { piece, .. } => {
                if peer.busy_until <= now {
                    peer.busy_until = now + peer.busy_pause();
                }
                self.release(now, id, piece);
            }
            Answer::News { gained, begun, .. } => self.told(now, id, &gained, &begun),
            Answer::NoMore { piece, .. } => self.no_more(now, id, piece),
            Answer::Piece { .. } | Answer::Group { .. } => {}
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.heard(now);
        }
    }

    fn page_came(&mut self, now: Time, id: NodeId, page: u16, values: Vec<[u8; 32]>, out: &mut Vec<Action>) {
        let Some(fetch) = self.outline_fetch.as_mut().filter(|fetch| fetch.peer == id) else { return };
        if page >= fetch.needed || fetch.pages.insert(page, values).is_some() {
            return;
        }
        let complete = fetch.pages.len() == usize::from(fetch.needed);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.pages = peer.pages.saturating_sub(1);
            peer.note_owed(now);
        }
        if !complete {
            return;
        }
        let pages = self.outline_fetch.take().map(|fetch| fetch.pages).unwrap_or_default();
        match Outline::checked(self.blob, self.bytes, pages.into_values().flatten().collect()) {
            Ok(outline) => {
                let outline = Arc::new(outline);
                self.outline = Some(outline.clone());
                out.push(Action::Outlined(outline));
            }
            Err(_) => self.ban(now, id, out),
        }
    }

    fn referred(&mut self, now: Time, id: NodeId, piece: u32, peers: Vec<NodeId>) {
        let me = self.me;
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.asked.contains_key(&piece)) else {
            return;
        };
        let others: Vec<NodeId> = peers.into_iter().filter(|other| *other != me && *other != id).collect();
        let refusal = peer.refusals.entry(piece).or_default();
        if !refusal.refer(now, others.clone()) {
            peer.busy_until = now + BUSY_PAUSE;
        }
        self.release(now, id, piece);
        others.into_iter().for_each(|other| self.found(other, false, now));
    }

    fn told(&mut self, now: Time, id: NodeId, gained: &[u32], begun: &[Begun]) {
        begun.iter().for_each(|piece| self.begun(id, *piece));
        gained.iter().for_each(|piece| self.gained(now, id, *piece));
    }

    fn gained(&mut self, now: Time, id: NodeId, piece: u32) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if matches!(peer.standing, Standing::Absent(_)) {
            peer.standing = Standing::Ready;
        }
        peer.begun.remove(&piece);
        if peer.pieces.insert(piece) {
            self.availability[piece as usize] += 1;
            if self.locality.is_near(&id) {
                self.inside[piece as usize] += 1;
                self.turns.is_inside(now, piece);
            }
        }
    }

    fn absent(&mut self, now: Time, id: NodeId) {
        self.turns.is_absent(&id);
        self.let_go(now, id);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.standing = Standing::Absent(now + ABSENT_PAUSE);
        }
    }

    /// The peer is gone or silent: nothing is expected of it until it is asked again.
    fn failed(&mut self, now: Time, id: NodeId) {
        self.let_go(now, id);
        let random = self.next_random();
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.standing = Standing::Away(now + peer.retry_pause(random));
            peer.failures = peer.failures.saturating_add(1);
            peer.silent = false;
            peer.note_owed(now);
        }
    }

    fn ban(&mut self, now: Time, id: NodeId, out: &mut Vec<Action>) {
        self.let_go(now, id);
        self.peers.remove(&id);
        self.banned.push_back(id);
        if self.banned.len() > BANNED_MAX {
            self.banned.pop_front();
        }
        out.push(Action::Send { peer: id, ask: Ask::Forget { blob: self.blob } });
        out.push(Action::Corrupt { peer: id });
    }

    /// Takes back everything asked of a peer, and what it was thought to have.
    fn let_go(&mut self, now: Time, id: NodeId) {
        if self.outline_fetch.as_ref().is_some_and(|fetch| fetch.peer == id) {
            self.outline_fetch = None;
        }
        self.set_pieces(now, id, PieceSet::none(piece_count(self.bytes)));
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.pages = 0;
            peer.refusals.clear();
        }
    }

    /// Says what a peer has; requests for what it has not are taken back.
    fn set_pieces(&mut self, now: Time, id: NodeId, pieces: PieceSet) {
        let is_near = self.locality.is_near(&id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let before = std::mem::replace(&mut peer.pieces, pieces);
        peer.begun.clear();
        for piece in before.without(&peer.pieces) {
            self.availability[piece as usize] -= 1;
            if is_near {
                self.inside[piece as usize] -= 1;
            }
        }
        for piece in peer.pieces.without(&before) {
            self.availability[piece as usize] += 1;
            if is_near {
                self.inside[piece as usize] += 1;
                self.turns.is_inside(now, piece);
            }
        }
        let lost: Vec<u32> =
            peer.asked.keys().copied().filter(|piece| !peer.pieces.contains(*piece)).collect();
        lost.into_iter().for_each(|piece| self.release(now, id, piece));
    }

    /// A request is no longer under way at this peer.
    fn release(&mut self, now: Time, id: NodeId, piece: u32) {
        if !self.locality.is_near(&id) {
            self.turns.give_back(now, piece);
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.asked.remove(&piece);
        }
        if let Some(asked) = self.asked_of.get_mut(&piece) {
            asked.retain(|other| *other != id);
            if asked.is_empty() {
                self.asked_of.remove(&piece);
                if !self.held.contains(piece) {
                    self.taken.remove(piece);
                }
            }
        }
    }

    fn ask_outline(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.outline.is_some() || self.outline_fetch.is_some() {
            return;
        }
        let holders: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.standing == Standing::Ready)
            .filter(|(_, peer)| peer.pieces.held() > 0 || !peer.begun.is_empty())
            .map(|(id, _)| *id)
            .collect();
        let Some(id) = self.pick(&holders) else { return };
        let pages = Outline::values_needed(self.bytes).div_ceil(OUTLINE_PAGE_VALUES);
        let needed = u16::try_from(pages).expect("BUG: an outline has at most 137 pages");
        for page in 0..needed {
            out.push(Action::Send { peer: id, ask: Ask::Outline { blob: self.blob, page } });
        }
        self.outline_fetch = Some(OutlineFetch { peer: id, pages: BTreeMap::new(), needed });
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.pages = pages;
            peer.note_owed(now);
        }
    }

    fn finish(&mut self, out: &mut Vec<Action>) {
        self.complete = true;
        for (id, peer) in &self.peers {
            if !matches!(peer.standing, Standing::Away(_)) {
                out.push(Action::Send { peer: *id, ask: Ask::Forget { blob: self.blob } });
            }
        }
        out.push(Action::Complete);
    }

    fn pick(&mut self, among: &[NodeId]) -> Option<NodeId> {
        if among.is_empty() {
            return None;
        }
        let at = self.below(among.len() as u64);
        among.get(at).copied()
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next_random() % bound.max(1)).unwrap_or(0)
    }

    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random)
    }
}

/// The finalizer of SplitMix64: spreads one number over all 64 bits.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
