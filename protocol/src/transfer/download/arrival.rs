//! Pieces and groups that come: verified, kept, and told of.

use super::door::Action;
use super::peer::{BEGUN_MAX, Offer};
use super::{Download, Standing};
use crate::identity::NodeId;
use crate::time::Time;
use crate::transfer::groups::{Arrived, Begun, GroupSet, answers};
use crate::transfer::news::News;
use crate::transfer::upload::Serve;
use crate::transfer::wire::{Answer, Ask};

/// Others hear that some of a piece is here while no more peers than this have it whole: of those beyond they soon have it.
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
    pub fn begun_pieces(&self) -> News {
        self.parts
            .pieces()
            .map(|piece| Begun { piece, here: self.parts.here(piece) })
            .filter(|begun| !begun.here.is_empty() && self.is_rare(begun.piece))
            .collect()
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
        let known = self.parts.remove(piece);
        if known > 0 {
            out.push(Action::Wasted { peer: id, bytes: known });
        }
        self.keep_piece(now, id, piece, data, out);
    }

    /// All of a piece is here, verified, the last of it from `id`.
    fn keep_piece(&mut self, now: Time, id: NodeId, piece: u32, data: Vec<u8>, out: &mut Vec<Action>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        out.push(Action::Send { peer: id, ask: Ask::Came { blob: self.blob, pieces: vec![piece] } });
        let took = peer.measured(now, piece);
        peer.failures = 0;
        peer.busies = 0;
        if let Some((took, pause)) = took {
            let habits = self.usual.of_mut(self.is_outside(&id));
            habits.request.sample(took);
            habits.pause.sample(pause);
        }
        if self.is_outside(&id) {
            self.intake.came(now);
        }
        self.turns.came(now, piece);
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
            Some(data) => self.keep_piece(now, id, piece, data, out),
            None if self.is_rare(piece) => {
                out.push(Action::Begun(Begun { piece, here: self.parts.here(piece) }));
            }
            None => {}
        }
    }

    /// Hardly anybody has the piece whole, or nobody of this node's site.
    fn is_rare(&self, piece: u32) -> bool {
        let (holders, most) =
            if self.locality.is_alone() { (&self.availability, RARE) } else { (&self.inside, 0) };
        holders.get(piece as usize).is_some_and(|holders| *holders <= most)
    }

    /// A peer has some of a piece, or some more.
    pub(super) fn begun(&mut self, id: NodeId, begun: Begun) {
        let Begun { piece, here } = begun;
        if piece >= self.held.pieces() || self.held.contains(piece) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| !peer.pieces.contains(piece)) else { return };
        if matches!(peer.standing, Standing::Absent(_)) {
            peer.standing = Standing::Ready;
        }
        if peer.begun.len() < BEGUN_MAX || peer.begun.contains_key(&piece) {
            peer.begun.insert(piece, Offer { here, is_news: true });
        }
    }

    /// A peer has given all that it can now of a piece that it has not whole.
    pub(super) fn no_more(&mut self, now: Time, id: NodeId, piece: u32) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.asked.contains_key(&piece) {
            return;
        }
        if peer.begun.get(&piece).is_some_and(|offer| !offer.is_news) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::model::id;
    use super::super::{Download, Event};
    use super::*;
    use crate::transfer::groups::{GROUP_BYTES, group_values};
    use crate::transfer::outline::PIECE_BYTES;
    use crate::transfer::wire::Have;
    use crate::transfer::{Outline, PieceSet};

    /// Two pieces of which two peers have nothing whole.
    struct Scene {
        content: Vec<u8>,
        download: Download,
        out: Vec<Action>,
    }

    impl Scene {
        fn new() -> Self {
            let content: Vec<u8> = (0..2 * PIECE_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let outline = Arc::new(Outline::of(&content).unwrap());
            let (blob, bytes) = (outline.blob(), outline.bytes());
            let download = Download::new(id(0), blob, bytes, PieceSet::none(2), Some(outline), 1);
            let mut scene = Self { content, download, out: Vec::new() };
            for peer in [1, 2] {
                scene.download.handle(Time(0), Event::Found { peer: id(peer), hinted: true }, &mut scene.out);
                scene.tell(peer, Answer::Have(Have::new(blob, bytes, &PieceSet::none(2), Vec::new())));
            }
            scene.out.clear();
            scene
        }

        fn tell(&mut self, peer: usize, answer: Answer) {
            self.download.handle(Time(1), Event::Answered { peer: id(peer), answer }, &mut self.out);
        }

        /// A peer says that it has so many groups of the second piece, from the first on.
        fn begun(&mut self, peer: usize, groups: u8) {
            let here = (0..groups).fold(GroupSet::NONE, GroupSet::with);
            let begun = vec![Begun { piece: 1, here }];
            self.tell(peer, Answer::News { blob: self.download.blob(), gained: Vec::new(), begun });
        }

        fn no_more(&mut self, peer: usize) {
            self.tell(peer, Answer::NoMore { blob: self.download.blob(), piece: 1 });
        }

        fn group(&mut self, peer: usize, group: u8) {
            let piece = &self.content[PIECE_BYTES as usize..];
            let values = group_values(u64::from(PIECE_BYTES), piece);
            let data = piece.chunks(GROUP_BYTES as usize).nth(usize::from(group)).unwrap().to_vec();
            self.tell(peer, Answer::Group { blob: self.download.blob(), piece: 1, group, values, data });
        }

        /// Of whom the piece was asked since the last call, and what was said to be here.
        fn asked(&mut self) -> Vec<(NodeId, GroupSet)> {
            let asked = self.out.drain(..).filter_map(|action| match action {
                Action::Send { peer, ask: Ask::Request { piece: 1, here, .. } } => Some((peer, here)),
                _ => None,
            });
            asked.collect()
        }
    }

    #[test]
    fn a_piece_that_has_begun_is_asked_for_again_when_there_is_more_of_it_and_never_for_what_is_here() {
        let mut scene = Scene::new();
        scene.begun(1, 1);
        assert_eq!(scene.asked(), [(id(1), GroupSet::NONE)]);
        scene.begun(2, 2);
        assert_eq!(scene.asked(), [], "one is asked");
        scene.group(1, 0);
        let first = GroupSet::NONE.with(0);
        let begun = Action::Begun(Begun { piece: 1, here: first });
        assert!(scene.out.contains(&begun), "others may have it from here");
        assert_eq!(scene.download.part(1), first);
        scene.no_more(1);
        assert_eq!(scene.asked(), [(id(2), first)], "who said nothing new since is not asked");
        scene.no_more(2);
        assert_eq!(scene.asked(), []);
        scene.begun(1, 1);
        assert_eq!(scene.asked(), [], "that is here");
        scene.begun(1, 2);
        assert_eq!(scene.asked(), [(id(1), first)]);
        scene.begun(1, 3);
        scene.no_more(1);
        assert_eq!(scene.asked(), [(id(1), first)], "it had more when it had answered");
        (1..4).for_each(|group| scene.group(1, group));
        assert!(scene.out.iter().any(|action| matches!(action, Action::Keep { piece: 1, .. })));
        assert_eq!(scene.download.part(1), GroupSet::NONE);
    }

    #[test]
    fn groups_that_come_twice_are_wasted_and_one_that_is_none_costs_its_sender_its_place() {
        let mut scene = Scene::new();
        scene.begun(1, 3);
        scene.group(1, 2);
        scene.group(2, 2);
        assert!(scene.out.contains(&Action::Wasted { peer: id(2), bytes: u64::from(GROUP_BYTES) }));
        scene.content[PIECE_BYTES as usize + 3 * GROUP_BYTES as usize] ^= 1;
        scene.group(2, 3);
        assert!(scene.out.contains(&Action::Corrupt { peer: id(2) }));
        assert_eq!(scene.download.part(1), GroupSet::NONE.with(2), "what is right stays");
    }
}
