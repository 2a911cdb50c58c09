//! Who of a site brings which piece in: of those who know somebody outside that has it, the first who asks.
//!
//! For each piece one member minds the turn: the first by lot of the few wardens that all of the site agree on without a
//! word. Who knows a holder outside asks it for leave, and it names the one who brings the piece in. So one brings it,
//! and it is one who can: whose lot it is to fetch a piece may not know anybody who has it.
//!
//! A warden gives leave for no more pieces at once than lately came in, and one: the site's line may be narrow, and what
//! it does not carry is late for all who wait for it. Who asks beyond that is told to wait, and hears when it is its turn.
//!
//! Who is refused outside gives its leave back, and the next who asked has it. A warden that does not answer is passed
//! over. That waiting has an end in any case is for [`super::locality`] to see to.
//!
//! What members say is not proven: a liar costs its site copies or time, never pieces.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use super::intake::Intake;
use super::locality::{draw, salt};
use super::round_trip::RoundTrip;
use super::wire::Ask;
use crate::digest::Digest;
use crate::identity::NodeId;
use crate::time::{Span, Time};

/// Members of a site that mind turns: everybody in it is linked with each of them.
pub(super) const WARDENS: usize = 4;

/// How long a warden is waited for.
const ANSWER_PATIENCE: Span = Span::milliseconds(500);

/// How long leave is waited for, once the warden said that it is to be waited for.
const WAITING_PATIENCE: Span = Span::seconds(30);

/// How long somebody else is relied on to bring a piece in, before the warden is asked again.
const BRINGING_PATIENCE: Span = Span::seconds(1);

/// How long a leave is good for, if nobody gives it back, before it is known how long it takes to bring a piece in: who
/// has it gives up what is late by itself.
const FIRST_LEAVE: Span = Span::seconds(15);

/// How long it is good for at least, afterwards,
const LEAVE_MIN: Span = Span::seconds(4);

/// and how many times as long as bringing a piece in usually takes.
const LEAVE_TIMES: u64 = 4;

/// Those who are next to bring a piece in, at most.
const NEXT_MAX: usize = 8;

/// Pieces that may be on their way by a warden's leave beyond as many as lately came.
const BEYOND: usize = 1;

/// How far this node is with its leave for a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Asked for since that time, without a word of the warden.
    Asked(Time),
    /// To be waited for, as the warden said then.
    Waits(Time),
    Given,
}

/// This node's leave to bring a piece in.
struct Leave {
    stage: Stage,
    /// The peer outside that has room for the request; none once it was asked.
    via: Option<NodeId>,
    /// A peer outside was asked.
    used: bool,
    /// The warden.
    warden: NodeId,
}

impl Leave {
    fn is_given(&self) -> bool {
        self.stage == Stage::Given
    }
}

/// Who brings a piece in, by the warden that this node is.
struct Turn {
    /// Nobody yet, if more would be on their way than comes in.
    who: Option<NodeId>,
    /// When it was first given, and to who has it now.
    begun: Time,
    since: Time,
    /// Others who asked, in this order; at most [`NEXT_MAX`].
    next: Vec<NodeId>,
}

/// The turns of one blob's pieces, as one member sees them.
#[derive(Default)]
pub(super) struct Turns {
    me: Option<NodeId>,
    wardens: Vec<(NodeId, u64)>,
    /// Wardens that do not fetch the blob, or not yet.
    absent: Vec<(NodeId, u64)>,
    leaves: BTreeMap<u32, Leave>,
    /// Pieces that others bring in, since when that is known.
    others: BTreeMap<u32, Time>,
    /// The turns that this node minds.
    minded: BTreeMap<u32, Turn>,
    /// Those of them that are nobody's yet, in the order in which they were asked for.
    waiting: VecDeque<u32>,
    /// What came in of those that this node minds,
    intake: Intake,
    /// and how long that took.
    takes: RoundTrip,
    /// What is to be said, to whom.
    pub(super) outbox: Vec<(NodeId, Ask)>,
    blob: Option<Digest>,
}

impl Turns {
    /// Of the site that `me` shares with `others`.
    pub(super) fn new(me: NodeId, others: impl Iterator<Item = NodeId>, blob: Digest) -> Self {
        let mut wardens: Vec<(NodeId, u64)> =
            others.chain([me]).map(|node| (node, salt(blob, node))).collect();
        wardens.sort_unstable_by_key(|(node, salt)| (std::cmp::Reverse(*salt), *node));
        wardens.truncate(WARDENS);
        Self { me: Some(me), wardens, blob: Some(blob), ..Self::default() }
    }

    /// Those who mind turns.
    pub(super) fn wardens(&self) -> impl Iterator<Item = NodeId> {
        self.wardens.iter().map(|(node, _)| *node)
    }

