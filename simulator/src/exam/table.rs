//! What the exam found, as a page for people.

use std::fmt::Write as _;

use super::{Finding, SEEDS_MAX};

/// The page: what it is, and one line a mutation.
pub fn table(findings: &[Finding]) -> String {
    let mut text = format!(
        "# The simulator's own exam\n\n\
         Written by `cargo run --release -p groundswell-simulator --features exam --bin swell-exam -- --write`.\n\n\
         Each line is one rule of the core, broken on purpose. Seeds are played from 1 upwards until a property\n\
         speaks that must catch it; {SEEDS_MAX} seeds that do not find it fail the exam. The first sign is the first\n\
         seed at which any property spoke.\n\n\
         | mutation | what breaks | must be caught by | caught by | seeds | first sign | nodes | steps |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for finding in findings {
        let mutation = finding.mutation;
        let (by, seeds, nodes, steps) = match &finding.found {
            Some(found) => (
                format!("{:?}", found.breach.property),
                found.seed.to_string(),
                found.nodes.to_string(),
                found.steps.to_string(),
            ),
            None => ("**nothing**".to_owned(), format!("> {SEEDS_MAX}"), String::new(), String::new()),
        };
        let first = finding.first_sign.map_or(String::new(), |seed| seed.to_string());
        let _ = writeln!(
            text,
            "| {} | {} | {} | {by} | {seeds} | {first} | {nodes} | {steps} |",
            mutation.name(),
            mutation.breaks(),
            mutation.caught_by().join(" ")
        );
    }
    text
}
