//! Content-addressed bytes, and the journal.

pub mod blobs;
mod content;
pub mod journal;

pub use content::{Content, Located};
