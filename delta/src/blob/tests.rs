use std::io;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::memory::{Memory, path};
use crate::pack::pack;
use crate::tree::tests::trees;
use crate::{
    ApplyError, DeltaSummary, DiffError, EntryKind, Fault, Hash, Limits, Reason, Tree, apply_tree,
    build_from_chunks, chunks, diff_trees, scan, verify,
};

use super::{DELTA_MAGIC, PIECES, SAME, WHOLE, pieces};

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
        let summary = diff_trees(&old_tree, &old, &new_tree, &new, &mut delta, &mut progress).unwrap();
        assert_eq!(summary.bytes, delta.len() as u64);
        assert_eq!(seen, new_tree.bytes());
        Self { old, old_tree, new, new_tree, delta, summary }
    }

    fn apply(&self, delta: &[u8], made: &mut Memory) -> Result<Tree, ApplyError> {
        let expected = self.new_tree.digest();
        let limits = Limits::default();
        apply_tree(&self.old_tree, &self.old, delta, &expected, made, &limits)
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

    /// The delta up to its first file's record.
    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        super::header::write(&self.old_tree, &self.new_tree, &mut header).unwrap();
        assert!(self.delta.starts_with(&header));
        header
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
    assert_eq!(files, (1, 1, 2));
    assert_eq!(Release::new(release.old.clone(), release.new.clone()).delta, release.delta);
}

#[test]
fn a_delta_from_nothing_holds_everything() {
    Release::new(Memory::default(), sample().new).check();
    Release::new(sample().old, Memory::default()).check();
    Release::new(Memory::default(), Memory::default()).check();
}

#[test]
fn a_patch_larger_than_the_file_is_sent_whole() {
    let release = Release::new(
        Memory::default().with("f", noise(1, 3000)),
        Memory::default().with("f", noise(2, 3000)),
    );
    release.check();
    assert_eq!(release.summary.new_files, 1);
    assert_eq!(release.delta[release.header().len()], WHOLE);
}

#[test]
fn every_truncation_is_refused() {
    let release = sample();
    for length in 0..release.delta.len() {
        let error = release.refused(&release.delta[..length]);
        assert_eq!(error.fault(), Fault::Delta, "at {length}: {error}");
    }
    let error = release.refused(&[&release.delta[..], b"x"].concat());
    assert!(error.to_string().contains("bytes follow"), "{error}");
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
        let result = apply_tree(old, &release.old, delta, expected, &mut made, limits);
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
    let result = apply_tree(old, &release.old, &release.delta[..], &digest, &mut made, &few);
    assert!(result.unwrap_err().to_string().contains("bytes allowed here"));
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
    assert_eq!((error.fault(), error.file), (Fault::New, Some(path("bin/tool-1.3"))));
    assert!(!made.things.contains_key(&path("bin/tool-1.3")));
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
        let error = diff_trees(trees.0, &old, trees.1, &new, io::sink(), &mut |_| {}).unwrap_err();
        assert!(matches!(&error, DiffError::Changed { file: found } if *found == path(file)), "{error}");
    }
}

/// One new file of the content, and a delta whose only record is given.
fn with_record(old: &Memory, content: &[u8], record: &[u8]) -> (Release, Vec<u8>) {
    let release = Release::new(old.clone(), Memory::default().with("f", content));
    let delta = [&release.header()[..], record].concat();
    (release, delta)
}

