use std::io;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::memory::{Memory, path};
use crate::tree::tests::trees;
use crate::{
    ApplyError, DeltaSummary, DiffError, Fault, Hash, Limits, Options, Reason, ScratchMemory, Tree,
    apply_tree, build_from_chunks, chunks, diff_trees, scan, verify,
};

use super::plan::{self, Group, Kind};
use super::{DELTA_MAGIC, body, ends, files};

/// A body of these bytes from nothing.
fn pack(bytes: &[u8]) -> Result<Vec<u8>, std::convert::Infallible> {
    let old: &[u8] = &[];
    Ok(body::make(&old, &bytes, &Options::default(), &mut |_| {}).unwrap())
}

/// A release from one version to the next, as its publisher makes it.
struct Release {
    old: Memory,
    old_tree: Tree,
    new: Memory,
    new_tree: Tree,
    delta: Vec<u8>,
    summary: DeltaSummary,
}

impl Release {
    fn new(old: Memory, new: Memory) -> Self {
        let (old_tree, new_tree) = (scan(&old).unwrap(), scan(&new).unwrap());
        let mut delta = Vec::new();
        let mut seen = 0;
        let mut progress = |bytes| seen = bytes;
        let summary =
            diff_trees(&old_tree, &old, &new_tree, &new, &Options::default(), &mut delta, &mut progress)
                .unwrap();
        assert_eq!(summary.bytes, delta.len() as u64);
        assert_eq!(seen, new_tree.bytes());
        Self { old, old_tree, new, new_tree, delta, summary }
    }

    fn apply(&self, delta: &[u8], made: &mut Memory) -> Result<Tree, ApplyError> {
        let expected = self.new_tree.digest();
        let limits = Limits::default();
        apply_tree(&self.old_tree, &self.old, delta, &expected, made, &ScratchMemory, &limits)
    }

    /// Applies it and compares all.
    fn check(&self) {
        let mut made = Memory::default();
        let tree = self.apply(&self.delta, &mut made).unwrap();
        assert_eq!(tree, self.new_tree);
        assert_eq!(made.things, self.new.things);
        verify(&tree, &made).unwrap();
    }

    /// The error of a delta that must not succeed, and of which no wrong file may be finished.
    fn refused(&self, delta: &[u8]) -> ApplyError {
        let mut made = Memory::default();
        let error = self.apply(delta, &mut made).unwrap_err();
        for (path, thing) in &made.things {
            assert_eq!(self.new.things.get(path), Some(thing), "{path}");
        }
        error
    }

    fn opened(&self) -> ends::Opened<'_, Vec<u8>> {
        let expected = self.new_tree.digest();
        ends::Opened::read(&self.old_tree, &self.delta, &expected, &Limits::default()).unwrap()
    }

    fn plan(&self) -> Vec<Group> {
        self.opened().plan
    }

    /// A delta with these groups and bodies.
    fn forged(&self, groups: Vec<(Kind, Vec<u32>, Vec<u8>)>) -> Vec<u8> {
        let mut delta = Vec::new();
        ends::write_header(&self.old_tree, &self.new_tree, &mut delta).unwrap();
        let mut plan = Vec::new();
        for (kind, files, body) in groups {
            delta.extend_from_slice(&body);
            plan.push(Group { kind, files, bytes: body.len() as u64 });
        }
        ends::write_trailer(&self.old_tree, &self.new_tree, &plan, &Options::default(), &mut delta).unwrap();
        delta
    }
}

fn noise(seed: u8, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
    out
}

fn sample() -> Release {
    let binary = noise(1, 300_000);
    let mut edited = binary.clone();
    edited.splice(1000..1000, noise(2, 50));
    edited[200_000] ^= 1;
    let old =
        Memory::default().with("bin/tool-1.2", binary).with("lib/same", noise(3, 5000)).with("gone", "x");
    let new = Memory::default()
        .with("bin/tool-1.3", edited)
        .with("lib/moved", noise(3, 5000))
        .with("text", "hello")
        .with("empty", "")
        .with_link("bin/tool", "tool-1.3");
    Release::new(old, new)
}

