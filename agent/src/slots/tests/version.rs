//! Versions to stage, made of real files.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use groundswell_delta::{ReadTree, Reading, Tree, chunks, diff_trees, scan, verify};
use groundswell_protocol::digest::Digest;
use tempfile::TempDir;

use super::super::files::Directory;
use super::super::{Component, DeltaSource, Slots, Source, StageError, Staged};

/// A version's files, and all that a peer would send of them.
pub(super) struct Version {
    room: TempDir,
    pub(super) tree: Tree,
    pub(super) digest: Digest,
    pub(super) index: Vec<u8>,
    pub(super) chunks: BTreeMap<Digest, Vec<u8>>,
}

/// Bytes that look random and are the same in every run.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// What is at a path of a version.
pub(super) enum Thing {
    File(Vec<u8>),
    Program(Vec<u8>),
    Link(&'static str),
    Directory,
}

impl Version {
    pub(super) fn new(things: &[(&str, Thing)]) -> Self {
        let room = tempfile::tempdir().unwrap();
        for (path, thing) in things {
            let path = room.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match thing {
                Thing::File(bytes) => fs::write(path, bytes).unwrap(),
                Thing::Program(bytes) => {
                    fs::write(&path, bytes).unwrap();
                    fs::set_permissions(path, fs::Permissions::from_mode(0o4755)).unwrap();
                }
                Thing::Link(target) => symlink(target, path).unwrap(),
                Thing::Directory => fs::create_dir_all(path).unwrap(),
            }
        }
        let files = Directory::open(room.path()).unwrap();
        let tree = scan(&files).unwrap();
        let index = tree.encode();
        let mut held = BTreeMap::new();
        for entry in tree.entries().iter().filter(|entry| entry.bytes() > 0) {
            for chunk in chunks(Reading::new(files.open(&entry.path).unwrap())) {
                let chunk = chunk.unwrap();
                held.insert(Digest(*chunk.digest.as_bytes()), chunk.bytes);
            }
        }
        Self { room, digest: Digest::of(&index), tree, index, chunks: held }
    }

    /// A version with every kind of thing in it; versions of other numbers differ in a few of its bytes.
    pub(super) fn numbered(number: u8) -> Self {
        Self::sized(number, 300_000, 200_000)
    }

    /// The same with a program and data of these sizes in bytes.
    pub(super) fn sized(number: u8, program_bytes: usize, data_bytes: usize) -> Self {
        let mut program = noise(1, program_bytes);
        program[program_bytes / 2] = number;
        Self::new(&[
            ("bin/server", Thing::Program(program)),
            ("bin/latest", Thing::Link("server")),
            ("etc/deep/er/settings", Thing::File(vec![b'a' + number])),
            ("etc/empty", Thing::Directory),
            ("share/data", Thing::File(noise(2, data_bytes))),
            ("share/nothing", Thing::File(Vec::new())),
        ])
    }

    pub(super) fn files(&self) -> Directory {
        Directory::open(self.room.path()).unwrap()
    }

    pub(super) fn delta_from(&self, old: &Self) -> Vec<u8> {
        let mut delta = Vec::new();
        diff_trees(
            &old.tree,
            &old.files(),
            &self.tree,
            &self.files(),
            &groundswell_delta::Options::default(),
            &mut delta,
            &mut |_| {},
        )
        .unwrap();
        delta
    }

    pub(super) fn stage_by_chunks(&self, component: &Component) -> Result<Staged, StageError> {
        self.stage_with(component, &|digest| Ok(self.chunks.get(digest).cloned()))
    }

    pub(super) fn stage_with(
        &self,
        component: &Component,
        blobs: &dyn Fn(&Digest) -> io::Result<Option<Vec<u8>>>,
    ) -> Result<Staged, StageError> {
        let source = Source::Chunks { index: &self.index, blobs };
        component.stage(&self.digest, self.tree.bytes(), source, &|_| ControlFlow::Continue(()))
    }

    pub(super) fn stage_by_delta(
        &self,
        component: &Component,
        old: &Digest,
        delta: &[u8],
    ) -> Result<Staged, StageError> {
        self.stage_by_deltas(component, old, &[(self, delta)])
    }

    /// Stages this version by deltas in turn, each with the version that it leads to.
    pub(super) fn stage_by_deltas(
        &self,
        component: &Component,
        old: &Digest,
        deltas: &[(&Self, &[u8])],
    ) -> Result<Staged, StageError> {
        let steps: Vec<_> = deltas
            .iter()
            .map(|(to, delta)| DeltaSource {
                tree: to.digest,
                tree_bytes: to.tree.bytes(),
                delta,
                delta_bytes: delta.len() as u64,
            })
            .collect();
        let source = Source::Deltas { old: *old, steps: &steps };
        let last = Cell::new(0);
        let progress = |bytes| {
            assert!(bytes > last.replace(bytes), "progress goes forward");
            ControlFlow::Continue(())
        };
        component.stage(&self.digest, self.tree.bytes(), source, &progress)
    }

    /// That a slot holds exactly this version.
    pub(super) fn assert_in(&self, path: &Path) {
        verify(&self.tree, &Directory::open(path).unwrap()).unwrap();
    }
}

/// The slots of a component in a fresh place, opened as at a start.
pub(super) fn open(room: &TempDir) -> Component {
    Slots::open(&room.path().join("components")).unwrap().component("web").unwrap()
}

/// Names in the component's directory of slots, sorted.
pub(super) fn names(room: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(room.path().join("components/web/slots")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
