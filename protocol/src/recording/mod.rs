//! Recordings: everything that a node was told and everything that it decided, written down as it happened, and
//! played again.
//!
//! | file | its job |
//! |---|---|
//! | `effects` | what one `handle` call asked for, as values |
//! | `format` | from values to bytes and back, to the last whole block of a file that was torn |
//! | `replay` | hands the inputs to a node as it was and compares what it decides, byte for byte |
//! | `words` | inputs and effects in a few words, for people |
//!
//! The driver writes an input before it hands it in, and the effects before it performs them: a core that panics
//! leaves the input that it panicked on. **A recording holds no secret**: instead of the node's key it has the
//! signatures that the key made, and a replay takes each only if it holds over what the node wants to sign. It does
//! hold what the node knew: facts, addresses, the words of health reports.
//!
//! Deliberately absent: files and clocks. Whoever records writes the bytes; whoever replays hands them in.

mod effects;
pub mod format;
mod replay;
mod words;

pub use effects::{Effect, Effects};
pub use format::{Block, Closing, Head, Recording, Unreadable};
pub use replay::{Difference, Replayed, replay};
pub use words::{effect_words, input_words};
