use proptest::prelude::*;
use proptest::sample::Index;

use crate::{Fault, ScratchMemory};

use super::*;

/// A header's size where both files are of 128 bytes to 16 KiB.
const HEADER_BYTES: usize = 4 + 1 + 16 + 2 + 32 + 2;

fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut patch = Vec::new();
    let bytes = diff(&old, &new, &Options::default(), &mut |_| {}, &mut patch).unwrap();
    assert_eq!(bytes, patch.len() as u64);
    patch
}

fn applied(old: &[u8], patch: &[u8]) -> Result<Vec<u8>, ApplyError> {
    let mut new = Vec::new();
    let applied = apply(&old, &patch, &mut new, &ScratchMemory, &Limits::default())?;
    assert_eq!(applied.digest, blake3::hash(&new));
    assert_eq!(applied.bytes, new.len() as u64);
    Ok(new)
}

/// What an edit of a byte string may be.
#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
    Flip(Index, u8),
    Move(Index, Index, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let few = proptest::collection::vec(any::<u8>(), 1..100);
    let edit = prop_oneof![
        (any::<Index>(), few).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), 1_usize..500).prop_map(|(at, length)| Edit::Delete(at, length)),
        (any::<Index>(), 1_u8..).prop_map(|(at, byte)| Edit::Flip(at, byte)),
        (any::<Index>(), any::<Index>(), 1_usize..500)
            .prop_map(|(from, to, length)| Edit::Move(from, to, length)),
    ];
    proptest::collection::vec(edit, 0..12)
}

fn edited(old: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut new = old.to_vec();
    for edit in edits {
        match edit {
            Edit::Insert(at, bytes) => {
                let at = at.index(new.len() + 1);
                new.splice(at..at, bytes.iter().copied());
            }
            Edit::Delete(at, length) => {
                let at = at.index(new.len() + 1);
                let end = (at + length).min(new.len());
                new.drain(at..end);
            }
            Edit::Flip(at, byte) if !new.is_empty() => {
                let at = at.index(new.len());
                new[at] ^= byte;
            }
            Edit::Flip(..) => {}
            Edit::Move(from, to, length) => {
                let from = from.index(new.len() + 1);
                let end = (from + length).min(new.len());
                let moved: Vec<u8> = new.drain(from..end).collect();
                let to = to.index(new.len() + 1);
                new.splice(to..to, moved);
            }
        }
    }
    new
}

fn olds() -> impl Strategy<Value = Vec<u8>> {
    (1_u8..=255, 0_usize..3000)
        .prop_flat_map(|(letters, length)| proptest::collection::vec(0..letters, length))
}

proptest! {
    #[test]
    fn a_patch_makes_the_new_file(old in olds(), edits in edits()) {
        let new = edited(&old, &edits);
        prop_assert_eq!(applied(&old, &patch(&old, &new)).unwrap(), new);
    }

    #[test]
    fn a_patch_between_strangers_makes_the_new_file(old in olds(), new in olds()) {
        prop_assert_eq!(applied(&old, &patch(&old, &new)).unwrap(), new);
    }

    #[test]
    fn arbitrary_bodies_never_panic(old in olds(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(applied(&old, &bytes).is_err());
        let mut forged = patch(&old, &[7; 1000]);
        forged.truncate(forged.len().min(HEADER_BYTES));
        forged.extend_from_slice(&bytes);
        let _ = applied(&old, &forged);
    }

    #[test]
    fn a_changed_patch_makes_the_new_file_or_none(old in olds(), edits in edits(), at: Index, flip in 1_u8..) {
        let new = edited(&old, &edits);
        let mut patch = patch(&old, &new);
        let at = at.index(patch.len());
        patch[at] ^= flip;
        if let Ok(made) = applied(&old, &patch) {
            prop_assert_eq!(made, new);
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let old = b"the quick brown fox jumps over the lazy dog".repeat(20);
    let mut new = old.clone();
    new.splice(100..110, *b"lasagna");
    let patch = patch(&old, &new);
    for length in 0..patch.len() {
        let error = applied(&old, &patch[..length]).unwrap_err();
        assert_eq!(error.fault(), Fault::Delta, "at {length}: {error}");
    }
    let error = applied(&old, &[&patch[..], b"x"].concat()).unwrap_err();
    assert!(matches!(error.reason, Reason::Malformed(_)));
}

#[test]
fn another_old_file_is_named_as_such() {
    let old: Vec<u8> = (0_u32..500).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    let patch = patch(&old, &old[1..]);
    let (shorter, mut other) = (&old[1..], old.clone());
    other.reverse();
    for old in [shorter, &other] {
        let error = applied(old, &patch).unwrap_err();
        assert!(matches!(error.reason, Reason::OtherOldFile { .. }), "{error}");
    }
}

#[test]
fn limits_are_kept() {
    let patch = patch(b"old", &[7; 1000]);
    let mut new = Vec::new();
    let mut try_with = |limits: Limits| apply(&&b"old"[..], &patch, &mut new, &ScratchMemory, &limits);
    let few = Limits { new_bytes: 999, ..Limits::default() };
    assert!(matches!(try_with(few).unwrap_err().reason, Reason::Limit { found: 1000, .. }));
    let few = Limits { delta_bytes: patch.len() as u64 - 1, ..Limits::default() };
    assert!(matches!(try_with(few).unwrap_err().reason, Reason::Limit { .. }));
    assert!(new.is_empty());
}

#[test]
fn a_patch_is_never_much_larger_than_the_packed_file() {
    let noise = |seed: u8| {
        let mut out = vec![0; 100_000];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
        out
    };
    for (old, new) in [(noise(1), noise(2)), (Vec::new(), noise(3)), (noise(4), Vec::new())] {
        let packed = zstd::bulk::compress(&new, 19).unwrap();
        let patch = patch(&old, &new);
        assert!(patch.len() <= packed.len() + 64, "{} {}", patch.len(), packed.len());
    }
    let header =
        Header { old_bytes: 32 << 30, old_name: [0; 16], new_bytes: 32 << 30, new_digest: blake3::hash(b"") };
    assert!(header.encode().len() <= header::HEADER_BYTES_MAX + 2);
}
