//! What a download knows of one peer: what it has, what was asked of it, how long it takes.

use std::collections::BTreeMap;

use super::{BUSY_PAUSE, REQUESTS_PER_PEER};
use crate::identity::NodeId;
use crate::time::{Span, Time};
use crate::transfer::groups::GroupSet;
use crate::transfer::pieces::PieceSet;
use crate::transfer::round_trip::RoundTrip;
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
/// Least time without a sign of life after which what a peer owes is asked of others too.
const SILENCE_FLOOR: Span = Span::milliseconds(250);
/// How long a peer that owed pieces for too long is asked for nothing: anybody may stand still once.
const FIRST_LAG: Span = Span::seconds(1);
/// Half of the same for one that did so twice, doubling each time up to 32 s.
const LAG: Span = Span::seconds(2);
/// Requests that may be under way before the first was answered.
const FIRST_WINDOW: usize = 4;
/// How long a peer that says it is busy is left alone, doubling up to [`BUSY_PAUSE`].
const FIRST_BUSY_PAUSE: Span = Span::milliseconds(10);
/// Pieces that come quicker than one in this time are asked for as many at once as may be: their times are too
/// short to be counted in milliseconds.
const BETWEEN_SURE: Span = Span::milliseconds(4);
/// The same before its habits are known.
const FIRST_SILENCE: Span = Span::seconds(5);

/// Pieces of which a peer has some and not all that are remembered, at most.
pub(super) const BEGUN_MAX: usize = 64;

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

/// What a peer said that it has of a piece.
#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub(super) here: GroupSet,
    /// It said so since it was last asked.
    pub(super) is_news: bool,
}

pub(super) struct Peer {
    /// Named by the caller, not by another peer.
    pub(super) hinted: bool,
    pub(super) standing: Standing,
    pub(super) pieces: PieceSet,
    /// Pieces of which it has some and not all, at most [`BEGUN_MAX`].
    pub(super) begun: BTreeMap<u32, Offer>,
    /// Requests under way, and since when.
    pub(super) asked: BTreeMap<u32, Time>,
    /// Outline pages under way.
    pub(super) pages: usize,
    pub(super) refusals: BTreeMap<u32, Refusal>,
    /// Full of requests: nothing more before then.
    pub(super) busy_until: Time,
    /// Times it was since it last gave a piece.
    pub(super) busies: u32,
    /// It had the blob whole when it first said what it has: it hears what came to us.
    pub(super) whole: bool,
    /// How much of what came to us it heard of.
    pub(super) told: usize,
    /// Since when the next piece is waited for: the one before came, or it was asked for.
    pub(super) next_since: Option<Time>,
    /// The least time that a request took.
    soonest: Option<Span>,
    /// From one piece to the next.
    between: RoundTrip,
    /// Late of late: asked for nothing before then.
    lags_until: Time,
    /// Times it was late since it last was not.
    lags: u32,
    /// Silent for longer than it ever is while it owes something: what it owed was taken back.
    pub(super) silent: bool,
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
            begun: BTreeMap::new(),
            asked: BTreeMap::new(),
            pages: 0,
            refusals: BTreeMap::new(),
            busy_until: Time(0),
            busies: 0,
            whole: false,
            told: 0,
            next_since: None,
            soonest: None,
            between: RoundTrip::default(),
            lags_until: Time(0),
            lags: 0,
            silent: false,
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

    /// How long it is left alone once more: soon it may have room.
    pub(super) fn busy_pause(&mut self) -> Span {
        let pause = FIRST_BUSY_PAUSE.times(1 << self.busies.min(10)).min(BUSY_PAUSE);
        self.busies += 1;
        pause
    }

    /// The pause before the next attempt, lengthened by up to a quarter so that peers do not march in step.
    pub(super) fn retry_pause(&self, random: u64) -> Span {
        let pause = RETRY_FLOOR.times(1 << self.failures.min(10)).min(RETRY_CEILING);
        Span(pause.0 + random % (pause.0 / 4 + 1))
    }

    /// A piece came: how long that took from its request and from the piece before, if it was asked for.
    pub(super) fn measured(&mut self, now: Time, piece: u32) -> Option<(Span, Span)> {
        let took = now.since(*self.asked.get(&piece)?);
        let pause = now.since(self.next_since.unwrap_or(now));
        self.next_since = Some(now);
        self.round_trip.sample(took);
        self.between.sample(pause);
        self.soonest = Some(self.soonest.map_or(took, |soonest| soonest.min(took)));
        self.lags = 0;
        Some((took, pause))
    }

    /// It owes pieces for too long: what others have is asked of them, and of this one little and later.
    pub(super) fn lags(&mut self, now: Time) {
        self.lags_until = now + if self.lags == 0 { FIRST_LAG } else { LAG.times(1 << self.lags.min(4)) };
        self.lags += 1;
    }

    /// Known to give less than others in the same time.
    pub(super) fn is_lagging(&self) -> bool {
        self.silent || self.lags > 0
    }

    /// Requests that may be under way: twice what comes in the time that one takes at least, so that the peer never
    /// waits for us; more would only wait there, and while it waits another peer may have the piece.
    fn window(&self) -> usize {
        if self.lags > 0 {
            return 1;
        }
        let Some(soonest) = self.soonest else { return FIRST_WINDOW };
        let between = self.between.mean().0;
        if between < BETWEEN_SURE.0 {
            return REQUESTS_PER_PEER;
        }
        let ahead = soonest.0.max(1).div_ceil(between).saturating_mul(2);
        usize::try_from(ahead).unwrap_or(usize::MAX).min(REQUESTS_PER_PEER)
    }

