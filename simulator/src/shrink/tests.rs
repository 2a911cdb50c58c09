//! Planted failures shrink to what was planted.

use std::time::Duration;

use super::{Breaks, Failing, Settings, Shrinking, is_like, shrink};
use crate::checkers::Property;
use crate::scenario::{Act, Goal, Lie, Scenario, When, Who, random};
use crate::swarm::{self, End};

const SETTINGS: Settings = Settings { budget: Duration::from_secs(3600), threads: 2 };

fn shrunk(scenario: Scenario, liveness: bool, breaks: &Breaks<'_>) -> Failing {
    let failing = Failing { scenario, seed: 77 };
    assert!(breaks(&failing), "the planted failure is there");
    Shrinking::new(failing, liveness, SETTINGS, breaks, &mut |_, _| {}).run()
}

/// A big story with every kind of fault.
fn big() -> Scenario {
    let sizes = 1000..=1000;
    let mut story = random::story(1, &sizes);
    for seed in 2..40 {
        story.steps.extend(random::story(seed, &sizes).steps.into_iter().skip(1));
        story.liars.extend(random::story(seed, &sizes).liars);
    }
    // Stories have zones of their own: these have the usual ones.
    story.groups.clear();
    story.steps.retain(|step| !releases(&step.act, 2));
    assert!(story.steps.len() > 100 && story.liars.len() > 100);
    assert_eq!(story.check(), Ok(()));
    story
}

fn releases(act: &Act, of: usize) -> bool {
    matches!(act, Act::Publish { release, .. } | Act::Command { release, .. } if *release >= of)
}

fn crashes(scenario: &Scenario) -> usize {
    scenario.steps.iter().filter(|s| matches!(s.act, Act::Crash { who: Who::Node(_), .. })).count()
}

fn floods(scenario: &Scenario) -> bool {
    scenario.liars.iter().any(|liar| liar.lie == Lie::Floods)
}

#[test]
fn a_failure_of_two_crashes_a_liar_and_five_machines_shrinks_to_just_that() {
    let breaks = |f: &Failing| crashes(&f.scenario) >= 2 && floods(&f.scenario) && f.scenario.nodes >= 5;
    let small = shrunk(big(), false, &breaks).scenario;
    assert_eq!((small.nodes, small.steps.len(), small.liars.len()), (5, 2, 1), "{small:?}");
    assert!(small.steps.iter().all(|step| matches!(step.when, When::At(0) | When::After(0))), "{small:?}");
}

#[test]
fn a_failure_of_liveness_keeps_what_heals_and_what_publishes() {
    let splits = |s: &Scenario| s.steps.iter().any(|step| matches!(step.act, Act::Split { .. }));
    let small = shrunk(big(), true, &|f| splits(&f.scenario)).scenario;
    let acts: Vec<&Act> = small.steps.iter().map(|step| &step.act).collect();
    assert!(
        matches!(acts.as_slice(), [Act::Publish { release: 1, .. }, Act::Split { .. }, Act::Heal]),
        "{acts:?}"
    );
    assert_eq!((small.nodes, small.liars.len()), (1, 0));
}

#[test]
fn what_is_smallest_does_not_depend_on_the_number_of_cores() {
    let breaks = |f: &Failing| crashes(&f.scenario) >= 3 && f.scenario.nodes % 3 == 1;
    let by = |threads| {
        let settings = Settings { threads, ..SETTINGS };
        Shrinking::new(Failing { scenario: big(), seed: 1 }, false, settings, &breaks, &mut |_, _| {}).run()
    };
    assert_eq!(by(1), by(2));
}

#[test]
fn every_smaller_story_is_told_and_breaks_the_rule() {
    let breaks = |f: &Failing| crashes(&f.scenario) >= 2;
    let mut told = 0;
    let mut tell = |failing: &Failing, _: &super::Progress| {
        assert!(breaks(failing));
        told += 1;
    };
    let _ = Shrinking::new(Failing { scenario: big(), seed: 1 }, false, SETTINGS, &breaks, &mut tell).run();
    assert!(told > 3);
}

#[test]
fn without_time_the_story_stays_as_it_is() {
    let settings = Settings { budget: Duration::ZERO, ..SETTINGS };
    let failing = Failing { scenario: random::story(1, &(4..=12)), seed: 1 };
    let mut expected = failing.clone();
    expected.scenario.nodes_min = 1;
    let small = Shrinking::new(failing, false, settings, &|_| true, &mut |_, _| {}).run();
    assert_eq!(small, expected);
}

#[test]
fn an_impossible_goal_shrinks_to_one_machine_and_the_release() {
    let mut scenario = random::story(3, &(9..=9));
    scenario.releases[1].health = crate::machine::service::HealthLaw::Good;
    scenario.goal = Goal::Stops(1);
    let (end, _) = swarm::play(&scenario, 3, false);
    assert!(matches!(end, End::Breached { property: Property::L3, .. }), "{end}");
    let small = shrink(Failing { scenario, seed: 3 }, &end, SETTINGS, &mut |_, _| {});
    assert!(is_like(&end, &swarm::play(&small.scenario, small.seed, false)));
    assert_eq!((small.scenario.nodes, small.scenario.steps.len()), (1, 1), "{:?}", small.scenario);
    assert_eq!(small.scenario.liars, []);
}

/// A rollout that stands still ends when its plan's `hold` is over: before that nothing of liveness is broken.
#[test]
fn the_limit_of_a_failure_of_liveness_leaves_time_to_expire() {
    let scenario = random::story(1, &(4..=4));
    let hold_s = u64::from(scenario.plan.hold_s);
    let plays = |one: &Failing| swarm::play(&one.scenario, one.seed, false);
    let seconds = super::ample_seconds(&Failing { scenario, seed: 1 }, &plays).expect("it settles");
    assert!(seconds > hold_s, "{seconds} s, and a rollout may stand still for {hold_s}");
}
