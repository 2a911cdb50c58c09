//! Tests of the core from outside its one door.
#![allow(missing_docs, reason = "tests")]

mod fleet;
mod hostile;
mod journeys;
mod laws;
mod vectors;
