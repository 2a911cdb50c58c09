//! The Groundswell agent, and the command line around it: the only crate with a clock, sockets, a disk
//! and processes.
//!
//! # Tour
//! [`driver::run`] is the agent: one loop around `groundswell_protocol::node::Node`. It takes inputs from the
//! rooms below, puts each through the core, and hands what that asks for to the room that does it.
//!
//! | room | its job |
//! |---|---|
//! | [`config`] | `agent.toml`, parsed once |
//! | [`link`] | frames and streams between nodes; libp2p stays behind it |
//! | [`store`] | content-addressed blobs, and the journal of the core's records |
//! | [`transfer`] | moves pieces; what to ask of whom is the core's choice |
//! | [`courtesy`] | holds what is sent to what other programs leave of the line |
//! | [`slots`] | a place on disk for each version, and the switch between them |
//! | [`service`], [`health`] | a component's process and its probes |
//! | [`control`] | HTTP and JSON on a Unix socket, for everything below |
//! | [`release`] | keys, fleet documents, building, signing, publishing; offline |
//! | [`deltas`] | deltas between files and directories for people; measured against other tools |
//! | [`bench`](mod@bench) | the swarm measured against other clients in network namespaces |
//! | [`cli`], [`console`], [`demo`] | what people see |
//! | [`telemetry`] | logs and metrics, from the one stream of events |
//!
//! Rooms do not know each other, with few exceptions: the driver knows all that do work, people's rooms know
//! [`control`] and [`release`], and transfer and slots know the store.
//!
//! # What is deliberately absent
//! Any decision about a rollout: that is the core's. Operators' keys: commands are signed where people are,
//! and the agent only checks them. Unsafe code.

pub mod bench;
pub mod cli;
pub mod config;
pub mod console;
pub mod control;
pub mod courtesy;
pub mod deltas;
pub mod demo;
pub mod driver;
pub mod health;
pub mod link;
pub mod release;
pub mod service;
pub mod slots;
pub mod store;
pub mod telemetry;
pub mod transfer;
