//! What a plan would do to a fleet: how long, how many are exposed, how many bytes.
//!
//! A plan is tried in a few situations, each under many seeds: a good release on a calm and on a rough
//! day, a release that fails at once, one that fails late, one that fails on some machines. What comes out
//! is said with its median, its middle 90 % and its worst ([`Spread`]).

mod roster;
mod spread;
#[cfg(test)]
mod tests;

use groundswell_protocol::trust::plan::Plan;
use serde::Serialize;

use crate::fleet::{ReleaseLaw, Thief};
use crate::machine::service::HealthLaw;
use crate::scenario::{Act, Goal, Group, Scenario, Step, When, Who};
use crate::swarm::{self, crew};
use crate::world::links::LinkLaw;

pub use roster::{BadRoster, read_roster};
pub use spread::Spread;

/// When the release is published.
const PUBLISHED_MILLISECONDS: u64 = 5_000;
/// How many rough days have it that a machine in so many loses its power for a while.
const ROUGH_LOSS_PERMILLE: u32 = 10;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The plan.
    pub plan: Plan,
    /// The fleet, by labels.
    pub groups: Vec<Group>,
    /// Size of the new tree.
    pub bytes: u64,
    /// Size of the delta to it, if there is one.
    pub delta_bytes: Option<u64>,
    /// How many seeds for each situation.
    pub seeds: u64,
    /// Runs at once.
    pub threads: usize,
}

/// What the release does, on what day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Situation {
    /// A good release; nothing goes wrong.
    Good,
    /// A good release; one frame in a hundred is lost, and one machine in twenty loses its power for half a minute.
    GoodOnARoughDay,
    /// It fails in the first half of the trial, everywhere.
    FailsAtOnce,
    /// It passes its trial and fails while it bakes.
    FailsLate,
    /// It fails on one machine in five.
    FailsOnSome,
}

impl Situation {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Good, Self::GoodOnARoughDay, Self::FailsAtOnce, Self::FailsLate, Self::FailsOnSome];

    /// It in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Good => "a good release on a calm day",
            Self::GoodOnARoughDay => "a good release on a rough day",
            Self::FailsAtOnce => "a release that fails at once",
            Self::FailsLate => "a release that fails while it bakes",
            Self::FailsOnSome => "a release that fails on one machine in five",
        }
    }

    fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::GoodOnARoughDay)
    }
}

/// What came out in a situation.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The situation.
    pub situation: Situation,
    /// Runs.
    pub runs: u64,
    /// Runs in which the release completed.
    pub completed: u64,
    /// Runs in which it was stopped.
    pub stopped: u64,
    /// Runs in which a property was breached; a fault of the simulator's or of the core's, to be reported.
    pub breached: u64,
    /// Milliseconds from the publication until every machine had settled.
    pub milliseconds: Spread,
    /// Machines that ran the release.
    pub exposed: Spread,
    /// Bytes of the release that were transferred, over the whole fleet.
    pub payload_bytes: Spread,
    /// Bytes of everything else that machines said to each other.
    pub talk_bytes: Spread,
}

/// One run of a situation.
struct Run {
    ending: Option<String>,
    breached: bool,
    milliseconds: u64,
    exposed: u64,
    payload_bytes: u64,
    talk_bytes: u64,
}

/// Plays the situations and answers. `tell` hears of each run when it has ended.
pub fn ask(question: &Question, tell: &mut dyn FnMut()) -> Vec<Answer> {
    let count = Situation::ALL.len() as u64 * question.seeds;
    let mut runs: Vec<(u64, Run)> = Vec::new();
    // Seed by seed, so that an impatient reader has a bit of each situation.
    let situation = |number: u64| Situation::ALL[usize::try_from(number).unwrap_or(0) % Situation::ALL.len()];
    let seed = |number: u64| 1 + number / Situation::ALL.len() as u64;
    let work = |number| play(question, situation(number), seed(number));
    crew::share(question.threads, count, work, |number, run| {
        tell();
        runs.push((number, run));
        true
    });
    runs.sort_by_key(|(number, _)| *number);
    let of =
        |one: Situation| runs.iter().filter(move |(number, _)| situation(*number) == one).map(|(_, run)| run);
    Situation::ALL
        .into_iter()
        .map(|situation| answer(situation, &of(situation).collect::<Vec<_>>()))
        .collect()
}