#[test]
fn a_delta_leads_from_the_old_tree_to_the_new() {
    let release = sample();
    release.check();
    let summary = release.summary;
    assert!(summary.bytes < 1500, "{} bytes", summary.bytes);
    let files = (summary.reused_files, summary.patched_files, summary.new_files);
    assert_eq!(files, (2, 1, 1));
    assert_eq!(Release::new(release.old.clone(), release.new.clone()).delta, release.delta);
}

#[test]
fn a_delta_from_nothing_holds_everything() {
    Release::new(Memory::default(), sample().new).check();
    Release::new(sample().old, Memory::default()).check();
    Release::new(Memory::default(), Memory::default()).check();
}

#[test]
fn a_file_unlike_all_others_costs_no_more_than_itself() {
    let release = Release::new(
        Memory::default().with("f", noise(1, 3000)),
        Memory::default().with("f", noise(2, 3000)),
    );
    release.check();
    assert!(release.plan()[0].bytes <= 3000 + 8);
}

#[test]
fn every_truncation_is_refused() {
    let release = sample();
    for length in 0..release.delta.len() {
        let error = release.refused(&release.delta[..length]);
        assert_eq!(error.fault(), Fault::Delta, "at {length}: {error}");
    }
    let error = release.refused(&[&release.delta[..], b"x"].concat());
    assert_eq!(error.fault(), Fault::Delta);
}

#[test]
fn another_old_or_new_tree_is_refused_before_writing() {
    let release = sample();
    let limits = Limits::default();
    let digest = release.new_tree.digest();
    let mut begun = 0;
    let mut apply = |old: &Tree, expected: &Hash, limits: &Limits| {
        let mut made = Memory::default();
        let delta = &release.delta[..];
        let result = apply_tree(old, &release.old, delta, expected, &mut made, &ScratchMemory, limits);
        begun += made.begun;
        result.unwrap_err().reason
    };
    assert!(matches!(apply(&release.new_tree, &digest, &limits), Reason::OtherOld { .. }));
    let other = release.old_tree.digest();
    assert!(matches!(apply(&release.old_tree, &other, &limits), Reason::OtherNew { .. }));
    let few = Limits { new_bytes: release.new_tree.bytes() - 1, ..limits };
    assert!(matches!(apply(&release.old_tree, &digest, &few), Reason::Limit { .. }));
    let few = Limits { entries: 2, ..limits };
    assert!(matches!(apply(&release.old_tree, &digest, &few), Reason::Limit { .. }));
    assert_eq!(begun, 0);
}

#[test]
fn a_delta_beyond_its_limit_is_refused() {
    let release = sample();
    let few = Limits { delta_bytes: release.delta.len() as u64 - 1, ..Limits::default() };
    let (old, digest) = (&release.old_tree, release.new_tree.digest());
    let mut made = Memory::default();
    let result = apply_tree(old, &release.old, &release.delta[..], &digest, &mut made, &ScratchMemory, &few);
    assert!(matches!(result.unwrap_err().reason, Reason::Limit { what: "bytes of delta", .. }));
}

#[test]
fn a_changed_old_file_is_this_disks_fault() {
    let release = sample();
    for (file, content) in [
        ("bin/tool-1.2", noise(9, 300_000)),
        ("bin/tool-1.2", noise(1, 299_999)),
        ("lib/same", noise(9, 5000)),
        ("lib/same", noise(3, 4999)),
    ] {
        let old = release.old.clone().with(file, content);
        let error = Release { old, ..sample() }.refused(&release.delta);
        assert!(matches!(error.reason, Reason::OldChanged), "{error}");
        assert_eq!(error.fault(), Fault::Old);
        assert!(error.file.is_some());
    }
    let mut missing = sample();
    missing.old.things.remove(&path("lib/same"));
    let error = missing.refused(&release.delta);
    assert_eq!((error.fault(), error.file), (Fault::Old, Some(path("lib/moved"))));
}

