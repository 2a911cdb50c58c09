//! Old files whose names are like a new file's, for where content says little.

use std::collections::BTreeMap;

use crate::tree::{Entry, Tree};

use super::super::files::{file, files};

/// A file is not worth comparing with one more than this many times larger or smaller.
const SIZE_RATIO_MAX: u64 = 4;

/// The old tree's files by what their names share with their other versions.
pub(super) struct Likeness<'a> {
    tree: &'a Tree,
    by_likeness: BTreeMap<String, Vec<u32>>,
}

impl<'a> Likeness<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        let mut by_likeness = BTreeMap::<_, Vec<_>>::new();
        for file in files(tree) {
            for likeness in likenesses(file.entry) {
                by_likeness.entry(likeness).or_default().push(file.at);
            }
        }
        Self { tree, by_likeness }
    }

    /// The file at the same path; else one whose name differs only in its version or place and whose size is near.
    pub(super) fn find(&self, new: &Entry, same_path: Option<u32>) -> Option<u32> {
        let bytes = |at: u32| file(self.tree, at).map_or(0, |file| file.bytes);
        let same_path = same_path.filter(|at| bytes(*at) > 0);
        same_path.or_else(|| {
            likenesses(new).find_map(|likeness| {
                let found = self.by_likeness.get(&likeness)?.iter().copied();
                let near = found.filter(|at| near(bytes(*at), new.bytes()));
                near.min_by_key(|at| (bytes(*at).abs_diff(new.bytes()), *at))
            })
        })
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
