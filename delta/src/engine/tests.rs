use std::io::Cursor;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::pack::pack;
use crate::{Fault, Limits, Reason};

use super::*;

fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut patch = Vec::new();
    let bytes = diff(old, new, &mut patch).unwrap();
    assert_eq!(bytes, patch.len() as u64);
    patch
}

fn applied(old: &[u8], patch: &[u8]) -> Result<Vec<u8>, ApplyError> {
    let mut new = Vec::new();
    let applied = apply(Cursor::new(old), patch, &mut new, &Limits::default())?;
    assert_eq!(applied.digest, blake3::hash(&new));
    assert_eq!(applied.bytes, new.len() as u64);
    Ok(new)
}

/// A patch whose header is right and whose body is any bytes, packed.
fn forged(old: &[u8], new: &[u8], body: &[u8]) -> Vec<u8> {
    let mut forged = patch(old, new);
    forged.truncate(6 + 2 + 2 * (8 + 32));
    forged.extend_from_slice(&pack(body).unwrap());
    forged
}

fn segment(moves: &[moves::Move], added: &[u8], inserted: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for next in moves {
        next.encode(&mut encoded);
    }
    let mut out = Vec::new();
    for part in [&encoded[..], added, inserted] {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
    }
    [&out, &encoded, added, inserted].concat()
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
    fn arbitrary_bytes_never_panic(old in olds(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(applied(&old, &bytes).is_err());
        let mut new = Vec::new();
        let sizes = Sizes { old: old.len() as u64, new: 1000 };
        let body = pack(&bytes).unwrap();
        let _ = follow(&mut Cursor::new(&old), &body[..], &mut new, sizes);
        prop_assert!(new.len() <= 1000);
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

    #[test]
    fn changed_moves_are_refused_or_wrong_but_never_panic(
        seek: i64, add: u64, insert: u64, added in 0_usize..50, inserted in 0_usize..50,
    ) {
        let body = segment(&[moves::Move { seek, add, insert }], &vec![1; added], &vec![2; inserted]);
        let mut new = Vec::new();
        let sizes = Sizes { old: 40, new: (added + inserted) as u64 };
        let body = pack(&body).unwrap();
        let done = follow(&mut Cursor::new([7; 40]), &body[..], &mut new, sizes);
        let fits = usize::try_from(seek).is_ok_and(|seek| seek + added <= 40)
            && add == added as u64 && insert == inserted as u64 && added + inserted > 0;
        prop_assert_eq!(done.is_ok(), fits);
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
fn another_old_file_is_refused_before_writing() {
    let patch = patch(b"old", b"new");
    let mut new = Vec::new();
    let error = apply(Cursor::new(b"odl"), &patch[..], &mut new, &Limits::default()).unwrap_err();
    assert!(matches!(error.reason, Reason::OtherOld { .. }), "{error}");
    assert!(new.is_empty());
}

#[test]
fn limits_are_kept() {
    let patch = patch(b"old", &[7; 1000]);
    let mut new = Vec::new();
    let mut try_with = |limits: Limits| apply(Cursor::new(b"old"), &patch[..], &mut new, &limits);
    let few = Limits { new_bytes: 999, ..Limits::default() };
    assert!(matches!(try_with(few).unwrap_err().reason, Reason::Limit { found: 1000, .. }));
    let few = Limits { delta_bytes: patch.len() as u64 - 1, ..Limits::default() };
    assert!(try_with(few).unwrap_err().to_string().contains("bytes allowed here"));
    assert!(new.is_empty());
}

#[test]
fn bombs_are_refused() {
    let new = vec![7; 100];
    let insert = |bytes: u64| moves::Move { insert: bytes, ..Default::default() };
    let bodies = [
        segment(&[insert(5000)], b"", &[7; 5000]),
        [segment(&[insert(100)], b"", &new), vec![0; 50 << 20]].concat(),
        [&u32::MAX.to_le_bytes()[..]; 3].concat(),
        segment(&[], b"", b"").repeat(1000),
        segment(&[insert(1)], b"", b"7").repeat(1000),
    ];
    for body in bodies {
        let mut made = Vec::new();
        let error =
            apply(Cursor::new(b"old"), &forged(b"old", &new, &body)[..], &mut made, &Limits::default())
                .unwrap_err();
        assert_eq!(error.fault(), Fault::Delta, "{error}");
        assert!(made.len() <= new.len());
    }
}

#[test]
fn a_window_beyond_the_bound_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(crate::limits::WINDOW_LOG + 1).unwrap();
    io::copy(&mut io::repeat(0).take(1000), &mut encoder).unwrap();
    let body = encoder.finish().unwrap();
    let sizes = Sizes { old: 0, new: 1000 };
    let refused = follow(&mut Cursor::new(b""), &body[..], &mut Vec::new(), sizes);
    assert!(matches!(refused, Err(Reason::Unpack(_))), "{refused:?}");
}

#[test]
fn a_full_disk_is_the_new_places_fault() {
    let patch = patch(b"old", &[7; 1000]);
    let mut room = [0; 10];
    let error = apply(Cursor::new(b"old"), &patch[..], &mut room[..], &Limits::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::New, "{error}");
}

/// Quadratic matching takes minutes here.
#[test]
fn long_runs_are_matched_in_good_time() {
    let zeros = vec![0; 1 << 20];
    let mut sparse = zeros.clone();
    for at in (0..sparse.len()).step_by(24_571) {
        sparse[at] = 1;
    }
    let periodic: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    for (old, new) in [(&sparse, &zeros), (&zeros, &sparse), (&periodic, &sparse), (&periodic, &periodic)] {
        let patch = patch(old, new);
        assert!(patch.len() < 2000, "{}", patch.len());
        assert_eq!(&applied(old, &patch).unwrap(), new);
    }
}

#[test]
fn a_patch_of_more_than_a_segment_is_small_and_right() {
    let mut state = 1_u32;
    let old: Vec<u8> = (0..3 << 20)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    let mut new = old.clone();
    new.drain(1_000_000..1_000_100);
    new.splice(2_000_000..2_000_000, *b"inserted");
    let patch = patch(&old, &new);
    assert!(patch.len() < 600, "{}", patch.len());
    assert_eq!(applied(&old, &patch).unwrap(), new);
}

/// The golden vector of the header; the body is zstd's to choose.
#[test]
fn the_header_is_that_of_format_1() {
    let expected = [
        &b"GSPTCH\x01\x00\x03\x00\x00\x00\x00\x00\x00\x00"[..],
        blake3::hash(b"old").as_bytes(),
        b"\x05\x00\x00\x00\x00\x00\x00\x00",
        blake3::hash(b"newer").as_bytes(),
    ]
    .concat();
    let patch = patch(b"old", b"newer");
    assert!(patch.starts_with(&expected));
    let body = segment(&[moves::Move { seek: 0, add: 0, insert: 5 }], b"", b"newer");
    assert_eq!(patch, [expected, pack(&body).unwrap()].concat());
}
