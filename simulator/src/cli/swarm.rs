//! `swell-sim swarm`.

use std::io::IsTerminal as _;
use std::ops::RangeInclusive;
use std::process::Command;
use std::time::Instant;

use clap::Args;
use groundswell_simulator::swarm::{self, Flight, Flock};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, say, say_json, sizes};

/// Letters of a commit's name that make the first seed: 48 bits, short enough to be typed.
const COMMIT_LETTERS: usize = 12;

#[derive(Args)]
pub(crate) struct Swarm {
    /// How many stories to play.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1, conflicts_with = "from")]
    first: u64,
    /// Machines: each story draws a number from this range.
    #[arg(long, value_name = "A..B", value_parser = sizes, default_value = swarm::SIZES)]
    nodes: RangeInclusive<u32>,
    /// Takes the first seed from a commit's name: fresh for each commit, the same for ever after.
    #[arg(long, value_name = "COMMIT")]
    from: Option<String>,
    /// Goes on after a failure.
    #[arg(long)]
    keep_going: bool,
    /// Plays every seed twice; both runs must agree to the last event.
    #[arg(long)]
    twice: bool,
    /// Runs at once. [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

impl Swarm {
    /// Plays all stories.
    pub(crate) fn fly(&self) -> Result<u8, Failure> {
        let first = match &self.from {
            Some(commit) => first_seed(commit)?,
            None => self.first,
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let flock = Flock {
            first,
            seeds: self.seeds,
            sizes: self.nodes.clone(),
            twice: self.twice,
            keep_going: self.keep_going,
            threads: self.threads.unwrap_or(cores),
        };
        let begun = Instant::now();
        let bar = bar(self.seeds, self.json);
        let mut failed = 0_u64;
        let flights = flock.fly(&mut |flight| {
            if flight.end.code() != 0 {
                failed += 1;
                if !self.json {
                    bar.suspend(|| say(&told(flight, &self.nodes)));
                }
                bar.set_message(format!("{failed} failed"));
            }
            bar.inc(1);
        });
        bar.finish_and_clear();
        let real_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let code = swarm::worst(&flights);
        if self.json {
            say_json(&self.as_json(first, &flights, real_ms));
        } else {
            say(&summary(&flights, real_ms, first));
        }
        Ok(code)
    }

    fn as_json(&self, first: u64, flights: &[Flight], real_ms: u64) -> serde_json::Value {
        let failures: Vec<_> = flights
            .iter()
            .filter(|flight| flight.end.code() != 0)
            .map(|flight| {
                serde_json::json!({
                    "seed": flight.seed, "nodes": flight.nodes, "end": flight.end,
                    "again": swarm::command(flight.seed, &self.nodes),
                })
            })
            .collect();
        serde_json::json!({
            "ok": failures.is_empty(),
            "first": first,
            "played": flights.len(),
            "failures": failures,
            "events": flights.iter().map(|flight| flight.events).sum::<u64>(),
            "virtual_ms": flights.iter().map(|flight| flight.virtual_ms).sum::<u64>(),
            "real_ms": real_ms,
            "code": swarm::worst(flights),
        })
    }
}

fn bar(seeds: u64, json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("[{bar:24}] {pos}/{len} {per_sec} {eta} {msg}")
        .expect("BUG: the template is a constant that parses")
        .progress_chars("##.");
    ProgressBar::with_draw_target(Some(seeds), ProgressDrawTarget::stderr()).with_style(style)
}

fn told(flight: &Flight, sizes: &RangeInclusive<u32>) -> String {
    let again = swarm::command(flight.seed, sizes);
    format!("seed {} ({} machines): {}\n  again: {again}", flight.seed, flight.nodes, flight.end)
}

fn summary(flights: &[Flight], real_ms: u64, first: u64) -> String {
    let sum = |of: fn(&Flight) -> u64| flights.iter().map(of).sum::<u64>();
    let (events, virtual_s) = (sum(|flight| flight.events), sum(|flight| flight.virtual_ms) / 1000);
    let failed = flights.iter().filter(|flight| flight.end.code() != 0).count();
    let verdict = if failed == 0 { "every property held".to_owned() } else { format!("{failed} failed") };
    let rate = events.saturating_mul(1000) / real_ms.max(1);
    let (count, s, tenth) = (flights.len(), real_ms / 1000, real_ms % 1000 / 100);
    format!(
        "{count} stories from seed {first}: {verdict}\n  \
         {virtual_s} s virtual in {s}.{tenth} s, {events} events ({rate}/s)"
    )
}

/// The first seed of a commit: the first letters of its name, read as a number.
fn first_seed(commit: &str) -> Result<u64, Failure> {
    let asked = Command::new("git")
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
        .arg(format!("{commit}^{{commit}}"))
        .output();
    let name = match asked {
        Ok(answer) if answer.status.success() => String::from_utf8_lossy(&answer.stdout).trim().to_owned(),
        _ => commit.to_owned(),
    };
    let letters = name.get(..COMMIT_LETTERS).unwrap_or_default();
    u64::from_str_radix(letters, 16).map_err(|_| {
        Failure::new(
            format!("{commit:?} is no commit"),
            format!("name one that git knows here, or write at least {COMMIT_LETTERS} letters of its name"),
        )
    })
}
