//! End to end: what the tests of real agent processes share.
//!
//! A [`field::Field`] is a fleet on loopback in a directory of its own, of agents that are the `swell` binary
//! of this workspace. Tests publish releases to it, kill its agents and feed them bad input; they learn what
//! came of it as people would, from the control API, and from the files in the slots. Nothing here, and
//! nothing that it started, outlives its test.
//!
//! The tests are in `tests/e2e` (processes) and `tests/house.rs` (the shape of the source).

pub mod agreement;
pub mod binary;
pub mod field;
pub mod house;
pub mod liar;
pub mod recordings;
pub mod trees;
pub mod turn;
