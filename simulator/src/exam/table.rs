//! What the exam found, as a page for people.

use std::fmt::Write as _;

use super::{Finding, SEEDS_MAX, faults};
use crate::scenario::Scenario;

/// The page: what it is, and one line a mutation.
pub fn table(findings: &[Finding]) -> String {
    let mut text = format!(
        "# The simulator's own exam\n\n\
         Written by `cargo run --release -p groundswell-simulator --features exam --bin swell-exam -- --write --shrink 60`.\n\n\
         Each line is one rule of the core, broken on purpose. Seeds are played from 1 upwards until a property\n\
         speaks that must catch it; {SEEDS_MAX} seeds that do not find it fail the exam. The first sign is the first\n\
         seed at which any property spoke.\n\n\
         Nodes and faults are those of the story, and of the smallest story that `swell-sim shrink` makes of it.\n\n\
         | mutation | what breaks | must be caught by | caught by | seeds | first sign | nodes | faults |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for finding in findings {
        let mutation = finding.mutation;
        let (by, seeds) = match &finding.found {
            Some(found) => (format!("{:?}", found.breach.property), found.seed.to_string()),
            None => ("**nothing**".to_owned(), format!("> {SEEDS_MAX}")),
        };
        let first = finding.first_sign.map_or(String::new(), |seed| seed.to_string());
        let smallest = finding.smallest.iter().map(|smallest| &smallest.story);
        let stories = || finding.found.iter().map(|found| &found.story).chain(smallest.clone());
        let numbers = |of: fn(&Scenario) -> usize| {
            stories().map(|story| of(story).to_string()).collect::<Vec<_>>().join(" → ")
        };
        let nodes = numbers(|story| usize::try_from(story.nodes).unwrap_or(usize::MAX));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {by} | {seeds} | {first} | {nodes} | {} |",
            mutation.name(),
            mutation.breaks(),
            mutation.caught_by().join(" "),
            numbers(faults)
        );
    }
    text
}
