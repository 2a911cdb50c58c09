//! What the fleet agrees on: signed facts in registers that merge by maximum.
//!
//! A [`fact::Fact`] is a [`fact::Statement`] with signatures; its [`key::Key`] names its register and its
//! rank its place there; [`registers::Registers`] keep the greatest of each.

pub mod body;
pub mod fact;
pub mod health;
pub mod key;
pub mod registers;
pub mod relayed;
pub mod statements;

pub use body::{Body, Signatures};
pub use fact::{BadFact, Fact, KeySignature, SignedFact, Statement};
pub use key::Key;
pub use registers::{Merged, Registers};
pub use relayed::Relayed;
pub use statements::{
    Ballot, BallotKind, Beacon, BeaconActive, BeaconInstalled, Failure, Heads, Propose, RolloutId, Say,
    SkipReason, StopReason, Vote, VoteState,
};
