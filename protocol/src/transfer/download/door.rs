//! What goes into a download and what comes out of it.

use std::sync::Arc;

use crate::identity::NodeId;
use crate::transfer::groups::Begun;
use crate::transfer::outline::Outline;
use crate::transfer::wire::{Answer, Ask};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A peer may have the blob. `hinted`: the caller says so, not another peer.
    Found {
        /// The peer.
        peer: NodeId,
        /// Named by the caller.
        hinted: bool,
    },
    /// A peer answered, about this blob.
    Answered {
        /// The peer.
        peer: NodeId,
        /// Its answer.
        answer: Answer,
    },
    /// Some of an answer is coming: the peer lives, however long it takes. To be told now and then.
    Alive {
        /// The peer.
        peer: NodeId,
    },
    /// A peer says something of who brings a piece into the site: see [`Ask::is_of_turns`].
    Said {
        /// The peer.
        peer: NodeId,
        /// What it says.
        ask: Ask,
    },
    /// The stream to a peer could not be opened, or ended.
    Lost {
        /// The peer.
        peer: NodeId,
    },
    /// The deadline came.
    Wake,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Send to a peer, opening a stream if there is none.
    Send {
        /// To whom.
        peer: NodeId,
        /// What.
        ask: Ask,
    },
    /// The outline is known and verified: keep it before any piece.
    Outlined(Arc<Outline>),
    /// A verified new piece: write it, then tell those who asked.
    Keep {
        /// From whom.
        peer: NodeId,
        /// Its number.
        piece: u32,
        /// Its bytes.
        data: Vec<u8>,
    },
    /// Some of a piece is here that hardly anybody has: those who asked may hear of it.
    Begun(Begun),
    /// Payload that was of no use: a piece that had come already, or a bad one.
    Wasted {
        /// From whom.
        peer: NodeId,
        /// How much.
        bytes: u64,
    },
    /// A peer served bytes that do not verify. It is not asked again.
    Corrupt {
        /// Who.
        peer: NodeId,
    },
    /// Every piece has been handed out to be kept.
    Complete,
}
