//! The ways from an old file to a new one: a patch, made quickly or well, or a delta between two trees.

use std::collections::BTreeMap;
use std::io::{self, Write};

use groundswell_delta::{
    ApplyError, Effort, Limits, Listed, ListedKind, Options, ReadTree, ScratchMemory, TreePath, WriteTree,
    apply, apply_tree, diff, diff_trees, scan,
};

/// What was written, and whether all was well.
type Made = (Vec<u8>, Result<(), ApplyError>);

/// One way to make a delta, and to follow it.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) make: fn(&[u8], &[u8]) -> Vec<u8>,
    /// Follows a delta that is to make a file as long as the last one; what was written is there even after an error.
    pub(crate) follow: fn(&[u8], &[u8], &[u8]) -> Made,
}

pub(crate) const WAYS: [Way; 3] = [
    Way { name: "fast patch", make: |old, new| patch(old, new, Effort::Fast), follow: follow_patch },
    Way { name: "best patch", make: |old, new| patch(old, new, Effort::Best), follow: follow_patch },
    Way { name: "tree", make: tree_delta, follow: follow_tree_delta },
];

fn patch(old: &[u8], new: &[u8], effort: Effort) -> Vec<u8> {
    let mut patch = Vec::new();
    let options = Options { effort, ..Options::default() };
    let bytes = diff(&old, &new, &options, &mut |_| {}, &mut patch).unwrap();
    assert_eq!(bytes, patch.len() as u64);
    patch
}

fn follow_patch(old: &[u8], patch: &[u8], new: &[u8]) -> Made {
    let limits = Limits { new_bytes: new.len() as u64, ..Limits::default() };
    let mut made = Vec::new();
    let result = apply(&old, &patch, &mut made, &ScratchMemory, &limits);
    (made, result.map(|_| ()))
}

fn tree_delta(old: &[u8], new: &[u8]) -> Vec<u8> {
    let (old, new) = (Only::of(old), Only::of(new));
    let (old_tree, new_tree) = (scan(&old).unwrap(), scan(&new).unwrap());
    let mut delta = Vec::new();
    let options = Options::default();
    diff_trees(&old_tree, &old, &new_tree, &new, &options, &mut delta, &mut |_| {}).unwrap();
    delta
}

fn follow_tree_delta(old: &[u8], delta: &[u8], new: &[u8]) -> Made {
    let old = Only::of(old);
    let old_tree = scan(&old).unwrap();
    let expected = scan(&Only::of(new)).unwrap().digest();
    let limits = Limits { new_bytes: new.len() as u64, ..Limits::default() };
    let mut made = Only::default();
    let result = apply_tree(&old_tree, &old, &delta.to_vec(), &expected, &mut made, &ScratchMemory, &limits);
    (made.0.remove(NAME).unwrap_or_default(), result.map(|_| ()))
}

const NAME: &str = "file";

/// A tree of at most one file.
#[derive(Default)]
struct Only(BTreeMap<&'static str, Vec<u8>>);

impl Only {
    fn of(content: &[u8]) -> Self {
        Self(BTreeMap::from([(NAME, content.to_vec())]))
    }
}

impl ReadTree for Only {
    type File = Vec<u8>;

    fn list(&self) -> io::Result<Vec<Listed>> {
        let kind = ListedKind::File { executable: false };
        Ok(vec![Listed { path: TreePath::new(NAME)?, kind }])
    }

    fn open(&self, _: &TreePath) -> io::Result<Vec<u8>> {
        Ok(self.0[NAME].clone())
    }
}

/// What was written counts before it is finished: nothing may be written past the end.
struct Writing(Vec<u8>);

impl Write for Writing {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteTree for Only {
    type File = Writing;

    fn directory(&mut self, path: &TreePath) -> io::Result<()> {
        panic!("{path} is no directory");
    }

    fn symlink(&mut self, path: &TreePath, _: &str) -> io::Result<()> {
        panic!("{path} is no link");
    }

    fn create(&mut self, _: &TreePath, _: bool) -> io::Result<Writing> {
        Ok(Writing(Vec::new()))
    }

    fn finish(&mut self, file: Writing) -> io::Result<()> {
        self.0.insert(NAME, file.0);
        Ok(())
    }
}
