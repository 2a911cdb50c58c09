//! Files among a tree's entries, by place and by content.

use std::collections::BTreeMap;

use blake3::Hash;

use crate::tree::{ChunkRef, Entry, EntryKind, Tree};

/// A file of a tree.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    /// Its place among the tree's entries.
    pub(super) at: u32,
    pub(super) entry: &'a Entry,
    pub(super) executable: bool,
    pub(super) bytes: u64,
    pub(super) digest: &'a Hash,
    pub(super) chunks: &'a [ChunkRef],
}

/// The file at a place, if there is one.
pub(super) fn file(tree: &Tree, at: u32) -> Option<File<'_>> {
    let entry = tree.entries().get(at as usize)?;
    match &entry.kind {
        EntryKind::File { executable, bytes, digest, chunks } => {
            Some(File { at, entry, executable: *executable, bytes: *bytes, digest, chunks })
        }
        EntryKind::Directory | EntryKind::Symlink { .. } => None,
    }
}

/// All files, in the tree's order.
pub(super) fn files(tree: &Tree) -> impl Iterator<Item = File<'_>> {
    (0..).zip(tree.entries()).filter_map(|(at, _)| file(tree, at))
}

/// Finds files by what is in them.
pub(super) struct ByContent<'a> {
    first: BTreeMap<[u8; 32], File<'a>>,
}

impl<'a> ByContent<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        let mut first = BTreeMap::new();
        for file in files(tree) {
            first.entry(*file.digest.as_bytes()).or_insert(file);
        }
        Self { first }
    }

    /// The first file with this content.
    pub(super) fn get(&self, digest: &Hash) -> Option<File<'a>> {
        self.first.get(digest.as_bytes()).copied()
    }
}
