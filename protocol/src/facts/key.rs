//! Registers' names. Their order is the order in which facts depend on each other, so that a list of
//! facts sorted by key can be accepted from front to back.

use super::statements::{BallotKind, RolloutId};
use crate::digest::{Digest, first_number};
use crate::identity::NodeId;
use crate::trust::command::CommandKind;
use crate::trust::manifest::ReleaseOrder;
use crate::trust::names::ComponentName;

/// The name of a register. Documents of one number but other bytes get registers of their own: both
/// are kept, and the pair is the proof of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A policy of this version.
    Policy(u32, Digest),
    /// A census of this version.
    Census(u32, Digest),
    /// A release of a component.
    Manifest(ComponentName, ReleaseOrder, RolloutId),
    /// An operator's register of a rollout.
    Command(RolloutId, CommandKind),
    /// A juror's register of a rollout.
    Ballot(RolloutId, NodeId, BallotKind),
    /// A leader's register of a rollout.
    Propose(RolloutId, NodeId),
    /// A node's register of a rollout.
    Vote(RolloutId, NodeId),
    /// A node's sign of life.
    Beacon(NodeId),
}

impl Key {
    /// Eight bytes that stand for the key in summaries. The first two bits keep the order of
    /// dependence, the rest is a digest; two keys that share them are synced as one page's worth of both.
    pub fn short(&self) -> u64 {
        let (class, parts): (u64, Vec<&[u8]>) = match self {
            Self::Policy(_, id) => (0, vec![b"p", &id.0]),
            Self::Census(_, id) => (1, vec![b"c", &id.0]),
            Self::Manifest(_, _, id) => (2, vec![b"m", &id.0.0]),
            Self::Command(rollout, kind) => (3, vec![b"o", &rollout.0.0, command_tag(*kind)]),
            Self::Ballot(rollout, node, kind) => (3, vec![b"b", &rollout.0.0, &node.0, ballot_tag(*kind)]),
            Self::Propose(rollout, node) => (3, vec![b"l", &rollout.0.0, &node.0]),
            Self::Vote(rollout, node) => (3, vec![b"v", &rollout.0.0, &node.0]),
            Self::Beacon(node) => (3, vec![b"n", &node.0]),
        };
        let digest = Digest::of_parts("groundswell 2026 key", &parts);
        class << 62 | first_number(&digest.0) >> 2
    }

    /// The rollout that the register belongs to.
    pub fn rollout(&self) -> Option<RolloutId> {
        match self {
            Self::Manifest(_, _, rollout)
            | Self::Command(rollout, _)
            | Self::Ballot(rollout, _, _)
            | Self::Propose(rollout, _)
            | Self::Vote(rollout, _) => Some(*rollout),
            Self::Policy(..) | Self::Census(..) | Self::Beacon(_) => None,
        }
    }
}

fn command_tag(kind: CommandKind) -> &'static [u8] {
    match kind {
        CommandKind::Flow => b"f",
        CommandKind::Promote => b"p",
        CommandKind::Stop => b"s",
    }
}

fn ballot_tag(kind: BallotKind) -> &'static [u8] {
    match kind {
        BallotKind::Term => b"t",
        BallotKind::Open => b"o",
        BallotKind::Stop => b"s",
    }
}
