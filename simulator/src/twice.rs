//! One story played twice: the same, or the first event in which the two runs part.
//!
//! Runs are compared by checkpoints of their rolling fingerprints. A fingerprint that has parted never
//! meets again, so the first checkpoint that differs is found by bisection; then both are played once more
//! and the events between the two checkpoints are described, one by one.

use std::fmt;

use crate::report::Outcome;
use crate::scenario::Scenario;
use crate::world::World;
use crate::world::fingerprint::{Checkpoint, Described, Fingerprint, Keep};

/// A checkpoint is kept after every so many events.
const CHECKPOINT_EVENTS: u64 = 4_096;

/// Where two runs of one story part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    /// How the two ended.
    pub fingerprints: (u64, u64),
    /// The last checkpoint at which they were the same; `None`: the beginning.
    pub agreed: Option<Checkpoint>,
    /// The first event that differs, as each run had it; `None`: the run had ended before.
    pub events: (Option<Described>, Option<Described>),
}

impl Parting {
    /// The number of the first event that differs; `None` if two more runs did not differ there.
    pub fn event(&self) -> Option<u64> {
        self.events.0.as_ref().or(self.events.1.as_ref()).map(|event| event.after.event)
    }
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "two runs of one seed differ: {:016x}, {:016x}",
            self.fingerprints.0, self.fingerprints.1
        )?;
        let agreed = self.agreed.map_or(0, |checkpoint| checkpoint.event + 1);
        writeln!(f, "  the first {agreed} events were the same")?;
        if self.event().is_none() {
            return writeln!(f, "  played again, they did not differ where they did before");
        }
        for (name, event) in [("one run", &self.events.0), ("the other", &self.events.1)] {
            match event {
                Some(Described { after, what }) => {
                    let (seconds, micros) = (after.micros / 1_000_000, after.micros % 1_000_000);
                    writeln!(f, "  {name}: event {} at {seconds}.{micros:06} s: {what}", after.event)?;
                    writeln!(f, "    then {:016x}", after.fingerprint)?;
                }
                None => writeln!(f, "  {name}: had ended")?,
            }
        }
        Ok(())
    }
}

/// Plays a story twice and compares.
///
/// # Errors
/// Where the runs part.
pub fn twice(scenario: &Scenario, seed: u64) -> Result<Outcome, Box<Parting>> {
    compare(|keep| World::play_keeping(scenario.clone(), seed, Box::new(|_| {}), keep))
}

/// Compares two runs, and plays two more if they differ.
fn compare(mut play: impl FnMut(Keep) -> (Outcome, Fingerprint)) -> Result<Outcome, Box<Parting>> {
    let checked = || Keep { every: CHECKPOINT_EVENTS, ..Keep::default() };
    let (outcome, one) = play(checked());
    let (_, other) = play(checked());
    if one.value() == other.value() && one.events() == other.events() {
        return Ok(outcome);
    }
    let same = agreed(&one.checkpoints, &other.checkpoints);
    let agreed = same.checked_sub(1).map(|last| one.checkpoints[last]);
    let from = agreed.map_or(0, |checkpoint| checkpoint.event + 1);
    let window = || Keep { describe: from..from + CHECKPOINT_EVENTS, ..Keep::default() };
    let (first, second) = (play(window()).1.described, play(window()).1.described);
    let parted = (0..first.len().max(second.len())).find(|place| first.get(*place) != second.get(*place));
    let events = parted.map_or((None, None), |at| (first.get(at).cloned(), second.get(at).cloned()));
    Err(Box::new(Parting { fingerprints: (one.value(), other.value()), agreed, events }))
}

/// How many checkpoints are the same in both, by bisection.
fn agreed(one: &[Checkpoint], other: &[Checkpoint]) -> usize {
    let pairs: Vec<bool> = one.iter().zip(other).map(|(a, b)| a == b).collect();
    pairs.partition_point(|same| *same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::catalogue;

    fn story() -> Scenario {
        catalogue::named("calm-day", 4).expect("BUG: the story ships")
    }

    #[test]
    fn equal_runs_are_equal() {
        let outcome = twice(&story(), 3).unwrap_or_else(|parting| panic!("{parting}"));
        assert_eq!(outcome.nodes, 4);
    }

    #[test]
    fn a_planted_difference_is_found_at_its_very_event() {
        for planted in [0, 1, 700, 1_234] {
            let mut runs = 0;
            let parting = compare(|keep| {
                runs += 1;
                let planted = (runs % 2 == 0).then_some(planted);
                World::play_keeping(story(), 3, Box::new(|_| {}), Keep { planted, ..keep })
            });
            let parting = parting.expect_err("every second run differs");
            assert_eq!(parting.event(), Some(planted), "{parting}");
            let (one, other) = (parting.events.0.as_ref(), parting.events.1.as_ref());
            assert_eq!(one.map(|event| &event.what), other.map(|event| &event.what), "the same event");
            assert_ne!(one, other, "with other consequences");
            assert_eq!(runs, 4);
        }
    }

    #[test]
    fn checkpoints_part_once() {
        let point = |event, fingerprint| Checkpoint { event, micros: event, fingerprint };
        let one: Vec<Checkpoint> = (0..100).map(|n| point(n, n)).collect();
        for parts in 0..=100 {
            let other: Vec<Checkpoint> = (0..100).map(|n| point(n, n + u64::from(n >= parts))).collect();
            assert_eq!(agreed(&one, &other) as u64, parts);
        }
    }
}
