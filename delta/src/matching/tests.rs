//! What holds of regions, on pairs of every kind.

use std::io;

use proptest::prelude::*;

use super::clean::price;
use super::window::cut;
use super::*;

const EFFORTS: [Effort; 2] = [Effort::Fast, Effort::Best];

/// Bytes without a pattern, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn fill(byte: u8, length: usize) -> Vec<u8> {
    vec![byte; length]
}

fn check(old: &[u8], new: &[u8], regions: &[Region]) {
    let mut done = 0;
    for region in regions {
        assert!(region.bytes > 0, "empty: {region:?}");
        assert!(region.new >= done, "overlap: {region:?} before {done}");
        done = region.end();
        assert!((region.old + region.bytes) as usize <= old.len(), "beyond the old file: {region:?}");
    }
    assert!(done as usize <= new.len(), "beyond the new file");
}

/// How many bytes of the new file are in no region, or differ there.
fn unlike(old: &[u8], new: &[u8], regions: &[Region]) -> u64 {
    price(old, new, regions, &Prices { region: 0, wrong: 1, literal: 1 })
}

/// An edit: what of the old file to take, and what to put before it.
fn edited() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let letters = prop_oneof![Just(1_u8), Just(2), Just(4), Just(255)];
    let edit = (0_usize..3000, 0_usize..400, proptest::collection::vec(any::<u8>(), 0..40), any::<u8>());
    (letters, 0_usize..3000, any::<u64>(), proptest::collection::vec(edit, 0..12)).prop_map(
        |(letters, length, seed, edits)| {
            let old: Vec<u8> = noise(seed, length).into_iter().map(|byte| byte % letters).collect();
            let mut new = Vec::new();
            for (at, bytes, before, wrong) in edits {
                new.extend(before);
                let at = at.min(old.len());
                new.extend(&old[at..(at + bytes).min(old.len())]);
                if let Some(byte) = new.last_mut() {
                    *byte = wrong;
                }
            }
            (old, new)
        },
    )
}

proptest! {
    #[test]
    fn regions_are_in_bounds_and_do_not_overlap((old, new) in edited()) {
        for effort in EFFORTS {
            check(&old, &new, &find(&old, &new, effort, 1));
        }
    }

    #[test]
    fn regions_are_in_bounds_on_arbitrary_bytes(
        old in proptest::collection::vec(any::<u8>(), 0..200),
        new in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        for effort in EFFORTS {
            check(&old, &new, &find(&old, &new, effort, 2));
        }
    }

    #[test]
    fn cleaning_never_raises_the_price(
        (old, new) in edited(),
        region in 0_u32..200,
        wrong in 0_u32..20,
        literal in 0_u32..20,
    ) {
        let prices = Prices { region, wrong, literal };
        for effort in EFFORTS {
            let before = find(&old, &new, effort, 1);
            let after = clean(&old, &new, &before, &prices);
            check(&old, &new, &after);
            prop_assert!(price(&old, &new, &after, &prices) <= price(&old, &new, &before, &prices));
        }
    }

    #[test]
    fn cleaning_any_regions_never_raises_the_price(
        (old, new) in edited(),
        guesses in proptest::collection::vec((0_u32..40, 1_u32..200, 0_u32..3000), 0..40),
    ) {
        let mut before = Vec::new();
        let mut at = 0;
        for (gap, bytes, from) in guesses {
            let guess = Region { old: from, new: at + gap, bytes };
            if (from + bytes) as usize <= old.len() && guess.end() as usize <= new.len() {
                at = guess.end();
                before.push(guess);
            }
        }
        let prices = Prices::default();
        let after = clean(&old, &new, &before, &prices);
        check(&old, &new, &after);
        prop_assert!(price(&old, &new, &after, &prices) <= price(&old, &new, &before, &prices));
    }

    #[test]
    fn a_copy_is_one_region(seed in any::<u64>(), length in 16_usize..5000) {
        let old = noise(seed, length);
        for effort in EFFORTS {
            let all = Region { old: 0, new: 0, bytes: u32::try_from(length).unwrap() };
            prop_assert_eq!(find(&old, &old, effort, 1), vec![all]);
            prop_assert_eq!(clean(&old, &old, &[all], &Prices::default()), vec![all]);
        }
    }

    #[test]
    fn moved_stretches_are_found(seed in any::<u64>(), cut in 100_usize..1900, added in 0_usize..50) {
        let old = noise(seed, 2000);
        let new = [&old[cut..], &noise(!seed, added)[..], &old[..cut]].concat();
        for effort in EFFORTS {
            let regions = clean(&old, &new, &find(&old, &new, effort, 1), &Prices::default());
            prop_assert!(regions.len() <= 3, "{:?}", regions);
            prop_assert!(unlike(&old, &new, &regions) <= added as u64);
        }
    }

    #[test]
    fn changed_bytes_do_not_end_a_region(seed in any::<u64>(), every in 30_usize..300) {
        let old = noise(seed, 4000);
        let mut new = old.clone();
        for at in (every..new.len() - every).step_by(every) {
            new[at] ^= 1;
        }
        for effort in EFFORTS {
            prop_assert_eq!(find(&old, &new, effort, 1), vec![Region { old: 0, new: 0, bytes: 4000 }]);
        }
    }

    #[test]
    fn windows_cover_the_new_file_and_keep_to_their_bound(
        (old, new) in edited(),
        most in 1_u64..2000,
    ) {
        let windows = cut(&old, &new, most).unwrap();
        let mut done = 0;
        for Window { old: part, new } in &windows {
            prop_assert_eq!(new.start, done);
            prop_assert!(new.end > new.start && new.end - new.start <= most);
            prop_assert!(part.end - part.start <= most && part.end <= old.len() as u64);
            done = new.end;
        }
        prop_assert_eq!(done, new.len() as u64);
    }
}

