//! Files among a tree's entries, by place and by content.

use std::collections::BTreeMap;

use blake3::Hash;

use crate::tree::{ChunkRef, Entry, EntryKind, Tree};

/// A file of a tree.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    /// Its place among the tree's entries.
    pub(crate) at: u32,
    pub(crate) entry: &'a Entry,
    pub(crate) executable: bool,
    pub(crate) bytes: u64,
    pub(crate) digest: &'a Hash,
    pub(crate) chunks: &'a [ChunkRef],
}

/// The file at a place, if there is one.
pub(crate) fn file(tree: &Tree, at: u32) -> Option<File<'_>> {
    let entry = tree.entries().get(at as usize)?;
    match &entry.kind {
        EntryKind::File { executable, bytes, digest, chunks } => {
            Some(File { at, entry, executable: *executable, bytes: *bytes, digest, chunks })
        }
        EntryKind::Directory | EntryKind::Symlink { .. } => None,
    }
}

/// All files, in the tree's order.
pub(crate) fn files(tree: &Tree) -> impl Iterator<Item = File<'_>> {
    (0..).zip(tree.entries()).filter_map(|(at, _)| file(tree, at))
}

/// Finds files by what is in them.
pub(crate) struct ByContent<'a> {
    first: BTreeMap<[u8; 32], File<'a>>,
}

impl<'a> ByContent<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        let mut first = BTreeMap::new();
        for file in files(tree) {
            first.entry(*file.digest.as_bytes()).or_insert(file);
        }
        Self { first }
    }

    /// The first file with this content.
    pub(crate) fn get(&self, digest: &Hash) -> Option<File<'a>> {
        self.first.get(digest.as_bytes()).copied()
    }
}
