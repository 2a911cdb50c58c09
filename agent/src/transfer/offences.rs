//! What peers did that the piece protocol does not allow, counted by kind, and what it costs them.
//!
//! Each is refused where it is found; here it is counted, and laid to its peer. A peer that served bad bytes too
//! often is dropped for this run: its streams are closed, and it is asked nothing more.

use std::collections::BTreeMap;

use groundswell_protocol::identity::NodeId;
use groundswell_protocol::transfer::wire::WireError;

/// Bad pieces and outlines of one peer, of all blobs, after which it is dropped. One blob refuses it at once.
pub const CORRUPTIONS_MAX: u32 = 3;

/// Pieces that came on one stream for blobs that are not fetched, at most: as many as can be under way when they
/// are cancelled.
pub(super) const UNASKED_MAX: u32 = 512;

/// Peers whose offences are remembered; the mildest makes room.
const PEERS_MAX: usize = 256;

/// What a peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// It announced a message longer than any may be.
    Length,
    /// It sent bytes that are no message, or not of this version.
    Malformed,
    /// A list, bitmap or number in its message is beyond its bound.
    Bound,
    /// It says that a blob has another size than the one that was signed.
    Size,
    /// It served bytes that do not verify.
    Corrupt,
    /// It sent pieces that nobody asked for, again and again.
    Unasked,
    /// It did not send a message to its end in time.
    Slow,
    /// It did not read its answers.
    Deaf,
}

impl Offence {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Length,
        Self::Malformed,
        Self::Bound,
        Self::Size,
        Self::Corrupt,
        Self::Unasked,
        Self::Slow,
        Self::Deaf,
    ];

    /// Its word in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Malformed => "malformed",
            Self::Bound => "bound",
            Self::Size => "size",
            Self::Corrupt => "corrupt",
            Self::Unasked => "unasked",
            Self::Slow => "slow",
            Self::Deaf => "deaf",
        }
    }

    pub(super) fn of(refused: WireError) -> Self {
        match refused {
            WireError::Length(_) => Self::Length,
            WireError::Version(_) | WireError::Malformed => Self::Malformed,
            WireError::Bound(_) => Self::Bound,
        }
    }
}

/// Totals since the start, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offences([u64; Offence::ALL.len()]);

impl Offences {
    /// How often.
    pub fn of(&self, offence: Offence) -> u64 {
        self.0[offence as usize]
    }

    pub(super) fn count(&mut self, offence: Offence) {
        self.0[offence as usize] += 1;
    }
}

/// Whom to have nothing to do with any more.
#[derive(Default)]
pub(super) struct Conduct {
    corruptions: BTreeMap<NodeId, u32>,
}

impl Conduct {
    /// A peer served bad bytes. True if it is dropped for that now.
    pub(super) fn corrupted(&mut self, peer: NodeId) -> bool {
        if self.corruptions.len() >= PEERS_MAX && !self.corruptions.contains_key(&peer) {
            let mildest = self.corruptions.iter().min_by_key(|(_, count)| **count).map(|(peer, _)| *peer);
            mildest.and_then(|mildest| self.corruptions.remove(&mildest));
        }
        let count = self.corruptions.entry(peer).or_default();
        *count = count.saturating_add(1);
        *count == CORRUPTIONS_MAX
    }

    pub(super) fn is_dropped(&self, peer: &NodeId) -> bool {
        self.corruptions.get(peer).is_some_and(|count| *count >= CORRUPTIONS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::identity::PublicKey;

    #[test]
    fn a_peer_is_dropped_at_its_third_corruption_and_memory_is_bounded() {
        let mut conduct = Conduct::default();
        let liar = PublicKey([9; 32]);
        assert_eq!([1, 2, 3, 4].map(|_| conduct.corrupted(liar)), [false, false, true, false]);
        for number in 0..2_000_u16 {
            let mut key = [1; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            conduct.corrupted(PublicKey(key));
        }
        assert!(conduct.corruptions.len() <= PEERS_MAX && conduct.is_dropped(&liar));
    }

    #[test]
    fn every_kind_has_a_place_and_a_word_of_its_own() {
        let mut offences = Offences::default();
        Offence::ALL.into_iter().for_each(|offence| offences.count(offence));
        assert!(Offence::ALL.into_iter().all(|offence| offences.of(offence) == 1));
        let words: std::collections::BTreeSet<&str> = Offence::ALL.into_iter().map(Offence::word).collect();
        assert_eq!(words.len(), Offence::ALL.len());
    }
}
