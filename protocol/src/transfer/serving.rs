//! A holder's answers: what each ask is answered with, and who is told of new pieces.
//!
//! One door: [`Serving::asked`]. It knows who is interested in which blob, names interested peers to each
//! other, so that a swarm forms around the first holder, and leaves the order of service to [`Upload`].
//! What is held is handed in with each ask; pages of outlines are read and sent by the driver.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{GroupSet, Share};
use super::outline::piece_range;
use super::pieces::PieceSet;
use super::upload::{Serve, Standing, Upload, Verdict, Wanted};
use super::wire::{Answer, Ask, Have, PEERS_NAMED_MAX};
use crate::digest::Digest;
use crate::identity::NodeId;
use crate::time::Time;

/// Blobs that one peer may be told about, at most: enough for a release's chunks under way at once.
pub const INTERESTS_PER_PEER_MAX: usize = 1024;

/// Peers that are told about new pieces, at most.
pub const INTERESTED_PEERS_MAX: usize = 256;

/// What we have of a blob that somebody asks about.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    /// The blob's size.
    pub bytes: u64,
    /// The pieces that are here.
    pub pieces: &'a PieceSet,
    /// Of the piece that is asked for, if it is not here whole: what is here.
    pub part: GroupSet,
    /// How we came by them.
    pub standing: Standing,
}

/// The answering side of all blobs.
pub struct Serving {
    /// Who is served next, and with what.
    pub upload: Upload,
    interested: BTreeMap<Digest, BTreeSet<NodeId>>,
    interests: BTreeMap<NodeId, BTreeSet<Digest>>,
}

impl Serving {
    /// With a fresh serving policy.
    pub fn new(upload: Upload) -> Self {
        Self { upload, interested: BTreeMap::new(), interests: BTreeMap::new() }
    }

    /// The answer to `ask`, if there is one now. [`Ask::Outline`] has none here: see the module's head.
    /// `holding` is what we have of the blob that it names, also when that is no piece yet.
    pub fn asked(
        &mut self,
        now: Time,
        peer: NodeId,
        ask: Ask,
        holding: Option<Holding<'_>>,
    ) -> Option<Answer> {
        match ask {
            Ask::Ask { blob } => {
                let noted = self.note_interest(peer, blob);
                let holding = holding.filter(|_| noted);
                Some(holding.map_or(Answer::NotHere { blob }, |holding| self.have(peer, blob, holding)))
            }
            Ask::Request { blob, piece, here, tried, insist } => {
                let Some(holding) = holding else { return Some(Answer::NotHere { blob }) };
                let is_whole = holding.pieces.contains(piece);
                let length = piece_range(holding.bytes, piece).map_or(0, |(_, length)| length);
                if !is_whole && holding.part.is_empty() {
                    return Some(self.have(peer, blob, holding));
                }
                let of_it = if is_whole { GroupSet::all(length) } else { holding.part };
                let Some(share) = Share::of(of_it, here, length) else {
                    return Some(Answer::NoMore { blob, piece });
                };
                let wanted = Wanted {
                    piece: (blob, piece),
                    of: holding.bytes,
                    share,
                    bytes: share.groups.bytes(length),
                    tried: &tried,
                    insist,
                    standing: holding.standing,
                };
                match self.upload.request(now, peer, wanted) {
                    Verdict::Wait => None,
                    Verdict::Refer(peers) => Some(Answer::Refer { blob, piece, peers }),
                    Verdict::Busy if is_whole => Some(Answer::Busy { blob, piece }),
                    Verdict::Busy => Some(Answer::NoMore { blob, piece }),
                }
            }
            Ask::Cancel { blob, piece } => {
                self.upload.cancel(peer, (blob, piece));
                None
            }
            Ask::Came { blob, pieces } => {
                self.upload.has(now, peer, blob, &pieces);
                None
            }
            Ask::Forget { blob } => {
                self.upload.forget(peer, blob);
                self.forget_interest(peer, blob);
                None
            }
            Ask::Outline { .. } | Ask::MayBring { .. } | Ask::Wait { .. } | Ask::Brings { .. } => None,
        }
    }

