//! Tests of the core from outside its one door.
#![allow(missing_docs, reason = "tests")]

mod fleet;
mod journeys;
