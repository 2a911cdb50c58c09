//! Pieces and groups that come: verified, kept, and told of.

use super::door::Action;
use super::peer::BEGUN_MAX;
use super::{Download, Standing};
use crate::identity::NodeId;
use crate::time::Time;
use crate::transfer::groups::{Arrived, GroupSet, answers};
use crate::transfer::upload::Serve;
use crate::transfer::wire::{Answer, Ask};

/// A piece that so many peers have whole is passed on soon by one of them: nobody need hear that some of it is here.
const RARE: u16 = 1;

/// A group as it came.
pub(super) struct Group {
    pub(super) piece: u32,
    pub(super) group: u8,
    pub(super) values: Vec<[u8; 32]>,
    pub(super) data: Vec<u8>,
}

impl Download {
    /// Which groups of a piece are here that is not here whole.
    pub fn part(&self, piece: u32) -> GroupSet {
        self.parts.here(piece)
    }

    /// Pieces of which some is here and that hardly anybody has: who asks what is here may hear that they have begun.
    pub fn begun_pieces(&self) -> impl Iterator<Item = u32> {
        self.parts.pieces().filter(|piece| !self.parts.here(*piece).is_empty() && self.is_rare(*piece))
    }

    /// What goes out for a request that was granted of a piece which is not here whole; `None` if those groups are no
    /// longer here.
    pub fn pass_on(&self, serve: &Serve) -> Option<Vec<Answer>> {
        let part = self.parts.get(serve.piece.1)?;
        let is_here = serve.share.groups.without(self.parts.here(serve.piece.1)).is_empty();
        is_here.then(|| answers(serve, part.data().to_vec(), |_| part.values().to_vec()))
    }

    pub(super) fn piece_came(
        &mut self,
        now: Time,
        id: NodeId,
        piece: u32,
        data: Vec<u8>,
        out: &mut Vec<Action>,
    ) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let wasted = Action::Wasted { peer: id, bytes: data.len() as u64 };
        let asked = peer.asked.contains_key(&piece);
        let Some(outline) = &self.outline else { return out.push(wasted) };
        if self.held.contains(piece) && !asked {
            // Its sender counts what is under way.
            out.push(Action::Send { peer: id, ask: Ask::Came { blob: self.blob, pieces: vec![piece] } });
            return out.push(wasted);
        }
        if !outline.verify(piece, &data) {
            out.push(wasted);
            return self.ban(now, id, out);
        }
        let known = self.parts.drop(piece);
        if known > 0 {
            out.push(Action::Wasted { peer: id, bytes: known });
        }
        self.is_whole(now, id, piece, data, out);
    }

    /// All of a piece is here, verified, the last of it from `id`.
    fn is_whole(&mut self, now: Time, id: NodeId, piece: u32, data: Vec<u8>, out: &mut Vec<Action>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        out.push(Action::Send { peer: id, ask: Ask::Came { blob: self.blob, pieces: vec![piece] } });
        let took = peer.measured(now, piece);
        peer.failures = 0;
        peer.busies = 0;
        if let Some((took, pause)) = took {
            self.usual.sample(took);
            self.pauses.sample(pause);
        }
        self.turns.came(piece);
        self.release(now, id, piece);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.heard(now);
        }
        if !self.held.insert(piece) {
            return out.push(Action::Wasted { peer: id, bytes: data.len() as u64 });
        }
        self.locality.came(now);
        self.came.push(piece);
        self.taken.insert(piece);
        for other in self.asked_of.remove(&piece).unwrap_or_default() {
            if let Some(peer) = self.peers.get_mut(&other) {
                peer.asked.remove(&piece);
                peer.note_owed(now);
            }
            out.push(Action::Send { peer: other, ask: Ask::Cancel { blob: self.blob, piece } });
        }
        for peer in self.peers.values_mut() {
            peer.refusals.remove(&piece);
            peer.begun.remove(&piece);
        }
        out.push(Action::Keep { peer: id, piece, data });
    }

    /// One group of a piece came. Of a piece that is asked of two peers each brings its own; the first of each counts.
    pub(super) fn group_came(&mut self, now: Time, id: NodeId, came: Group, out: &mut Vec<Action>) {
        let Group { piece, group, values, data } = came;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.heard(now);
        let wasted = Action::Wasted { peer: id, bytes: data.len() as u64 };
        let Some(outline) = self.outline.clone().filter(|_| !self.held.contains(piece)) else {
            return out.push(wasted);
        };
        let asked_of = &self.asked_of;
        let is_wanted = |piece| asked_of.contains_key(&piece);
        if !values.is_empty() && !self.parts.take_values(&outline, piece, values, is_wanted) {
            out.push(wasted);
            return self.ban(now, id, out);
        }
        match self.parts.take(piece, group, &data) {
            Arrived::Wrong => {
                out.push(wasted);
                return self.ban(now, id, out);
            }
            Arrived::Known | Arrived::Unknown => return out.push(wasted),
            Arrived::New => {}
        }
        match self.parts.take_whole(piece) {
            Some(data) => self.is_whole(now, id, piece, data, out),
            None if self.is_rare(piece) => out.push(Action::Begun { piece }),
            None => {}
        }
    }

    /// Hardly anybody has the piece whole, or nobody of this node's site.
    fn is_rare(&self, piece: u32) -> bool {
        let of = if self.locality.is_alone() { (&self.availability, RARE) } else { (&self.inside, 0) };
        of.0.get(piece as usize).is_some_and(|have| *have <= of.1)
    }

    /// A peer has some of a piece, or some more.
    pub(super) fn begun(&mut self, id: NodeId, piece: u32) {
        if piece >= self.held.pieces() || self.held.contains(piece) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| !peer.pieces.contains(piece)) else { return };
        if matches!(peer.standing, Standing::Absent(_)) {
            peer.standing = Standing::Ready;
        }
        if peer.begun.len() < BEGUN_MAX || peer.begun.contains_key(&piece) {
            peer.begun.insert(piece, true);
        }
    }

    /// A peer has given all that it can now of a piece that it has not whole.
    pub(super) fn no_more(&mut self, now: Time, id: NodeId, piece: u32) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.asked.contains_key(&piece) {
            return;
        }
        if peer.begun.get(&piece) == Some(&false) {
            peer.begun.remove(&piece);
        }
        if peer.pieces.contains(piece) && peer.busy_until <= now {
            // It said that it has it whole.
            peer.busy_until = now + peer.busy_pause();
        }
        peer.next_since = Some(now);
        self.release(now, id, piece);
    }
}
