use std::cell::Cell;
use std::io;

use proptest::prelude::*;

use crate::memory::{Memory, path};
use crate::tree::tests::trees;
use crate::{
    ApplyError, Fault, Limits, Options, Reason, Scratch, ScratchFile, Tree, diff_trees, scan, verify,
};

use super::chain::apply_within;
use super::{CHAIN_MEMORY_BYTES, ChainStep};

/// Counts the files that it gave.
#[derive(Default)]
struct Room {
    files: Cell<usize>,
    is_full: bool,
}

impl Scratch for Room {
    fn file(&self) -> io::Result<Box<dyn ScratchFile>> {
        if self.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.files.set(self.files.get() + 1);
        Ok(Box::new(Vec::new()))
    }
}

/// Versions that follow one another, and the deltas between neighbours.
struct History {
    versions: Vec<(Memory, Tree)>,
    deltas: Vec<Vec<u8>>,
}

impl History {
    fn new(versions: Vec<Memory>) -> Self {
        let versions: Vec<_> = versions
            .into_iter()
            .map(|files| {
                let tree = scan(&files).unwrap();
                (files, tree)
            })
            .collect();
        let delta = |pair: &[(Memory, Tree)]| {
            let [(old_files, old), (new_files, new)] = pair else { unreachable!() };
            let mut delta = Vec::new();
            diff_trees(old, old_files, new, new_files, &Options::default(), &mut delta, &mut |_| {}).unwrap();
            delta
        };
        let deltas = versions.windows(2).map(delta).collect();
        Self { versions, deltas }
    }

    fn apply(&self, deltas: &[Vec<u8>], made: &mut Memory, room: &Room) -> Result<Tree, ApplyError> {
        self.apply_within(CHAIN_MEMORY_BYTES, deltas, made, room)
    }

    fn apply_within(
        &self,
        memory: u64,
        deltas: &[Vec<u8>],
        made: &mut Memory,
        room: &Room,
    ) -> Result<Tree, ApplyError> {
        let (files, tree) = &self.versions[0];
        let steps: Vec<_> = deltas
            .iter()
            .zip(&self.versions[1..])
            .map(|(delta, (_, tree))| ChainStep { delta, to: tree.digest(), limits: Limits::default() })
            .collect();
        apply_within(memory, tree, files, &steps, made, room)
    }

    /// Follows all deltas and compares the end.
    fn check(&self) -> Room {
        let (mut made, room) = (Memory::default(), Room::default());
        let tree = self.apply(&self.deltas, &mut made, &room).unwrap();
        let (files, last) = self.versions.last().unwrap();
        assert_eq!(tree, *last);
        assert_eq!(made.things, files.things);
        verify(&tree, &made).unwrap();
        let counts =
            |thing: &&(crate::ListedKind, Vec<u8>)| matches!(thing.0, crate::ListedKind::File { .. });
        let files = made.things.values().filter(counts).count();
        assert_eq!(made.begun, made.things.len(), "{files} files and nothing else");
        room
    }
}

fn noise(seed: u8, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
    out
}

fn sample() -> History {
    let edit = |at: usize| {
        let mut bytes = noise(1, 100_000);
        for at in (1..=at).map(|at| at * 7000) {
            bytes[at] ^= 1;
        }
        bytes
    };
    let first =
        Memory::default().with("bin/tool", edit(0)).with("stays", noise(2, 3000)).with("back", "again");
    let second = Memory::default()
        .with("bin/tool", edit(1))
        .with("stays", noise(2, 3000))
        .with("passing", noise(3, 900));
    let third = Memory::default()
        .with("lib/tool", edit(2))
        .with("stays", noise(2, 3000))
        .with("stayed", noise(3, 900))
        .with("empty", "");
    let fourth = Memory::default()
        .with("tool", edit(3))
        .with("stays", noise(2, 3000))
        .with("copy", noise(3, 900))
        .with("also", "")
        .with("back", "again")
        .with_link("link", "tool");
    History::new(vec![first, second, third, fourth])
}

#[test]
fn deltas_are_followed_without_versions_on_the_way() {
    assert_eq!(sample().check().files.get(), 0);
}

#[test]
fn one_delta_is_a_chain_too_and_none_is_an_error() {
    let mut history = sample();
    history.versions.truncate(2);
    history.deltas.truncate(1);
    history.check();
    let mut made = Memory::default();
    assert!(history.apply(&[], &mut made, &Room::default()).is_err());
    let many = vec![history.deltas[0].clone(); 9];
    history.versions = vec![history.versions[0].clone(); 10];
    let error = history.apply(&many, &mut made, &Room::default()).unwrap_err();
    assert!(matches!(error.reason, Reason::Limit { what: "deltas in turn", .. }));
    assert_eq!(made.begun, 0);
}

#[test]
fn what_memory_has_no_room_for_goes_to_scratch_space() {
    let history = sample();
    let follow = |memory, room: &Room| {
        let mut made = Memory::default();
        let done = history.apply_within(memory, &history.deltas, &mut made, room);
        done.map(|_| assert_eq!(made.things, history.versions[3].0.things))
    };
    // On the way are: in the second and third versions each a tool of 100,000 bytes, and 900 bytes that stay.
    for (memory, files) in [(0, 3), (900, 2), (100_000, 2), (100_900, 1), (200_900, 0)] {
        let room = Room::default();
        follow(memory, &room).unwrap();
        assert_eq!(room.files.get(), files, "{memory}");
    }
    let error = follow(1000, &Room { is_full: true, ..Room::default() }).unwrap_err();
    assert_eq!(error.fault(), Fault::New);
}

#[test]
fn a_wrong_delta_on_the_way_is_refused_before_writing() {
    let history = sample();
    for swapped in [[1, 0, 2], [0, 0, 2], [0, 1, 1]] {
        let deltas: Vec<_> = swapped.iter().map(|at| history.deltas[*at].clone()).collect();
        let mut made = Memory::default();
        let error = history.apply(&deltas, &mut made, &Room::default()).unwrap_err();
        assert_eq!((error.fault(), made.begun), (Fault::Delta, 0));
    }
}

#[test]
fn a_changed_old_file_is_this_disks_fault() {
    let mut history = sample();
    let changed = history.versions[0].0.clone().with("bin/tool", noise(9, 100_000));
    history.versions[0].0 = changed;
    let error = history.apply(&history.deltas, &mut Memory::default(), &Room::default()).unwrap_err();
    assert_eq!((error.fault(), error.file), (Fault::Old, Some(path("bin/tool"))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_history_leads_to_its_end(versions in proptest::collection::vec(trees(), 2..5)) {
        History::new(versions).check();
    }

    #[test]
    fn a_changed_chain_makes_the_end_or_an_error(
        versions in proptest::collection::vec(trees(), 3..5),
        which: proptest::sample::Index, at: proptest::sample::Index, flip in 1_u8..,
    ) {
        let history = History::new(versions);
        let mut deltas = history.deltas.clone();
        let delta = which.index(deltas.len());
        let at = at.index(deltas[delta].len());
        deltas[delta][at] ^= flip;
        let mut made = Memory::default();
        if history.apply(&deltas, &mut made, &Room::default()).is_ok() {
            prop_assert_eq!(&made.things, &history.versions.last().unwrap().0.things);
        }
    }
}