    /// Whether this node has leave to bring `piece` in.
    pub(super) fn is_mine(&self, piece: u32) -> bool {
        self.leaves.get(&piece).is_some_and(Leave::is_given)
    }

    /// Pieces that this node has leave to bring in.
    pub(super) fn mine(&self) -> impl Iterator<Item = u32> {
        self.leaves.iter().filter(|(_, leave)| leave.is_given()).map(|(piece, _)| *piece)
    }

    /// Whether leave for `piece` may be asked for now.
    pub(super) fn is_open(&self, now: Time, piece: u32) -> bool {
        !self.leaves.contains_key(&piece)
            && self.others.get(&piece).is_none_or(|since| now.since(*since) >= BRINGING_PATIENCE)
    }

    /// Requests for which the room of `peer` is kept.
    pub(super) fn kept_for(&self, peer: &NodeId) -> usize {
        self.leaves.values().filter(|leave| leave.via.as_ref() == Some(peer)).count()
    }

    /// Asks for leave to bring `piece` in from `via`, and says whether it is had at once.
    pub(super) fn seek(&mut self, now: Time, piece: u32, via: NodeId) -> bool {
        let (Some(me), Some(blob)) = (self.me, self.blob) else { return true };
        let warden = self.wardens.iter().max_by_key(|(_, salt)| draw(*salt, piece)).map(|(node, _)| *node);
        let Some(warden) = warden else { return true };
        self.others.remove(&piece);
        let mut leave = Leave { stage: Stage::Asked(now), via: Some(via), used: false, warden };
        if warden == me {
            match self.asked(now, me, piece) {
                Some(who) if who == me => (leave.stage, leave.via) = (Stage::Given, None),
                Some(_) => {
                    self.others.insert(piece, now);
                    return false;
                }
                None => leave.stage = Stage::Waits(now),
            }
        } else {
            self.outbox.push((warden, Ask::MayBring { blob, piece }));
        }
        let is_given = leave.is_given();
        self.leaves.insert(piece, leave);
        is_given
    }

    /// `piece` was asked of a peer outside.
    pub(super) fn used(&mut self, piece: u32) {
        if let Some(leave) = self.leaves.get_mut(&piece) {
            leave.via = None;
            leave.used = true;
        }
    }

    /// Pieces that this node has leave to bring in and asked nobody for.
    pub(super) fn unused(&self) -> Vec<u32> {
        let unused = self.leaves.iter().filter(|(_, leave)| leave.is_given() && !leave.used);
        unused.map(|(piece, _)| *piece).collect()
    }

    /// A warden says who brings `piece` in.
    pub(super) fn told(&mut self, now: Time, warden: NodeId, piece: u32, who: NodeId) {
        let Some(leave) = self.leaves.get_mut(&piece).filter(|leave| leave.warden == warden) else {
            // The next in turn: this node gave up waiting for it, or asked and was told of another.
            if self.me == Some(who) && self.wardens().any(|node| node == warden) {
                self.has_leave(piece, warden);
            }
            return;
        };
        if self.me == Some(who) {
            leave.stage = Stage::Given;
        } else if !leave.is_given() {
            self.leaves.remove(&piece);
            self.others.insert(piece, now);
        }
    }

    /// A warden says that this node is to wait until leave for `piece` is its own.
    pub(super) fn waits(&mut self, now: Time, warden: NodeId, piece: u32) {
        let leave = self.leaves.get_mut(&piece).filter(|leave| leave.warden == warden && !leave.is_given());
        if let Some(leave) = leave {
            leave.stage = Stage::Waits(now);
        }
    }

    /// This node brings `piece` in.
    fn has_leave(&mut self, piece: u32, warden: NodeId) {
        self.others.remove(&piece);
        let given = Leave { stage: Stage::Given, via: None, used: false, warden };
        self.leaves.entry(piece).or_insert(given).stage = Stage::Given;
    }

    /// `peer` asks for leave to bring `piece` in: who does. Nobody, if no more are to be on their way.
    pub(super) fn asked(&mut self, now: Time, peer: NodeId, piece: u32) -> Option<NodeId> {
        let good_for = self.leave_is_good_for();
        let has_room = self.has_room(now);
        let turn = self.minded.entry(piece).or_insert_with(|| {
            if !has_room {
                self.waiting.push_back(piece);
            }
            Turn { who: has_room.then_some(peer), begun: now, since: now, next: Vec::new() }
        });
        if turn.who.is_some() && now.since(turn.since) >= good_for {
            (turn.who, turn.since) = (Some(peer), now);
        }
        turn.next.retain(|next| *next != peer);
        if turn.who != Some(peer) && turn.next.len() < NEXT_MAX {
            turn.next.push(peer);
        }
        turn.who
    }

