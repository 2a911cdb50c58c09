//! What a node measures of a release on itself.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

/// Longest note of a health report, in bytes of UTF-8; a vote carries it to the whole fleet.
pub const NOTE_MAX: usize = 256;

/// The verdict of a node's probes on what runs now.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// No probe has reached its threshold yet.
    Unknown,
    /// Every probe passes.
    Healthy,
    /// At least one probe fails.
    Unhealthy,
}

/// The numbers behind a verdict; integers, so that every node computes the same from them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
pub struct HealthNumbers {
    /// Tries that succeeded since the activation.
    pub passed: u32,
    /// Tries that failed since the activation.
    pub failed: u32,
    /// Failures in a row of the probe that failed most recently.
    pub failed_in_a_row: u32,
    /// Times that the process ended by itself since the activation.
    pub restarts: u32,
    /// Slowest successful try, in microseconds.
    pub slowest_micros: u32,
    /// Milliseconds from the activation to this report.
    pub after_ms: u32,
}

/// A report of the node's own probes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct HealthReport {
    /// The verdict.
    pub health: Health,
    /// The numbers behind it.
    pub numbers: HealthNumbers,
    /// Why, in words, for people: "GET /health answered 500 three times". At most [`NOTE_MAX`] bytes.
    pub note: String,
}
