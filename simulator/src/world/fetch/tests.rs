//! Bytes of releases over whole runs: who sends how many, and what a cut or a crash costs.

use crate::report::Outcome;
use crate::scenario::file;
use crate::world::World;

/// Size of the release, and of its index: no delta is offered.
const BYTES: u64 = 20_000_000 + 4096 + 20_000;

/// A fleet over which a release of 20 MB goes out, on lines of 1 MB a second.
fn run(nodes: u32, words: &str) -> Outcome {
    let text = format!(
        "name = \"bulk\"\nabout = \"test\"\nnodes = {nodes}\nlimit = \"2h\"\ngoal = {{ completes = \"2\" }}\n\
         [links]\nup = \"1MB\"\ndown = \"1MB\"\n\
         [[release]]\nversion = \"1\"\nsequence = 1\n[[release]]\nversion = \"2\"\nsequence = 2\n\
         [[step]]\nat = \"5s\"\npublish = {{ release = \"2\", on = 0 }}\n{words}"
    );
    let scenario = file::parse(&text, "test", None).unwrap_or_else(|error| panic!("{error}"));
    let outcome = World::play(scenario, 1, Box::new(|_| {}));
    assert!(outcome.violations.is_empty(), "{}", outcome.summary());
    outcome
}

#[test]
fn the_fleet_hands_the_release_on_and_every_byte_is_counted_at_both_ends() {
    let outcome = run(24, "");
    let traffic = &outcome.traffic;
    let whole: u64 = 23 * BYTES;
    assert_eq!(traffic.received.iter().sum::<u64>(), whole, "nobody fetches a byte twice");
    assert_eq!(traffic.sent.iter().sum::<u64>(), whole);
    assert_eq!(traffic.zones.iter().flatten().sum::<u64>(), whole);
    assert_eq!((traffic.received[0], outcome.counters.payload_bytes), (0, whole));
    assert_eq!(outcome.counters.publisher_bytes, traffic.sent[0]);
    assert!(
        traffic.sent[0] < 6 * BYTES,
        "the publisher sends a few copies, not one to each: {}",
        traffic.sent[0]
    );
    assert!(traffic.sent.iter().filter(|sent| **sent > 0).count() > 12, "most pass something on");
}

#[test]
fn about_one_copy_enters_each_site_whose_members_know_each_other() {
    let groups: String =
        (0..4).map(|site| format!("[[group]]\nnodes = 6\nzone = \"site-{site}\"\n")).collect();
    let zones = run(24, &groups).traffic.zones;
    for site in 1..4 {
        let entered: u64 = (0..zones.len()).filter(|from| *from != site).map(|from| zones[from][site]).sum();
        assert!(
            entered >= BYTES && entered * 4 <= BYTES * 5,
            "{entered} bytes entered site {site}: {zones:?}"
        );
    }
}

#[test]
fn a_cut_costs_time_and_no_bytes_and_a_crash_what_was_no_whole_part() {
    let cut = "[[step]]\nat = \"12s\"\ncut = { from = 3, lasts = \"20s\" }\n\
               [[step]]\nat = \"40s\"\nclog = { who = \"everybody\", lasts = \"5s\" }";
    let outcome = run(5, cut);
    // Of a byte that is half here when the cut comes the whole is fetched again.
    let received = outcome.traffic.received[3];
    assert!((BYTES..BYTES + 64).contains(&received), "{received}");
    let crash = "[[step]]\nat = \"20s\"\ncrash = { who = 3, back-after = \"5s\" }";
    let received = run(5, crash).traffic.received[3];
    assert!(received > BYTES && received < BYTES + 4 * BYTES.div_ceil(16), "{received}");
}

#[test]
fn a_class_has_lines_and_reach_of_its_own() {
    let classes = "[[group]]\nnodes = 4\n[[group]]\nnodes = 4\nclass = \"edge\"\n\
                   [[class]]\nname = \"edge\"\nup = \"10KB\"\nreach = \"nobody\"";
    let outcome = run(8, classes);
    let edge: u64 = outcome.traffic.sent[4..].iter().sum();
    assert!(edge * 10 < outcome.counters.payload_bytes, "a thin line sends little: {edge}");
    assert_eq!(outcome.exposed, 8);
}
