//! What a download knows of one peer: what it has, what was asked of it, how long it takes.

use std::collections::BTreeMap;

use crate::identity::NodeId;
use crate::time::{Span, Time};
use crate::transfer::pieces::PieceSet;
use crate::transfer::wire::{Answer, PEERS_NAMED_MAX};

/// How long an answer is waited for before the peer's speed is known.
const FIRST_PATIENCE: Span = Span::seconds(10);
/// Least patience: a busy machine stands still for a second now and then.
const PATIENCE_FLOOR: Span = Span::seconds(2);
/// Most patience: half of what a stream without a sign of life is kept for elsewhere.
const PATIENCE_CEILING: Span = Span::seconds(60);
/// First pause before a peer that failed is asked again, doubling with each failure.
const RETRY_FLOOR: Span = Span::milliseconds(250);
/// Longest such pause.
const RETRY_CEILING: Span = Span::seconds(15);
/// How long a referral is waited on at the very most, however lively those referred to are.
const REFERRAL_CEILING: Span = Span::seconds(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Asked what it has; no answer yet.
    Asked,
    /// Answered: may be asked for pieces.
    Ready,
    /// Has nothing of the blob; asked again at that time.
    Absent(Time),
    /// Failed or silent; asked again at that time.
    Away(Time),
}

pub(super) struct Peer {
    /// Named by the caller, not by another peer.
    pub(super) hinted: bool,
    pub(super) standing: Standing,
    pub(super) pieces: PieceSet,
    /// Requests under way, and since when.
    pub(super) asked: BTreeMap<u32, Time>,
    /// Outline pages under way.
    pub(super) pages: usize,
    pub(super) refusals: BTreeMap<u32, Refusal>,
    /// Full of requests: nothing more before then.
    pub(super) busy_until: Time,
    /// When it was last asked what it has.
    pub(super) asked_at: Time,
    /// The least time that an answer took.
    pub(super) least: Option<Span>,
    /// Since when something is owed without a sign of life.
    owed_since: Option<Time>,
    pub(super) heard: Time,
    /// Times it failed since it last gave a piece.
    pub(super) failures: u32,
    round_trip: RoundTrip,
}

impl Peer {
    pub(super) fn new(hinted: bool, pieces: u32, now: Time) -> Self {
        Self {
            hinted,
            standing: Standing::Away(now),
            pieces: PieceSet::none(pieces),
            asked: BTreeMap::new(),
            pages: 0,
            refusals: BTreeMap::new(),
            busy_until: Time(0),
            asked_at: now,
            least: None,
            owed_since: None,
            heard: now,
            failures: 0,
            round_trip: RoundTrip::default(),
        }
    }

    /// How long without a sign of life is too long.
    pub(super) fn patience(&self) -> Span {
        let patience = self.round_trip.estimate().unwrap_or(FIRST_PATIENCE).max(PATIENCE_FLOOR);
        patience.times(1 << self.failures.min(5)).min(PATIENCE_CEILING)
    }

    /// How long one request may take before another peer is asked as well, when nothing else is left to ask.
    pub(super) fn hedge(&self) -> Span {
        self.round_trip.mean().times(2).max(Span::seconds(1)).min(PATIENCE_CEILING)
    }

    /// The pause before the next attempt, lengthened by up to a quarter so that peers do not march in step.
    pub(super) fn retry_pause(&self, random: u64) -> Span {
        let pause = RETRY_FLOOR.times(1 << self.failures.min(10)).min(RETRY_CEILING);
        Span(pause.0 + random % (pause.0 / 4 + 1))
    }

    pub(super) fn measured(&mut self, now: Time, piece: u32) {
        if let Some(since) = self.asked.get(&piece) {
            self.round_trip.sample(now.since(*since));
        }
    }

    /// When that was asked for to which `answer` answers; none for what comes unasked.
    pub(super) fn since(&self, answer: &Answer) -> Option<Time> {
        match answer {
            Answer::Have(_) | Answer::NotHere { .. } => {
                (self.standing == Standing::Asked).then_some(self.asked_at)
            }
            Answer::Refer { piece, .. } | Answer::Busy { piece, .. } => self.asked.get(piece).copied(),
            Answer::Outline { .. } | Answer::Piece { .. } | Answer::Gained { .. } => None,
        }
    }

