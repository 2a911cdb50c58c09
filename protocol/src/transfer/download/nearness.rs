//! Who is near, by the time that answers take: of two holders of a piece the nearer is asked.
//!
//! A preference, no rule: who is near and has room is asked before who is far, and nobody waits for it. Where all
//! are about as far away nothing changes. Nobody says how far it is; the least time that an answer took tells, which
//! no queue makes less.

use super::Download;
use super::peer::Peer;
use crate::identity::NodeId;
use crate::time::{Span, Time};

/// A peer is far if its answers take more than so many times those of the nearest,
const FAR_TIMES: u64 = 4;

/// and so much longer: on a LAN all are near, whatever the multiples of its microseconds.
const FAR_BEYOND: Span = Span::milliseconds(5);

impl Download {
    /// An answer of `id` came, to what was asked at `since`.
    pub(super) fn note_round_trip(&mut self, now: Time, id: NodeId, since: Time) {
        let took = now.since(since);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.least = Some(peer.least.map_or(took, |least| least.min(took)));
        self.nearest = Some(self.nearest.map_or(took, |nearest| nearest.min(took)));
    }

    pub(super) fn is_far(&self, id: &NodeId) -> bool {
        self.peers.get(id).is_some_and(|peer| self.takes_long(peer))
    }

    fn takes_long(&self, peer: &Peer) -> bool {
        match (self.nearest, peer.least) {
            (Some(nearest), Some(least)) => {
                least > nearest.times(FAR_TIMES) && least.0 > nearest.0 + FAR_BEYOND.0
            }
            _ => false,
        }
    }

    /// Those to be asked rather than `id`, for what they have: none if it is near itself. Who lags is asked last of all, so
    /// nobody is passed over for it: near the end each would wait for the other. Nor is a member of the site for who is
    /// outside, whom leave is needed to ask: there is none for what is inside.
    pub(super) fn nearer_than(&self, now: Time, id: &NodeId) -> Vec<&Peer> {
        if !self.is_far(id) {
            return Vec::new();
        }
        let may_be_asked = |other: &NodeId| self.is_outside(id) || !self.is_outside(other);
        let is_well = |peer: &&Peer| peer.has_room(now) && !peer.is_lagging();
        let is_near = |peer: &&Peer| peer.least.is_some() && !self.takes_long(peer);
        let others = self.peers.iter().filter(|(other, _)| may_be_asked(other)).map(|(_, peer)| peer);
        others.filter(is_well).filter(is_near).collect()
    }
}

impl Peer {
    /// Whether `piece` is to be had here.
    pub(super) fn offers(&self, piece: u32) -> bool {
        self.pieces.contains(piece) && !self.refusals.contains_key(&piece)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Action, Download, Event};
    use super::*;
    use crate::identity::PublicKey;
    use crate::transfer::outline::PIECE_BYTES;
    use crate::transfer::wire::{Answer, Ask, Have};
    use crate::transfer::{Outline, PieceSet};

    const HOLDERS: [NodeId; 2] = [PublicKey([1; 32]), PublicKey([2; 32])];

    /// A download of which two holders have answered after so long, and the page of its outline that it waits for.
    fn held_by_two(pieces: u32, milliseconds: [u64; 2]) -> (Download, Event) {
        let content = vec![3; pieces as usize * PIECE_BYTES as usize];
        let outline = Arc::new(Outline::of(&content).unwrap());
        let (blob, bytes) = (outline.blob(), outline.bytes());
        let none = PieceSet::none(pieces);
        let mut download = Download::new(PublicKey([0; 32]), blob, bytes, none, None, 1);
        let mut out = Vec::new();
        for peer in HOLDERS {
            download.handle(Time(0), Event::Found { peer, hinted: true }, &mut out);
        }
        let have = Have::new(blob, bytes, &PieceSet::all(pieces), Vec::new());
        for (peer, at) in HOLDERS.into_iter().zip(milliseconds) {
            download.handle(Time(at), Event::Answered { peer, answer: Answer::Have(have.clone()) }, &mut out);
        }
        let first = out.iter().find_map(|action| match action {
            Action::Send { peer, ask: Ask::Outline { .. } } => Some(*peer),
            _ => None,
        });
        let page = Answer::outline_page(&outline, 0);
        (download, Event::Answered { peer: first.unwrap(), answer: page })
    }

    /// How many pieces are asked of each.
    fn requests(out: &[Action]) -> [usize; 2] {
        HOLDERS.map(|holder| {
            let is_request = |action: &&Action| matches!(action, Action::Send { peer, ask: Ask::Request { .. } } if *peer == holder);
            out.iter().filter(is_request).count()
        })
    }

    /// How many pieces are asked at once of each of two holders whose first answers took so long, over a line with room
    /// for all of them.
    fn asked(pieces: u32, milliseconds: [u64; 2]) -> [usize; 2] {
        let (mut download, page) = held_by_two(pieces, milliseconds);
        (0..8).for_each(|_| download.intake.came(Time(500)));
        let mut out = Vec::new();
        download.handle(Time(500), page, &mut out);
        requests(&out)
    }

    #[test]
    fn who_is_far_is_asked_when_who_is_near_lags() {
        let (mut download, page) = held_by_two(3, [1, 100]);
        download.peers.get_mut(&HOLDERS[0]).unwrap().lags(Time(400));
        let mut out = Vec::new();
        // It has rested for long enough by then.
        download.handle(Time(5_000), page, &mut out);
        assert_eq!(requests(&out), [0, 3]);
    }

    #[test]
    fn who_is_inside_is_asked_however_far_while_who_is_outside_is_near() {
        let (download, page) = held_by_two(3, [1, 100]);
        let mut download = download.with_site(Time(400), &[PublicKey([0; 32]), HOLDERS[1]]);
        download.inside.fill(1);
        let mut out = Vec::new();
        download.handle(Time(500), page, &mut out);
        assert_eq!(requests(&out), [0, 3]);
    }

    #[test]
    fn who_lags_is_asked_when_who_is_well_rests_for_long() {
        let (mut download, page) = held_by_two(3, [1, 1]);
        download.peers.get_mut(&HOLDERS[0]).unwrap().lags(Time(400));
        let rests = download.peers.get_mut(&HOLDERS[1]).unwrap();
        (0..2).for_each(|_| rests.lags(Time(400)));
        rests.asked.insert(0, Time(400));
        rests.measured(Time(450), 0);
        rests.asked.clear();
        assert!(!rests.is_lagging() && rests.rests_until() > Time(3_000));
        let mut out = Vec::new();
        download.handle(Time(2_000), page, &mut out);
        assert_eq!(requests(&out), [1, 0], "a lagging one is asked for little");
    }

    #[test]
    fn the_nearer_of_two_holders_is_asked_and_the_farther_for_what_is_too_much_for_it() {
        assert_eq!(asked(3, [1, 100]), [3, 0]);
        assert_eq!(asked(3, [100, 1]), [0, 3]);
        assert_eq!(asked(6, [1, 100]), [4, 2]);
    }

    #[test]
    fn where_all_are_about_as_near_both_are_asked() {
        for milliseconds in [[1, 5], [20, 70], [0, 0]] {
            let [one, other] = asked(6, milliseconds);
            assert_eq!((one, other), (3, 3), "{milliseconds:?}");
        }
    }
}