fn answer(situation: Situation, runs: &[&Run]) -> Answer {
    let ended = |how: &str| runs.iter().filter(|run| run.ending.as_deref() == Some(how)).count() as u64;
    let spread = |of: fn(&Run) -> u64| Spread::of(runs.iter().map(|run| of(run)).collect());
    Answer {
        situation,
        runs: runs.len() as u64,
        completed: ended("done"),
        stopped: ended("stopped"),
        breached: runs.iter().filter(|run| run.breached).count() as u64,
        milliseconds: spread(|run| run.milliseconds),
        exposed: spread(|run| run.exposed),
        payload_bytes: spread(|run| run.payload_bytes),
        talk_bytes: spread(|run| run.talk_bytes),
    }
}

fn play(question: &Question, situation: Situation, seed: u64) -> Run {
    let scenario = story(question, situation);
    let (end, outcome) = swarm::play(&scenario, seed, false);
    let settled = outcome.as_ref().and_then(|outcome| outcome.settled_ms);
    let until = settled.unwrap_or(scenario.limit_seconds * 1000);
    Run {
        ending: outcome.as_ref().and_then(|outcome| outcome.ending.clone()),
        breached: end.code() != 0,
        milliseconds: until.saturating_sub(PUBLISHED_MILLISECONDS),
        exposed: outcome.as_ref().map_or(0, |outcome| u64::from(outcome.exposed)),
        payload_bytes: outcome.as_ref().map_or(0, |outcome| outcome.counters.payload_bytes),
        talk_bytes: outcome.as_ref().map_or(0, |outcome| outcome.counters.frame_bytes),
    }
}

/// The story of a situation.
fn story(question: &Question, situation: Situation) -> Scenario {
    let plan = &question.plan;
    let nodes = question.groups.iter().map(|group| group.nodes).sum();
    let (trial, bake) = (u64::from(plan.trial_s) * 1000, u64::from(plan.bake_s) * 1000);
    let health = match situation {
        Situation::Good | Situation::GoodOnARoughDay => HealthLaw::Good,
        Situation::FailsAtOnce => HealthLaw::FailsAfter(trial / 4),
        Situation::FailsLate => HealthLaw::FailsAfter(trial + bake / 2),
        Situation::FailsOnSome => HealthLaw::FailsOn(200),
    };
    let law = |version: &str, sequence, health| ReleaseLaw {
        version: version.to_owned(),
        sequence,
        bytes: question.bytes,
        delta_bytes: question.delta_bytes,
        health,
        signed: true,
        thief: Thief::default(),
    };
    let waves = plan.targets(nodes).len() as u64;
    let a_wave = u64::from(plan.trial_s) + u64::from(plan.bake_s) + u64::from(plan.stage_s);
    let at = |milliseconds, act| Step { when: When::At(milliseconds), act };
    let mut steps = vec![at(PUBLISHED_MILLISECONDS, Act::Publish { release: 1, on: Who::Node(0) })];
    let mut links = LinkLaw::default();
    if situation == Situation::GoodOnARoughDay {
        links.loss_permille = ROUGH_LOSS_PERMILLE;
        steps.extend(outages(nodes, waves * (trial + bake)));
    }
    Scenario {
        name: "what-if".to_owned(),
        about: situation.words().to_owned(),
        nodes,
        nodes_min: 1,
        seed: None,
        limit_seconds: waves * a_wave + u64::from(plan.hold_s) + 3_600,
        goal: if situation.is_good() { Goal::Completes(1) } else { Goal::Ends(1) },
        back_to: 0,
        installed: true,
        gossip: true,
        links,
        plan: plan.clone(),
        groups: question.groups.clone(),
        classes: Vec::new(),
        releases: vec![law("before", 1, HealthLaw::Good), law("after", 2, health)],
        liars: Vec::new(),
        steps,
    }
}

/// Machines, one in twenty, that lose their power for half a minute, spread over the time of the rollout.
fn outages(nodes: u32, milliseconds: u64) -> impl Iterator<Item = Step> {
    let count = u64::from(nodes.div_ceil(20)).min(1_000);
    (0..count).map(move |number| Step {
        when: When::At(PUBLISHED_MILLISECONDS + (number + 1) * milliseconds / (count + 1)),
        act: Act::Crash { who: Who::Any, back_after: Some(30_000) },
    })
}
