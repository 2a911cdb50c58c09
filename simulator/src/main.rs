//! `swell-sim`: plays fleets in virtual time.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cli::Failure;
use mimalloc::MiMalloc;

/// A run asks for memory several times an event; the system's own allocator takes a tenth of its time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
#[command(
    name = "swell-sim",
    version,
    about = "Plays Groundswell fleets in virtual time, on the code that runs in production",
    after_help = cli::AFTER_HELP
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Lists the shipped scenarios.
    List(cli::list::List),
    /// Plays a scenario: a shipped one, or a file.
    Run(cli::run::Run),
    /// Plays stories that are drawn from seeds, many of them.
    Swarm(cli::swarm::Swarm),
    /// Plays the story of one seed, of a file, or of an agent's recording, and tells it.
    Replay(cli::replay::Replay),
    /// Plays a story and writes a page about it, for a browser.
    Report(cli::report::Report),
    /// Finds the smallest story that still breaks the same rule.
    Shrink(cli::shrink::Shrink),
    /// Lets a release's bytes spread through a fleet, and says how near that is to the physical limit.
    Spread(cli::spread::Spread),
    /// Measures how fast runs are, and prints the figures beside what was aimed at.
    Bench(cli::bench::Bench),
    /// Says what a plan would do to a fleet: how long, how many exposed, how many bytes.
    WhatIf(cli::whatif::WhatIf),
}

fn main() -> ExitCode {
    let played = match Cli::parse().verb {
        Verb::List(list) => list.print(),
        Verb::Run(run) => run.play(),
        Verb::Swarm(swarm) => swarm.fly(),
        Verb::Replay(replay) => replay.play(),
        Verb::Report(report) => report.write(),
        Verb::Shrink(shrink) => shrink.shrink(),
        Verb::Spread(spread) => spread.play(),
        Verb::Bench(bench) => bench.measure(),
        Verb::WhatIf(question) => question.answer(),
    };
    ExitCode::from(played.unwrap_or_else(|failure: Failure| failure.print()))
}
