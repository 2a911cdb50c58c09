//! The simulator's own exam: does it see?
//!
//! One rule of the core after the other is broken on purpose (`groundswell_protocol::mutations`), and
//! stories drawn from the seeds 1, 2, 3 and so on are played until the referee of a property speaks that
//! must catch it. A mutation that none of [`SEEDS_MAX`] seeds finds fails the exam.
//!
//! Built with the feature `exam` alone, which no shipped build enables.

pub mod stories;
pub mod survey;
mod table;

use std::time::Duration;

use groundswell_protocol::mutations::{self, Mutation};

use crate::checkers::Violation;
use crate::report::Outcome;
use crate::scenario::{Act, Scenario};
use crate::shrink::{Failing, Settings, shrink_with};
use crate::swarm::{self, End, crew};

pub use table::table;

/// Every mutation must be found within so many seeds.
pub const SEEDS_MAX: u64 = 400;

/// What became of one mutation.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The mutation.
    pub mutation: Mutation,
    /// The first seed at which any referee spoke, or the core panicked.
    pub first_sign: Option<u64>,
    /// The first seed at which a property spoke that must; `None`: none of those that were played.
    pub found: Option<Found>,
    /// The smallest story that shows it, if it was looked for.
    pub smallest: Option<Smallest>,
}

/// The smallest story that shows a mutation.
#[derive(Clone, Debug)]
pub struct Smallest {
    /// The story.
    pub story: Scenario,
    /// How long it took to come to it.
    pub after: Duration,
}

/// Where a mutation showed.
#[derive(Clone, Debug)]
pub struct Found {
    /// Seeds played until then, this one included.
    pub seed: u64,
    /// Its story.
    pub story: Scenario,
    /// What was said.
    pub breach: Violation,
}

/// How thorough an exam is.
#[derive(Clone, Copy, Debug)]
pub struct Thoroughness {
    /// Seeds until a mutation counts as not found.
    pub seeds: u64,
    /// For how long each story that shows one is shrunk, if at all.
    pub shrink: Option<Duration>,
    /// Machines of a story: from so many to so many.
    pub nodes: (u32, u32),
}

/// Plays a story on a core in which `mutation` is planted.
pub fn play(mutation: Option<Mutation>, story: &Scenario, seed: u64) -> (End, Option<Outcome>) {
    mutations::with(mutation, || swarm::play(story, seed, false))
}

/// What goes wrong in a story: its steps but for what is handed in, and its liars.
pub fn faults(story: &Scenario) -> usize {
    let handed_in = |act: &Act| matches!(act, Act::Publish { .. });
    story.steps.iter().filter(|step| !handed_in(&step.act)).count() + story.liars.len()
}

/// Plays seeds upwards until a referee speaks that must.
fn examine(mutation: Mutation, how: Thoroughness, threads: usize) -> Finding {
    let must =
        |breach: &&Violation| mutation.caught_by().contains(&format!("{:?}", breach.property).as_str());
    let mut first_sign = None;
    let found = (1..=how.seeds).find_map(|seed| {
        let story = stories::sized(seed, &(how.nodes.0..=how.nodes.1));
        let (end, outcome) = play(Some(mutation), &story, seed);
        if end != End::Held {
            first_sign.get_or_insert(seed);
        }
        let breach = outcome?.violations.iter().find(must)?.clone();
        Some(Found { seed, story, breach })
    });
    let shrunk = |(found, budget)| smallest(mutation, found, Settings { budget, threads });
    let smallest = found.as_ref().zip(how.shrink).map(shrunk);
    Finding { mutation, first_sign, found, smallest }
}

fn smallest(mutation: Mutation, found: &Found, settings: Settings) -> Smallest {
    let Violation { property, at_ms, what, .. } = found.breach.clone();
    let failing = Failing { scenario: found.story.clone(), seed: found.seed };
    let plays = |one: &Failing| play(Some(mutation), &one.scenario, one.seed);
    let end = End::Breached { property, at_ms, what };
    let mut after = Duration::ZERO;
    let story =
        shrink_with(failing, &end, settings, &plays, &mut |_, progress| after = progress.elapsed).scenario;
    Smallest { story, after }
}

/// Examines every mutation, on as many threads as the machine has cores. `tell` hears of each as it ends.
pub fn sit(mutations: &[Mutation], how: Thoroughness, tell: &mut dyn FnMut(&Finding)) -> Vec<Finding> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut findings = Vec::new();
    let each = (threads / mutations.len().max(1)).max(1);
    let one = |turn: u64| {
        let place = usize::try_from(turn).unwrap_or(usize::MAX);
        mutations.get(place).map(|mutation| examine(*mutation, how, each))
    };
    crew::share(threads, mutations.len() as u64, one, |_, finding| {
        if let Some(finding) = finding {
            tell(&finding);
            findings.push(finding);
        }
        true
    });
    findings.sort_by_key(|finding| finding.mutation);
    findings
}
