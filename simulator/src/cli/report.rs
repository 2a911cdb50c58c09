//! `swell-sim report`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args;
use groundswell_simulator::swarm;

use super::{Failure, sizes, story};

#[derive(Args)]
pub(crate) struct Report {
    /// A scenario of `swell-sim list`, a file that ends in .toml, or a seed of the swarm.
    #[arg(value_name = "SCENARIO|FILE|SEED")]
    what: String,
    /// Where the page goes.
    #[arg(short, long, value_name = "OUT.html")]
    output: PathBuf,
    /// The sizes that the swarm drew from, for a seed.
    #[arg(long, value_name = "A..B", value_parser = sizes, default_value = swarm::SIZES)]
    nodes: RangeInclusive<u32>,
}

impl Report {
    /// Plays the story and writes the page.
    pub(crate) fn write(&self) -> Result<u8, Failure> {
        let (scenario, seed) = story::drawn_or_named(&self.what, &self.nodes)?;
        let page = Some(self.output.as_path());
        story::check_page(page)?;
        let again = match self.what.parse() {
            Ok(seed) => swarm::command(seed, &self.nodes),
            Err(_) => format!("swell-sim run {} --seed {seed}", self.what),
        };
        Ok(story::play(scenario, seed, again, story::Telling::Summary, page)?.exit_code())
    }
}
