//! The probes that judge a release on this node.
//!
//! One door: [`Monitor::start`]. It asks a component's probes in the words and with the meaning of
//! Kubernetes (initial delay, period, timeout, success and failure thresholds) and reports a
//! [`HealthReport`](groundswell_protocol::facts::health::HealthReport) at once when the verdict changes, and with fresh numbers every second.
//!
//! What holds:
//! - **One failing probe is enough** for `Unhealthy`; `Healthy` needs every probe to pass; `Unknown` is
//!   what has not reached a threshold yet.
//! - **What is asked may be hostile**: answers, output and notes are read up to a bound, redirects are not
//!   followed, a command is killed with all that it forked when its time is over or the monitor is dropped.
//! - **Without probes** a component with a process gets one `process` probe; one without a process has
//!   nothing that could fail and is healthy once it was asked.
//!
//! Deliberately absent: what follows from a verdict (the core's), restarts (the `service` room's), and
//! statistics over time.

mod exec;
mod http;
mod monitor;
mod note;
mod process;
mod tally;

pub use monitor::{Monitor, Subject};

#[cfg(test)]
mod tests;
