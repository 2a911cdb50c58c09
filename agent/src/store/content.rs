//! Content that is not a blob file of its own: ranges of files in slots.
//!
//! Whoever holds a version can serve any chunk of it; the slots say where a chunk lies by [`Content`].
//! What is found that way is hostile until verified: the disk may have changed under the slot.

use std::path::PathBuf;

use groundswell_protocol::digest::Digest;

/// Where some content lies: a range of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub path: PathBuf,
    /// Where the content begins in it, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub bytes: u64,
}

/// Somebody who knows where content lies.
pub trait Content: Send + Sync {
    /// Where the content named `digest` lies, if it is known. Called often and from the transfer's own
    /// task, so an implementation answers from memory. The answer is a hint: its bytes are verified.
    fn locate(&self, digest: &Digest) -> Option<Located>;
}
