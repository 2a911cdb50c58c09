//! What the fleet trusts: documents that people sign.
//!
//! A [`policy`] says who may sign what; a [`census`] who takes part; a [`manifest`] what is released
//! and by which [`plan`]; a [`command`] what an operator orders. Each is checked for itself here; the
//! signatures and what the documents name are checked where facts are accepted (`facts::accept`).

pub mod census;
pub mod command;
pub mod manifest;
pub mod names;
pub mod plan;
pub mod policy;
pub mod probe;
pub mod store;
