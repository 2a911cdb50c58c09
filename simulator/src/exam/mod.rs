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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use groundswell_protocol::mutations::{self, Mutation};

use crate::checkers::Violation;
use crate::report::Outcome;
use crate::scenario::Scenario;
use crate::world::World;

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
}

/// Where a mutation showed.
#[derive(Clone, Debug)]
pub struct Found {
    /// Seeds played until then, this one included.
    pub seed: u64,
    /// Machines of its story.
    pub nodes: u32,
    /// Things that happen in its story.
    pub steps: usize,
    /// What was said.
    pub breach: Violation,
}

/// Plays a story on a core in which `mutation` is planted.
pub fn play(mutation: Option<Mutation>, scenario: Scenario, seed: u64) -> Outcome {
    mutations::with(mutation, || World::play(scenario, seed, Box::new(|_| {})))
}

/// Plays seeds upwards until a referee speaks that must.
pub fn examine(mutation: Mutation, seeds: u64) -> Finding {
    let must =
        |breach: &&Violation| mutation.caught_by().contains(&format!("{:?}", breach.property).as_str());
    let mut first_sign = None;
    let found = (1..=seeds).find_map(|seed| {
        let story = stories::story(seed);
        let (nodes, steps) = (story.nodes, story.steps.len());
        let outcome = catch_unwind(AssertUnwindSafe(|| play(Some(mutation), story, seed)));
        let violations = outcome.as_ref().map_or(&[][..], |outcome| &outcome.violations);
        if outcome.is_err() || !violations.is_empty() {
            first_sign.get_or_insert(seed);
        }
        let breach = violations.iter().find(must)?.clone();
        Some(Found { seed, nodes, steps, breach })
    });
    Finding { mutation, first_sign, found }
}

/// Examines every mutation, on as many threads as the machine has cores. `tell` hears of each as it ends.
pub fn sit(mutations: &[Mutation], seeds: u64, tell: &(dyn Fn(&Finding) + Sync)) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let findings = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(mutation) = mutations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let finding = examine(*mutation, seeds);
                    tell(&finding);
                    if let Ok(mut findings) = findings.lock() {
                        findings.push(finding);
                    }
                }
            });
        }
    });
    let mut findings = findings.into_inner().unwrap_or_default();
    findings.sort_by_key(|finding| finding.mutation);
    findings
}