    /// It is asked for nothing before then.
    pub(super) fn rests_until(&self) -> Time {
        self.busy_until.max(self.lags_until)
    }

    /// May be asked for one piece more.
    pub(super) fn has_room(&self, now: Time) -> bool {
        self.has_room_beside(now, 0)
    }

    /// The same beside so many that are about to be asked for.
    pub(super) fn has_room_beside(&self, now: Time, kept: usize) -> bool {
        self.may_be_asked(now) && self.asked.len() + kept < self.window()
    }

    /// It answers, and there is nothing why it should be left alone.
    pub(super) fn may_be_asked(&self, now: Time) -> bool {
        self.standing == Standing::Ready && !self.silent && now >= self.rests_until()
    }

    /// When this peer has been silent for longer than it, or else anybody, takes from one piece to the next, while
    /// it owes something. `usual`: how long others take.
    pub(super) fn silence(&self, usual: Option<Span>) -> Option<Time> {
        let habit = self.between.settled().or(usual).unwrap_or(FIRST_SILENCE).max(SILENCE_FLOOR);
        self.owed_since
            .filter(|_| self.standing == Standing::Ready && !self.silent)
            .map(|since| since + habit)
    }

    /// Whether it is silent, and owes for `least` without a sign of life.
    pub(super) fn is_silent_for(&self, now: Time, least: Span) -> bool {
        self.silent && self.owed_since.is_some_and(|since| since + least <= now)
    }

    /// What was waited for is waited for from later on.
    pub(super) fn excuse(&mut self, now: Time, slept: Span) {
        let later = |since: Time| (since + slept).min(now);
        self.owed_since = self.owed_since.map(later);
        self.next_since = self.next_since.map(later);
    }

    /// When that was asked for to which `answer` answers; none for what comes unasked.
    pub(super) fn since(&self, answer: &Answer) -> Option<Time> {
        match answer {
            Answer::Have(_) | Answer::NotHere { .. } => {
                (self.standing == Standing::Asked).then_some(self.asked_at)
            }
            Answer::Refer { piece, .. } | Answer::Busy { piece, .. } => self.asked.get(piece).copied(),
            Answer::Outline { .. }
            | Answer::Piece { .. }
            | Answer::Group { .. }
            | Answer::NoMore { .. }
            | Answer::News { .. } => None,
        }
    }

    /// A sign of life.
    pub(super) fn heard(&mut self, now: Time) {
        self.silent = false;
        self.heard = now;
        self.owed_since = None;
        self.note_owed(now);
    }

    /// To be called when something was asked or answered.
    pub(super) fn note_owed(&mut self, now: Time) {
        let asked = !self.asked.is_empty() || self.pages > 0;
        let owed = self.standing == Standing::Asked || asked || self.silent;
        self.owed_since = owed.then(|| self.owed_since.unwrap_or(now));
        self.next_since = (!self.asked.is_empty()).then(|| self.next_since.unwrap_or(now));
    }

    /// Whether it may still come by a piece that `holder` gave to it, or is about to, before `since`. `limit`: how long who
    /// failed counts after its last sign of life.
    fn may_come_by(&self, now: Time, since: Time, holder: &Self, limit: Span) -> bool {
        match self.standing {
            Standing::Away(_) => self.failures == 0,
            Standing::Absent(_) => false,
            Standing::Asked if self.failures > 0 => now < self.heard + limit,
            Standing::Ready if self.is_lagging() => false,
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
    /// as slow with them as with us. `late`: how long a request may take.
    pub(super) fn stands(
        &self,
        now: Time,
        holder: &Peer,
        peers: &BTreeMap<NodeId, Peer>,
        late: Option<Span>,
    ) -> bool {
        let limit = late.map_or(REFERRAL_CEILING, |late| late.times(2).min(REFERRAL_CEILING));
        now < self.since + limit
            && self.referred.iter().any(|referred| match peers.get(referred) {
                Some(peer) => peer.may_come_by(now, self.since, holder, limit),
                // No place for it among the peers: who is there will have the piece from it.
                None => now < self.since + holder.patience(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PublicKey;

    #[test]
    fn whoever_answers_however_quickly_or_slowly_may_be_asked_for_more() {
        for (took, between) in [(0, 0), (0, 100), (1, 16), (50, 7), (5_000, 5_000), (60_000, 1)] {
            let mut peer = Peer::new(true, 64, Time(0));
            peer.standing = Standing::Ready;
            for round in 1..10 {
                let now = Time(round * 100_000);
                peer.asked.insert(0, now - Span(took));
                peer.next_since = Some(now - Span(between));
                peer.measured(now, 0);
                peer.asked.clear();
                assert!(peer.has_room(now), "{took} ms, {between} ms");
                assert!((2..=REQUESTS_PER_PEER).contains(&peer.window()));
            }
        }
    }

    #[test]
    fn a_piece_is_waited_for_from_who_is_asked_first_and_not_from_who_failed_and_is_not_heard_of() {
        let (now, holder, other) = (Time(5000), Peer::new(true, 64, Time(0)), PublicKey([1; 32]));
        let mut refusal = Refusal::default();
        refusal.refer(now, vec![other]);
        let stands = |failures| {
            let mut peer = Peer::new(false, 64, Time(0));
            (peer.standing, peer.failures) = (Standing::Asked, failures);
            refusal.stands(now, &holder, &BTreeMap::from([(other, peer)]), Some(Span::seconds(2)))
        };
        assert!(stands(0) && !stands(1));
    }
}
