//! `swell-sim report`, and the page that `run --report` writes.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Args;
use groundswell_simulator::report::{EXIT_USAGE, page};
use groundswell_simulator::scenario::Scenario;
use groundswell_simulator::swarm;

use super::{Failure, sizes, story};

#[derive(Args)]
pub(crate) struct Report {
    /// A scenario of `swell-sim list`, a file that ends in .toml, or a seed of the swarm.
    #[arg(value_name = "SCENARIO|FILE|SEED")]
    what: String,
    /// Where the page goes.
    #[arg(short, long, value_name = "OUT.html")]
    out: PathBuf,
    /// Machines of the fleet, instead of what the scenario says; for a seed, the sizes that the swarm drew
    /// from.
    #[arg(long, value_name = "N|A..B", value_parser = sizes)]
    nodes: Option<RangeInclusive<u32>>,
    /// The seed to play a scenario with. [default: the scenario's, or 1]
    #[arg(long)]
    seed: Option<u64>,
}

impl Report {
    /// Plays the story and writes its page.
    pub(crate) fn write(&self) -> Result<u8, Failure> {
        check(&self.out)?;
        if self.what.parse::<u64>().is_ok() {
            let drawn = sizes(swarm::SIZES).map_err(|what| Failure::new(what, ""))?;
            let sizes = self.nodes.clone().unwrap_or(drawn);
            let (scenario, seed) = story::drawn_or_named(&self.what, &sizes)?;
            let again = swarm::command(seed, &sizes);
            return play(scenario, seed, again, story::Telling::Summary, &self.out);
        }
        let scenario = story::named(&self.what, self.nodes.as_ref().map(|nodes| *nodes.end()))?;
        let seed = self.seed.or(scenario.seed).unwrap_or(1);
        let again = format!("swell-sim run {} --nodes {} --seed {seed}", self.what, scenario.nodes);
        play(scenario, seed, again, story::Telling::Summary, &self.out)
    }
}

/// A page that cannot be written is said before the run, not after it.
pub(super) fn check(path: &Path) -> Result<(), Failure> {
    page::check_writable(path).map_err(|error| {
        Failure::new(
            format!("the report {} cannot be written: {error}", path.display()),
            "name a file in a folder that exists and that you may write to",
        )
    })
}

/// Plays a story, tells it, and writes its page. The run's own exit code, unless the page is lost.
pub(super) fn play(
    scenario: Scenario,
    seed: u64,
    again: String,
    telling: story::Telling,
    path: &Path,
) -> Result<u8, Failure> {
    let (outcome, trace) = story::play_recorded(scenario, seed, again, telling);
    let Some(trace) = trace else { return Ok(outcome.exit_code()) };
    match page::write(path, &outcome, &trace) {
        Ok(()) => Ok(outcome.exit_code()),
        // It could be written before the run. A breach is still the worse news.
        Err(error) => {
            eprintln!("error: the report {} could not be written: {error}", path.display());
            Ok(if outcome.violations.is_empty() { EXIT_USAGE } else { outcome.exit_code() })
        }
    }
}
