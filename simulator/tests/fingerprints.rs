//! The fingerprints of a few seeds are stored: every build must come to the same, with optimisations or
//! without, today and on another machine. Both are checked by
//!
//! ```text
//! cargo test -p groundswell-simulator --test fingerprints
//! cargo test -p groundswell-simulator --test fingerprints --release
//! ```
//!
//! A change of what happens in runs changes them: `GROUNDSWELL_REWRITE=1` stores the new ones.

use std::fmt::Write as _;
use std::path::Path;

use groundswell_simulator::scenario::random;
use groundswell_simulator::twice::twice;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=6;

#[test]
fn every_build_comes_to_the_stored_fingerprints() {
    let mut now = String::new();
    for seed in SEEDS {
        let outcome =
            twice(&random::story(seed, &(4..=7)), seed).unwrap_or_else(|parting| panic!("{parting}"));
        let _ = writeln!(now, "seed {seed}: {} events, {}", outcome.counters.happenings, outcome.fingerprint);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fingerprints.txt");
    if std::env::var_os("GROUNDSWELL_REWRITE").is_some() {
        std::fs::write(&path, &now).expect("the stored fingerprints can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(now, stored, "GROUNDSWELL_REWRITE=1 stores the new ones");
}
