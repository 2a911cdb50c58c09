//! Who can be reached for what: a node's own site first, and what nobody has.

use super::peer::Standing;
use super::{Action, Download, Event};
use crate::identity::NodeId;
use crate::time::Time;
use crate::transfer::locality::Locality;
use crate::transfer::outline::piece_count;
use crate::transfer::wire::Answer;

/// Who can have become able to be asked for more, by an event.
#[derive(Clone, Copy)]
pub(super) enum Whom {
    All,
    One(NodeId),
    Nobody,
}

impl Download {
    /// Most events are news of one piece: those are cheap, or a large fleet would do nothing but look at them.
    pub(super) fn concerned(&self, event: &Event) -> Whom {
        match event {
            Event::Answered { answer: Answer::Gained { piece, .. }, .. } if self.taken.contains(*piece) => {
                Whom::Nobody
            }
            Event::Answered { answer: Answer::Gained { .. }, peer } => Whom::One(*peer),
            _ => Whom::All,
        }
    }

    /// One request a peer in turn until nobody can be asked for anything, and then those who are far.
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
        for mut ids in [near, far] {
            while !ids.is_empty() {
                ids.retain(|id| {
                    let chosen = self.choose(now, *id).or_else(|| self.choose_late(now, *id));
                    if let Some(piece) = chosen {
                        self.request(now, *id, piece, out);
                    }
                    chosen.is_some()
                });
            }
        }
    }

    /// As a member of a site whose members, this node among them, bring each piece in once.
    pub fn with_site(mut self, now: Time, site: &[NodeId]) -> Self {
        self.locality = Locality::new(self.me, site, self.blob, piece_count(self.bytes));
        self.locality.came(now);
        self
    }

    /// Members of the site to ask from the start.
    pub fn site_to_begin_with(&self, most: usize) -> Vec<NodeId> {
        self.locality.to_begin_with(self.me, most)
    }

    /// A piece is asked of `id`: if that is outside, others of the site may have been waited for in vain.
    pub(super) fn note_stepping_in(&mut self, id: NodeId, piece: u32) {
        if !self.locality.is_near(&id) {
            let peers = &self.peers;
            let answers =
                |node: &NodeId| peers.get(node).is_some_and(|peer| peer.standing == Standing::Ready);
            self.locality.stepped_in(piece, answers);
        }
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

    /// Whether it is for this node, now, to bring a piece in from a peer outside its site. What a holder in the
    /// site refused, since it gave it to others, is not to be had inside.
    pub(super) fn may_come_from(&self, now: Time, id: NodeId, piece: u32) -> bool {
        let inside = || {
            let near = self.peers.iter().filter(|(id, _)| self.locality.is_near(id));
            near.map(|(_, peer)| peer)
                .any(|peer| peer.pieces.contains(piece) && !peer.refusals.contains_key(&piece))
        };
        self.locality.is_alone() || self.locality.is_near(&id) || self.locality.allows(now, piece, inside())
    }
}