#[test]
fn empty_files_have_no_regions() {
    for effort in EFFORTS {
        assert_eq!(find(b"", b"", effort, 1), []);
        assert_eq!(find(b"something in here", b"", effort, 1), []);
        assert_eq!(find(b"", b"something in here", effort, 1), []);
    }
    assert_eq!(clean(b"", b"", &[], &Prices::default()), []);
    assert_eq!(windows(&b"old".to_vec(), &Vec::new()).unwrap(), []);
}

#[test]
fn threads_and_pieces_change_nothing() {
    let old = noise(1, 300_000);
    let mut new = [&old[100_000..], &noise(2, 1000), &old[..100_000]].concat();
    for at in (0..new.len()).step_by(1000) {
        new[at] ^= 255;
    }
    let pieces = Pieces { bytes: 40_000, approach: 2000 };
    for effort in EFFORTS {
        let regions = find_in(&old, &new, effort, pieces, 1);
        check(&old, &new, &regions);
        assert_eq!(regions, find_in(&old, &new, effort, pieces, 2));
        assert_eq!(regions, find_in(&old, &new, effort, pieces, 7));
        // The seams between pieces are not to be seen.
        assert_eq!(regions, find(&old, &new, effort, 1));
    }
}

/// Inputs on which a matcher in the manner of bsdiff takes time in the square of the size.
#[test]
fn repetitive_files_take_time_in_proportion() {
    const LENGTH: usize = 100_000;
    let period = |length: usize| noise(7, length).iter().copied().cycle().take(LENGTH).collect::<Vec<u8>>();
    let spoiled = |mut bytes: Vec<u8>, every: usize| {
        for at in (every..bytes.len()).step_by(every) {
            bytes[at] ^= 85;
        }
        bytes
    };
    let zeros = fill(0, LENGTH);
    let pairs = [
        (zeros.clone(), zeros.clone()),
        (zeros.clone(), fill(0, LENGTH + 1000)),
        (zeros.clone(), fill(1, LENGTH)),
        (zeros.clone(), spoiled(zeros.clone(), 1000)),
        (spoiled(zeros.clone(), 1000), spoiled(zeros.clone(), 1001)),
        (spoiled(zeros.clone(), 10_000), zeros),
        (period(3), spoiled(period(3), 997)),
        (period(1000), spoiled(period(1000), 50_000)),
        (spoiled(period(1000), 70_000), spoiled(period(1000), 50_000)),
        (period(4096), spoiled(period(4097), 10_000)),
    ];
    for (old, new) in &pairs {
        for effort in EFFORTS {
            let regions = clean(old, new, &find(old, new, effort, 2), &Prices::default());
            check(old, new, &regions);
        }
    }
}

#[test]
fn a_window_finds_its_part_of_the_old_file() {
    const MOST: u64 = 1 << 17;
    let part = |seed| noise(seed, 1 << 17);
    let old = [part(1), part(2), part(3), part(4)].concat();
    let new = [part(3), part(1), part(9)].concat();
    let windows = cut(&old, &new, MOST).unwrap();
    assert_eq!(windows.len(), 3);
    for (window, expected) in windows.iter().zip([2 * MOST, 0, 2 * MOST + MOST / 2 - MOST / 2]) {
        // Samples lie some five hundred bytes apart, so that the window may be off by a few thousand.
        assert!(window.old.start.abs_diff(expected) < 8192 || window.new.start == 2 * MOST, "{window:?}");
    }
}

#[test]
fn windows_are_even_and_cut_between_files_of_an_archive() {
    let mut new = noise(1, 300 << 10);
    assert_eq!(ends(&new, 200 << 10), [150 << 10, 300 << 10]);
    let header = 155 << 10;
    new[header + 257..header + 262].copy_from_slice(b"ustar");
    assert_eq!(ends(&new, 200 << 10), [header as u64, 300 << 10]);
}

fn ends(new: &[u8], most: u64) -> Vec<u64> {
    cut(&noise(2, 1000), &new.to_vec(), most).unwrap().iter().map(|window| window.new.end).collect()
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    struct Broken;
    impl crate::access::ReadAt for Broken {
        fn size(&self) -> u64 {
            window::WINDOW_BYTES_MAX + 1
        }
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
    assert!(windows(&Broken, &Vec::new()).is_err() || windows(&Vec::new(), &Broken).is_err());
    assert!(windows(&Vec::new(), &Broken).is_err());
}
