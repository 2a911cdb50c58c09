//! `swell-sim run`.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, report, story};

#[derive(Args)]
pub(crate) struct Run {
    /// A scenario of `swell-sim list`, or a file that ends in .toml.
    scenario: String,
    /// Machines of the fleet, instead of what the scenario says.
    #[arg(long)]
    nodes: Option<u32>,
    /// Where the randomness comes from; nothing else does. [default: the scenario's, or 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Writes a page about the run.
    #[arg(long, value_name = "OUT.html")]
    report: Option<PathBuf>,
    /// Prints one JSON object instead of the story.
    #[arg(long)]
    json: bool,
    /// Prints the summary alone.
    #[arg(long)]
    quiet: bool,
}

impl Run {
    /// Plays the story.
    pub(crate) fn play(&self) -> Result<u8, Failure> {
        let scenario = story::named(&self.scenario, self.nodes)?;
        if let Some(path) = &self.report {
            report::check(path)?;
        }
        let seed = self.seed.or(scenario.seed).unwrap_or(1);
        let again = format!("swell-sim run {} --nodes {} --seed {seed}", self.scenario, scenario.nodes);
        let telling = story::Telling::new(self.json, self.quiet);
        match &self.report {
            Some(path) => report::play(scenario, seed, again, telling, path),
            None => Ok(story::play(scenario, seed, again, telling).exit_code()),
        }
    }
}
