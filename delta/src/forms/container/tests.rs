//! Containers of several kinds, opened and closed.

use std::io::{Read, Write};

use flate2::Compression;
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use proptest::prelude::*;

use super::*;
use crate::access::{ReadAt, load};

/// Text-like bytes: words of a small vocabulary, some of them random.
pub(super) fn text(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::from(state.to_be_bytes()[0]) * below / 256
    };
    let words: Vec<Vec<u8>> = (0..200)
        .map(|_| (0..2 + next(9)).map(|_| b"etaoinsrhldcumfpgwybvkxjqz"[next(26)]).collect())
        .collect();
    let mut out = Vec::new();
    while out.len() < bytes {
        let common = next(200) + 1;
        out.extend_from_slice(&words[next(common)]);
        out.push(if next(9) == 0 { next(256).to_le_bytes()[0] } else { b' ' });
    }
    out.truncate(bytes);
    out
}

const OPTIONS: Options = Options { plain_bytes_max: 64 << 20, memory_bytes_max: 200 << 20 };

fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().filename("a name").write(Vec::new(), Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn lzma(plain: &[u8], stream: Stream) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn xz(plain: &[u8], preset: u32) -> Vec<u8> {
    lzma(plain, Stream::new_easy_encoder(preset, Check::Crc64).unwrap())
}

/// An entry of a zip archive, without the directory.
fn zip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(plain).unwrap();
    let packed = encoder.finish().unwrap();
    let mut out = b"PK\x03\x04\x14\0\0\0\x08\0....CRC-".to_vec();
    out.extend_from_slice(&packed.len().to_le_bytes()[..4]);
    out.extend_from_slice(&plain.len().to_le_bytes()[..4]);
    out.extend_from_slice(b"\x04\0\0\0name");
    out.extend(packed);
    out
}

/// Opens a pair, follows what was written down on it, and gives the two plain forms.
fn round(old: &[u8], new: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (opened_old, opened_new) = open(old, new, OPTIONS).unwrap()?;
    let all = |held: &dyn ReadAt| load(held, 0..held.size()).unwrap();
    let (old_plain, new_plain) = (all(&opened_old.plain), all(&opened_new.plain));
    let mut encoded = Vec::new();
    opened_old.chain.put(&mut encoded);
    opened_new.chain.put(&mut encoded);
    let mut rest = &encoded[..];
    let (old_chain, new_chain) = (Chain::take(&mut rest).unwrap(), Chain::take(&mut rest).unwrap());
    assert!(rest.is_empty());
    assert_eq!(
        (&old_chain.plain_bytes(), &new_chain.plain_bytes()),
        (&Some(old_plain.len() as u64), &Some(new_plain.len() as u64))
    );
    assert!(new_chain == opened_new.chain);
    let mut plain = Vec::new();
    unpack(old, &old_chain, &mut plain).unwrap();
    assert!(plain == old_plain);
    let mut closed = Vec::new();
    let mut rest = &new_plain[..];
    Closed::new(new_chain, &mut rest).read_to_end(&mut closed).unwrap();
    assert!(closed == new && rest.is_empty());
    Some((old_plain, new_plain))
}

/// Whether a pair opens down to what both packed.
fn opens(pack: impl Fn(&[u8]) -> Vec<u8>) -> bool {
    let (one, other) = (text(1, 60_000), text(2, 50_000));
    let around = |packed: Vec<u8>| [&b"before "[..], &packed, b" and after"].concat();
    // The first part is enough: heads of blocks may stand between parts.
    let holds = |all: &[u8], part: &[u8]| all.windows(8_000).any(|window| window == &part[..8_000]);
    let plain = round(&around(pack(&one)), &around(pack(&other)));
    plain.is_some_and(|(old, new)| holds(&old, &one) && holds(&new, &other))
}

#[test]
fn every_kind_opens_and_closes() {
    assert!(opens(|plain| gzip(plain, 6)));
    assert!(opens(|plain| zlib(plain, 9)));
    assert!(opens(|plain| zip(plain, 6)));
    assert!(opens(|plain| bzip2(plain, 9)));
    assert!(opens(|plain| bzip2(plain, 1)));
    assert!(opens(|plain| xz(plain, 0)));
    assert!(opens(|plain| xz(plain, 3)));
    assert!(opens(|plain| xz(plain, 6)));
    assert!(opens(|plain| xz(plain, 9 | 1 << 31)));
    assert!(opens(|plain| zstd::bulk::compress(plain, 19).unwrap()));
    assert!(opens(|plain| zstd::stream::encode_all(plain, 3).unwrap()));
    assert!(opens(|plain| lzma(
        plain,
        Stream::new_lzma_encoder(&LzmaOptions::new_preset(6).unwrap()).unwrap()
    )));
}

#[test]
fn filters_and_several_blocks_of_xz_open() {
    let options = LzmaOptions::new_preset(6).unwrap();
    assert!(opens(|plain| {
        lzma(plain, Stream::new_stream_encoder(Filters::new().x86().lzma2(&options), Check::Crc32).unwrap())
    }));
    let stream = |plain: &[u8]| {
        let mut stream = Stream::new_easy_encoder(6, Check::Sha256).unwrap();
        let mut out = Vec::with_capacity(200_000);
        for part in plain.chunks(9_000) {
            stream.process_vec(part, &mut out, liblzma::stream::Action::Run).unwrap();
            while stream.process_vec(&[], &mut out, liblzma::stream::Action::FullFlush).unwrap()
                != liblzma::stream::Status::StreamEnd
            {}
        }
        stream.process_vec(&[], &mut out, liblzma::stream::Action::Finish).unwrap();
        out
    };
    assert!(opens(stream));
}

