//! Streams of several writers, taken apart and made again.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;

use super::*;

/// Text-like bytes: words of a small vocabulary, some of them random.
fn text(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let words: Vec<Vec<u8>> =
        (0..300).map(|_| (0..2 + next(9)).map(|_| b'a' + next(26) as u8).collect()).collect();
    let mut out = Vec::new();
    while out.len() < bytes {
        let common = next(300) + 1;
        out.extend_from_slice(&words[next(common) as usize]);
        out.push(if next(9) == 0 { next(256) as u8 } else { b' ' });
    }
    out.truncate(bytes);
    out
}

fn zlib(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn make_again(plain: &[u8], habits: Habits, notes: &Notes, step: usize) -> Result<Vec<u8>, crate::Reason> {
    let mut encoder = Encoder::new(habits, notes.clone(), plain.len() as u32)?;
    let mut out = Vec::new();
    for part in plain.chunks(step) {
        encoder.feed(part, &mut out)?;
    }
    encoder.finish(&mut out)?;
    Ok(out)
}

/// Takes a stream apart, makes it again, and gives the size of the notes.
fn check(packed: &[u8], plain: &[u8], step: usize) -> usize {
    let mut unpacked = Vec::new();
    assert_eq!(unpack(packed, &mut unpacked, plain.len()), Ok(packed.len()));
    assert!(unpacked == plain, "unpacked bytes differ");
    let (habits, notes) = study(packed, usize::MAX, None).expect("a way to make it again");
    assert!(make_again(plain, habits, &notes, step).unwrap() == packed, "{habits:?} {notes:?}");
    notes.bytes()
}

#[test]
fn streams_by_zlib_need_no_notes() {
    let plain = text(7, 400_000);
    for level in 1..=9 {
        let packed = zlib(&plain, level);
        assert_eq!(check(&packed, &plain, 10_007), 0, "level {level}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_stream_by_zlib_is_made_again(seed: u64, bytes in 0usize..200_000, level in 0u32..=9, step in 1usize..70_000) {
        let plain = text(seed, bytes);
        check(&zlib(&plain, level), &plain, step);
    }

    #[test]
    fn a_stream_by_another_writer_is_made_again(seed: u64, bytes in 0usize..100_000, level in 0u8..=10) {
        let plain = text(seed, bytes);
        check(&miniz_oxide::deflate::compress_to_vec(&plain, level), &plain, 9_999);
    }
}
