//! What is asked of whom: the rarest of what a peer has, and what nobody has.

use super::peer::Standing;
use super::peer::{Offer, Peer};
use super::{Action, CANDIDATES_MAX, Download, Event, REFUSALS_MAX, mix};
use crate::identity::NodeId;
use crate::time::{Span, Time};
use crate::transfer::groups::Begun;
use crate::transfer::upload::SMALL_BYTES_MAX;
use crate::transfer::wire::{Answer, Ask};

/// Of a small blob who is named by others is asked after this, if it did not come meanwhile from those whom the caller
/// named: in a small fleet that asks each other, streams cost more than all of the blob.
const SMALL_PAUSE: Span = Span::milliseconds(200);

/// Who can have become able to be asked for more, by an event.
#[derive(Clone, Copy)]
pub(super) enum Whom {
    All,
    One(NodeId),
    Nobody,
}

impl Download {
    /// Most events are news: those are cheap, or a large fleet would do nothing but look at them.
    pub(super) fn concerned(&self, event: &Event) -> Whom {
        match event {
            Event::Answered { answer: Answer::News { gained, begun, .. }, peer } => {
                if self.are_taken(gained, begun) { Whom::Nobody } else { Whom::One(*peer) }
            }
            Event::Said { ask: Ask::MayBring { .. } | Ask::Wait { .. }, .. } => Whom::Nobody,
            Event::Said { ask: Ask::Brings { who, .. }, .. } if *who != self.me => Whom::Nobody,
            _ => Whom::All,
        }
    }

    /// Whether a peer that answers has more pieces which are all here or asked for, and nothing else is due: most events
    /// are that, and they change nothing but what is known.
    pub(super) fn is_only_news(&self, now: Time, event: &Event) -> bool {
        let Event::Answered { peer, answer: Answer::News { gained, begun, .. } } = event else {
            return false;
        };
        let is_ready =
            self.peers.get(peer).is_some_and(|peer| peer.standing == Standing::Ready && !peer.silent);
        is_ready && self.are_taken(gained, begun) && self.deadline.is_some_and(|deadline| now < deadline)
    }

    fn are_taken(&self, gained: &[u32], begun: &[Begun]) -> bool {
        let begun = begun.iter().map(|begun| &begun.piece);
        gained.iter().chain(begun).all(|piece| self.taken.contains(*piece))
    }

    /// One request a peer in turn until nobody can be asked for anything, then the same of those who mind turns and so are
    /// known to all of a large site, and then of those who are far.
    pub(super) fn ask_pieces(&mut self, now: Time, whom: Whom, out: &mut Vec<Action>) {
        if self.outline.is_none() {
            return;
        }
        let mut ids: Vec<NodeId> = match whom {
            Whom::All => self.peers.keys().copied().collect(),
            Whom::One(id) => vec![id],
            Whom::Nobody => Vec::new(),
        };
        if !ids.is_empty() {
            let turn = self.below(ids.len() as u64);
            ids.rotate_left(turn);
        }
        let (far, near): (Vec<NodeId>, Vec<NodeId>) = ids.into_iter().partition(|id| self.is_far(id));
        let is_crowded =
            |id: &NodeId| self.locality.is_large() && self.turns.wardens().any(|warden| warden == *id);
        let (crowded, near): (Vec<NodeId>, Vec<NodeId>) = near.into_iter().partition(is_crowded);
        for mut ids in [near, crowded, far] {
            while !ids.is_empty() {
                ids.retain(|id| {
                    let chosen = self
                        .choose(now, *id, false)
                        .or_else(|| self.choose_begun(now, *id))
                        .or_else(|| self.choose_late(now, *id));
                    if let Some(piece) = chosen {
                        self.request(now, *id, piece, out);
                    }
                    chosen.is_some() || self.seek_leave(now, *id, out)
                });
            }
        }
    }

    /// `with_leave`: for what room was kept while leave was sought.
    pub(super) fn may_ask(&self, now: Time, id: NodeId, with_leave: bool) -> Option<&Peer> {
        if self.asked_of.len() >= self.requests_max || !self.has_line_to(now, &id) {
            return None;
        }
        let kept = if with_leave { 0 } else { self.turns.kept_for(&id) };
        self.peers.get(&id).filter(|peer| peer.has_room_beside(now, kept))
    }