#[test]
fn a_full_disk_is_named_and_leaves_no_file() {
    let release = sample();
    let mut made = Memory { room: Some(100), ..Memory::default() };
    let error = release.apply(&release.delta, &mut made).unwrap_err();
    assert_eq!((error.fault(), error.file), (Fault::New, Some(path("lib/moved"))));
    assert!(!made.things.contains_key(&path("lib/moved")));
}

#[test]
fn files_that_change_while_a_delta_is_made_are_noticed() {
    let release = sample();
    for (old, new, file) in [
        (release.old.clone().with("bin/tool-1.2", noise(8, 300_000)), release.new.clone(), "bin/tool-1.2"),
        (release.old.clone(), release.new.clone().with("bin/tool-1.3", "short"), "bin/tool-1.3"),
        (release.old.clone(), release.new.clone().with("text", "hello!"), "text"),
    ] {
        let trees = (&release.old_tree, &release.new_tree);
        let error = diff_trees(trees.0, &old, trees.1, &new, &Options::default(), io::sink(), &mut |_| {})
            .unwrap_err();
        assert!(matches!(&error, DiffError::Changed { file: found } if *found == path(file)), "{error}");
    }
}

#[test]
fn forged_groups_are_refused() {
    let (old, mut new) = (noise(1, 2000), noise(1, 2000));
    new[77] = 0;
    let (other, odd) = (b"other", noise(2, 2000));
    let release = Release::new(
        Memory::default().with("d/old", old.clone()),
        Memory::default().with("f", new.clone()).with("g", other),
    );
    let bomb = pack(&vec![0; 50 << 20]).unwrap();
    let patch = || body::make(&old, &new, &Options::default(), &mut |_| {}).unwrap();
    let patch_of = |sources: &[u32]| Kind::Patch { sources: sources.to_vec() };
    let right = || (Kind::Whole, vec![1], pack(other).unwrap());
    release
        .apply(&release.forged(vec![(patch_of(&[1]), vec![0], patch()), right()]), &mut Memory::default())
        .unwrap();
    for (kind, files, body) in [
        (Kind::Whole, vec![0], bomb.clone()),
        (Kind::Whole, vec![0], pack(&new[1..]).unwrap()),
        (Kind::Whole, vec![0], pack(&odd).unwrap()),
        (Kind::Whole, vec![0], [&pack(&new).unwrap()[..], b"x"].concat()),
        (Kind::Whole, vec![0], Vec::new()),
        (Kind::Whole, vec![], Vec::new()),
        (Kind::Whole, vec![0, 0], pack(&[&new[..], &new].concat()).unwrap()),
        (Kind::Whole, vec![2], pack(&new).unwrap()),
        (patch_of(&[1]), vec![0], [&patch()[..], b"x"].concat()),
        (patch_of(&[0]), vec![0], patch()),
        (patch_of(&[7]), vec![0], patch()),
        (patch_of(&[]), vec![0], patch()),
        (patch_of(&[1; 9]), vec![0], patch()),
    ] {
        let error = release.refused(&release.forged(vec![(kind, files, body), right()]));
        assert_eq!(error.fault(), Fault::Delta, "{error}");
    }
}

/// Many small files, each of which a delta may say is made from all of a large one.
#[test]
fn a_delta_that_reads_old_files_without_end_is_refused_before_it_reads() {
    const FILES: u32 = 1200;
    let old = Memory::default().with("large", vec![0; 8 << 20]);
    let mut new = Memory::default();
    for file in 0..FILES {
        new = new.with(&format!("{file:04}"), file.to_le_bytes());
    }
    let (old_tree, new_tree) = (scan(&old).unwrap(), scan(&new).unwrap());
    let release =
        Release { old, old_tree, new, new_tree, delta: Vec::new(), summary: DeltaSummary::default() };
    let group = |file: u32| {
        let body = pack(&release.new.things[&path(&format!("{file:04}"))].1).unwrap();
        (Kind::Patch { sources: vec![0] }, vec![file], body)
    };
    let mut made = Memory::default();
    let error = release.apply(&release.forged((0..FILES).map(group).collect()), &mut made).unwrap_err();
    assert!(matches!(error.reason, Reason::Limit { what: "bytes of work", .. }), "{error}");
    assert_eq!((error.fault(), made.begun), (Fault::Delta, 0));
    // A few of them are within the budget.
    let whole = |file: u32| (Kind::Whole, vec![file], group(file).2);
    let few = (0..3).map(group).chain((3..FILES).map(whole)).collect();
    release.apply(&release.forged(few), &mut Memory::default()).unwrap();
}

