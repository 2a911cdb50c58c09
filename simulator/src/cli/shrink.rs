//! `swell-sim shrink`.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use groundswell_simulator::scenario::file;
use groundswell_simulator::shrink::{Failing, Progress, Settings, shrink};
use groundswell_simulator::swarm::{self, End};
use groundswell_simulator::world::World;

use super::{Failure, say, sizes, story};

#[derive(Args)]
pub(crate) struct Shrink {
    /// A seed of the swarm, or a scenario file: also one that an earlier shrinking has left.
    #[arg(value_name = "SEED|FILE")]
    what: String,
    /// Where the smallest story is kept; its log lies beside it. The file always holds the best so far.
    #[arg(long, value_name = "SMALL.toml", default_value = "small.toml")]
    out: PathBuf,
    /// How long to look for smaller ones, in seconds or as 5m.
    #[arg(long, value_parser = budget, default_value = "5m")]
    budget: Duration,
    /// The sizes that the swarm drew from.
    #[arg(long, value_name = "A..B", value_parser = sizes, default_value = swarm::SIZES)]
    nodes: RangeInclusive<u32>,
    /// Runs at once. [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
}

fn budget(text: &str) -> Result<Duration, String> {
    let (number, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds = number.parse::<u64>().map_err(|_| format!("{text:?} is no time: write 90s or 5m"))?;
    Ok(Duration::from_secs(seconds.saturating_mul(factor)))
}

impl Shrink {
    /// Finds and keeps the smallest story.
    pub(crate) fn shrink(&self) -> Result<u8, Failure> {
        let (scenario, seed) = story::drawn_or_named(&self.what, &self.nodes)?;
        let (mut end, _) = swarm::play(&scenario, seed, false);
        if end == End::Held {
            end = swarm::play(&scenario, seed, true).0;
        }
        if end == End::Held {
            let hint = "name a story that fails: a failing seed of `swell-sim swarm`, or its file";
            return Err(Failure::new("there is nothing to shrink: every property held", hint));
        }
        let mut failing = Failing { scenario, seed };
        failing.scenario.seed = Some(seed);
        let mut log = format!("{}\n{}\n", told(&failing), end);
        say(log.trim_end());
        self.keep(&failing, &log)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let settings = Settings { budget: self.budget, threads: self.threads.unwrap_or(cores) };
        let mut trouble = None;
        let smallest = shrink(failing, &end, settings, &mut |failing, progress| {
            let line = line(failing, progress);
            say(&line);
            let _ = writeln!(log, "{line}");
            trouble = self.keep(failing, &log).err();
        });
        let _ = writeln!(log, "\nThe smallest story:\n\n{}", tale(&smallest, &end));
        self.keep(&smallest, &log)?;
        say(&format!("{}\n  again: swell-sim replay {}", told(&smallest), self.out.display()));
        trouble.map_or(Ok(0), Err)
    }

    /// Puts the best so far where it survives whatever comes: beside it first, then in its place.
    fn keep(&self, failing: &Failing, log: &str) -> Result<(), Failure> {
        let text =
            format!("# Shrunk by `swell-sim shrink {}`.\n{}", self.what, file::write(&failing.scenario));
        put(&self.out, &text).and_then(|()| put(&self.out.with_extension("log"), log)).map_err(|error| {
            let what = format!("{} cannot be written: {error}", self.out.display());
            Failure::new(what, "name a file in a folder that exists and that you may write to")
        })
    }
}

fn put(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

fn told(failing: &Failing) -> String {
    let (scenario, seed) = (&failing.scenario, failing.seed);
    let (steps, liars, limit) = (scenario.steps.len(), scenario.liars.len(), scenario.limit_seconds);
    format!("{} machines, {steps} steps, {liars} liars, {limit} s at most, seed {seed}", scenario.nodes)
}

fn line(failing: &Failing, progress: &Progress) -> String {
    let (seconds, tenth) = (progress.elapsed.as_secs(), progress.elapsed.subsec_millis() / 100);
    format!("{seconds:>5}.{tenth} s {:>6} played  {}: {}", progress.played, progress.what, told(failing))
}

/// The smallest story as it goes.
fn tale(failing: &Failing, end: &End) -> String {
    if matches!(end, End::Crashed { .. }) {
        return swarm::play(&failing.scenario, failing.seed, false).0.to_string();
    }
    let (send, lines) = std::sync::mpsc::channel();
    let tell = move |line: &str| {
        let _ = send.send(line.to_owned());
    };
    let outcome = World::play(failing.scenario.clone(), failing.seed, Box::new(tell));
    let mut lines: Vec<String> = lines.iter().collect();
    lines.push(outcome.summary());
    lines.join("\n")
}
