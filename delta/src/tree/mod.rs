//! A version's files as one canonical index, named by its digest.
//!
//! The one door is [`Tree`]. A `Tree` that exists obeys all the rules of `rules`, whether it was made from
//! entries or decoded from a stranger's bytes. Deliberately absent: owners, times, permission bits beyond
//! "executable", hard links, devices: a version is what it does, not when it was unpacked.

mod encoding;
mod error;
mod path;
mod rules;

use blake3::Hash;

pub use encoding::{TREE_MAGIC, TREE_VERSION};
pub use error::TreeError;
pub use path::{PathError, TreePath};

/// A version's files. Entries are strictly sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<Entry>,
}

/// One thing in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: TreePath,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory; listed even when it holds something.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Its text: relative, leading out of no tree (`../` only at its beginning).
        target: String,
    },
    /// A regular file.
    File {
        /// Whether it may be executed.
        executable: bool,
        /// Its size; the sum of its chunks' sizes.
        bytes: u64,
        /// BLAKE3 of its content.
        digest: Hash,
        /// Its content, in order. None for an empty file.
        chunks: Vec<ChunkRef>,
    },
}

/// A chunk of a file, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// BLAKE3 of its bytes.
    pub digest: Hash,
    /// Its size, 1 to [`CHUNK_BYTES_MAX`](crate::CHUNK_BYTES_MAX).
    pub bytes: u32,
}

impl Tree {
    /// Makes a tree of entries in any order.
    ///
    /// # Errors
    /// When the entries break a rule of trees.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, TreeError> {
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        rules::check(&entries)?;
        Ok(Self { entries })
    }

    /// The tree without files.
    #[must_use]
    pub fn empty() -> Self {
        Self { entries: Vec::new() }
    }

    /// The canonical bytes: equal trees have equal bytes, and only they.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoding::encode(&self.entries)
    }

    /// Reads bytes of any origin; [`encode`](Self::encode) of the result gives these very bytes.
    ///
    /// # Errors
    /// When the bytes are not a canonical encoding or the entries break a rule of trees.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        let entries = encoding::decode(bytes)?;
        rules::check(&entries)?;
        Ok(Self { entries })
    }

    /// The tree's name: BLAKE3 of its encoding.
    #[must_use]
    pub fn digest(&self) -> Hash {
        blake3::hash(&self.encode())
    }

    /// The sum of the files' sizes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(Entry::bytes).sum()
    }

    /// All entries, sorted by path.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at a path.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
        self.entries.get(at)
    }
}

impl Entry {
    /// The size of a file; 0 for anything else.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self.kind {
            EntryKind::File { bytes, .. } => bytes,
            EntryKind::Directory | EntryKind::Symlink { .. } => 0,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
