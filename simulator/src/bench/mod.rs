//! The figures: how fast runs are, and how much memory the largest takes, beside what was aimed at.
//!
//! Each row is measured on whole runs with all checks on, on as many cores as there are seeds to share out.
//! A row that plays many seeds shares them out to threads; a row of one run has one core. A row's peak of
//! memory is that of the whole process: measure it alone (`--only`) to know its own. The row of shrinking
//! needs a planted bug, which no build that is shipped can carry: it stands in the exam's table.

mod heap;
mod queues;
mod spreads;
mod stories;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::checkers::{Property, Violation};
use crate::machine::notary::Notary;
use crate::report::Outcome;
use crate::report::kinds::Kinds;
use crate::scenario::{Scenario, random};
use crate::swarm::crew;
use crate::world::World;
use crate::world::fingerprint::Keep;

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What was run.
    pub run: String,
    /// What was aimed at.
    pub goal: &'static str,
    /// What was reached.
    pub reached: String,
    /// Whether that is enough.
    pub ok: bool,
    /// What else was seen.
    pub beside: String,
    /// Where its events come from.
    pub kinds: Kinds,
}

/// The rows by name, in the table's order.
pub const ROWS: [&str; 6] = ["seven", "ci", "ten-thousand", "hundred-thousand", "queue", "swarm"];

/// How rows are measured.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Cores for rows of many seeds.
    pub cores: usize,
    /// Seeds in place of a row's own number: to see how its time grows.
    pub seeds: Option<u64>,
    /// Nodes of a rollout in place of a row's own number: to see how its time grows.
    pub nodes: Option<u32>,
    /// Virtual seconds after which a rollout is left where it is: to see the beginning of one that takes long.
    pub seconds: Option<u64>,
}

/// Measures a row, or the rows that are measured together under one name, and hands each out as it is known. False:
/// there is none of this name.
pub fn measure(name: &str, means: Means, found: &mut dyn FnMut(Row)) -> bool {
    match name {
        "seven" => found(seven(means)),
        "ci" => found(ci(means)),
        "ten-thousand" => found(ten_thousand(means.nodes.unwrap_or(10_000), means)),
        "hundred-thousand" => found(hundred_thousand(means.nodes.unwrap_or(100_000), means)),
        "queue" => found(queues::row()),
        "swarm" => spreads::rows(means, found),
        _ => return false,
    }
    true
}

/// What runs came to together.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    runs: u64,
    virtual_ms: u64,
    events: u64,
    kinds: Kinds,
    breached: u64,
    unsettled: u64,
    differ: u64,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.virtual_ms += outcome.virtual_ms;
        self.events += outcome.counters.happenings;
        self.kinds.add(&outcome.counters.kinds);
        self.breached += u64::from(!outcome.violations.is_empty());
    }

    /// Adds a run whose story was given less time than it asks for: that it had not settled by then breaks no promise.
    fn add_cut_short(&mut self, outcome: &Outcome) {
        self.add(outcome);
        let is_unsettled = |violation: &Violation| violation.property == Property::L1;
        if !outcome.violations.is_empty() && outcome.violations.iter().all(is_unsettled) {
            self.breached -= 1;
            self.unsettled += 1;
        }
    }

    fn beside(&self) -> String {
        let mut text = format!("{} runs, {} events", self.runs, self.events);
        let odd = [
            (self.breached, "breached a property"),
            (self.differ, "differed"),
            (self.unsettled, "had not settled by then"),
        ];
        for (count, what) in odd {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text
    }
}

fn play(scenario: Scenario, seed: u64, until_seconds: u64) -> Outcome {
    play_keeping(scenario, seed, Keep { until_seconds, ..Keep::default() })
}

fn play_keeping(scenario: Scenario, seed: u64, keep: Keep) -> Outcome {
    World::play_keeping(scenario, seed, Box::new(|_| {}), keep).0
}

/// Seconds of real time since, in hundredths; at least one.
fn hundredths(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis() / 10).unwrap_or(u64::MAX).max(1)
}

fn seconds(hundredths: u64) -> String {
    format!("{}.{:02} s", hundredths / 100, hundredths % 100)
}

const SEVEN_SEEDS: u64 = 200;
const SEVEN_SECONDS: u64 = 3_600;
const SEVEN_GOAL: u64 = 20_000;

fn seven(means: Means) -> Row {
    let seeds = means.seeds.unwrap_or(SEVEN_SEEDS);
    let begun = Instant::now();
    let mut sum = Sum::default();
    let one = |turn| play(random::story(turn + 1, &(7..=7)), turn + 1, SEVEN_SECONDS);
    crew::share(means.cores, seeds, one, |_, outcome| {
        sum.add(&outcome);
        true
    });
    let took = hundredths(begun);
    let pace = sum.virtual_ms / 10 / took;
    Row {
        name: "seven",
        run: format!("7 nodes, every fault, {seeds} seeds of an hour"),
        goal: "at least 20,000 simulated seconds a second",
        reached: format!("{pace} simulated seconds a second"),
        ok: pace >= SEVEN_GOAL,
        beside: sum.beside(),
        kinds: sum.kinds,
    }
}

const CI_SEEDS: u64 = 300;
const CI_SECONDS: u64 = 600;

