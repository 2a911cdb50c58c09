use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const WINDOW_LOG: u32 = 20;

fn unpacked(bytes: &[u8], primer: &[u8]) -> Result<Vec<u8>, Reason> {
    let delta: &dyn ReadAt = &bytes;
    let mut section = Section::new(delta, 0..bytes.len() as u64)?;
    let stream = Stream::locate(&mut section, 1 << 20)?;
    if !section.is_at_end() {
        return Err(Reason::Malformed("more follows"));
    }
    stream.unpack_all(delta, primer, WINDOW_LOG)
}

fn bytes_of(packed: &Packed) -> Vec<u8> {
    let mut bytes = Vec::new();
    packed.write(&mut bytes);
    assert_eq!(bytes.len(), packed.size());
    bytes
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    (1_u8..=255, 0_usize..3000)
        .prop_flat_map(|(letters, length)| proptest::collection::vec(0..letters, length))
}

fn all_ways(raw: &[u8], primer: &[u8]) -> Vec<Packed> {
    let raw_bytes = raw.len() as u64;
    let mut ways = vec![
        Packed { method: Method::Stored, raw_bytes, bytes: raw.to_vec() },
        pack(raw, primer, WINDOW_LOG, Strength::Fast).unwrap(),
        pack(raw, primer, WINDOW_LOG, Strength::Best).unwrap(),
    ];
    for strength in [Strength::Fast, Strength::Best] {
        let bytes = zstandard::pack(raw, primer, WINDOW_LOG, strength).unwrap();
        ways.push(Packed { method: Method::Zstd, raw_bytes, bytes });
    }
    for bytes in lzma::pack(raw, primer, WINDOW_LOG).unwrap() {
        ways.push(Packed { method: Method::Lzma, raw_bytes, bytes });
    }
    ways
}

proptest! {
    #[test]
    fn every_method_gives_back_what_it_packed(raw in texts(), primer in texts()) {
        for packed in all_ways(&raw, &primer) {
            prop_assert_eq!(&unpacked(&bytes_of(&packed), &primer).unwrap(), &raw);
        }
    }

    #[test]
    fn packing_never_makes_larger(raw in texts()) {
        let packed = pack(&raw, &[], WINDOW_LOG, Strength::Best).unwrap();
        prop_assert!(packed.size() <= 1 + 2 + raw.len());
    }

    #[test]
    fn changed_streams_never_panic_nor_grow(raw in texts(), at: Index, flip in 1_u8..) {
        for packed in all_ways(&raw, b"primer") {
            let mut bytes = bytes_of(&packed);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(found) = unpacked(&bytes, b"primer") {
                prop_assert!(found.len() <= 1 << 20);
            }
        }
    }

    #[test]
    fn arbitrary_streams_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = unpacked(&bytes, &[]);
        let _ = unpacked(&[&[1, 100, 100], &bytes[..]].concat(), &[]);
        let _ = unpacked(&[&[2, 100, 100, 93, 16], &bytes[..]].concat(), &[]);
    }
}

#[test]
fn truncated_streams_are_refused() {
    let raw = b"the quick brown fox jumps over the lazy dog".repeat(20);
    for packed in all_ways(&raw, b"the lazy dog") {
        let bytes = bytes_of(&packed);
        for length in 0..bytes.len() {
            assert!(unpacked(&bytes[..length], b"the lazy dog").is_err());
        }
    }
}

#[test]
fn a_primer_that_resembles_helps() {
    let primer: Vec<u8> = (0_u32..500).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    let raw = &primer[100..900];
    let alone = pack(raw, &[], WINDOW_LOG, Strength::Best).unwrap();
    let primed = pack(raw, &primer, WINDOW_LOG, Strength::Best).unwrap();
    assert!(primed.size() < alone.size() / 10, "{} {}", primed.size(), alone.size());
}

#[test]
fn a_trained_dictionary_is_only_bytes_as_a_primer() {
    let primer = [&0xec30_a437_u32.to_le_bytes()[..], &[7; 100]].concat();
    for packed in all_ways(&[7; 500], &primer) {
        assert_eq!(unpacked(&bytes_of(&packed), &primer).unwrap(), [7; 500]);
    }
}

#[test]
fn a_window_beyond_the_bound_is_refused() {
    let raw = vec![7; 10_000];
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(WINDOW_LOG + 1).unwrap();
    encoder.include_contentsize(false).unwrap();
    io::copy(&mut &raw[..], &mut encoder).unwrap();
    let bytes = encoder.finish().unwrap();
    let packed = Packed { method: Method::Zstd, raw_bytes: 10_000, bytes };
    assert!(unpacked(&bytes_of(&packed), &[]).is_err());
    let mut bytes = lzma::pack(&raw, &[], WINDOW_LOG).unwrap().remove(0);
    bytes[1] = u8::try_from(WINDOW_LOG).unwrap() + 1;
    let packed = Packed { method: Method::Lzma, raw_bytes: 10_000, bytes };
    assert!(unpacked(&bytes_of(&packed), &[]).is_err());
}

#[test]
fn bytes_that_do_not_pack_are_estimated_in_parts_as_what_they_are_packed_to() {
    let noise: Vec<u8> = (0..100_000_u32)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b1).rotate_left(n % 32).to_le_bytes())
        .collect();
    let whole = pack_whole(&noise, crate::limits::WHOLE_WINDOW_LOG).unwrap().size();
    assert!(estimate_in_parts(&noise).unwrap().abs_diff(whole) < whole / 50);
    assert_eq!(estimate_in_parts(&Vec::new()).unwrap(), 0);
}
