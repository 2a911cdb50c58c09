//! Many stories, each drawn from a seed, played on several cores at once.
//!
//! Threads stand above whole runs; inside a run there are none. A panic of the core ends its own run
//! alone, and is one of the ends that a run can come to.

mod crash;
pub(crate) mod crew;
mod end;

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::report::Outcome;
use crate::scenario::{Scenario, random};
use crate::twice;
use crate::world::World;
use crate::world::fingerprint::{Described, Keep};

pub use end::{End, worst};

/// The sizes that are drawn from if nobody says otherwise.
pub const SIZES: &str = "4..12";

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Flock {
    /// The first seed.
    pub first: u64,
    /// How many seeds.
    pub seeds: u64,
    /// From which sizes stories draw theirs.
    pub sizes: RangeInclusive<u32>,
    /// Whether each is played twice and compared.
    pub twice: bool,
    /// Whether to go on after a failure.
    pub keep_going: bool,
    /// Runs at once; at least one.
    pub threads: usize,
}

/// One story that was played.
#[derive(Clone, Debug)]
pub struct Flight {
    /// Its seed.
    pub seed: u64,
    /// Its machines.
    pub nodes: u32,
    /// How it ended.
    pub end: End,
    /// Entries of its queue.
    pub events: u64,
    /// Its virtual time.
    pub virtual_ms: u64,
}

/// The command that repeats the story of a seed.
pub fn command(seed: u64, sizes: &RangeInclusive<u32>) -> String {
    let range = format!("{}..{}", sizes.start(), sizes.end());
    if range == SIZES {
        format!("swell-sim replay {seed}")
    } else {
        format!("swell-sim replay {seed} --nodes {range}")
    }
}

/// Plays a scenario, twice if told so, and says how it ended.
pub fn play(scenario: &Scenario, seed: u64, twice: bool) -> (End, Option<Outcome>) {
    let keep = Keep { notary: twice.then(Arc::default), ..Keep::default() };
    let run = || {
        let keep = keep.clone();
        crash::caught(|| World::play_keeping(scenario.clone(), seed, Box::new(|_| {}), keep).0)
    };
    let first = match run() {
        Ok(outcome) => outcome,
        Err(what) => return (End::Crashed { what }, None),
    };
    if twice {
        match run() {
            Ok(second) if second.fingerprint != first.fingerprint => {
                return (differs(scenario, seed, &first, &second), Some(first));
            }
            Ok(_) => {}
            Err(what) => return (End::Crashed { what: format!("the second time: {what}") }, Some(first)),
        }
    }
    (End::of(&first), Some(first))
}

/// Two runs differed: finds the first event in which two runs part.
fn differs(scenario: &Scenario, seed: u64, first: &Outcome, second: &Outcome) -> End {
    let parted = crash::caught(|| twice::twice(scenario, seed));
    let (one, other) = match &parted {
        Ok(Err(parting)) => (parting.events.0.as_ref(), parting.events.1.as_ref()),
        _ => (None, None),
    };
    let word = |outcome: &Outcome, event: Option<&Described>| match event {
        Some(event) => format!("{} (event {}: {})", outcome.fingerprint, event.after.event, event.what),
        None => outcome.fingerprint.clone(),
    };
    End::Differs { one: word(first, one), other: word(second, other) }
}

impl Flock {
    /// Plays all. `tell` hears of each story when it has ended; the answer is in the order of seeds.
    pub fn fly(&self, tell: &mut dyn FnMut(&Flight)) -> Vec<Flight> {
        let mut flights = Vec::new();
        let work = |turn| self.one(self.first.wrapping_add(turn));
        crew::share(self.threads, self.seeds, work, |_, flight: Flight| {
            let good = flight.end.code() == 0;
            tell(&flight);
            flights.push(flight);
            good || self.keep_going
        });
        flights.sort_by_key(|flight| flight.seed);
        flights
    }

    fn one(&self, seed: u64) -> Flight {
        let scenario = random::story(seed, &self.sizes);
        let nodes = scenario.nodes;
        let (end, outcome) = play(&scenario, seed, self.twice);
        let (events, virtual_ms) =
            outcome.map_or((0, 0), |outcome| (outcome.counters.happenings, outcome.virtual_ms));
        Flight { seed, nodes, end, events, virtual_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flock(threads: usize) -> Flock {
        Flock { first: 1, seeds: 4, sizes: 4..=5, twice: true, keep_going: true, threads }
    }

    #[test]
    fn any_number_of_threads_plays_the_same_stories() {
        let fly = |threads| {
            let mut told = 0;
            let flights = flock(threads).fly(&mut |_| told += 1);
            assert_eq!(told, 4);
            flights.iter().map(|f| (f.seed, f.nodes, f.events, f.end.clone())).collect::<Vec<_>>()
        };
        assert_eq!(fly(1), fly(2));
    }

    #[test]
    fn the_command_names_sizes_only_where_they_are_not_the_usual_ones() {
        assert_eq!(command(7, &(4..=12)), "swell-sim replay 7");
        assert_eq!(command(7, &(4..=50)), "swell-sim replay 7 --nodes 4..50");
    }
}
