//! Cuts steps, liars and releases: halves first, then quarters, at last one by one.

use super::{Candidate, Failing, Shrinking};
use crate::scenario::{Act, Goal, Scenario, Step, When};

pub(super) fn all(shrinking: &mut Shrinking<'_>) {
    // Whole groups first: a fault and what ends it go together.
    chunks(shrinking, "step", &|scenario| groups(&scenario.steps), &|scenario, kept| {
        let groups = groups(&scenario.steps);
        let steps = groups.iter().zip(kept).filter(|(_, kept)| **kept).flat_map(|(group, _)| group.clone());
        scenario.steps = steps.map(|place| scenario.steps[place].clone()).collect();
    });
    chunks(shrinking, "single step", &|scenario| single(scenario.steps.len()), &|scenario, kept| {
        scenario.steps = keep(&scenario.steps, kept);
    });
    chunks(shrinking, "liar", &|scenario| single(scenario.liars.len()), &|scenario, kept| {
        scenario.liars = keep(&scenario.liars, kept);
    });
    releases(shrinking);
    in_order(shrinking);
}

/// Steps in the order in which they happen, as far as that is known: a story is read from top to bottom.
fn in_order(shrinking: &mut Shrinking<'_>) {
    let mut failing = shrinking.best.clone();
    let steps = &mut failing.scenario.steps;
    let mut sorted: Vec<Vec<Step>> =
        groups(steps).iter().map(|group| group.iter().map(|place| steps[*place].clone()).collect()).collect();
    sorted.sort_by_key(|group| match group.first().map(|step| step.when) {
        Some(When::At(milliseconds)) => milliseconds,
        _ => u64::MAX,
    });
    *steps = sorted.concat();
    shrinking.take_first(vec![Candidate { failing, what: "steps in order".to_owned() }]);
}

fn single(count: usize) -> Vec<Vec<usize>> {
    (0..count).map(|place| vec![place]).collect()
}

fn keep<T: Clone>(list: &[T], kept: &[bool]) -> Vec<T> {
    list.iter().zip(kept).filter(|(_, kept)| **kept).map(|(one, _)| one.clone()).collect()
}

/// Places of steps, each with those that follow it.
fn groups(steps: &[Step]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if matches!(step.when, When::After(_)) => group.push(place),
            _ => groups.push(vec![place]),
        }
    }
    groups
}

/// Tries to leave out chunks of a list, from its half down to single parts.
fn chunks(
    shrinking: &mut Shrinking<'_>,
    what: &str,
    parts: &dyn Fn(&Scenario) -> Vec<Vec<usize>>,
    leave: &dyn Fn(&mut Scenario, &[bool]),
) {
    let mut length = parts(&shrinking.best.scenario).len();
    while length > 0 {
        let count = parts(&shrinking.best.scenario).len();
        if count == 0 {
            return;
        }
        let length_now = length.min(count);
        let candidates = (0..count)
            .step_by(length_now)
            .map(|begin| {
                let end = (begin + length_now).min(count);
                let kept: Vec<bool> = (0..count).map(|place| !(begin..end).contains(&place)).collect();
                let mut failing = shrinking.best.clone();
                leave(&mut failing.scenario, &kept);
                mend_first(&mut failing.scenario);
                let count = end - begin;
                let many = if count == 1 { "" } else { "s" };
                Candidate { failing, what: format!("{count} {what}{many} less") }
            })
            .collect();
        // What was left out may have been in the way of leaving out more of the same size.
        if !shrinking.take_first(candidates) {
            length = if length_now == 1 { 0 } else { length_now / 2 };
        }
        if shrinking.hunt.is_over() {
            return;
        }
    }
}

/// A step that followed what is gone now comes at a time.
fn mend_first(scenario: &mut Scenario) {
    if let Some(Step { when, .. }) = scenario.steps.first_mut()
        && let When::After(milliseconds) = *when
    {
        *when = When::At(milliseconds);
    }
}

/// Leaves out releases, with every step that speaks of them.
fn releases(shrinking: &mut Shrinking<'_>) {
    loop {
        let scenario = &shrinking.best.scenario;
        let needed =
            [scenario.goal.release(), if scenario.installed { 0 } else { usize::MAX }, scenario.back_to];
        let candidates = (0..scenario.releases.len())
            .filter(|release| !needed.contains(release))
            .map(|release| Candidate {
                what: format!("without release {}", scenario.releases[release].version),
                failing: Failing { scenario: without_release(scenario, release), seed: shrinking.best.seed },
            })
            .collect();
        if !shrinking.take_first(candidates) {
            return;
        }
    }
}

fn without_release(scenario: &Scenario, gone: usize) -> Scenario {
    let moved = |release: usize| if release > gone { release - 1 } else { release };
    let mut smaller = scenario.clone();
    smaller.releases.remove(gone);
    smaller.goal = match scenario.goal {
        Goal::Completes(release) => Goal::Completes(moved(release)),
        Goal::Stops(release) => Goal::Stops(moved(release)),
        Goal::Ends(release) => Goal::Ends(moved(release)),
    };
    smaller.back_to = moved(scenario.back_to);
    smaller.steps.retain(|step| !releases_of(&mut step.clone()).into_iter().any(|release| *release == gone));
    for step in &mut smaller.steps {
        for release in releases_of(step) {
            *release = moved(*release);
        }
    }
    mend_first(&mut smaller);
    smaller
}

/// The releases that a step speaks of.
fn releases_of(step: &mut Step) -> Vec<&mut usize> {
    let mut releases = Vec::new();
    match &mut step.when {
        When::Opened { release, .. } | When::Running { release, .. } => releases.push(release),
        When::At(_) | When::After(_) => {}
    }
    match &mut step.act {
        Act::Publish { release, .. } | Act::Command { release, .. } => releases.push(release),
        Act::Fault(_)
        | Act::Core
        | Act::Enrol { .. }
        | Act::Crash { .. }
        | Act::Split { .. }
        | Act::Heal
        | Act::Disk { .. }
        | Act::Snapshot { .. }
        | Act::Restore { .. } => {}
    }
    releases
}
