//! `swell-sim run`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, story};

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
            check_writable(path)?;
        }
        let seed = self.seed.or(scenario.seed).unwrap_or(1);
        let again = format!("swell-sim run {} --nodes {} --seed {seed}", self.scenario, scenario.nodes);
        let outcome = story::play(scenario, seed, again, story::Telling::new(self.json, self.quiet));
        Ok(outcome.exit_code())
    }
}

/// A report that cannot be written is said before the run, not after it.
fn check_writable(path: &Path) -> Result<(), Failure> {
    let existed = path.exists();
    match std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path) {
        Ok(_) if existed => Ok(()),
        Ok(_) => {
            // It was only a try: a run that is ended early leaves no empty page.
            let _ = std::fs::remove_file(path);
            Ok(())
        }
        Err(error) => Err(Failure::new(
            format!("the report {} cannot be written: {error}", path.display()),
            "name a file in a folder that exists and that you may write to",
        )),
    }
}