#[test]
fn forged_records_are_refused() {
    let old = Memory::default().with("d/old", "old");
    let bomb = pack(&vec![0; 50 << 20]).unwrap();
    let records: &[&[u8]] = &[
        &[9],
        &[SAME, 0, 0, 0, 0],
        &[SAME, 1, 0, 0, 0],
        &[SAME, 255, 255, 255, 255],
        &[super::PATCH, 7, 0, 0, 0],
        &[&[WHOLE], &bomb[..]].concat(),
        &[&[WHOLE], &pack(b"ne").unwrap()[..]].concat(),
        &[&[WHOLE], &pack(b"odd").unwrap()[..]].concat(),
        &[&[PIECES], &u32::MAX.to_le_bytes()[..]].concat(),
        &[&[PIECES, 0, 0, 0, 0], &pack(b"").unwrap()[..]].concat(),
        &[&[PIECES, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0], &pack(b"").unwrap()[..]]
            .concat(),
        &[&[PIECES, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], &pack(b"").unwrap()[..]].concat(),
        &[&[PIECES, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255], &pack(b"").unwrap()[..]]
            .concat(),
        &[&[PIECES, 1, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0], &pack(b"odd").unwrap()[..]]
            .concat(),
        &[&[PIECES, 1, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0], &bomb[..]].concat(),
    ];
    for record in records {
        let (release, delta) = with_record(&old, b"new", record);
        let error = release.refused(&delta);
        assert_eq!(error.fault(), Fault::Delta, "{error}");
        assert_eq!(error.file, Some(path("f")));
    }
}

#[test]
fn pieces_are_taken_from_old_files_and_the_rest_is_sent() {
    let large = noise(4, 2_000_000);
    let mut edited = large.clone();
    edited.splice(700_000..700_000, noise(5, 1000));
    edited.extend(noise(6, 100_000));
    let old = Memory::default().with("a/large", large.clone()).with("b", noise(7, 300));
    let release = Release::new(old, Memory::default().with("f", edited.clone()));
    let Some(EntryKind::File { chunks, .. }) = release.new_tree.get(&path("f")).map(|f| &f.kind) else {
        panic!("no file");
    };
    let runs = pieces::OldChunks::new(&release.old_tree).runs(chunks);
    assert!(runs.len() >= 4, "{runs:?}");
    let sent = pieces::sent_bytes(&runs, chunks);
    assert!((101_000..900_000).contains(&sent), "{sent}");
    let mut rest = Vec::new();
    io::copy(&mut &edited[..], &mut pieces::sieve(&mut rest, &runs, chunks)).unwrap();
    assert_eq!(rest.len() as u64, sent);
    let record = [&[PIECES], &pieces::encode(&runs)[..], &pack(&rest).unwrap()].concat();
    let delta = [&release.header()[..], &record].concat();
    let mut made = Memory::default();
    release.apply(&delta, &mut made).unwrap();
    assert_eq!(made.things, release.new.things);

    let mut broken = large;
    broken[10] ^= 1;
    let old = release.old.clone().with("a/large", broken);
    let error = Release { old, ..release }.refused(&delta);
    assert!(matches!(error.reason, Reason::OldChanged), "{error}");
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

/// The golden vector of a delta's beginning.
#[test]
fn the_header_is_that_of_format_1() {
    let release = sample();
    let encoding = release.new_tree.encode();
    let expected = [
        &b"GSDELT\x01\x00"[..],
        release.old_tree.digest().as_bytes(),
        release.new_tree.digest().as_bytes(),
        &u32::try_from(encoding.len()).unwrap().to_le_bytes(),
        &crate::engine::make(&release.old_tree.encode(), &encoding).unwrap(),
    ]
    .concat();
    assert_eq!(release.header(), expected);
    assert_eq!(DELTA_MAGIC, *b"GSDELT");
    // bin/tool-1.3 comes first: a patch of the old entry 1, bin/tool-1.2.
    assert_eq!(release.delta[expected.len()..][..5], [1, 1, 0, 0, 0]);
    let same_tree = Release::new(release.old.clone(), release.old.clone());
    let records = [[SAME, 1, 0, 0, 0], [SAME, 2, 0, 0, 0], [SAME, 4, 0, 0, 0]].concat();
    assert_eq!(same_tree.delta[same_tree.header().len()..], records);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

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
    fn arbitrary_records_never_panic(
        old in trees(), new in trees(), bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let release = Release::new(old, new);
        let forged = [&release.header()[..], &bytes].concat();
        let mut made = Memory::default();
        if release.apply(&forged, &mut made).is_ok() {
            prop_assert_eq!(&made.things, &release.new.things);
        }
        prop_assert!(release.apply(&bytes, &mut Memory::default()).is_err());
    }
}
