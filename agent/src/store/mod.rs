//! Content-addressed bytes, and the journal.
pub mod journal;
