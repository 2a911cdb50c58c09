//! Tests of the core from outside its one door.
#![allow(missing_docs, reason = "tests")]

mod commands;
mod convergence;
mod faults;
mod fleet;
mod hostile;
mod inquiry;
mod install;
mod journeys;
mod large;
mod laws;
mod pool;
mod recordings;
mod stories;
mod trust;
mod vectors;
