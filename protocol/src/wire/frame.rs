//! Frames: what one node sends to another.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version of the frames: 1 |
//! | rest | [`Frame`] in the codec's canonical form |

use wincode::{SchemaRead, SchemaWrite};

use super::codec;
use crate::bounds::{FACTS_PER_FRAME_MAX, INQUIRY_RANKS_MAX, MESSAGE_MAX, SUMMARY_ENTRIES_MAX};
use crate::digest::Digest;
use crate::facts::{RolloutId, SignedFact};

/// The version byte of every frame.
pub const FRAME_VERSION: u8 = 1;

/// A register as a summary names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct Entry {
    /// `Key::short`.
    pub key: u64,
    /// The fact's rank.
    pub rank: u64,
    /// First eight bytes of the fact's id.
    pub id: u64,
}

/// What one node sends to another.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Frame {
    /// One fact, gossiped.
    Gossip(SignedFact),
    /// "My facts digest to this": begins or answers a sync. Carries the sender's beacon.
    Digest {
        /// Of all registers but beacons.
        digest: Digest,
        /// The sender's newest beacon, once it has one.
        beacon: Option<SignedFact>,
        /// In an answer: the receiver's own newest beacon, if the sender holds a later one than it showed.
        yours: Option<SignedFact>,
        /// Whether this answers a `Digest` that was equal: ends the sync.
        equal: bool,
    },
    /// "Of the keys from `first` to `last` I have these": answers a `Digest` that differed.
    Summary {
        /// Lowest key of the page.
        first: u64,
        /// Highest key of the page.
        last: u64,
        /// By rising key; at most `SUMMARY_ENTRIES_MAX`.
        entries: Vec<Entry>,
        /// The sender's newest beacon, on the first page.
        beacon: Option<SignedFact>,
        /// The receiver's own newest beacon, as in `Digest`, on every page: it must not be lost before the sync ends.
        yours: Option<SignedFact>,
    },
    /// "Send me the facts of these keys", at most `SUMMARY_ENTRIES_MAX`; none: the sync's end.
    Want {
        /// `Key::short`, rising.
        keys: Vec<u64>,
    },
    /// Facts, at most `FACTS_PER_FRAME_MAX`, in the order of their keys.
    Facts {
        /// The facts.
        facts: Vec<SignedFact>,
        /// The sender waits for `Seen` of them.
        confirm: bool,
        /// Nothing more follows in this sync.
        last: bool,
    },
    /// "I hold these facts, or greater": answers `Facts` with `confirm`.
    Seen {
        /// What I hold now of the keys that were sent.
        entries: Vec<Entry>,
    },
    /// "Send me what you have of these": a juror misses beacons of others, and with a drawn jury votes.
    Missed {
        /// The rollout.
        rollout: RolloutId,
        /// The seats of the jurors that it misses, one bit each, the first seat's the lowest.
        seats: u64,
        /// The ranks of the members that it misses, rising; at most `INQUIRY_RANKS_MAX`.
        ranks: Vec<u32>,
    },
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Longer than any frame.
    #[error("the frame is larger than {MESSAGE_MAX} bytes")]
    TooLarge,
    /// A version that this node does not speak.
    #[error("the frame has version {0}, this node speaks {FRAME_VERSION}")]
    Version(u8),
    /// Not canonical, or a list beyond its bound.
    #[error("the frame is malformed")]
    Malformed,
}

impl Frame {
    /// Encodes the frame.
    pub fn encode(&self) -> Vec<u8> {
        let frame = codec::encode(self);
        let mut bytes = Vec::with_capacity(1 + frame.len());
        bytes.push(FRAME_VERSION);
        bytes.extend_from_slice(&frame);
        bytes
    }

    /// Decodes a frame: total on all bytes.
    ///
    /// # Errors
    /// Why the bytes are no frame.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadFrame> {
        if bytes.len() > MESSAGE_MAX {
            return Err(BadFrame::TooLarge);
        }
        match bytes.split_first() {
            Some((&FRAME_VERSION, rest)) => {
                let frame: Self = codec::decode(rest).map_err(|_| BadFrame::Malformed)?;
                if frame.is_bounded() { Ok(frame) } else { Err(BadFrame::Malformed) }
            }
            Some((&version, _)) => Err(BadFrame::Version(version)),
            None => Err(BadFrame::Malformed),
        }
    }

    fn is_bounded(&self) -> bool {
        match self {
            Self::Gossip(_) | Self::Digest { .. } => true,
            Self::Summary { first, last, entries, .. } => {
                first <= last
                    && entries.len() <= SUMMARY_ENTRIES_MAX
                    && entries.is_sorted()
                    && entries.iter().all(|e| (*first..=*last).contains(&e.key))
            }
            Self::Want { keys } => keys.len() <= SUMMARY_ENTRIES_MAX && keys.is_sorted_by(|a, b| a < b),
            Self::Facts { facts, .. } => facts.len() <= FACTS_PER_FRAME_MAX,
            Self::Seen { entries } => entries.len() <= FACTS_PER_FRAME_MAX,
            Self::Missed { ranks, .. } => {
                ranks.len() <= INQUIRY_RANKS_MAX && ranks.is_sorted_by(|a, b| a < b)
            }
        }
    }
}