fn ci(means: Means) -> Row {
    let seeds = means.seeds.unwrap_or(CI_SEEDS);
    let begun = Instant::now();
    let mut sum = Sum::default();
    let one = |turn| {
        let seed = turn + 1;
        let mut story = random::story(seed, &(100..=100));
        story.limit_seconds = CI_SECONDS;
        let notary = Arc::new(Notary::default());
        let keep =
            || Keep { until_seconds: CI_SECONDS, notary: Some(Arc::clone(&notary)), ..Keep::default() };
        let runs = [story.clone(), story].map(|story| play_keeping(story, seed, keep()));
        (runs, notary.asked())
    };
    let mut asked = [(0, 0); 2];
    crew::share(means.cores, seeds, one, |_, ([first, second], of_seed)| {
        for (sum, of_seed) in asked.iter_mut().zip(of_seed) {
            *sum = (sum.0 + of_seed.times, sum.1 + of_seed.worked_out);
        }
        sum.differ += u64::from(first.fingerprint != second.fingerprint);
        sum.add_cut_short(&first);
        sum.add_cut_short(&second);
        true
    });
    let took = hundredths(begun);
    Row {
        name: "ci",
        run: format!("{seeds} seeds of 100 nodes for {CI_SECONDS} simulated s, each twice"),
        goal: "at most 120 s",
        reached: seconds(took),
        ok: took <= 12_000 && sum.differ == 0,
        beside: format!(
            "{}, {} of {} signatures made, {} of {} checked; the rest as in the first run",
            sum.beside(),
            asked[0].1,
            asked[0].0,
            asked[1].1,
            asked[1].0
        ),
        kinds: sum.kinds,
    }
}

/// Plays the story that is measured, or its beginning, up to this second at least.
fn rollout(nodes: u32, means: Means, until_seconds: u64) -> (Sum, Outcome) {
    let whole = stories::rollout(nodes);
    let limit_seconds = means.seconds.unwrap_or(whole.limit_seconds).min(whole.limit_seconds);
    let is_cut_short = limit_seconds < whole.limit_seconds;
    let outcome = play(Scenario { limit_seconds, ..whole }, 1, until_seconds);
    let mut sum = Sum::default();
    if is_cut_short {
        sum.add_cut_short(&outcome);
    } else {
        sum.add(&outcome);
    }
    (sum, outcome)
}

fn ten_thousand(nodes: u32, means: Means) -> Row {
    let begun = Instant::now();
    let (sum, outcome) = rollout(nodes, means, 0);
    let took = hundredths(begun);
    let pace = outcome.virtual_ms / 10 / took;
    Row {
        name: "ten-thousand",
        run: format!("{nodes} nodes, a rollout with faults ({} s)", outcome.virtual_ms / 1000),
        goal: "at least 60 simulated seconds a second",
        reached: format!("{pace} simulated seconds a second"),
        ok: pace >= 60,
        beside: format!("{}, {}, {}", sum.beside(), seconds(took), ended(&outcome)),
        kinds: sum.kinds,
    }
}

fn hundred_thousand(nodes: u32, means: Means) -> Row {
    let begun = Instant::now();
    let (sum, outcome) = rollout(nodes, means, 3_600);
    let took = hundredths(begun);
    let pace = sum.events.saturating_mul(100) / took;
    let memory = peak_memory_kib();
    Row {
        name: "hundred-thousand",
        run: format!("{nodes} nodes, a rollout of {} s with faults", outcome.virtual_ms / 1000),
        goal: "at least 2,000,000 events a second, at most 10 min and 3 GiB",
        reached: format!(
            "{pace} events a second, {}, {}",
            seconds(took),
            memory.map_or("memory unknown".to_owned(), |kib| format!("{} MiB", kib / 1024))
        ),
        ok: pace >= 2_000_000 && took <= 60_000 && memory.is_some_and(|kib| kib <= 3 << 20),
        beside: format!("{}, {}", sum.beside(), ended(&outcome)),
        kinds: sum.kinds,
    }
}

fn ended(outcome: &Outcome) -> String {
    let ending = outcome.ending.as_deref().unwrap_or("not ended");
    format!("{ending}, {} ran it, fingerprint {}", outcome.exposed, outcome.fingerprint)
}

/// The most memory that this process has held, in KiB, where the kernel says so.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_of_few_machines_goes_as_the_large_ones() {
        let outcome = play(stories::rollout(70), 1, 0);
        assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
        assert_eq!(outcome.ending.as_deref(), Some("done"));
    }

    #[test]
    fn a_rollout_that_is_cut_short_has_broken_nothing() {
        let cut = Means { cores: 1, seeds: None, nodes: None, seconds: Some(62) };
        let (sum, outcome) = rollout(70, cut, 0);
        assert!(outcome.settled_ms.is_none() && outcome.ending.is_none(), "it ends in the middle");
        assert_eq!((sum.breached, sum.unsettled), (0, 1), "{:?}", outcome.violations);
        let mut late = outcome;
        late.violations[0].property = Property::L4;
        let mut sum = Sum::default();
        sum.add_cut_short(&late);
        assert_eq!((sum.breached, sum.unsettled), (1, 0), "what has a deadline had it in that time too");
    }

    #[test]
    fn there_is_no_row_of_another_name() {
        let means = Means { cores: 1, seeds: None, nodes: None, seconds: None };
        assert!(!measure("shrink", means, &mut |_| panic!("it has a row")));
    }
}
