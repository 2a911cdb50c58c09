//! `swell-sim`: plays fleets in virtual time.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use groundswell_simulator::report::{EXIT_OK, EXIT_STUCK, EXIT_UNSAFE, Outcome, page};
use groundswell_simulator::scenario::{Scenario, catalogue, random};
use groundswell_simulator::world::World;

const EXIT_USAGE: u8 = 2;

#[derive(Parser)]
#[command(
    name = "swell-sim",
    version,
    about = "Plays Groundswell fleets in virtual time, on the code that runs in production",
    after_help = "EXIT CODES\n  0  every property held\n  1  a property of safety was breached\n  2  wrong usage\n  3  a property of liveness was breached\n\nEXAMPLES\n  swell-sim run\n  swell-sim run --nodes 12 --scenario bad --seed 7\n  swell-sim run --scenario all --json\n  swell-sim run --scenario random --seeds 100"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Plays one scenario, or all.
    Run(Run),
    /// Plays one scenario and writes a page about it.
    Report(Report),
    /// Lists the scenarios.
    List,
}

#[derive(Args)]
struct Run {
    /// Machines of the fleet (a random story draws its own number).
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: u32,
    /// Where the randomness comes from; nothing else does.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Plays so many seeds, from `--seed` upwards.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// A scenario of `swell-sim list`, `random`, or `all`.
    #[arg(long, default_value = "good")]
    scenario: String,
    /// Prints one JSON object instead of the story.
    #[arg(long)]
    json: bool,
    /// Prints the summary alone.
    #[arg(long)]
    quiet: bool,
    /// Writes a page about the run, for a browser. One run alone.
    #[arg(long, value_name = "PATH")]
    report: Option<PathBuf>,
}

#[derive(Args)]
struct Report {
    /// A scenario of `swell-sim list`, or the seed of a random story.
    story: String,
    /// Where the page goes.
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Machines of the fleet (a random story draws its own number).
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: u32,
    /// Where the randomness of a named scenario comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Report {
    fn run(self) -> Run {
        let drawn = self.story.parse().ok();
        Run {
            nodes: self.nodes,
            seed: drawn.unwrap_or(self.seed),
            seeds: 1,
            scenario: if drawn.is_some() { "random".to_owned() } else { self.story },
            json: false,
            quiet: true,
            report: Some(self.output),
        }
    }
}

/// Prints a line. A reader that went away is no reason to fail: the exit code still tells how it ended.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::List => list(),
        Verb::Run(run) => play(&run),
        Verb::Report(report) => play(&report.run()),
    }
}

fn list() -> ExitCode {
    for name in catalogue::NAMES {
        if let Some(scenario) = catalogue::named(name, 100) {
            say(&format!("{name:<14} {}", scenario.about));
        }
    }
    say(&format!("{:<14} whatever the seed brings, on 4 to 12 machines", "random"));
    ExitCode::from(EXIT_OK)
}

fn scenarios(run: &Run, seed: u64) -> Option<Vec<Scenario>> {
    match run.scenario.as_str() {
        "all" => Some(catalogue::NAMES.iter().filter_map(|name| catalogue::named(name, run.nodes)).collect()),
        "random" => Some(vec![random::story(seed)]),
        name => Some(vec![catalogue::named(name, run.nodes)?]),
    }
}

fn play(run: &Run) -> ExitCode {
    if let Some(path) = &run.report {
        if run.seeds > 1 || run.scenario == "all" {
            eprintln!("error: a page tells of one run\n  hint: name one scenario and one seed");
            return ExitCode::from(EXIT_USAGE);
        }
        if let Err(error) = page::check_writable(path) {
            eprintln!("error: the page cannot be written to {}: {error}", path.display());
            return ExitCode::from(EXIT_USAGE);
        }
    }
    let mut outcomes = Vec::new();
    for seed in run.seed..run.seed.saturating_add(run.seeds) {
        let Some(scenarios) = scenarios(run, seed) else {
            eprintln!(
                "error: there is no scenario {:?} for {} machines\n  hint: `swell-sim list` shows them all; a leader can only be lost where three or more judge",
                run.scenario, run.nodes
            );
            return ExitCode::from(EXIT_USAGE);
        };
        for scenario in scenarios {
            let outcome = play_one(run, scenario, seed);
            if !run.json {
                say(&outcome.summary());
            }
            outcomes.push(outcome);
        }
    }
    let codes: Vec<u8> = outcomes.iter().map(Outcome::exit_code).collect();
    if run.json {
        print_json(&outcomes);
    }
    let worst = [EXIT_UNSAFE, EXIT_STUCK].into_iter().find(|code| codes.contains(code));
    ExitCode::from(worst.unwrap_or(EXIT_OK))
}

fn play_one(run: &Run, scenario: Scenario, seed: u64) -> Outcome {
    let silent = run.json || run.quiet;
    let tell = move |line: &str| {
        if !silent {
            say(line);
        }
    };
    let begun = Instant::now();
    let (mut outcome, trace) = match &run.report {
        Some(_) => World::play_recorded(scenario, seed, Box::new(tell)),
        None => (World::play(scenario, seed, Box::new(tell)), None),
    };
    outcome.real_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let (Some(path), Some(trace)) = (&run.report, trace) {
        match page::write(path, &outcome, &trace) {
            Ok(()) => eprintln!("the page is at {}", path.display()),
            Err(error) => eprintln!("error: the page could not be written to {}: {error}", path.display()),
        }
    }
    outcome
}

fn print_json(outcomes: &[Outcome]) {
    let ok = outcomes.iter().all(|outcome| outcome.exit_code() == EXIT_OK);
    let again: Vec<String> = outcomes.iter().map(Outcome::command).collect();
    let object = serde_json::json!({ "ok": ok, "runs": outcomes, "again": again });
    say(&format!("{object:#}"));
}