#[test]
fn a_plan_with_other_sizes_is_refused() {
    let release = sample();
    for at in 1..=16 {
        for change in [1, 128] {
            let mut delta = release.delta.clone();
            let place = delta.len() - at;
            delta[place] ^= change;
            assert_eq!(release.refused(&delta).fault(), Fault::Delta);
        }
    }
}

#[test]
fn a_tree_is_built_from_chunks_and_a_wrong_chunk_is_named() {
    let files = sample().new;
    let tree = scan(&files).unwrap();
    let mut held = std::collections::BTreeMap::new();
    for (_, content) in files.things.values() {
        for chunk in chunks(&content[..]) {
            let chunk = chunk.unwrap();
            held.insert(*chunk.digest.as_bytes(), chunk.bytes);
        }
    }
    let mut made = Memory::default();
    let mut give = |wanted: &crate::ChunkRef| Ok(held[wanted.digest.as_bytes()].clone());
    build_from_chunks(&tree, &mut give, &mut made).unwrap();
    assert_eq!(made.things, files.things);

    for flip in [0_usize, 3] {
        let mut given = 0;
        let mut lie = |wanted: &crate::ChunkRef| {
            let mut bytes = give(wanted)?;
            if given == flip {
                bytes[0] ^= 1;
            }
            given += 1;
            Ok(bytes)
        };
        let error = build_from_chunks(&tree, &mut lie, &mut Memory::default()).unwrap_err();
        assert!(matches!(error.reason, Reason::ChunkOther { .. }), "{error}");
        assert_eq!(error.file, Some(path("bin/tool-1.3")));
    }
    let mut none = |_: &crate::ChunkRef| Err(io::ErrorKind::NotFound.into());
    let error = build_from_chunks(&tree, &mut none, &mut Memory::default()).unwrap_err();
    assert!(matches!(error.reason, Reason::ChunkMissing { .. }), "{error}");
}

/// The golden vector of a delta's form.
#[test]
fn the_ends_are_those_of_format_2() {
    let old = Memory::default().with("a", "one").with("b", "two");
    let release = Release::new(old, Memory::default().with("a", "one").with("c", "xyz").with("d", "two"));
    let encoding = release.new_tree.encode();
    let whole = pack(b"xyz").unwrap();
    let index = body::make(&release.old_tree.encode(), &encoding, &Options::default(), &mut |_| {}).unwrap();
    // One group: whole, of one file, entry 1, whose body has so many bytes.
    let plan = [1, 1, 1, 2, u8::try_from(whole.len()).unwrap()];
    let packed = pack(&plan).unwrap();
    let sizes = [encoding.len(), index.len(), plan.len(), packed.len()];
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| u32::try_from(*size).unwrap().to_le_bytes()).collect();
    let ends = [release.old_tree.digest(), release.new_tree.digest()];
    let ends = [&ends[0].as_bytes()[..], ends[1].as_bytes()].concat();
    let expected = [b"GSDELT\x02\x00", &ends[..], &whole, &index, &packed, &sizes].concat();
    assert_eq!(release.delta, expected);
    assert_eq!(DELTA_MAGIC, *b"GSDELT");
}

fn names(release: &Release, group: &Group) -> (Vec<String>, Vec<String>) {
    let of = |tree: &Tree, places: &[u32]| {
        let mut names: Vec<String> =
            places.iter().map(|at| files::file(tree, *at).unwrap().entry.path.to_string()).collect();
        names.sort();
        names
    };
    (of(&release.new_tree, &group.files), of(&release.old_tree, group.sources()))
}

