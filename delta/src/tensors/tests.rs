use proptest::prelude::*;

use super::element::ELEMENTS;
use super::element::Element;
use super::*;
use crate::access::load;
use crate::error::Reason;

fn element() -> impl Strategy<Value = Element> {
    proptest::sample::select(&ELEMENTS[..])
}

/// Old and new bytes that mostly resemble each other, as weights do, in whole elements of any type.
fn weights() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let special =
        proptest::sample::select(vec![[0_u8; 8], [0xff; 8], [0x80; 8], [0, 0, 0, 0, 0, 0, 0xf0, 0x7f]]);
    let old = prop_oneof![9 => any::<[u8; 8]>(), 1 => special.clone()];
    let new = prop_oneof![
        4 => Just(None),
        4 => any::<i8>().prop_map(|by| Some(Err(by))),
        1 => any::<[u8; 8]>().prop_map(|bytes| Some(Ok(bytes))),
        1 => special.prop_map(|bytes| Some(Ok(bytes))),
    ];
    proptest::collection::vec((old, new), 0..1500).prop_map(|elements| {
        let (mut olds, mut news) = (Vec::new(), Vec::new());
        for (old, new) in elements {
            olds.extend_from_slice(&old);
            news.extend_from_slice(&match new {
                None => old,
                Some(Err(by)) => u64::from_le_bytes(old).wrapping_add_signed(by.into()).to_le_bytes(),
                Some(Ok(new)) => new,
            });
        }
        (olds, news)
    })
}

fn pair(element: Element, at: u64, bytes: usize) -> Pair {
    Pair { old_at: at, new_at: at, bytes: bytes as u64, element }
}

fn decode_all(delta: &[u8], pieces: &[(Element, &[u8])]) -> Result<Vec<u8>, Reason> {
    let mut decoder = Decoder::new(&delta, 0..delta.len() as u64)?;
    let mut made = Vec::new();
    for (element, old) in pieces {
        let mut new = vec![0; old.len()];
        decoder.decode(*element, old, &mut new)?;
        made.extend_from_slice(&new);
    }
    decoder.end()?;
    Ok(made)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_decoded_is_what_was_encoded_however_it_is_cut(
        (old, new) in weights(), element in element(), elements_each in 1_usize..5000,
    ) {
        let delta = encode(&old, &new, &[pair(element, 0, old.len())]).unwrap();
        let blocks: Vec<_> = old.chunks(elements_each * element.bytes()).map(|block| (element, block)).collect();
        prop_assert!(decode_all(&delta, &blocks).unwrap() == new);
    }

    #[test]
    fn tensors_of_several_types_follow_each_other(
        (old, new) in weights(), elements in proptest::collection::vec(element(), 1..6),
    ) {
        let each = old.len() / elements.len() / 8 * 8;
        let mut pairs = Vec::new();
        let mut blocks = Vec::new();
        for (number, element) in elements.iter().enumerate() {
            let at = number * each;
            pairs.push(pair(*element, at as u64, each));
            blocks.push((*element, &old[at..at + each]));
        }
        let delta = encode(&old, &new, &pairs).unwrap();
        prop_assert!(decode_all(&delta, &blocks).unwrap() == new[..each * elements.len()]);
    }

    #[test]
    fn hostile_streams_give_an_error_or_bytes(
        (old, new) in weights(), element in element(), at in any::<prop::sample::Index>(), by in 1_u8..,
        cut in any::<prop::sample::Index>(), junk in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let whole = encode(&old, &new, &[pair(element, 0, old.len())]).unwrap();
        let mut flipped = whole.clone();
        flipped[at.index(whole.len())] ^= by;
        let _ = decode_all(&flipped, &[(element, &old)]);
        let _ = decode_all(&junk, &[(element, &old)]);
        prop_assert!(decode_all(&whole[..cut.index(whole.len())], &[(element, &old)]).is_err());
        prop_assert!(decode_all(&[&whole[..], &[0]].concat(), &[(element, &old)]).is_err());
    }
}

#[test]
fn a_stream_that_ends_early_is_said_to_be_truncated() {
    let old = vec![0; 4096];
    let new: Vec<u8> = (0..4096_u32).map(|at| (at * at * 31).to_le_bytes()[1]).collect();
    let delta = encode(&old, &new, &[pair(Element::F32, 0, 4096)]).unwrap();
    // More elements are asked for than were written.
    let twice = [(Element::F32, &old[..]), (Element::F32, &old[..])];
    assert!(matches!(decode_all(&delta, &twice), Err(Reason::Truncated)));
    assert!(matches!(decode_all(&delta, &[(Element::F32, &old[..4092])]), Err(Reason::Malformed(_))));
    assert!(matches!(decode_all(&delta, &[(Element::F32, &old[..4090])]), Err(Reason::Malformed(_))));
}

