//! What travels: bytes by kind, told from a frame's first bytes without decoding it.

use super::timeline::{Coarsen, Sums};

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Gossip: policies and censuses.
    Trust,
    /// Gossip: releases.
    Manifest,
    /// Gossip: what operators order.
    Command,
    /// Gossip: what nodes report of a release.
    Vote,
    /// Gossip: what jurors say.
    Ballot,
    /// Gossip: what leaders propose.
    Proposal,
    /// Gossip: what the overlay itself says, announcements and requests.
    Overlay,
    /// Gossip: signs of life.
    Beacon,
    /// Sync: whether two nodes know the same.
    Digest,
    /// Sync: what a node has.
    Summary,
    /// Sync, or a juror that misses news: what a node asks for.
    Want,
    /// Sync: facts.
    Facts,
    /// Sync: that facts have arrived.
    Seen,
    /// Nothing that a node would read.
    Unknown,
}

/// Kinds of frames.
pub const KINDS: usize = 14;

impl Kind {
    /// All of them.
    pub const ALL: [Self; KINDS] = [
        Self::Trust,
        Self::Manifest,
        Self::Command,
        Self::Vote,
        Self::Ballot,
        Self::Proposal,
        Self::Overlay,
        Self::Beacon,
        Self::Digest,
        Self::Summary,
        Self::Want,
        Self::Facts,
        Self::Seen,
        Self::Unknown,
    ];

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Trust => "policies and censuses",
            Self::Manifest => "manifests",
            Self::Command => "commands",
            Self::Vote => "votes",
            Self::Ballot => "ballots",
            Self::Proposal => "proposals",
            Self::Overlay => "announcements",
            Self::Beacon => "beacons",
            Self::Digest => "sync: digests",
            Self::Summary => "sync: summaries",
            Self::Want => "sync: requests",
            Self::Facts => "sync: facts",
            Self::Seen => "sync: receipts",
            Self::Unknown => "unreadable",
        }
    }

    /// Whether the gossip overlay carries it.
    pub fn is_gossip(self) -> bool {
        self <= Self::Beacon
    }
}

/// A frame is its version, the number of its sort (four bytes), and what it holds.
const SORT: std::ops::Range<usize> = 1..5;
/// A gossiped fact begins with the length of its body (eight bytes).
const LENGTH: std::ops::Range<usize> = 5..13;

/// What a frame carries, by its first bytes.
pub(super) fn kind(frame: &[u8]) -> Kind {
    let Some(sort) = frame.get(SORT).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes) else {
        return Kind::Unknown;
    };
    match sort {
        0 => match frame.get(LENGTH.end) {
            Some(1 | 2) => Kind::Trust,
            Some(3) => Kind::Manifest,
            Some(4) => Kind::Vote,
            Some(5) => Kind::Ballot,
            Some(6) => Kind::Proposal,
            Some(7) => Kind::Command,
            Some(8) => Kind::Beacon,
            _ => Kind::Unknown,
        },
        1 => Kind::Digest,
        2 => Kind::Summary,
        3 | 6 => Kind::Want,
        4 => Kind::Facts,
        5 => Kind::Seen,
        _ => Kind::Unknown,
    }
}

/// The body of a gossiped fact.
pub(super) fn gossiped_body(frame: &[u8]) -> Option<&[u8]> {
    let length = u64::from_le_bytes(frame.get(LENGTH)?.try_into().ok()?);
    let end = LENGTH.end.checked_add(usize::try_from(length).ok()?)?;
    frame.get(LENGTH.end..end)
}

/// What is told apart by time.
const STREAMS: usize = 3;
/// Stream: frames of the overlay.
pub const GOSSIP: usize = 0;
/// Stream: frames from node to node.
pub const SYNC: usize = 1;
/// Stream: bytes of releases.
pub const PAYLOAD: usize = 2;

/// Frames and bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// All that travelled.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Frames by kind, every copy on the overlay counted.
    pub frames: [Amount; KINDS],
    /// Bytes of releases from the machine that published them.
    pub from_publisher: Amount,
    /// Bytes of releases from others.
    pub from_peers: Amount,
    /// Bytes by stream and time.
    pub streams: Sums<STREAMS>,
}

impl Traffic {
    pub(super) fn frame(&mut self, bucket: u32, frame: &[u8]) {
        let kind = kind(frame);
        let bytes = frame.len() as u64;
        self.frames[kind as usize].add(bytes);
        self.streams.add(bucket, if kind.is_gossip() { GOSSIP } else { SYNC }, bytes);
    }

    pub(super) fn announced(&mut self, bucket: u32, bytes: u64) {
        self.frames[Kind::Overlay as usize].add(bytes);
        self.streams.add(bucket, GOSSIP, bytes);
    }

    pub(super) fn payload(&mut self, bucket: u32, bytes: u64, from_publisher: bool) {
        let amount = if from_publisher { &mut self.from_publisher } else { &mut self.from_peers };
        amount.add(bytes);
        self.streams.add(bucket, PAYLOAD, bytes);
    }
}

impl Coarsen for Traffic {
    fn coarsen(&mut self) {
        self.streams.coarsen();
    }
}

#[cfg(test)]
mod tests {
    use groundswell_protocol::digest::Digest;
    use groundswell_protocol::facts::{RolloutId, SignedFact};
    use groundswell_protocol::wire::frame::Frame;

    use super::*;

    #[test]
    fn the_first_bytes_of_every_frame_tell_its_kind() {
        let fact = |tag| SignedFact { body: vec![tag, 1, 2, 3].into(), signatures: Vec::new().into() };
        let expected =
            [(1, Kind::Trust), (2, Kind::Trust), (3, Kind::Manifest), (4, Kind::Vote), (5, Kind::Ballot)];
        let more = [(6, Kind::Proposal), (7, Kind::Command), (8, Kind::Beacon), (9, Kind::Unknown)];
        for (tag, wanted) in expected.into_iter().chain(more) {
            let frame = Frame::Gossip(fact(tag)).encode();
            assert_eq!(kind(&frame), wanted);
            assert_eq!(gossiped_body(&frame), Some(fact(tag).body.as_slice()));
        }
        let digest = Frame::Digest { digest: Digest([0; 32]), beacon: None, yours: None, equal: false };
        assert_eq!(kind(&digest.encode()), Kind::Digest);
        let summary = Frame::Summary { first: 0, last: 1, entries: Vec::new(), beacon: None, yours: None };
        assert_eq!(kind(&summary.encode()), Kind::Summary);
        assert_eq!(kind(&Frame::Want { keys: Vec::new() }.encode()), Kind::Want);
        let missed = Frame::Missed { rollout: RolloutId(Digest([0; 32])), seats: 1, ranks: Vec::new() };
        assert_eq!(kind(&missed.encode()), Kind::Want);
        let facts = Frame::Facts { facts: Vec::new(), confirm: false, last: true };
        assert_eq!(kind(&facts.encode()), Kind::Facts);
        assert_eq!(kind(&Frame::Seen { entries: Vec::new() }.encode()), Kind::Seen);
    }

    #[test]
    fn hostile_bytes_have_a_kind_too() {
        for frame in [&[][..], &[1], &[1, 0, 0, 0, 0], &[1, 9, 9, 9, 9], &[255; 13]] {
            assert_eq!(kind(frame), Kind::Unknown);
            assert_eq!(gossiped_body(frame), None);
        }
        assert_eq!(gossiped_body(&[255; 64]), None, "a length beyond the frame");
    }
}
