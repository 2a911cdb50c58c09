//! The smallest story that still breaks the same rule.
//!
//! A failing story is data, so it is shrunk as data, after Zeller and Hildebrandt's delta debugging
//! (TSE 2002): smaller stories are tried in rounds, and whatever still breaks the rule is the next one to
//! shrink. A round makes the fleet smaller (`size`), cuts steps, liars and releases in chunks (`cut`), and
//! makes links, plan and numbers plain (`plain`). Rounds end when none helps, or when the time is up.
//!
//! A story must not become failing by being made unfair: `fair` sees to it that the fleet is large enough
//! for what goes wrong in it and, where the rule is one of liveness, that faults still end and that the
//! release is still published.
//!
//! The result depends on the story and the seed alone, as long as the time suffices: of several smaller
//! stories that break the rule the first in order is taken, whatever core was quicker (`hunt`).

mod cut;
mod fair;
mod hunt;
mod plain;
mod size;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::report::Outcome;
use crate::scenario::{Act, Scenario, When};
use crate::swarm::{self, End};
use hunt::Hunt;

/// A story and the seed under which it breaks the rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    /// The story.
    pub scenario: Scenario,
    /// The seed.
    pub seed: u64,
}

/// A step of the shrinking.
#[derive(Clone, Debug)]
pub struct Progress {
    /// How long it took until here.
    pub elapsed: Duration,
    /// How many stories were played until here.
    pub played: u64,
    /// What was done to the story.
    pub what: String,
}

/// How to shrink.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For how long at most. A run that has begun is played to its end.
    pub budget: Duration,
    /// Runs at once; at least one.
    pub threads: usize,
}

/// Says whether a story breaks the rule.
type Breaks<'a> = dyn Fn(&Failing) -> bool + Sync + 'a;

/// Plays a story.
pub type Plays<'a> = dyn Fn(&Failing) -> (End, Option<Outcome>) + Sync + 'a;

/// Whether what was played breaks the same rule as `end`.
pub fn is_like(end: &End, played: &(End, Option<Outcome>)) -> bool {
    match (end, played) {
        // It may break others as well, even worse ones.
        (End::Breached { property, .. }, (_, Some(outcome))) => {
            outcome.violations.iter().any(|violation| violation.property == *property)
        }
        (_, (found, _)) => found.is_like(end),
    }
}

/// Shrinks a story that ends in `end`. `tell` hears of each smaller story as soon as it is known.
pub fn shrink(
    failing: Failing,
    end: &End,
    settings: Settings,
    tell: &mut dyn FnMut(&Failing, &Progress),
) -> Failing {
    let twice = matches!(end, End::Differs { .. });
    shrink_with(failing, end, settings, &|one| swarm::play(&one.scenario, one.seed, twice), tell)
}

/// Shrinks a story that is played in a way of its own: on a core with a planted bug, say.
pub fn shrink_with(
    failing: Failing,
    end: &End,
    settings: Settings,
    plays: &Plays<'_>,
    tell: &mut dyn FnMut(&Failing, &Progress),
) -> Failing {
    let breaks = |candidate: &Failing| is_like(end, &plays(candidate));
    let mut shrinking = Shrinking::new(failing, is_of_liveness(end), settings, &breaks, tell);
    // The fleet first: in a small one everything that follows is quick.
    shrinking.make_small();
    match end {
        End::Breached { property, .. } if property.is_safety() => {
            if let (End::Breached { at_ms, .. }, _) = plays(&shrinking.best) {
                shrinking.end_within(at_ms / 1000 + 2);
            }
        }
        End::Breached { .. } => {
            if let Some(seconds) = ample_seconds(&shrinking.best, plays) {
                shrinking.end_within(seconds);
            }
        }
        _ => {}
    }
    shrinking.run()
}

fn is_of_liveness(end: &End) -> bool {
    matches!(end, End::Breached { property, .. } if !property.is_safety())
}

/// A limit that no fleet can complain about: all that the script waits for, four times what the releases need when
/// nothing goes wrong, and as long as a rollout may stand still before it expires, which is an end like another.
/// `None` if they do not settle even then.
fn ample_seconds(failing: &Failing, plays: &Plays<'_>) -> Option<u64> {
    let mut calm = failing.clone();
    calm.scenario.liars.clear();
    calm.scenario
        .steps
        .retain(|step| matches!(step.act, Act::Publish { .. }) && matches!(step.when, When::At(_)));
    let (_, outcome) = plays(&calm);
    let waits = failing.scenario.steps.iter().map(|step| match step.when {
        When::At(milliseconds) | When::After(milliseconds) => milliseconds,
        When::Opened { .. } | When::Running { .. } => 0,
    });
    let stands_still = u64::from(failing.scenario.plan.hold_s) * 1_000;
    let needed = waits.sum::<u64>() + stands_still + 4 * outcome?.settled_ms?;
    Some(needed.div_ceil(60_000) * 60)
}

/// A smaller story, and what makes it smaller.
struct Candidate {
    failing: Failing,
    what: String,
}

struct Shrinking<'a> {
    best: Failing,
    original: Scenario,
    liveness: bool,
    hunt: Hunt<'a>,
    begun: Instant,
    tell: &'a mut dyn FnMut(&Failing, &Progress),
}

impl<'a> Shrinking<'a> {
    fn new(
        mut failing: Failing,
        liveness: bool,
        settings: Settings,
        breaks: &'a Breaks<'a>,
        tell: &'a mut dyn FnMut(&Failing, &Progress),
    ) -> Self {
        failing.scenario.nodes_min = 1;
        let begun = Instant::now();
        Self {
            original: failing.scenario.clone(),
            best: failing,
            liveness,
            hunt: Hunt::new(breaks, settings.threads, begun.checked_add(settings.budget)),
            begun,
            tell,
        }
    }

    /// Lowers the limit, so that no run waits for what does not matter.
    fn end_within(&mut self, seconds: u64) {
        let mut shorter = self.best.clone();
        shorter.scenario.limit_seconds = self.best.scenario.limit_seconds.min(seconds);
        let what = format!("the limit is {} s", shorter.scenario.limit_seconds);
        self.take_first(vec![Candidate { failing: shorter, what }]);
    }

    fn make_small(&mut self) {
        while size::coarse(self) {}
    }

    fn run(mut self) -> Failing {
        self.make_small();
        loop {
            let before = self.best.clone();
            cut::all(&mut self);
            while size::coarse(&mut self) || size::fine(&mut self) {}
            plain::all(&mut self);
            if self.best == before || self.hunt.is_over() {
                return self.best;
            }
        }
    }

    /// Takes the first candidate that breaks the rule, if one does.
    fn take_first(&mut self, candidates: Vec<Candidate>) -> bool {
        let fair = |candidate: &Candidate| {
            let scenario = &candidate.failing.scenario;
            *scenario != self.best.scenario
                && scenario.check().is_ok()
                && fair::is_as_fair_as(scenario, &self.original, self.liveness)
        };
        let candidates: Vec<Candidate> = candidates.into_iter().filter(fair).collect();
        let stories: Vec<&Failing> = candidates.iter().map(|candidate| &candidate.failing).collect();
        let Some(place) = self.hunt.first(&stories) else { return false };
        let Some(taken) = candidates.into_iter().nth(place) else { return false };
        self.best = taken.failing;
        self.best.scenario.seed = Some(self.best.seed);
        let progress =
            Progress { elapsed: self.begun.elapsed(), played: self.hunt.played(), what: taken.what };
        (self.tell)(&self.best, &progress);
        true
    }
}