#[test]
fn containers_in_containers_open_down_to_a_depth() {
    let nested = |plain: &[u8], depth| (0..depth).fold(plain.to_vec(), |inner, _| gzip(&inner, 6));
    assert!(opens(|plain| nested(plain, 2)));
    assert!(opens(|plain| xz(&gzip(plain, 9), 6)));
    assert!(opens(|plain| nested(plain, DEPTH_MAX)));
    assert!(!opens(|plain| nested(plain, DEPTH_MAX + 1)));
}

#[test]
fn what_both_files_hold_stays_closed() {
    let same = gzip(&text(1, 9_000), 6);
    let old = [gzip(&text(2, 9_000), 6), same.clone()].concat();
    let new = [same.clone(), gzip(&text(3, 9_000), 6)].concat();
    let (old, new) = round(&old, &new).unwrap();
    assert!(old.ends_with(&same) && new.starts_with(&same));
    assert!(open(&same, &same, OPTIONS).unwrap().is_none());
}

#[test]
fn nothing_in_an_executable_is_opened() {
    let executable = |seed: u64| {
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(64, 0);
        file.extend(gzip(&text(seed, 20_000), 6));
        let sections_at = file.len() as u64;
        file[40..48].copy_from_slice(&sections_at.to_le_bytes());
        file[58] = 64;
        file[60] = 2;
        file.extend([0; 128]);
        file
    };
    let (old, new) = (executable(1), executable(2));
    assert!(open(&old, &new, OPTIONS).unwrap().is_none());
    let after = |mut file: Vec<u8>, seed| {
        file.extend(gzip(&text(seed, 20_000), 6));
        file
    };
    assert!(round(&after(old, 3), &after(new, 4)).is_some(), "what follows it is");
}

#[test]
fn bombs_stay_closed() {
    let zeros = vec![0; 20 << 20];
    let (bomb, other) = (gzip(&zeros, 6), gzip(&zeros[1..], 6));
    assert!(open(&bomb, &other, OPTIONS).unwrap().is_none());
    let small = Options { plain_bytes_max: 10_000, ..OPTIONS };
    assert!(open(&gzip(&text(1, 10_001), 6), &gzip(&text(2, 10_001), 6), small).unwrap().is_none());
}

#[test]
fn memory_that_is_not_given_is_not_asked_for() {
    let little = Options { memory_bytes_max: 1 << 20, ..OPTIONS };
    let (old, new) = (xz(&text(1, 200_000), 6), xz(&text(2, 200_000), 6));
    assert!(open(&old, &new, little).unwrap().is_none());
    let (_, opened) = open(&old, &new, OPTIONS).unwrap().unwrap();
    assert_eq!(opened.chain.shells.len(), 1);
    assert!(opened.chain.memory_bytes(Method::packing_bytes) <= OPTIONS.memory_bytes_max);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn closing_what_was_opened_gives_the_file(seeds: [u64; 3], kinds: [u8; 3], sizes in [0usize..9_000, 0..9_000, 0..9_000], cut in 0usize..9_000) {
        let make = |shift: u64| {
            let mut all = Vec::new();
            for place in 0..3 {
                let plain = text(seeds[place] ^ shift, sizes[place]);
                let level = u32::from(kinds[place] >> 4) % 10;
                all.extend(match kinds[place] % 6 {
                    0 => gzip(&plain, level),
                    1 => zlib(&gzip(&plain, level), 1),
                    2 => zip(&plain, level),
                    3 => bzip2(&plain, level.max(1)),
                    4 => xz(&[zip(&plain, 6), plain].concat(), level % 4),
                    _ => plain,
                });
            }
            all
        };
        let (old, mut new) = (make(0), make(1));
        round(&old, &new);
        new.truncate(cut.min(new.len()));
        round(&old, &new);
    }

    #[test]
    fn random_bytes_stay_closed(seed in proptest::collection::vec(any::<u8>(), 1..3_000)) {
        prop_assert!(open(&seed, &seed[..seed.len() / 2], OPTIONS).unwrap().is_none());
    }

    #[test]
    fn shells_that_lie_are_refused_or_make_something(at: usize, with in 1u8.., bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let old = [gzip(&text(1, 4_000), 6), xz(&text(2, 3_000), 0), bzip2(&text(3, 2_000), 1)].concat();
        let new = [gzip(&gzip(&text(4, 4_000), 6), 5), xz(&text(5, 3_000), 0), bzip2(&text(6, 2_000), 1)].concat();
        let (old_opened, new_opened) = open(&old, &new, OPTIONS).unwrap().unwrap();
        for chain in [old_opened.chain, new_opened.chain] {
            let mut encoded = Vec::new();
            chain.put(&mut encoded);
            let place = at % encoded.len();
            encoded[place] ^= with;
            follow(&encoded, &old);
        }
        follow(&bytes, &old);
    }
}

/// Follows shells that may say anything, as a careful caller does.
fn follow(encoded: &[u8], old: &[u8]) {
    let Ok(chain) = Chain::take(&mut &encoded[..]) else { return };
    let is_small = |of| chain.memory_bytes(of) < 64 << 20;
    if chain.plain_bytes().is_none_or(|bytes| bytes > 1 << 20)
        || !is_small(Method::unpacking_bytes)
        || !is_small(Method::packing_bytes)
    {
        return;
    }
    let _ = unpack(old, &chain, &mut Vec::new());
    let _ = Closed::new(chain, &text(9, 20_000)[..]).read_to_end(&mut Vec::new());
}
