//! What the exam found, as a page for people.

use std::fmt::Write as _;

use super::{Finding, SEEDS_MAX};

/// The page: what it is, and one line a mutation.
pub fn table(findings: &[Finding]) -> String {
    let mut text = format!(
        "# The simulator's own exam\n\n\
         Written by `cargo run --release -p groundswell-simulator --features exam --bin swell-exam -- --write`.\n\n\
         Each line is one rule of the core, broken on purpose, and the first seed whose story made a referee\n\
         speak. Seeds are played from 1 upwards; a mutation that {SEEDS_MAX} seeds do not find fails the exam, and\n\
         so does one that another property finds than one of those that must.\n\n\
         | mutation | what breaks | found by | must be one of | seeds | machines | faults and steps |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for finding in findings {
        let mutation = finding.mutation;
        let (by, seeds, nodes, steps) = match &finding.found {
            Some(found) => (
                found.breach.as_ref().map_or("panic".to_owned(), |breach| format!("{:?}", breach.property)),
                found.seed.to_string(),
                found.nodes.to_string(),
                found.steps.to_string(),
            ),
            None => ("**nothing**".to_owned(), format!("> {SEEDS_MAX}"), "".to_owned(), "".to_owned()),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {by} | {} | {seeds} | {nodes} | {steps} |",
            mutation.name(),
            mutation.breaks(),
            mutation.caught_by().join(" ")
        );
    }
    text
}
