//! Content-addressed bytes, and the journal.

pub mod blobs;
mod content;

pub use content::{Content, Located};
