//! `swell bench courtesy`: what the agent does to other programs on its line.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::ground::{blob_directory, needs_root, stop_on_signal, this_program};
use crate::bench::{Courtesies, CourtesyOptions, Shared, courtesies};
use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::cli::screen::{Answer, Screen, table};
use crate::cli::words::bytes;

/// The goal: the slowest requests take no more than this longer.
const GOAL_PERMILLE: u64 = 100;

/// Measures how much longer other programs' requests take while a publisher sends
#[derive(Args, Debug)]
#[command(
    after_help = "One publisher on a line of 4 MiB a second sends to three nodes, while a server beside it answers
ten requests a second with 64 KiB each: alone, beside a publisher that takes what it can get, and
beside one that yields to others (transfer.yield_to_others). The requests begin in the middle of
the transfer, and none is left out: who has no answer at the end counts as having waited until then.
Fails if 99 of 100 requests take more than a tenth longer beside the one that yields.
Needs root, Linux, iproute2 and util-linux. All is removed afterwards, also when it is interrupted.

EXAMPLES:
  swell bench courtesy
  swell bench courtesy --seconds 20 --json"
)]
pub(in crate::cli) struct CourtesyArgs {
    /// How long requests are made, in each of the three parts
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=60))]
    seconds: u32,
    /// Where blobs are kept meanwhile [default: memory]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(args: &CourtesyArgs, screen: Screen) -> Result<Answer, Failure> {
    needs_root()?;
    let (swell, directory) = (this_program()?, blob_directory(args.directory.as_ref()));
    let progress = Progress::new(screen);
    let stop = stop_on_signal()?;
    let done = std::cell::Cell::new(0);
    let tell = |what: &str| {
        progress.step(what, done.get(), 3);
        done.set(done.get() + 1);
    };
    let options =
        CourtesyOptions { swell: &swell, directory: &directory, seconds: args.seconds, stop: &stop };
    let measured = courtesies(&options, &tell).map_err(|why| {
        Failure::new(
            Code::Local,
            "cannot measure",
            why,
            "see `swell bench courtesy --help` for what it needs",
        )
    })?;
    drop(progress);
    let good = measured.growth_permille() <= GOAL_PERMILLE;
    Ok(Answer::new(words(&measured, screen), &measured).judged(good))
}

fn words(measured: &Courtesies, screen: Screen) -> String {
    let row = |what: &str, shared: &Shared| {
        let more = (shared.p99_us * 100 / measured.alone.p99_us.max(1)).saturating_sub(100);
        [
            what.to_owned(),
            milliseconds(shared.median_us),
            milliseconds(shared.p99_us),
            format!("{more} %"),
            format!("{} a second", bytes(shared.line_bytes_per_second)),
            format!("{} a second", bytes(shared.afterwards_bytes_per_second)),
        ]
    };
    let rows = [
        row("alone", &measured.alone),
        row("beside a publisher", &measured.greedy),
        row("beside one that yields", &measured.yielding),
    ];
    let heading = ["REQUESTS", "MEDIAN", "99 OF 100 WITHIN", "LONGER", "THE LINE CARRIED", "AFTER THEM"];
    let mut text = table(screen, heading, &rows);
    let permille = measured.growth_permille();
    let growth = format!("{}.{} % longer", permille / 10, permille % 10);
    let growth = if permille <= GOAL_PERMILLE { screen.good(&growth) } else { screen.bad(&growth) };
    let _ = writeln!(text, "Beside one that yields 99 of 100 requests take {growth}; the goal is 10 %.");
    text
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100)
}
