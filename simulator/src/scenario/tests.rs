//! Plays the stories on small fleets. What a run must hold is the referees' to say; here are the
//! stories, the seeds, and what each story promises beyond that.

use super::{Act, Count, Goal, Liar, Lie, Scenario, Step, When, Who, catalogue, random};
use crate::checkers::impossible::Impossible;
use crate::report::Outcome;
use crate::twice::twice;
use crate::world::World;

fn play(scenario: Scenario, seed: u64) -> Outcome {
    World::play(scenario, seed, Box::new(|_| {}))
}

fn holds(name: &str, nodes: u32, seed: u64) -> Outcome {
    let scenario = catalogue::named(name, nodes).expect("BUG: the test names a story of the catalogue");
    let outcome = play(scenario, seed);
    assert!(outcome.violations.is_empty(), "{}", outcome.summary());
    outcome
}

#[test]
fn a_seed_gives_the_same_run_and_another_seed_another() {
    let fingerprint = |seed| holds("loss", 7, seed).fingerprint;
    assert_eq!(fingerprint(1), fingerprint(1));
    assert_ne!(fingerprint(1), fingerprint(2));
}

#[test]
fn a_good_release_completes_in_fleets_of_every_size() {
    for nodes in [1, 2, 3, 4, 7, 12] {
        let outcome = holds("calm-day", nodes, u64::from(nodes));
        assert_eq!(outcome.exposed, nodes);
        assert_eq!(outcome.ending.as_deref(), Some("done"));
    }
}

#[test]
fn a_bad_release_stops_inside_its_first_wave() {
    for (nodes, most) in [(1, 1), (2, 1), (3, 1), (4, 2), (7, 2), (12, 2)] {
        let outcome = holds("bad-release", nodes, 1);
        assert!(outcome.exposed <= most, "{}", outcome.summary());
        assert_eq!(outcome.ending.as_deref(), Some("stopped"));
    }
}

#[test]
fn a_release_that_fails_late_stops_too() {
    for name in ["late-bad", "crashes-host"] {
        assert!(holds(name, 7, 1).exposed <= 4);
    }
}

#[test]
fn a_killed_leader_is_replaced() {
    for (nodes, seed) in [(4, 1), (7, 2), (12, 3)] {
        let outcome = holds("leader-killed", nodes, seed);
        assert!(outcome.exposed >= nodes - 1, "{}", outcome.summary());
    }
}

#[test]
fn partitions_heal() {
    for seed in 1..=2 {
        holds("split-brain", 7, seed);
        holds("minority", 7, seed);
    }
}

#[test]
fn crashes_cost_time_alone() {
    for seed in 1..=2 {
        holds("black-friday", 5, seed);
        holds("trial-crash", 4, seed);
    }
}

#[test]
fn old_images_contradict_nothing() {
    for seed in 1..=3 {
        holds("restored-disk", 5, seed);
    }
}

/// Every shipped story, each so many places after the one before; small, and as its file says.
fn shipped_stories_end_as_they_say(first: usize) {
    for name in catalogue::names().into_iter().skip(first).step_by(2) {
        let nodes =
            catalogue::find(name, None).and_then(Result::ok).map_or(1, |story| story.nodes_min.max(5));
        let outcome = holds(name, nodes, 1);
        assert!(outcome.ending.is_some(), "{}", outcome.summary());
    }
}

#[test]
fn shipped_stories_end_as_they_say_one_half() {
    shipped_stories_end_as_they_say(0);
}

#[test]
fn shipped_stories_end_as_they_say_other_half() {
    shipped_stories_end_as_they_say(1);
}

#[test]
fn a_core_that_is_left_alone_comes_to_an_end_or_says_why_it_cannot() {
    let mut ended = 0;
    for seed in 1..=8 {
        let mut story = catalogue::named("calm-day", 7).expect("BUG: the catalogue has this story");
        story.steps.push(Step { when: When::Opened { release: 1, ranks: Count::Number(2) }, act: Act::Core });
        story.goal = Goal::Ends(1);
        let outcome = play(story, seed);
        assert!(outcome.violations.is_empty(), "{}", outcome.summary());
        assert_ne!(outcome.impossible.is_some(), outcome.settled_ms.is_some(), "{}", outcome.summary());
        ended += u32::from(outcome.settled_ms.is_some());
    }
    assert!(ended > 0);
}

#[test]
fn a_fleet_without_enough_electors_holds_and_says_why() {
    let mut story = catalogue::named("calm-day", 7).expect("BUG: the catalogue has this story");
    for node in 3..6 {
        let act = Act::Crash { who: Who::Node(node), back_after: None };
        story.steps.push(Step { when: When::Opened { release: 1, ranks: Count::Number(2) }, act });
    }
    let outcome = play(story, 1);
    let why = Impossible::TooFewElectors { there: 4, of: 7, quorum: 5 };
    assert_eq!(outcome.impossible, Some(why.clone()), "{}", outcome.summary());
    assert_eq!(why.to_string(), "electors too few: 4 of 7, quorum 5");
    assert_eq!(outcome.violations, []);
}

