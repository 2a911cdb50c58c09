//! Which story is meant: a shipped one, a file, or what a seed brings.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Instant;

use groundswell_simulator::report::Outcome;
use groundswell_simulator::report::trace::Trace;
use groundswell_simulator::scenario::{Scenario, catalogue, file, random};
use groundswell_simulator::world::World;

use super::{Failure, say, say_json};

/// Whether a word is meant as a file.
pub(super) fn is_file(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|end| end == "toml") || word.contains(std::path::MAIN_SEPARATOR)
}

/// The story that a word names.
pub(super) fn named(word: &str, nodes: Option<u32>) -> Result<Scenario, Failure> {
    let read = if is_file(word) {
        file::load(Path::new(word), nodes)
    } else if let Some(found) = catalogue::find(word, nodes) {
        found
    } else {
        let hint = match catalogue::nearest_name(word) {
            Some(near) => format!("did you mean `{near}`? `swell-sim list` shows all"),
            None => "`swell-sim list` shows all; a file's name ends in .toml".to_owned(),
        };
        return Err(Failure::new(format!("there is no scenario {word:?}"), hint));
    };
    read.map_err(|fault| Failure::new(fault.to_string(), ""))
}

/// The story of a seed, or the one that a word names, and the seed to play it with.
pub(super) fn drawn_or_named(word: &str, sizes: &RangeInclusive<u32>) -> Result<(Scenario, u64), Failure> {
    if let Ok(seed) = word.parse() {
        return Ok((random::story(seed, sizes), seed));
    }
    let scenario = named(word, None)?;
    let seed = scenario.seed.unwrap_or(1);
    Ok((scenario, seed))
}

/// How a story is told.
#[derive(Clone, Copy)]
pub(super) enum Telling {
    /// One line per change, then the summary.
    Whole,
    /// The summary.
    Summary,
    /// One JSON object.
    Json,
}

impl Telling {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (true, _) => Self::Json,
            (false, true) => Self::Summary,
            (false, false) => Self::Whole,
        }
    }

    fn teller(self) -> Box<dyn FnMut(&str)> {
        let silent = !matches!(self, Self::Whole);
        Box::new(move |line: &str| {
            if !silent {
                say(line);
            }
        })
    }
}

/// Plays a story and tells it. `again` is the command that repeats it.
pub(super) fn play(scenario: Scenario, seed: u64, again: String, telling: Telling) -> Outcome {
    let begun = Instant::now();
    let outcome = World::play(scenario, seed, telling.teller());
    told(outcome, begun, again, telling)
}

/// Plays a story, tells it, and gives its trace too.
pub(super) fn play_recorded(
    scenario: Scenario,
    seed: u64,
    again: String,
    telling: Telling,
) -> (Outcome, Option<Trace>) {
    let begun = Instant::now();
    let (outcome, trace) = World::play_recorded(scenario, seed, telling.teller());
    (told(outcome, begun, again, telling), trace)
}

fn told(mut outcome: Outcome, begun: Instant, again: String, telling: Telling) -> Outcome {
    outcome.real_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    outcome.again = again;
    match telling {
        Telling::Json => {
            say_json(&serde_json::json!({ "ok": outcome.violations.is_empty(), "run": outcome }));
        }
        Telling::Whole | Telling::Summary => say(&outcome.summary()),
    }
    outcome
}