    /// Those to be told that we gained something of `blob`.
    pub fn interested(&self, blob: &Digest) -> impl Iterator<Item = NodeId> {
        self.interested.get(blob).into_iter().flatten().copied()
    }

    /// A piece was sent, or could not be: see [`Upload::sent`].
    pub fn sent(&mut self, serve: Serve, delivered: bool) {
        self.upload.sent(serve, delivered);
    }

    /// The peer's stream ended.
    pub fn lost(&mut self, peer: NodeId) {
        self.upload.lost(peer);
        for blob in self.interests.remove(&peer).unwrap_or_default() {
            self.remove_interested(peer, blob);
        }
    }

    /// What we have, with the names of others who are interested, those after the asker in the order of
    /// keys first, so that different askers hear different names.
    fn have(&self, peer: NodeId, blob: Digest, holding: Holding<'_>) -> Answer {
        let interested = self.interested.get(&blob);
        let after = interested.into_iter().flat_map(|set| set.range(peer..));
        let before = interested.into_iter().flat_map(|set| set.range(..peer));
        let others = after.chain(before).copied().filter(|other| *other != peer);
        let peers = others.take(PEERS_NAMED_MAX).collect();
        Answer::Have(Have::new(blob, holding.bytes, holding.pieces, peers))
    }

    fn note_interest(&mut self, peer: NodeId, blob: Digest) -> bool {
        if !self.interests.contains_key(&peer) && self.interests.len() >= INTERESTED_PEERS_MAX {
            return false;
        }
        let blobs = self.interests.entry(peer).or_default();
        if blobs.len() >= INTERESTS_PER_PEER_MAX && !blobs.contains(&blob) {
            return false;
        }
        blobs.insert(blob);
        self.interested.entry(blob).or_default().insert(peer);
        true
    }

    fn forget_interest(&mut self, peer: NodeId, blob: Digest) {
        if let Some(blobs) = self.interests.get_mut(&peer) {
            blobs.remove(&blob);
            if blobs.is_empty() {
                self.interests.remove(&peer);
            }
        }
        self.remove_interested(peer, blob);
    }

    fn remove_interested(&mut self, peer: NodeId, blob: Digest) {
        if let Some(peers) = self.interested.get_mut(&blob) {
            peers.remove(&peer);
            if peers.is_empty() {
                self.interested.remove(&blob);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PublicKey;

    fn peer(number: u16) -> NodeId {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        PublicKey(key)
    }

    fn ask(serving: &mut Serving, from: u16, blob: Digest) -> Answer {
        let pieces = PieceSet::all(1);
        let holding =
            Holding { bytes: 10, pieces: &pieces, part: GroupSet::NONE, standing: Standing::Origin };
        serving.asked(Time(0), peer(from), Ask::Ask { blob }, Some(holding)).unwrap()
    }

    #[test]
    fn those_interested_hear_of_each_other_until_they_forget() {
        let mut serving = Serving::new(Upload::new(None));
        let blob = Digest([1; 32]);
        ask(&mut serving, 1, blob);
        ask(&mut serving, 2, blob);
        let Answer::Have(have) = ask(&mut serving, 3, blob) else { panic!("we have it") };
        assert_eq!(have.peers, [peer(1), peer(2)]);
        serving.asked(Time(0), peer(1), Ask::Forget { blob }, None);
        serving.lost(peer(2));
        assert_eq!(serving.interested(&blob).collect::<Vec<_>>(), [peer(3)]);
        serving.lost(peer(3));
        assert!(serving.interested.is_empty() && serving.interests.is_empty());
    }

    #[test]
    fn interests_are_bounded_per_peer_and_in_peers() {
        let mut serving = Serving::new(Upload::new(None));
        for number in 0..2000_u16 {
            let mut name = [0; 32];
            name[..2].copy_from_slice(&number.to_be_bytes());
            let answer = ask(&mut serving, 1, Digest(name));
            let within = usize::from(number) < INTERESTS_PER_PEER_MAX;
            assert_eq!(matches!(answer, Answer::Have(_)), within);
            ask(&mut serving, number + 2, Digest([9; 32]));
        }
        assert_eq!(serving.interests.len(), INTERESTED_PEERS_MAX);
        assert_eq!(serving.interested.len(), INTERESTS_PER_PEER_MAX + 1);
    }
}