#[test]
fn moved_split_and_joined_files_find_their_sources() {
    let touched = |seed: u8, at: usize| {
        let mut bytes = noise(seed, 90_000);
        bytes[at] ^= 1;
        bytes
    };
    let old = Memory::default()
        .with("bin/moved", noise(1, 90_000))
        .with("lib/decoy", noise(9, 90_000))
        .with("split", [noise(2, 90_000), noise(3, 90_000)].concat())
        .with("join/a", noise(4, 90_000))
        .with("join/b", noise(5, 90_000));
    let new = Memory::default()
        .with("lib/decoy", touched(1, 50))
        .with("part/one", touched(2, 1000))
        .with("part/two", touched(3, 80_000))
        .with("joined", [touched(5, 10), touched(4, 10)].concat());
    let release = Release::new(old, new);
    release.check();
    let named: Vec<_> = release.plan().iter().map(|group| names(&release, group)).collect();
    let expected: [(&str, &[&str]); 4] = [
        ("joined", &["join/a", "join/b"]),
        ("lib/decoy", &["bin/moved"]),
        ("part/one", &["split"]),
        ("part/two", &["split"]),
    ];
    for ((new, old), (file, sources)) in named.iter().zip(expected) {
        assert_eq!((new.join(" "), old.join(" ")), (file.to_owned(), sources.join(" ")));
    }
    assert!(release.summary.bytes < 1800, "{}", release.summary.bytes);
}

#[test]
fn small_files_travel_together() {
    let line = |file: usize, at: usize| format!("file {file} says {at} in {}\n", (file * 31 + at) * 7919);
    let content = |file: usize| (0..40).map(|at| line(file, at)).collect::<String>();
    let (mut old, mut new) = (Memory::default(), Memory::default());
    for file in 0..60 {
        old = old.with(&format!("src/{file}.py"), content(file));
        let changed = content(file).replacen("says", "says every day", 3);
        new = new.with(&format!("lib/deep/{file}.py"), changed);
        new = new.with(&format!("new/{file}.txt"), content(file + 1000));
    }
    let release = Release::new(old, new);
    release.check();
    let plan = release.plan();
    assert!(plan.len() <= 2, "{plan:?}");
    assert_eq!((release.summary.patched_files, release.summary.new_files), (60, 60));
    let patched: usize = plan.iter().map(|group| group.sources().len()).sum();
    assert_eq!(patched, 60);
}

#[test]
fn plans_are_read_as_they_were_written() {
    let release = sample();
    let (old, new) = (&release.old_tree, &release.new_tree);
    let groups = vec![
        Group { kind: Kind::Patch { sources: vec![4, 1, 4] }, files: vec![5, 3], bytes: 1 << 40 },
        Group { kind: Kind::Whole, files: vec![6], bytes: 300 },
    ];
    let bytes = plan::encode(&groups);
    assert_eq!(plan::decode(&bytes, old, new).unwrap(), groups);
    for length in 0..bytes.len() {
        assert!(plan::decode(&bytes[..length], old, new).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_tree_leads_to_any_other(old in trees(), new in trees()) {
        Release::new(old, new).check();
    }

    #[test]
    fn a_changed_delta_makes_the_new_tree_or_an_error(
        old in trees(), new in trees(),
        edits in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let release = Release::new(old, new);
        let mut delta = release.delta.clone();
        for (at, byte) in edits {
            let at = at.index(delta.len());
            delta[at] = byte;
        }
        let mut made = Memory::default();
        if release.apply(&delta, &mut made).is_ok() {
            prop_assert_eq!(&made.things, &release.new.things);
        } else {
            release.refused(&delta);
        }
    }

    #[test]
    fn arbitrary_plans_never_panic(
        old in trees(), new in trees(), bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let release = Release::new(old, new);
        let _ = plan::decode(&bytes, &release.old_tree, &release.new_tree);
        prop_assert!(release.apply(&bytes, &mut Memory::default()).is_err());
    }
}