#[test]
fn bytes_that_nobody_holds_any_more_are_named_by_their_piece() {
    let mut story = catalogue::named("calm-day", 7).expect("BUG: the catalogue has this story");
    story.releases[1].delta_bytes = None;
    story.links.up_bytes = 400_000;
    let act = Act::Crash { who: Who::Publisher, back_after: None };
    story.steps.push(Step { when: When::At(15_000), act });
    let outcome = play(story, 1);
    let Some(Impossible::NobodyHolds { piece: Some(piece), .. }) = &outcome.impossible else {
        panic!("{}", outcome.summary());
    };
    let why = format!("piece {piece} of 2.0.0 is held by no node of the core");
    assert!(outcome.summary().contains(&why), "{}", outcome.summary());
    assert_eq!(outcome.violations, []);
}

#[test]
fn agents_of_another_version_are_refused_and_the_rest_completes() {
    for nodes in [4, 7, 12] {
        let outcome = holds("mixed-versions", nodes, 1);
        assert_eq!((outcome.exposed, outcome.ending.as_deref()), (nodes, Some("done")));
        assert!(outcome.counters.refusals > 0, "{}", outcome.summary());
    }
}

#[test]
fn leaders_that_lie_rush_nothing_and_stop_nothing() {
    for (nodes, seed) in [(4, 1), (7, 2), (12, 3)] {
        assert_eq!(holds("lying-leader", nodes, seed).exposed, nodes);
    }
}

#[test]
fn a_slow_leak_is_caught_on_the_canaries() {
    let outcome = holds("slow-leak", 7, 1);
    assert!(outcome.exposed <= 2 && outcome.virtual_ms > 3_600_000, "{}", outcome.summary());
}

#[test]
fn who_is_enrolled_late_waits_until_a_release_is_done() {
    let mut story = catalogue::named("calm-day", 5).expect("BUG: the catalogue has this story");
    story.steps.push(Step { when: When::At(10_000), act: Act::Enrol { who: Who::Node(3) } });
    let outcome = play(story, 1);
    assert!(outcome.violations.is_empty(), "{}", outcome.summary());
    assert_eq!(outcome.exposed, 5);
}

#[test]
fn forged_ballots_open_nothing() {
    let mut story = catalogue::named("calm-day", 4).expect("BUG: the catalogue has this story");
    story.liars = vec![Liar { who: Who::Node(2), lie: Lie::Forges }];
    let outcome = play(story, 1);
    assert!(outcome.violations.is_empty(), "{}", outcome.summary());
    assert!(outcome.counters.refusals > 0);
}

/// Each seed is played twice, and both runs must agree to the last event.
fn every_story_holds(seeds: std::ops::RangeInclusive<u64>) {
    for seed in seeds {
        let outcome =
            twice(&random::story(seed, &(4..=12)), seed).unwrap_or_else(|parting| panic!("{parting}"));
        assert!(outcome.violations.is_empty(), "{}", outcome.summary());
    }
}

// Halves, so that two cores share them.
#[test]
fn whatever_the_seed_brings() {
    every_story_holds(1..=13);
}

#[test]
fn whatever_another_seed_brings() {
    every_story_holds(14..=26);
}

/// A story about a release of this health on seven machines, two of them of class "edge".
fn ill(health: &str, goal: &str) -> Scenario {
    let text = format!(
        "name = \"ill\"\nabout = \"test\"\nnodes = 7\nlimit = \"30m\"\ngoal = {{ {goal} = \"2\" }}\n\
         [[group]]\nnodes = 5\n[[group]]\nnodes = 2\nclass = \"edge\"\n\
         [[release]]\nversion = \"1\"\nsequence = 1\n\
         [[release]]\nversion = \"2\"\nsequence = 2\n{health}\n\
         [[step]]\nat = \"5s\"\npublish = {{ release = \"2\", on = 0 }}\n"
    );
    super::file::parse(&text, "ill", None).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_bad_stops_on_few_machines_however_it_is_bad() {
    for (health, most) in [
        ("health = \"fails-at-boot\"", 2),
        ("health = { leaks = \"2s\" }", 2),
        ("health = { fails-on-class = \"server\" }", 4),
        ("health = \"spoils-state\"", 2),
    ] {
        let goal = if health.contains("class") { "ends" } else { "stops" };
        let outcome = play(ill(health, goal), 1);
        assert!(outcome.violations.is_empty(), "{health}: {}", outcome.summary());
        assert!(outcome.exposed <= most, "{health}: {}", outcome.summary());
    }
}

#[test]
fn what_lies_about_its_health_goes_out_everywhere_and_the_outcome_says_so() {
    let outcome = play(ill("health = \"lies\"", "completes"), 1);
    assert!(outcome.violations.is_empty(), "{}", outcome.summary());
    assert_eq!((outcome.exposed, outcome.unnoticed), (7, 7));
}

#[test]
fn a_thief_below_the_threshold_gets_nothing_accepted() {
    for thief in ["one-key", "one-key-twice", "other-roles", "machines"] {
        let mut story = ill("", "completes");
        let forged = format!(
            "{}\n[[release]]\nversion = \"9\"\nsequence = 9\nsigned = false\nthief = \"{thief}\"\n\
             [[step]]\nat = \"6s\"\npublish = {{ release = \"9\", on = 3 }}\n",
            super::file::write(&story)
        );
        story = super::file::parse(&forged, "thief", None).unwrap_or_else(|error| panic!("{error}"));
        let outcome = play(story, 1);
        assert!(outcome.violations.is_empty(), "{thief}: {}", outcome.summary());
        assert_eq!(outcome.exposed, 7);
        assert!(outcome.counters.refusals > 0, "{thief}");
    }
}
