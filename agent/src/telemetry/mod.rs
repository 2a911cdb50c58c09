//! Logs and metrics: what an agent tells about itself, all of it from the one stream of events.
//!
//! [`logs`] writes a line for each event, [`metrics`] counts them, [`words`] says them as sentences,
//! and [`process`] measures the agent's own memory and time. Deliberately absent: any decision.

pub mod logs;
pub mod metrics;
pub mod process;
pub mod words;
