//! What a trace must never do, and what it must not miss.

use super::{BUCKETS_MAX, ROWS_MAX, State, Trace, Way};
use crate::report::Outcome;
use crate::scenario::catalogue;
use crate::world::World;

fn recorded(name: &str, nodes: u32, seed: u64) -> (Outcome, Trace) {
    let scenario = catalogue::named(name, nodes).expect("BUG: the test names a story of the catalogue");
    let (outcome, trace) = World::play_recorded(scenario, seed, Box::new(|_| {}));
    (outcome, trace.expect("BUG: a recorded run has a trace"))
}

#[test]
fn a_run_is_the_same_with_a_trace_and_without() {
    for name in
        ["calm-day", "bad-release", "black-friday", "split-brain", "restored-disk", "flood", "sync-only"]
    {
        let scenario = catalogue::named(name, 4).expect("BUG: the test names a story of the catalogue");
        let plain = World::play(scenario, 3, Box::new(|_| {}));
        let (outcome, _) = recorded(name, 4, 3);
        assert_eq!(plain.fingerprint, outcome.fingerprint, "{name}");
        assert_eq!(plain.counters.happenings, outcome.counters.happenings, "{name}");
    }
}

#[test]
fn a_trace_agrees_with_what_the_world_counted() {
    let (outcome, trace) = recorded("calm-day", 7, 1);
    let journey = &trace.journeys[trace.goal];
    assert_eq!(journey.exposed.last(), u64::from(outcome.exposed));
    assert_eq!(journey.running.last(), 7);
    assert_eq!(journey.gates.len(), outcome.waves.len() + 1, "the last gate is the end");
    assert!(journey.end.as_ref().is_some_and(|end| end.stopped.is_none()));
    let frames: u64 = trace.traffic.frames.iter().map(|amount| amount.bytes).sum();
    assert_eq!(frames, outcome.counters.frame_bytes);
    let payload = trace.traffic.from_publisher.bytes + trace.traffic.from_peers.bytes;
    assert_eq!(payload, outcome.counters.payload_bytes);
    assert_eq!(trace.on.last(), 7);
    assert_eq!(trace.standing[State::Confirmed as usize].last(), 7);
    assert!(trace.latency.votes.total() > 0 && trace.latency.beacons.total() > 0);
}

#[test]
fn exposure_never_passes_what_a_quorum_opened() {
    for name in ["calm-day", "bad-release", "black-friday", "split-brain"] {
        let (_, trace) = recorded(name, 7, 2);
        let journey = &trace.journeys[trace.goal];
        for point in journey.exposed.points() {
            let opened = journey.open.points().iter().take_while(|open| open.bucket <= point.bucket);
            let opened = opened.last().map_or(0, |open| open.last);
            assert!(point.last <= opened, "{name}: {} ran it when {opened} ranks were open", point.last);
        }
    }
}

#[test]
fn a_stop_leads_back_to_the_machine_that_failed() {
    let (_, trace) = recorded("bad-release", 7, 1);
    let chain = &trace.chains[0];
    let says =
        |words: &str| chain.links.iter().any(|link| link.deeds.iter().any(|deed| deed.contains(words)));
    for words in ["manifest of 2.0.0", "runs 2.0.0", "probes fail", "as failed", "decides to say stop"] {
        assert!(says(words), "{words}: {chain:#?}");
    }
    assert!(chain.links.iter().any(|link| matches!(link.way, Way::Message(micros) if micros > 0)));
    assert!(chain.links.is_sorted_by_key(|link| link.at));
}

#[test]
fn faults_have_a_beginning_and_an_end() {
    let (_, trace) = recorded("split-brain", 7, 1);
    let split = trace.faults.spans().iter().find(|span| span.lane == "partition");
    let split = split.expect("BUG: the story splits the network");
    let lasted = split.ended.expect("BUG: the story heals it").milliseconds_since(split.began);
    assert_eq!(lasted, 60_000);
}

#[test]
fn memory_is_bounded_in_time_and_in_nodes() {
    let (_, trace) = recorded("sync-only", 4, 3);
    assert!(trace.rows.iter().all(|row| row.runs.len() <= BUCKETS_MAX as usize + 1));
    assert!(trace.traffic.streams.buckets().len() <= BUCKETS_MAX as usize);
    assert!(trace.rows.len() <= ROWS_MAX);
}
