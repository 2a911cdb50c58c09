//! `swell-sim replay`: a seed's story, a file's, or what an agent recorded.

use std::ops::RangeInclusive;
use std::path::Path;

use clap::Args;
use groundswell_simulator::swarm;

use super::{Failure, recording, sizes, story};

#[derive(Args)]
pub(crate) struct Replay {
    /// A seed of the swarm, a scenario file, or what `swell agent --record` wrote.
    #[arg(value_name = "SEED|FILE")]
    what: String,
    /// The sizes that the swarm drew from.
    #[arg(long, value_name = "A..B", value_parser = sizes, default_value = swarm::SIZES)]
    nodes: RangeInclusive<u32>,
    /// Prints one JSON object instead of the story.
    #[arg(long)]
    json: bool,
    /// Prints the summary alone.
    #[arg(long)]
    quiet: bool,
    /// Prints the story as a scenario file and plays nothing.
    #[arg(long)]
    toml: bool,
    /// Of a recording: prints every input too.
    #[arg(long)]
    inputs: bool,
}

impl Replay {
    /// Plays the story.
    pub(crate) fn play(&self) -> Result<u8, Failure> {
        if let Some(bytes) = recording::read(Path::new(&self.what))? {
            return recording::play(&bytes, story::Telling::new(self.json, self.quiet), self.inputs);
        }
        let (scenario, seed) = story::drawn_or_named(&self.what, &self.nodes)?;
        let again = match self.what.parse() {
            Ok(seed) => swarm::command(seed, &self.nodes),
            Err(_) => format!("swell-sim replay {}", self.what),
        };
        if self.toml {
            let mut scenario = scenario;
            scenario.seed = Some(seed);
            super::say(groundswell_simulator::scenario::file::write(&scenario).trim_end());
            return Ok(0);
        }
        let outcome = story::play(scenario, seed, again, story::Telling::new(self.json, self.quiet));
        Ok(outcome.exit_code())
    }
}
