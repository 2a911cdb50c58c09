//! Deltas between files and directories on disk, for people: made, followed, looked at, measured.
//!
//! | file | its job |
//! |---|---|
//! | `engine` | the one place that calls the delta crate |
//! | `output` | a file that appears whole or not at all |
//! | `bench` | our deltas against other tools' on real releases |
//!
//! Everything here is blocking and prints nothing: the command line decides about screens. All failures are a
//! [`Problem`](crate::release::problem::Problem). Deliberately absent: fleets; a release's deltas are made by
//! [`release::build`](crate::release::build), and followed by [`slots`](crate::slots).

pub mod bench;
pub mod engine;
pub mod output;
