//! What is due because of time: who is asked again, what is taken back from whom, and who is told what came.

use std::collections::BTreeSet;

use super::door::Action;
use super::peer::{Peer, Standing};
use super::{BUSY_PAUSE, Download};
use crate::identity::NodeId;
use crate::time::{Span, Time};
use crate::transfer::wire::{Ask, PIECES_NAMED_MAX};

/// A request is not late before this, however prompt others are.
const LATE_FLOOR: Span = Span::milliseconds(500);
/// While much is missing, nothing is taken back before this: lines are full of other pieces then, and mostly what is late
/// comes a moment later, and twice.
const UNHURRIED: Patience = Patience { living: Span::milliseconds(1500), silent: Span::milliseconds(350) };
/// Near the end nothing else comes meanwhile.
const HURRIED: Patience = Patience { living: Span(0), silent: Span(0) };
/// How late a deadline comes when this node stood still.
const SLEEP_MIN: Span = Span::milliseconds(50);
/// How often those who have the blob whole hear what came.
const TELL_EVERY: Span = Span::milliseconds(40);
/// How many of them, at most.
const TOLD_MAX: usize = 4;
/// Missing pieces at which, all being asked for, late ones are asked of a second peer too.
pub const ENDGAME_PIECES_MAX: u32 = 32;

/// How long a peer may owe at least what others have.
struct Patience {
    /// Without giving any of it, though it is heard of.
    living: Span,
    /// Without a sign of life: it may be gone.
    silent: Span,
}

impl Download {
    /// If this was to be woken earlier, it was this node that stood still: peers are not silent for that time.
    pub(super) fn make_up_for_own_sleep(&mut self, now: Time) {
        let slept = self.next_deadline().map_or(Span(0), |deadline| now.since(deadline));
        if slept >= SLEEP_MIN {
            self.peers.values_mut().for_each(|peer| peer.excuse(now, slept));
        }
    }

    pub(super) fn mind_the_clock(&mut self, now: Time, out: &mut Vec<Action>) {
        let due: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            match peer.standing {
                Standing::Absent(_) | Standing::Away(_) => {
                    peer.standing = Standing::Asked;
                    peer.asked_at = now;
                    peer.note_owed(now);
                    out.push(Action::Send { peer: id, ask: Ask::Ask { blob: self.blob } });
                }
                Standing::Asked | Standing::Ready => {
                    self.failed(now, id);
                    out.push(Action::Send { peer: id, ask: Ask::Forget { blob: self.blob } });
                }
            }
        }
    }

    /// How long a request to `id` may take at most, by how long others take.
    pub(super) fn late(&self, id: &NodeId) -> Option<Span> {
        self.usual.of(self.is_outside(id)).request.estimate().map(|usual| usual.max(LATE_FLOOR))
    }

    /// How long others than `id` take from one piece to the next, once that is known.
    pub(super) fn usual_pause(&self, id: &NodeId) -> Option<Span> {
        self.usual.of(self.is_outside(id)).pause.settled()
    }

    /// Takes back from peers what they owe for too long and others have. Whether there was any.
    pub(super) fn take_back(&mut self, now: Time, out: &mut Vec<Action>) -> bool {
        let mut late_ones: Vec<(NodeId, u32)> = Vec::new();
        let patience = if self.nears_the_end() { HURRIED } else { UNHURRIED };
        for (id, peer) in &mut self.peers {
            let usual = self.usual.of(!self.locality.is_near(id)).pause.settled();
            let late = usual.map(|pause| Span(pause.0 * 3 / 2).max(LATE_FLOOR).max(patience.living));
            if peer.silence(usual).is_some_and(|silence| silence <= now) {
                peer.silent = true;
            }
            let is_late = peer.next_since.zip(late).is_some_and(|(since, late)| since + late <= now);
            if is_late || peer.is_silent_for(now, patience.silent) {
                late_ones.extend(peer.asked.keys().map(|piece| (*id, *piece)));
            }
        }
        let mut lagging = BTreeSet::new();
        for (id, piece) in late_ones {
            if !self.is_elsewhere(now, id, piece) {
                continue;
            }
            self.release(now, id, piece);
            if let Some(peer) = self.peers.get_mut(&id) {
                if lagging.insert(id) {
                    peer.lags(now);
                }
                peer.note_owed(now);
            }
            out.push(Action::Send { peer: id, ask: Ask::Cancel { blob: self.blob, piece } });
        }
        !lagging.is_empty()
    }

    /// Whether a peer that neither lags nor failed of late, nor rests for long, has `piece`, other than `id`. Who is
    /// outside this node's site does not count where `id` is inside: what is inside may not be asked of it.
    pub(super) fn is_elsewhere(&self, now: Time, id: NodeId, piece: u32) -> bool {
        let is_inside = self.locality.is_near(&id);
        let mut others = self.peers.iter().filter(|(other, _)| **other != id);
        others.any(|(other, peer)| {
            if is_inside && !self.locality.is_near(other) {
                return false;
            }
            let is_well = peer.standing == Standing::Ready && !peer.is_lagging() && peer.failures == 0;
            let is_soon = peer.rests_until() <= now + BUSY_PAUSE;
            is_well && is_soon && peer.pieces.contains(piece)
        })
    }

    /// Little is missing.
    pub(super) fn nears_the_end(&self) -> bool {
        self.held.pieces() - self.held.held() <= ENDGAME_PIECES_MAX
    }

    /// Near the end: a piece that was asked of one other peer and is late.
    pub(super) fn choose_late(&self, now: Time, id: NodeId) -> Option<u32> {
        if !self.in_endgame() {
            return None;
        }
        let late = self.late(&id);
        let peer = self.may_ask(now, id, true)?;
        let overdue = self.asked_of.iter().find(|(piece, asked)| {
            let [other] = asked.as_slice() else { return false };
            let refused =
                peer.refusals.get(piece).is_some_and(|refusal| refusal.stands(now, peer, &self.peers, late));
            let is_late = self.peers.get(other).is_some_and(|other| {
                other.asked.get(piece).is_some_and(|since| *since + other.hedge() <= now)
            });
            let may_come = || !self.waits_for_leave(now, &id) || self.turns.is_mine(**piece);
            *other != id && is_late && !refused && peer.pieces.contains(**piece) && may_come()
        });
        overdue.map(|(piece, _)| *piece)
    }

    /// Everything that is missing has been asked for, and it is little.
    pub(super) fn in_endgame(&self) -> bool {
        self.taken.is_full() && self.nears_the_end()
    }

    pub(super) fn is_to_be_told(&self, peer: &Peer) -> bool {
        peer.whole && peer.standing == Standing::Ready && peer.told < self.came.len()
    }

    /// Tells those who have the blob whole what came, so that they see what became of what they gave.
    pub(super) fn tell_what_came(&mut self, now: Time, out: &mut Vec<Action>) {
        if now < self.tell_at && !self.held.is_full() {
            return;
        }
        let whole = self.peers.iter().filter(|(_, peer)| self.is_to_be_told(peer)).take(TOLD_MAX);
        let whole: Vec<NodeId> = whole.map(|(id, _)| *id).collect();
        for id in whole {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let pieces: Vec<u32> = self.came[peer.told..].iter().copied().take(PIECES_NAMED_MAX).collect();
            peer.told += pieces.len();
            self.tell_at = now + TELL_EVERY;
            out.push(Action::Send { peer: id, ask: Ask::Came { blob: self.blob, pieces } });
        }
    }
}
