//! The laws of deltas, on the public interface alone: whatever the format is, they hold.

mod hostile;
#[path = "../support/pairs.rs"]
mod pairs;
mod round_trip;
mod ways;
