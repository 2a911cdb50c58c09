//! One release's journey: who takes part, what follows from the registers, what a juror sees and allows.
//!
//! [`roster`] and [`derived`] are the same on every node that holds the same facts. [`view`] is one
//! juror's private judgement; [`gate`] turns it into a number. What a juror *does* with it is in `node`.

pub mod derived;
pub mod freshness;
pub mod gate;
mod outage;
pub mod quorum;
pub mod roster;
pub mod view;
