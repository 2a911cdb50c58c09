//! What comes into a node's site from outside, and through whom: see [`Turns`].

use super::peer::{Peer, Refusal};
use super::{Action, Download};
use crate::identity::NodeId;
use crate::time::Time;
use crate::transfer::locality::Locality;
use crate::transfer::outline::piece_count;
use crate::transfer::turns::Turns;
use crate::transfer::wire::Ask;

/// Who got nothing for so many times as long as a node waits asks whom it can.
const FREE_AFTER: u64 = 5;
/// The same before anything came: over a narrow line the first pieces take long.
const FREE_AT_FIRST: u64 = 15;

/// Pieces from outside that may be under way to this node beyond as many as lately came.
const BEYOND: usize = 4;

impl Download {
    /// As a member of a site whose members, this node among them, bring each piece in once.
    pub fn with_site(mut self, now: Time, site: &[NodeId]) -> Self {
        self.locality = Locality::new(self.me, site, self.blob, piece_count(self.bytes));
        self.locality.came(now);
        if !self.locality.is_alone() {
            let others = site.iter().copied().filter(|node| *node != self.me);
            self.turns = Turns::new(self.me, others, self.blob);
            self.inside = self.availability.clone();
        }
        self
    }

    /// Members of the site to ask from the start.
    pub fn site_to_begin_with(&self, most: usize) -> Vec<NodeId> {
        let mut named: Vec<NodeId> = self.turns.wardens().filter(|node| *node != self.me).collect();
        named.truncate(most);
        for node in self.locality.to_begin_with(self.me, most) {
            if named.len() < most && !named.contains(&node) {
                named.push(node);
            }
        }
        named
    }

    /// Whether `id` is of another site than this node, or of none.
    pub(super) fn is_outside(&self, id: &NodeId) -> bool {
        !self.locality.is_near(id)
    }

    /// Whether the line to this node has room for a piece of `id`. True for who is inside.
    pub(super) fn has_line_to(&self, now: Time, id: &NodeId) -> bool {
        let outside = || self.peers.iter().filter(|(peer, _)| self.is_outside(peer));
        let under_way = || outside().map(|(_, peer)| peer.asked.len()).sum::<usize>();
        !self.is_outside(id) || under_way() < self.intake.room(now, BEYOND)
    }

    /// Says what is to be said of who brings what in.
    pub(super) fn say_of_turns(&mut self, out: &mut Vec<Action>) {
        let said = self.turns.outbox.drain(..);
        out.extend(said.map(|(peer, ask)| Action::Send { peer, ask }));
    }

    /// Whether what `id` has comes into the site with it, so that leave is needed. Not for who got nothing for long.
    pub(super) fn waits_for_leave(&self, now: Time, id: &NodeId) -> bool {
        let free_after = if self.came.is_empty() { FREE_AT_FIRST } else { FREE_AFTER };
        !self.locality.is_alone() && self.is_outside(id) && !self.locality.starves(now, free_after)
    }

    /// Whether leave for `piece` may be sought: nobody in the site has it, or it does not come from there.
    pub(super) fn is_open(&self, now: Time, piece: u32) -> bool {
        let near = self.inside.get(piece as usize).copied().unwrap_or(0);
        // Who had the blob from the start refers to members of other sites too: what it refused is not inside.
        let refuses =
            |peer: &&Peer| peer.whole && peer.pieces.contains(piece) && peer.refusals.contains_key(&piece);
        let refused =
            || self.peers.iter().filter(|(id, peer)| refuses(peer) && self.locality.is_near(id)).count();
        let is_inside = near > 0 && usize::from(near) > refused();
        self.turns.is_open(now, piece) && (!is_inside || self.locality.starves(now, 1))
    }

    /// Seeks leave for a piece that `id` has outside. Whether there was one.
    pub(super) fn seek_leave(&mut self, now: Time, id: NodeId, out: &mut Vec<Action>) -> bool {
        if !self.waits_for_leave(now, &id) {
            return false;
        }
        let Some(piece) = self.choose(now, id, true) else { return false };
        if self.turns.seek(now, piece, id) {
            self.request(now, id, piece, out);
        }
        true
    }

    /// Gives back leaves that are of no use: nobody known outside gives the piece now.
    pub(super) fn give_unused_back(&mut self, now: Time) {
        for piece in self.turns.unused() {
            let mut outside = self.peers.iter().filter(|(id, _)| !self.locality.is_near(id));
            let may_be_had = outside.any(|(id, peer)| {
                let refused = |refusal: &Refusal| refusal.stands(now, peer, &self.peers, self.late(id));
                peer.may_be_asked(now)
                    && peer.pieces.contains(piece)
                    && !peer.refusals.get(&piece).is_some_and(refused)
            });
            if !may_be_had {
                self.turns.give_back(now, piece);
            }
        }
    }

    /// A peer says something of who brings a piece in.
    pub(super) fn said(&mut self, now: Time, peer: NodeId, ask: &Ask) {
        if !self.locality.is_near(&peer) {
            return;
        }
        match *ask {
            Ask::MayBring { blob, piece } if piece < self.held.pieces() => {
                let answer = match self.who_brings(now, peer, piece) {
                    Some(who) => Ask::Brings { blob, piece, who },
                    None => Ask::Wait { blob, piece },
                };
                self.turns.outbox.push((peer, answer));
            }
            Ask::Wait { piece, .. } => self.turns.waits(now, peer, piece),
            Ask::Brings { piece, who, .. } if !self.held.contains(piece) && piece < self.held.pieces() => {
                self.turns.told(now, peer, piece, who);
            }
            Ask::Cancel { piece, .. } => self.turns.given_back(now, peer, piece),
            _ => {}
        }
    }

    /// Who brings `piece` in, or has it already. Nobody while `peer` is to wait.
    fn who_brings(&mut self, now: Time, peer: NodeId, piece: u32) -> Option<NodeId> {
        if self.held.contains(piece) {
            return Some(self.me);
        }
        let is_inside = self.inside.get(piece as usize).is_some_and(|near| *near > 0);
        let mut near = self.peers.iter().filter(|(id, _)| is_inside && self.locality.is_near(id));
        let has = near
            .find(|(id, other)| **id != peer && !other.whole && other.pieces.contains(piece))
            .map(|(id, _)| *id);
        has.or_else(|| self.turns.asked(now, peer, piece))
    }
}
