//! Events by kind: where the events of a run come from.

use groundswell_protocol::facts::{Key, SignedFact};
use groundswell_protocol::node::reader::Heard;
use groundswell_protocol::wire::frame::{BadFrame, Frame};
use serde::{Serialize, Serializer};

/// The kinds, in the order in which they are counted.
const NAMES: [&str; 24] = [
    "power on",
    "wake",
    "wake too early",
    "link",
    "commit",
    "fetch",
    "switch",
    "probe",
    "wall clock",
    "the world itself",
    "lie",
    "damaged",
    "frame for nobody",
    "gossip heard before",
    "gossip document",
    "gossip vote",
    "gossip ballot",
    "gossip proposal",
    "gossip command",
    "gossip beacon",
    "sync",
    "facts with a beacon",
    "facts",
    "seen",
];

/// What an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// A machine got power.
    PowerOn,
    /// A core was woken.
    Wake,
    /// A wake came too early.
    EarlyWake,
    /// A link came or went.
    Link,
    /// A commit ended.
    Commit,
    /// Bytes of a release came or were looked for, or a tree was built.
    Fetch,
    /// A switch ended.
    Switch,
    /// A probe was due.
    Probe,
    /// The clock on the wall was read.
    WallClock,
    /// Heartbeats, steps, faults, looks.
    World,
    /// A liar spoke.
    Lie,
    /// A damaged frame came.
    Damaged,
    /// A frame came to a machine that is off or cut off.
    Lost,
    /// A gossiped frame came to a machine that had it.
    Duplicate,
    /// A gossiped policy, census or manifest.
    Document,
    /// A gossiped vote.
    Vote,
    /// A gossiped ballot.
    Ballot,
    /// A gossiped proposal.
    Propose,
    /// A gossiped command.
    Command,
    /// A gossiped beacon.
    Beacon,
    /// Digests, summaries and what is wanted after them.
    Sync,
    /// Facts, the first of them a beacon: a sign of life to a jury.
    Life,
    /// Other facts.
    Facts,
    /// Word that facts were seen.
    Seen,
}

/// The tag of a beacon's body: see the table of `facts::fact`.
const BEACON_TAG: u8 = 8;

impl Kind {
    /// What a frame brought that a core has read.
    pub fn of(heard: Option<&Result<Heard, BadFrame>>) -> Self {
        let is_beacon = |fact: &SignedFact| fact.body.first() == Some(&BEACON_TAG);
        match heard {
            None => Self::Lost,
            Some(Ok(Heard::Gossip(Ok(fact)))) => match &fact.key {
                Key::Policy(..) | Key::Census(..) | Key::Manifest(..) => Self::Document,
                Key::Vote(..) => Self::Vote,
                Key::Ballot(..) => Self::Ballot,
                Key::Propose(..) => Self::Propose,
                Key::Command(..) => Self::Command,
                Key::Beacon(_) => Self::Beacon,
            },
            Some(Ok(Heard::Direct(frame))) => match &**frame {
                Frame::Facts { facts, .. } if facts.first().is_some_and(is_beacon) => Self::Life,
                Frame::Facts { .. } => Self::Facts,
                Frame::Seen { .. } => Self::Seen,
                _ => Self::Sync,
            },
            Some(Ok(Heard::Gossip(Err(_))) | Err(_)) => Self::Damaged,
        }
    }
}

/// How many events there were of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kinds([u64; NAMES.len()]);

impl Kinds {
    /// There was one more.
    pub fn count(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (here, there) in self.0.iter_mut().zip(other.0) {
            *here += there;
        }
    }

    /// Kinds and their numbers, the most first; none that there is not.
    pub fn most(&self) -> Vec<(&'static str, u64)> {
        let mut all: Vec<_> = NAMES.into_iter().zip(self.0).filter(|(_, count)| *count > 0).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }
}

impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.most())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_and_the_most_come_first() {
        let mut kinds = Kinds::default();
        assert_eq!(Kind::Seen as usize + 1, NAMES.len());
        kinds.count(Kind::Seen);
        kinds.count(Kind::Wake);
        kinds.count(Kind::Wake);
        let mut twice = kinds;
        twice.add(&kinds);
        assert_eq!(twice.most(), [("wake", 4), ("seen", 2)]);
    }
}