    /// A sign of life.
    pub(super) fn heard(&mut self, now: Time) {
        self.heard = now;
        self.owed_since = None;
        self.note_owed(now);
    }

    /// To be called when something was asked or answered.
    pub(super) fn note_owed(&mut self, now: Time) {
        let owed = self.standing == Standing::Asked || !self.asked.is_empty() || self.pages > 0;
        self.owed_since = owed.then(|| self.owed_since.unwrap_or(now));
    }

    /// Whether it may still come by a piece that `holder` gave to it, or is about to, before `since`.
    fn may_come_by(&self, now: Time, since: Time, holder: &Self) -> bool {
        match self.standing {
            Standing::Away(_) => self.failures == 0,
            Standing::Absent(_) => false,
            Standing::Asked | Standing::Ready => {
                now < since.max(self.heard) + self.patience().max(holder.patience())
            }
        }
    }

    /// When this peer has been silent for too long, or is to be asked again.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self.standing {
            Standing::Absent(until) | Standing::Away(until) => Some(until),
            Standing::Asked | Standing::Ready => self.owed_since.map(|since| since + self.patience()),
        }
    }
}

/// A piece that a holder referred to others, and what came of it.
#[derive(Default)]
pub(super) struct Refusal {
    /// Whom to wait for; none while the holder itself is asked again.
    pub(super) referred: Vec<NodeId>,
    /// Whom we waited for in vain.
    pub(super) tried: Vec<NodeId>,
    pub(super) since: Time,
}

impl Refusal {
    /// Takes a referral. False if it names nobody new: the holder has nothing to offer.
    pub(super) fn refer(&mut self, now: Time, peers: Vec<NodeId>) -> bool {
        self.referred = peers.into_iter().filter(|peer| !self.tried.contains(peer)).collect();
        self.since = now;
        !self.referred.is_empty()
    }

    /// Gives those up that were waited for.
    pub(super) fn give_up(&mut self) {
        self.tried.append(&mut self.referred);
        let surplus = self.tried.len().saturating_sub(PEERS_NAMED_MAX);
        self.tried.drain(..surplus);
    }

    /// No more names fit into a request: from now on we insist.
    pub(super) fn is_exhausted(&self) -> bool {
        self.tried.len() >= PEERS_NAMED_MAX
    }

    /// Whether anybody referred to may still come by the piece from `holder`, who referred us and may be
    /// as slow with them as with us.
    pub(super) fn stands(&self, now: Time, holder: &Peer, peers: &BTreeMap<NodeId, Peer>) -> bool {
        now < self.since + REFERRAL_CEILING
            && self.referred.iter().any(|referred| match peers.get(referred) {
                Some(peer) => peer.may_come_by(now, self.since, holder),
                // No place for it among the peers: who is there will have the piece from it.
                None => now < self.since + holder.patience(),
            })
    }
}

/// Mean and deviation of how long requests take (RFC 6298, with integers), queueing included.
#[derive(Default)]
struct RoundTrip {
    /// Eight times the mean, in milliseconds; zero before the first sample.
    mean_8: u64,
    /// Four times the deviation.
    deviation_4: u64,
}

impl RoundTrip {
    fn sample(&mut self, took: Span) {
        let took = took.0.max(1);
        if self.mean_8 == 0 {
            self.mean_8 = took * 8;
            self.deviation_4 = took * 2;
            return;
        }
        let error = took.abs_diff(self.mean_8 / 8);
        self.deviation_4 = self.deviation_4 - self.deviation_4 / 4 + error;
        self.mean_8 = self.mean_8 - self.mean_8 / 8 + took;
    }

    fn mean(&self) -> Span {
        Span(self.mean_8 / 8)
    }

    fn estimate(&self) -> Option<Span> {
        (self.mean_8 > 0).then(|| Span(self.mean_8 / 8 + self.deviation_4))
    }
}
