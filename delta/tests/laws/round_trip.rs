//! A delta leads to its new file, and is never much larger than that file packed.

use proptest::prelude::*;

use crate::pairs::{KINDS, Pair, pair};
use crate::ways::WAYS;

/// Choices for a pair of any kind.
fn choices() -> impl Strategy<Value = Vec<u8>> {
    let kind = 0..u8::try_from(KINDS.len()).unwrap();
    (kind, proptest::collection::vec(any::<u8>(), 0..400)).prop_map(|(kind, mut choices)| {
        choices.insert(0, kind);
        choices
    })
}

fn leads(old: &[u8], new: &[u8]) {
    for way in WAYS {
        let delta = (way.make)(old, new);
        let (made, result) = (way.follow)(old, &delta, new);
        result.unwrap_or_else(|error| panic!("{}: {error}", way.name));
        assert!(made == new, "{}: another file", way.name);
        assert_eq!((way.make)(old, new), delta, "{}: another delta of the same files", way.name);
    }
}

/// Incompressible against incompressible included.
fn is_no_larger_than_packed(old: &[u8], new: &[u8]) {
    let packed = zstd::bulk::compress(new, 19).unwrap();
    for way in WAYS.iter().filter(|way| way.name != "tree") {
        let delta = (way.make)(old, new);
        assert!(delta.len() <= packed.len() + 64, "{}: {} {}", way.name, delta.len(), packed.len());
    }
}

#[test]
fn pairs_of_every_kind_lead_both_ways() {
    for kind in 0..u8::try_from(KINDS.len()).unwrap() {
        for rest in [Vec::new(), (0..=255).rev().collect::<Vec<u8>>()] {
            let choices = [&[kind][..], &rest].concat();
            let Pair { old, new } = pair(&choices);
            leads(&old, &new);
            leads(&new, &old);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_delta_leads_to_its_new_file(choices in choices()) {
        let Pair { old, new } = pair(&choices);
        leads(&old, &new);
    }

    #[test]
    fn a_delta_is_never_much_larger_than_the_packed_file(choices in choices()) {
        let Pair { old, new } = pair(&choices);
        is_no_larger_than_packed(&old, &new);
    }
}
