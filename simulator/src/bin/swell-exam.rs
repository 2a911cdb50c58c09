//! `swell-exam`: breaks the core on purpose and sees whether the simulator notices.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use groundswell_protocol::mutations::Mutation;
use groundswell_simulator::exam::survey::{survey, unreached};
use groundswell_simulator::exam::{Finding, SEEDS_MAX, Thoroughness, faults, sit, stories, table};
use groundswell_simulator::world::World;

/// Where the table is kept.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/EXAM.md");

#[derive(Parser)]
#[command(name = "swell-exam", about = "Breaks the core on purpose and sees whether the simulator notices")]
struct Cli {
    /// Only these mutations.
    #[arg(long)]
    only: Vec<String>,
    /// Seeds until a mutation counts as not found.
    #[arg(long, default_value_t = SEEDS_MAX)]
    seeds: u64,
    /// Plays the stories of these seeds on the honest core instead, and tells each.
    #[arg(long, num_args = 1..)]
    honest: Vec<u64>,
    /// Says instead which marks the stories of so many seeds reach, and where first.
    #[arg(long)]
    marks: Option<u64>,
    /// Shrinks each story that shows a mutation, for so many seconds.
    #[arg(long)]
    shrink: Option<u64>,
    /// Machines of each story, from so many to so many.
    #[arg(long, num_args = 2, default_values_t = [stories::SIZES.0, stories::SIZES.1])]
    nodes: Vec<u32>,
    /// Writes the table to the simulator's `EXAM.md`.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if !cli.honest.is_empty() {
        return tell_honest(&cli.honest);
    }
    if let Some(seeds) = cli.marks {
        return tell_marks(seeds);
    }
    let wanted = |m: &&Mutation| cli.only.is_empty() || cli.only.iter().any(|name| name == m.name());
    let mutations: Vec<Mutation> = Mutation::ALL.iter().filter(wanted).copied().collect();
    let nodes = (cli.nodes[0].max(1), cli.nodes[1].max(cli.nodes[0]));
    let how = Thoroughness { seeds: cli.seeds, shrink: cli.shrink.map(Duration::from_secs), nodes };
    let findings = sit(&mutations, how, &mut tell);
    println!("{}", table(&findings));
    if cli.write
        && let Err(error) = std::fs::write(PAGE, table(&findings))
    {
        eprintln!("error: {PAGE} cannot be written: {error}");
        return ExitCode::from(2);
    }
    if findings.iter().all(|finding| finding.found.is_some()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_marks(seeds: u64) -> ExitCode {
    let reached = survey(1..=seeds);
    for (mark, (story, seed)) in &reached {
        println!("{:<24} {story} {seed}", mark.name());
    }
    let missing = unreached(&reached);
    missing.iter().for_each(|mark| println!("not reached: {mark}"));
    if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_honest(seeds: &[u64]) -> ExitCode {
    let tell = |line: &str| println!("{line}");
    let outcomes = seeds.iter().map(|seed| World::play(stories::story(*seed), *seed, Box::new(tell)));
    let mut breached = 0;
    for outcome in outcomes {
        println!("{}", outcome.summary());
        breached += usize::from(!outcome.violations.is_empty());
    }
    if breached == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(finding: &Finding) {
    let name = finding.mutation.name();
    match &finding.found {
        Some(found) => {
            eprintln!("{name}: seed {}: {:?}: {}", found.seed, found.breach.property, found.breach.what);
            if let Some(small) = &finding.smallest {
                let (nodes, from) = (small.story.nodes, found.story.nodes);
                let (left, faults) = (faults(&small.story), faults(&found.story));
                let after = small.after.as_secs();
                eprintln!(
                    "  {from} machines, {faults} faults; after {after} s: {nodes} machines, {left} faults"
                );
            }
        }
        None => eprintln!("{name}: NOT FOUND (first sign: {:?})", finding.first_sign),
    }
}
