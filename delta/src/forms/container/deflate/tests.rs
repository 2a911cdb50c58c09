//! Streams of several writers, taken apart and made again.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;

use super::super::tests::text;
use super::*;

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
    let plain = text(7, 120_000);
    for level in 1..=9 {
        let packed = zlib(&plain, level);
        assert_eq!(check(&packed, &plain, 7_001), 0, "level {level}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_stream_by_zlib_is_made_again(seed: u64, bytes in 0usize..60_000, level in 0u32..=9, step in 1usize..70_000) {
        let plain = text(seed, bytes);
        check(&zlib(&plain, level), &plain, step);
    }

    #[test]
    fn a_stream_by_another_writer_is_made_again(seed: u64, bytes in 0usize..40_000, level in 0u8..=10) {
        let plain = text(seed, bytes);
        check(&miniz_oxide::deflate::compress_to_vec(&plain, level), &plain, 9_999);
    }

    #[test]
    fn any_notes_make_some_stream_or_an_error(
        tokens in proptest::collection::vec(any::<u8>(), 0..60),
        blocks in proptest::collection::vec(0u8..140, 0..60),
        seed: u64, bytes in 0usize..5_000, level in 0u8..=9,
    ) {
        let plain = text(seed, bytes);
        let _ = make_again(&plain, Habits { level, memory: 1, by_four: seed % 2 == 0 }, &Notes { tokens, blocks }, 100);
    }

    #[test]
    fn any_bytes_unpack_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0usize..3_000, with: u8) {
        let _ = unpack(&bytes, &mut Vec::new(), 1_000);
        let mut packed = zlib(&text(3, 9_000), 6);
        let at = at % packed.len();
        packed[at] ^= with;
        let mut plain = Vec::new();
        if let Ok(size) = unpack(&packed, &mut plain, 20_000) {
            let (habits, notes) = study(&packed[..size], usize::MAX, None).unwrap();
            prop_assert_eq!(make_again(&plain, habits, &notes, 999).unwrap(), &packed[..size]);
        }
        prop_assert!(plain.len() <= 20_000);
    }
}

#[test]
fn a_stream_that_flushes_is_made_again() {
    use flate2::{Compress, FlushCompress};
    let plain = text(5, 50_000);
    let mut packed = Vec::with_capacity(60_000);
    let mut stream = Compress::new(Compression::new(6), false);
    for (part, flush) in plain
        .chunks(10_000)
        .zip([FlushCompress::Sync, FlushCompress::Partial, FlushCompress::Full].iter().cycle())
    {
        stream.compress_vec(part, &mut packed, *flush).unwrap();
    }
    stream.compress_vec(&[], &mut packed, FlushCompress::Finish).unwrap();
    check(&packed, &plain, 4_096);
}
