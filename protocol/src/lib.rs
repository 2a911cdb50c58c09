//! The rules of a Groundswell fleet as one pure state machine.
//!
//! # Tour
//! A fleet agrees on [`facts`]: signed statements in registers, one per author, subject and kind, that
//! merge by maximum. So any peer may relay any fact, in any order, twice, late, and all who hold the same
//! facts conclude the same.
//!
//! | what people sign | [`trust`]: policy, census, manifest with its plan, command |
//! |---|---|
//! | what nodes say | [`facts`]: vote, ballot, proposal, beacon |
//! | what follows from them | [`rollout`]: line, jury, leader, open, stop; a juror's view and gate |
//! | what a node does | [`node`]: judges, opens, proposes, stages, tries, confirms, reverts, signs |
//! | how facts find their way | [`sync`] with random members; gossip is the driver's, for speed |
//! | which piece to ask of whom | [`transfer`] |
//! | what a node was told and what it decided, written down and played again | [`recording`] |
//! | how it all looks in bytes | [`wire`] |
//!
//! # The one door
//! ```
//! use groundswell_protocol::identity::KeyPair;
//! use groundswell_protocol::node::{Config, Entropy, Node};
//! # use groundswell_protocol::{digest::Digest, trust::policy::FleetId};
//! # let (fleet, records, entropy) = (FleetId(Digest([0; 32])), Vec::new(), Entropy([7; 32]));
//! let key = KeyPair::from_seed(&[1; 32]);
//! let node = Node::new(Config { fleet, key, components: Default::default() }, records, entropy);
//! // Then: node.handle(now, input, &mut outbox) for every input, and again at node.next_deadline().
//! assert_eq!(node.next_deadline(), None, "nothing is due before the first input");
//! ```
//! A driver implements [`node::Outbox`], hands in [`node::Input`]s, and keeps [`node::Record`]s. It decides
//! nothing. Two drivers exist: the agent, on tokio and libp2p, and the simulator, in virtual time.
//!
//! # What is deliberately absent
//! A clock, IO, threads, randomness and hash-ordered maps: `clippy.toml` refuses them here. Logging: the
//! one stream of [`node::Event`]s says what happened. Floating point: no float decides anything.
//! Retries of lost frames: what is due is looked at again after every input.

pub mod bounds;
pub mod digest;
pub mod facts;
pub mod few;
pub mod identity;
pub mod marks;
pub mod mutations;
pub mod node;
pub mod places;
pub mod recording;
pub mod rollout;
mod sorted;
pub mod sync;
pub mod time;
pub mod transfer;
pub mod trust;
pub mod wire;
