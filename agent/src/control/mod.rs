//! The control API: how people and tools on this machine talk to a running agent.
//!
//! HTTP/1.1 with JSON over a Unix socket that only its owner can open; the file's mode is the access
//! control. [`server::Server`] answers from a [`Backend`], [`client::Client`] asks, [`api`] is what
//! they exchange, and [`events::EventLog`] is the ring behind the live stream. Deliberately absent:
//! keys (operators' commands are signed by whoever sends them, see [`command`]), remote access (the
//! optional TCP listener serves `GET /metrics` alone), and any knowledge of how the backend works.

pub mod api;
pub mod backend;
pub mod client;
pub mod command;
pub mod events;
mod routes;
pub mod server;
mod socket;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use backend::{Backend, ImportError};
pub use client::Client;
pub use events::{EventLog, EventStream};
