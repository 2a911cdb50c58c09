//! Which old file each new file is made from.
//!
//! The same bytes anywhere; else the same path; else a file whose name differs only in its version or
//! place and whose size is near. A wrong choice costs bytes, never correctness.

use std::collections::BTreeMap;

use blake3::Hash;

use crate::tree::{Entry, EntryKind, Tree};

/// A file is not worth comparing with one more than this many times larger or smaller.
const SIZE_RATIO_MAX: u64 = 4;

/// The old tree's files, findable.
pub(super) struct OldFiles<'a> {
    tree: &'a Tree,
    by_digest: BTreeMap<[u8; 32], u32>,
    by_likeness: BTreeMap<String, Vec<u32>>,
}

/// An old file and its place in the old tree.
#[derive(Clone, Copy)]
pub(super) struct OldFile<'a> {
    pub(super) at: u32,
    pub(super) entry: &'a Entry,
}

impl<'a> OldFiles<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        let mut by_digest = BTreeMap::new();
        let mut by_likeness = BTreeMap::<_, Vec<_>>::new();
        for (at, entry) in (0_u32..).zip(tree.entries()) {
            let EntryKind::File { digest, .. } = entry.kind else {
                continue;
            };
            by_digest.entry(*digest.as_bytes()).or_insert(at);
            for likeness in likenesses(entry) {
                by_likeness.entry(likeness).or_default().push(at);
            }
        }
        Self { tree, by_digest, by_likeness }
    }

    /// The first file with this content.
    pub(super) fn same(&self, digest: &Hash) -> Option<OldFile<'a>> {
        self.file(*self.by_digest.get(digest.as_bytes())?)
    }

    /// The file most like a new one.
    pub(super) fn like(&self, new: &Entry) -> Option<OldFile<'a>> {
        let same_path = self.tree.entries().binary_search_by(|old| old.path.cmp(&new.path));
        let same_path = same_path.ok().and_then(|at| self.file(u32::try_from(at).ok()?));
        if let Some(old) = same_path.filter(|old| old.entry.bytes() > 0) {
            return Some(old);
        }
        likenesses(new).find_map(|likeness| {
            let found = self.by_likeness.get(&likeness)?.iter();
            found
                .filter_map(|at| self.file(*at))
                .filter(|old| near(old.entry.bytes(), new.bytes()))
                .min_by_key(|old| (old.entry.bytes().abs_diff(new.bytes()), old.at))
        })
    }

    fn file(&self, at: u32) -> Option<OldFile<'a>> {
        let entry = self.tree.entries().get(at as usize)?;
        matches!(entry.kind, EntryKind::File { .. }).then_some(OldFile { at, entry })
    }
}

fn near(one: u64, other: u64) -> bool {
    let (small, large) = (one.min(other), one.max(other));
    small > 0 && large / small < SIZE_RATIO_MAX
}

/// What a file's name shares with its other versions, the strongest first: the whole path without versions, the name,
/// the name without versions.
fn likenesses(entry: &Entry) -> impl Iterator<Item = String> {
    let name = entry.path.name();
    [
        format!("path {}", without_versions(entry.path.as_str())),
        format!("name {name}"),
        format!("like {}", without_versions(name)),
    ]
    .into_iter()
}

/// Each stretch of digits and dots that has a digit becomes one `#`: `lib.so.1.12` and `lib.so.2` both `lib.so#`.
fn without_versions(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_version = |character: char| character.is_ascii_digit() || character == '.';
        let run = rest.find(|c| !is_version(c)).unwrap_or(rest.len());
        let (version, after) = rest.split_at(run);
        if version.contains(|c: char| c.is_ascii_digit()) {
            out.push('#');
        } else {
            out.push_str(version);
        }
        let word = after.find(is_version).unwrap_or(after.len());
        let (word, after) = after.split_at(word);
        out.push_str(word);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::without_versions;

    #[test]
    fn versions_of_one_name_are_alike() {
        assert_eq!(without_versions("lib.so.1.2"), "lib.so#");
        assert_eq!(without_versions("lib.so.1.2"), without_versions("lib.so.10.3.7"));
        assert_eq!(
            without_versions("ruff-0.17.4.data/scripts/ruff"),
            without_versions("ruff-0.17.5.data/scripts/ruff")
        );
        assert_eq!(without_versions("..a.b.."), "..a.b..");
        assert_ne!(without_versions("a.so.1"), without_versions("b.so.1"));
    }
}
