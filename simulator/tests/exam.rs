//! The simulator's own exam: every rule that is broken on purpose must be seen.

use groundswell_protocol::mutations::Mutation;
use groundswell_simulator::exam::{Finding, SEEDS_MAX, play, sit, stories, table};

#[test]
fn every_planted_bug_is_found_by_a_property_that_must_find_it() {
    let findings = sit(Mutation::ALL, SEEDS_MAX, &|_| {});
    let missed: Vec<&Finding> = findings.iter().filter(|finding| !finding.is_right()).collect();
    assert!(missed.is_empty(), "{missed:#?}\n{}", table(&findings));
}

#[test]
fn the_honest_core_passes_the_stories_of_the_exam() {
    for seed in 1..=60 {
        let outcome = play(None, stories::story(seed), seed);
        assert!(outcome.violations.is_empty(), "{}", outcome.summary());
    }
}
