//! The doors to files: this crate opens none itself.
//!
//! Whoever implements these decides what a path means on disk (a slot's directory, an archive, memory) and must not
//! follow symbolic links of the tree on the way to a file.

use std::io::{self, Read, Seek, Write};

use crate::tree::TreePath;

/// Something found in a tree of files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Where.
    pub path: TreePath,
    /// What.
    pub kind: ListedKind,
}

/// What was found, as far as it is known without reading files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListedKind {
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Its text, as stored.
        target: String,
    },
    /// A regular file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
}

/// Files that can be read.
pub trait ReadTree {
    /// An open file, from its first byte.
    type File: Read + Seek;

    /// Lists everything, in any order: each directory (but not the root), each link, each file.
    ///
    /// # Errors
    /// When something cannot be listed, or is none of the three kinds.
    fn list(&self) -> io::Result<Vec<Listed>>;

    /// Opens a regular file.
    ///
    /// # Errors
    /// When it cannot be opened or is not a regular file.
    fn open(&self, path: &TreePath) -> io::Result<Self::File>;
}

/// A place where a new tree is built. Called with each directory before what is in it.
pub trait WriteTree {
    /// A file being written. Dropped without [`finish`](Self::finish), it must never become visible as whole.
    type File: Write;

    /// Makes a directory. Its parent exists.
    ///
    /// # Errors
    /// When the directory cannot be made.
    fn directory(&mut self, path: &TreePath) -> io::Result<()>;

    /// Makes a symbolic link, whose target has been checked to stay inside the tree.
    ///
    /// # Errors
    /// When the link cannot be made.
    fn symlink(&mut self, path: &TreePath, target: &str) -> io::Result<()>;

    /// Begins a file that does not exist yet.
    ///
    /// # Errors
    /// When the file cannot be made.
    fn create(&mut self, path: &TreePath, executable: bool) -> io::Result<Self::File>;

    /// Ends a file: all its bytes were written and their digest is right.
    ///
    /// # Errors
    /// When the file cannot be completed.
    fn finish(&mut self, file: Self::File) -> io::Result<()>;
}
