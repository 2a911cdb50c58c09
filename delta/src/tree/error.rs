//! What can be wrong with a tree.

use super::path::{PathError, TreePath};

/// Why entries or bytes are not a tree. Nothing is changed by finding out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The bytes do not begin like a tree.
    #[error("these bytes are not a tree (they do not begin with \"GSTREE\")")]
    NotATree,
    /// A later format.
    #[error("the tree has format {0}, and this program reads format 1: update it first")]
    Version(u16),
    /// The bytes end too early.
    #[error("the tree ends in the middle of entry {entry}")]
    Truncated {
        /// The number of whole entries before.
        entry: usize,
    },
    /// Bytes follow the last entry.
    #[error("{bytes} bytes follow the tree's last entry")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A kind of entry that does not exist.
    #[error("entry {entry} has the unknown kind {kind}")]
    Kind {
        /// The number of whole entries before.
        entry: usize,
        /// The kind's number.
        kind: u8,
    },
    /// A size beyond its bound.
    #[error("the tree has {found} {what}, more than the {limit} allowed")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// A path that breaks the rules of [`TreePath`].
    #[error("the path {text:?} is not allowed in a tree: {reason}")]
    Path {
        /// The text.
        text: String,
        /// The rule.
        reason: PathError,
    },
    /// Two entries of one path, or entries out of order.
    #[error("{path} comes twice or out of order in the tree")]
    Order {
        /// The later entry.
        path: TreePath,
    },
    /// Something that is in no listed directory: the parent is missing, a file or a link.
    #[error("{path} is in something that is no directory of the tree")]
    Parent {
        /// The entry.
        path: TreePath,
    },
    /// A link out of the tree.
    #[error(
        "the link {path} points to {target:?}: a target must be relative, stay inside the tree, and have \"..\" only at its beginning"
    )]
    Target {
        /// The link.
        path: TreePath,
        /// Its text.
        target: String,
    },
    /// A file whose size, digest and chunks contradict each other.
    #[error("the file {path} contradicts itself: {reason}")]
    File {
        /// The file.
        path: TreePath,
        /// How.
        reason: &'static str,
    },
}