    fn leave_is_good_for(&self) -> Span {
        self.takes.settled().map_or(FIRST_LEAVE, |takes| takes.times(LEAVE_TIMES).max(LEAVE_MIN))
    }

    fn has_room(&self, now: Time) -> bool {
        self.minded.len() - self.waiting.len() < self.intake.room(now, BEYOND)
    }

    /// Gives those leave who wait for it, while there is room.
    fn give_waiting(&mut self, now: Time) {
        while self.has_room(now) {
            let Some(piece) = self.waiting.pop_front() else { return };
            self.minded.entry(piece).and_modify(|turn| turn.begun = now);
            self.give_next(now, piece);
        }
    }

    /// Gives the next leave who asked for it; the turn ends if there is none.
    fn give_next(&mut self, now: Time, piece: u32) {
        let Some(turn) = self.minded.get_mut(&piece) else { return };
        if turn.next.is_empty() {
            self.minded.remove(&piece);
            return;
        }
        let who = turn.next.remove(0);
        (turn.who, turn.since) = (Some(who), now);
        if self.me == Some(who) {
            self.has_leave(piece, who);
        } else if let Some(blob) = self.blob {
            self.outbox.push((who, Ask::Brings { blob, piece, who }));
        }
    }

    /// `peer` does not bring `piece` in: the next does.
    pub(super) fn given_back(&mut self, now: Time, peer: NodeId, piece: u32) {
        let Some(turn) = self.minded.get_mut(&piece) else { return };
        turn.next.retain(|next| *next != peer);
        if turn.who == Some(peer) {
            self.give_next(now, piece);
            self.give_waiting(now);
        }
    }

    /// This node does not bring `piece` in.
    pub(super) fn give_back(&mut self, now: Time, piece: u32) {
        let Some(leave) = self.leaves.remove(&piece) else { return };
        if self.me == Some(leave.warden) {
            self.given_back(now, leave.warden, piece);
        } else if let Some(blob) = self.blob {
            self.outbox.push((leave.warden, Ask::Cancel { blob, piece }));
        }
    }

    /// `piece` is here.
    pub(super) fn came(&mut self, now: Time, piece: u32) {
        self.leaves.remove(&piece);
        self.others.remove(&piece);
        self.is_inside(now, piece);
    }

    /// Somebody of the site has `piece`: nobody needs to bring it in.
    pub(super) fn is_inside(&mut self, now: Time, piece: u32) {
        match self.minded.remove(&piece) {
            Some(Turn { who: Some(_), begun, .. }) => {
                self.intake.came(now);
                self.takes.sample(now.since(begun));
                self.give_waiting(now);
            }
            Some(_) => self.waiting.retain(|waiting| *waiting != piece),
            None => {}
        }
    }

    /// `peer` is gone.
    pub(super) fn lost(&mut self, now: Time, peer: NodeId) {
        let minded =
            self.minded.iter().filter(|(_, turn)| turn.who == Some(peer) || turn.next.contains(&peer));
        let minded: Vec<u32> = minded.map(|(piece, _)| *piece).collect();
        minded.into_iter().for_each(|piece| self.given_back(now, peer, piece));
        self.leaves.retain(|_, leave| leave.is_given() || leave.warden != peer);
    }

    /// `peer` minds no turns: it has the blob whole, or fetches nothing of it.
    pub(super) fn pass_over(&mut self, peer: &NodeId) {
        self.wardens.retain(|(node, _)| node != peer);
        self.leaves.retain(|_, leave| leave.is_given() || leave.warden != *peer);
    }

    /// `peer` fetches nothing of the blob: it minds turns when it begins to.
    pub(super) fn is_absent(&mut self, peer: &NodeId) {
        self.absent.extend(self.wardens.iter().find(|(node, _)| node == peer));
        self.pass_over(peer);
    }

    /// `peer` fetches the blob now.
    pub(super) fn begins(&mut self, peer: &NodeId) {
        if let Some(at) = self.absent.iter().position(|(node, _)| node == peer) {
            self.wardens.push(self.absent.swap_remove(at));
        }
    }

    /// Wardens that say nothing for too long: they are passed over from now on. What this node waited for in vain may be
    /// asked for anew.
    pub(super) fn expire(&mut self, now: Time) {
        let in_vain =
            |leave: &Leave| matches!(leave.stage, Stage::Waits(at) if now.since(at) >= WAITING_PATIENCE);
        self.leaves.retain(|_, leave| !in_vain(leave));
        let late =
            |leave: &&Leave| matches!(leave.stage, Stage::Asked(at) if now.since(at) >= ANSWER_PATIENCE);
        let silent: Vec<NodeId> = self.leaves.values().filter(late).map(|leave| leave.warden).collect();
        silent.iter().for_each(|warden| self.pass_over(warden));
    }
}