    /// The rarest piece that this peer has and nobody was asked for. `open`: not one that may be asked of it now, but
    /// one for which leave is to be sought.
    pub(super) fn choose(&mut self, now: Time, id: NodeId, open: bool) -> Option<u32> {
        let start = u32::try_from(self.below(u64::from(self.held.pieces()))).unwrap_or(0);
        let salt = self.random;
        let late = self.late(&id);
        let waits = self.waits_for_leave(now, &id);
        let peer = self.may_ask(now, id, waits && !open)?;
        let last_resort = peer.is_lagging() && self.nears_the_end();
        let crowded = peer.refusals.len() >= REFUSALS_MAX;
        let nearer = self.nearer_than(now, &id);
        let fits = |piece: &u32| {
            (!last_resort || !self.is_elsewhere(now, id, *piece))
                && !nearer.iter().any(|peer| peer.offers(*piece))
                && match peer.refusals.get(piece) {
                    Some(refusal) => !refusal.stands(now, peer, &self.peers, late),
                    None => !crowded,
                }
        };
        let rarity = |piece: &u32| (self.availability[*piece as usize], mix(salt ^ u64::from(*piece)));
        if waits && !open {
            let has = |piece: &u32| peer.pieces.contains(*piece) && !self.taken.contains(*piece);
            return self.turns.mine().filter(has).filter(fits).min_by_key(rarity);
        }
        let candidates = peer.pieces.without_from(&self.taken, start).take(CANDIDATES_MAX);
        candidates.filter(|piece| !waits || self.is_open(now, *piece)).filter(fits).min_by_key(rarity)
    }

    /// Where a peer has no whole piece to give: the rarest of which it has some that is not here.
    pub(super) fn choose_begun(&mut self, now: Time, id: NodeId) -> Option<u32> {
        let salt = self.random;
        let peer = self.may_ask(now, id, false).filter(|peer| !peer.begun.is_empty())?;
        if self.waits_for_leave(now, &id) {
            return None;
        }
        let rarity = |piece: &u32| (self.availability[*piece as usize], mix(salt ^ u64::from(*piece)));
        let gives =
            |(piece, offer): &(&u32, &Offer)| !offer.here.without(self.parts.here(**piece)).is_empty();
        let begun = peer.begun.iter().filter(gives).map(|(piece, _)| *piece);
        begun.filter(|piece| !self.taken.contains(*piece)).min_by_key(rarity)
    }

    pub(super) fn request(&mut self, now: Time, id: NodeId, piece: u32, out: &mut Vec<Action>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let (tried, insist) = match peer.refusals.get_mut(&piece) {
            Some(refusal) => {
                refusal.give_up();
                (refusal.tried.clone(), refusal.is_exhausted())
            }
            None => (Vec::new(), false),
        };
        peer.asked.insert(piece, now);
        peer.begun.entry(piece).and_modify(|offer| offer.is_news = false);
        peer.note_owed(now);
        self.turns.used(piece);
        self.taken.insert(piece);
        self.asked_of.entry(piece).or_default().push(id);
        let ask = Ask::Request { blob: self.blob, piece, here: self.parts.here(piece), tried, insist };
        out.push(Action::Send { peer: id, ask });
    }

    /// When those are asked who were named by others, and not for a piece.
    pub(super) fn named_are_asked_at(&self, now: Time) -> Time {
        if self.bytes <= SMALL_BYTES_MAX { now + SMALL_PAUSE } else { now }
    }

    /// Everybody who was named, and whether the caller named them: to begin anew later.
    pub fn named_peers(&self) -> Vec<(NodeId, bool)> {
        self.peers.iter().map(|(id, peer)| (*id, peer.hinted)).collect()
    }

    /// Pieces that are not here and that no peer which answers has, rising.
    pub fn out_of_reach(&self) -> impl Iterator<Item = u32> {
        let nowhere = self.availability.iter().zip(0_u32..).filter(|(peers, _)| **peers == 0);
        nowhere.map(|(_, piece)| piece).filter(|piece| !self.held.contains(*piece))
    }
}