#[test]
fn groups_in_which_nothing_changes_may_end_anywhere() {
    let old: Vec<u8> = (0..300_000_u32).map(|at| (at * 31).to_le_bytes()[1]).collect();
    let mut new = old.clone();
    for at in (0..old.len()).step_by(41_233) {
        new[at] ^= 1;
    }
    let elements = [Element::Bf16, Element::F32, Element::Bf16, Element::Bf16, Element::I8, Element::F32];
    let mut pairs = Vec::new();
    for (element, (at, between)) in elements.into_iter().zip((0..).step_by(50_000).zip([0, 8].repeat(3))) {
        pairs.push(pair(element, at, 49_992));
        pairs.push(pair(Element::F64, at + 49_992, between));
    }
    let delta = encode(&old, &new, &pairs).unwrap();
    assert!(delta.len() < 400, "{}", delta.len());
    let part = |of: &Vec<u8>, pair: &Pair| load(of, pair.old_at..pair.old_at + pair.bytes).unwrap();
    let olds: Vec<_> = pairs.iter().map(|pair| part(&old, pair)).collect();
    let blocks: Vec<_> = pairs.iter().zip(&olds).map(|(pair, old)| (pair.element, &old[..])).collect();
    let news: Vec<_> = pairs.iter().flat_map(|pair| part(&new, pair)).collect();
    assert!(decode_all(&delta, &blocks).unwrap() == news);
}

#[test]
fn weights_moved_by_training_cost_far_less_than_themselves() {
    let mut seed = 1_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(seed >> 16).unwrap()) / 65536.0 - 0.5
    };
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for _ in 0..20_000 {
        let weight = random() * random() * 0.2;
        let trained = weight + random() * random() * 0.001;
        for (weight, out) in [(weight, &mut old), (trained, &mut new)] {
            out.extend_from_slice(&(f32::to_bits(weight) >> 16).to_le_bytes()[..2]);
        }
    }
    let delta = encode(&old, &new, &[pair(Element::Bf16, 0, old.len())]).unwrap();
    assert!(delta.len() < new.len() / 4, "{} of {}", delta.len(), new.len());
    let alone = encode(&vec![0; old.len()], &new, &[pair(Element::Bf16, 0, old.len())]).unwrap();
    assert!(alone.len() < new.len() * 3 / 4, "{} of {}", alone.len(), new.len());
    let still = encode(&old, &old, &[pair(Element::Bf16, 0, old.len())]).unwrap();
    assert!(still.len() < 200, "{}", still.len());
}

/// A file of tensors in the safetensors format, each of so many elements of bf16.
fn safetensors_file(tensors: &[(&str, &[u8])]) -> Vec<u8> {
    let mut at = 0;
    let entries = tensors.iter().map(|(name, bytes)| {
        let (start, end) = (at, at + bytes.len());
        at = end;
        format!(r#""{name}":{{"dtype":"BF16","shape":[{}],"data_offsets":[{start},{end}]}}"#, bytes.len() / 2)
    });
    let index = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    let mut file = (index.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(index.as_bytes());
    file.extend(tensors.iter().flat_map(|(_, bytes)| *bytes));
    file
}

#[test]
fn a_model_is_made_of_the_old_one_tensor_by_tensor() {
    let weights = |from: u32, count: u32| -> Vec<u8> {
        let bits = (from..from + count).map(|at| 0x3c00 + (at * 37) % 900);
        bits.flat_map(|bits| bits.to_le_bytes().into_iter().take(2).collect::<Vec<_>>()).collect()
    };
    let old_file = safetensors_file(&[("head", &weights(0, 300)), ("body", &weights(900, 2000))]);
    let new_file = safetensors_file(&[("body", &weights(903, 2100)), ("head", &weights(1, 300))]);
    let found = pairs(&find(&old_file), &find(&new_file));
    assert_eq!(found.iter().map(|pair| pair.bytes).collect::<Vec<_>>(), [4000, 600]);

    let mut written = Vec::new();
    write_pairs(&found, &mut written);
    let (old_bytes, new_bytes) = (old_file.len() as u64, new_file.len() as u64);
    assert_eq!(take_pairs(&mut &written[..], old_bytes, new_bytes).unwrap(), found);

    let delta = encode(&old_file, &new_file, &found).unwrap();
    let part = |file: &Vec<u8>, at: u64, bytes: u64| load(file, at..at + bytes).unwrap();
    let olds: Vec<_> = found.iter().map(|pair| part(&old_file, pair.old_at, pair.bytes)).collect();
    let blocks: Vec<_> = found.iter().zip(&olds).map(|(pair, old)| (pair.element, &old[..])).collect();
    let news: Vec<_> = found.iter().flat_map(|pair| part(&new_file, pair.new_at, pair.bytes)).collect();
    assert!(decode_all(&delta, &blocks).unwrap() == news);
}

#[test]
fn decoding_takes_no_more_memory_than_promised() {
    let models: usize = ELEMENTS.map(model::Model::memory_bytes).iter().sum();
    assert!(models + (64 << 10) <= TENSORS_MEMORY_BYTES, "{models}");
}
