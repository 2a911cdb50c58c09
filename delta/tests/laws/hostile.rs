//! Deltas that were cut, changed or made up.

use groundswell_delta::Fault;
use proptest::prelude::*;

use crate::pairs::{KINDS, Pair, pair};
use crate::ways::{WAYS, Way};

/// A small pair of each kind.
fn samples() -> Vec<(&'static str, Pair)> {
    let kinds = (0_u8..).zip(KINDS);
    kinds.map(|(kind, (name, _))| (name, pair(&[kind, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]))).collect()
}

/// Follows a delta that is not the right one: its new file is right, or there is an error that blames the delta.
fn check(way: &Way, kind: &str, pair: &Pair, delta: &[u8], what: impl Fn() -> String) {
    let (made, result) = (way.follow)(&pair.old, delta, &pair.new);
    assert!(made.len() <= pair.new.len(), "{} of {kind}, {}: too much is written", way.name, what());
    match result {
        Ok(()) => assert!(made == pair.new, "{} of {kind}, {}: another file", way.name, what()),
        Err(error) => {
            let fault = error.fault();
            assert_eq!(fault, Fault::Delta, "{} of {kind}, {}: {error}", way.name, what());
        }
    }
}

/// Every place of a short delta; of a longer one so many, spread over it, and all of its beginning and its end.
fn places(length: usize) -> impl Iterator<Item = usize> {
    const ENDS: usize = 80;
    const BETWEEN: usize = 50;
    let step = (length / BETWEEN).max(1);
    (0..length).filter(move |at| *at < ENDS || at + ENDS >= length || at % step == 0)
}

#[test]
fn every_truncation_is_refused() {
    for (kind, pair) in samples() {
        for way in WAYS {
            let delta = (way.make)(&pair.old, &pair.new);
            for length in places(delta.len()) {
                let (made, result) = (way.follow)(&pair.old, &delta[..length], &pair.new);
                let error = result.expect_err("a part of a delta is none");
                assert_eq!(error.fault(), Fault::Delta, "{} of {kind}, at {length}: {error}", way.name);
                assert!(made.len() <= pair.new.len());
            }
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for (kind, pair) in samples() {
        for way in WAYS {
            let delta = [&(way.make)(&pair.old, &pair.new)[..], &[0]].concat();
            let (_, result) = (way.follow)(&pair.old, &delta, &pair.new);
            assert!(result.is_err(), "{} of {kind}", way.name);
        }
    }
}

#[test]
fn a_flipped_bit_makes_the_new_file_or_none() {
    for (kind, pair) in samples() {
        for way in WAYS {
            let delta = (way.make)(&pair.old, &pair.new);
            for at in places(delta.len()) {
                let mut flipped = delta.clone();
                flipped[at] ^= 1 << (at % 8);
                check(&way, kind, &pair, &flipped, || format!("bit {} of byte {at}", at % 8));
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_small_delta_makes_the_new_file_or_none() {
    let pair =
        Pair { old: b"one two three four five six".repeat(9), new: b"one two six four five".repeat(9) };
    for way in WAYS {
        let delta = (way.make)(&pair.old, &pair.new);
        for bit in 0..8 * delta.len() {
            let mut flipped = delta.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&way, "words", &pair, &flipped, || format!("bit {bit}"));
        }
    }
}

#[test]
fn the_delta_of_another_pair_is_refused() {
    let samples = samples();
    for (number, (kind, pair)) in samples.iter().enumerate() {
        let (_, other) = &samples[(number + 1) % samples.len()];
        for way in WAYS {
            let delta = (way.make)(&other.old, &other.new);
            let (made, result) = (way.follow)(&pair.old, &delta, &other.new);
            assert!(result.is_err() || made == other.new, "{} of {kind}", way.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_bytes_make_the_new_file_or_none(
        sample in 0_u8..9, way in 0..WAYS.len(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (pair, way) = (pair(&[sample, 2, 7, 1, 8, 2, 8]), &WAYS[way]);
        let mut delta = (way.make)(&pair.old, &pair.new);
        for (at, byte) in &edits {
            let at = at.index(delta.len());
            delta[at] = *byte;
        }
        check(way, KINDS[usize::from(sample)].0, &pair, &delta, || format!("{edits:?}"));
    }

    #[test]
    fn made_up_bytes_are_refused(way in 0..WAYS.len(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_, result) = (WAYS[way].follow)(b"old", &bytes, b"new");
        prop_assert!(result.is_err());
    }
}
