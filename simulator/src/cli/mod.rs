//! The command line: one file a verb. Here are what the verbs share.

pub(crate) mod bench;
pub(crate) mod list;
mod recording;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod shrink;
pub(crate) mod spread;
mod story;
pub(crate) mod swarm;
pub(crate) mod whatif;

use std::io::Write as _;
use std::ops::RangeInclusive;

use groundswell_simulator::report::EXIT_USAGE;

/// What `--help` says last.
pub(crate) const AFTER_HELP: &str = "\
EXIT CODES
  0  every property held
  1  a property of safety was breached
  2  wrong usage, or a file that cannot be used
  3  a property of liveness was breached
  4  the core panicked
  5  two runs of one seed differed, or a recording ended otherwise

EXAMPLES
  swell-sim run calm-day
  swell-sim run split-brain --nodes 12 --seed 7
  swell-sim run my-story.toml --json
  swell-sim swarm --seeds 1000 --nodes 4..30
  swell-sim replay 17
  swell-sim replay recordings/swell-1234abcd-0001764367200.rec
  swell-sim report split-brain -o out.html
  swell-sim shrink 17 --out small.toml
  swell-sim spread --nodes 1000 --bytes 64MiB --upload 4MiB --sites 10
  swell-sim bench --only queue
  swell-sim what-if --plan plan.toml --fleet roster.json";

/// Why a verb could not begin. Nothing was played or written.
pub(crate) struct Failure {
    what: String,
    hint: String,
}

impl Failure {
    /// What is wrong, and what to do about it; no hint if it is empty.
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }

    /// Prints it, and gives the exit code of wrong usage.
    pub(crate) fn print(&self) -> u8 {
        let mut text = format!("error: {}\n", self.what);
        if !self.hint.is_empty() {
            text.push_str(&format!("  hint: {}\n", self.hint));
        }
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        EXIT_USAGE
    }
}

/// Prints a line. A reader that went away is no reason to fail: the exit code still tells how it ended.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints one JSON object.
fn say_json(object: &serde_json::Value) {
    say(&format!("{object:#}"));
}

/// Reads `4..12` or `7`, both ends included.
fn sizes(text: &str) -> Result<RangeInclusive<u32>, String> {
    let number =
        |text: &str| text.trim().parse::<u32>().map_err(|_| format!("{text:?} is no number of machines"));
    let (low, high) = match text.split_once("..") {
        Some((low, high)) => (number(low)?, number(high.trim_start_matches('='))?),
        None => (number(text)?, number(text)?),
    };
    let most = groundswell_simulator::scenario::NODES_MAX;
    if low == 0 || low > high || high > most {
        return Err(format!("write two numbers from 1 to {most}, the smaller first: 4..12"));
    }
    Ok(low..=high)
}
