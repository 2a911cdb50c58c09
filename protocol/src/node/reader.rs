//! How a node reads what comes in: the seam for whoever runs many nodes in one process.
//!
//! Everything here is a pure function of bytes. Production uses [`Strict`], which computes each anew. The
//! simulator hands its nodes a reader that remembers: a frame that reaches a thousand nodes is decoded once,
//! and of each key, message and signature `verify_strict` is asked once. What a key signs is a function of bytes
//! too, so it goes the same way. A reader must answer exactly as [`Strict`] does; nothing else about a node depends
//! on it.

use std::sync::Arc;

use crate::facts::{BadFact, Fact, KeySignature, RolloutId, SignedFact};
use crate::identity::{KeyPair, Signature};
use crate::rollout::roster::Roster;
use crate::trust::census::{Census, Members};
use crate::trust::manifest::Manifest;
use crate::trust::policy::FleetId;
use crate::wire::frame::{BadFrame, Frame};

/// A frame as it was read.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A gossiped fact, or why it is none.
    Gossip(Result<Arc<Fact>, BadFact>),
    /// Any other frame.
    Direct(Arc<Frame>),
}

/// Reads and verifies. The bodies given here are what every reader must answer.
pub trait Reader: Send + Sync {
    /// Reads a frame, and the fact in it if it is gossip.
    ///
    /// # Errors
    /// Why the bytes are no frame.
    fn frame(&self, fleet: FleetId, bytes: &[u8]) -> Result<Heard, BadFrame> {
        Ok(match Frame::decode(bytes)? {
            Frame::Gossip(signed) => Heard::Gossip(self.fact(fleet, &signed)),
            frame => Heard::Direct(Arc::new(frame)),
        })
    }

    /// Reads a fact, without its signatures.
    ///
    /// # Errors
    /// Why it is none.
    fn fact(&self, fleet: FleetId, signed: &SignedFact) -> Result<Arc<Fact>, BadFact> {
        Fact::read(fleet, signed.clone()).map(Arc::new)
    }

    /// Whether one of the fact's signatures holds.
    fn is_signed(&self, fact: &Arc<Fact>, one: &KeySignature) -> bool {
        fact.is_signed(one)
    }

    /// What a key signs: always the same for the same message.
    fn sign(&self, key: &KeyPair, message: &[u8]) -> Signature {
        key.sign(message)
    }

    /// A node of this process has signed this fact with its own key.
    fn made(&self, _fact: &Arc<Fact>) {}

    /// The members of a census.
    fn members(&self, census: &Arc<Census>) -> Arc<Members> {
        Arc::new(census.listed())
    }

    /// The roster of a rollout.
    fn roster(&self, rollout: RolloutId, manifest: &Manifest, census: &Census) -> Arc<Roster> {
        Arc::new(Roster::draw(rollout, manifest, census))
    }
}

/// The reader of production: remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strict;

impl Reader for Strict {}
