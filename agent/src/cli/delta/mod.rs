//! `swell delta`: deltas between files and directories, without any fleet.

mod apply;
mod bench;
mod diff;
mod inspect;
mod picture;

use clap::Subcommand;

use super::failure::Failure;
use super::screen::{Answer, Screen};

/// Makes, follows, explains and measures deltas between files or directories
#[derive(Subcommand, Debug)]
pub(super) enum DeltaVerb {
    Diff(diff::DiffArgs),
    Apply(apply::ApplyArgs),
    Inspect(inspect::InspectArgs),
    Bench(bench::BenchArgs),
}

pub(super) fn run(verb: DeltaVerb, screen: Screen) -> Result<Answer, Failure> {
    match verb {
        DeltaVerb::Diff(args) => diff::run(&args, screen),
        DeltaVerb::Apply(args) => apply::run(&args, screen),
        DeltaVerb::Inspect(args) => inspect::run(&args, screen),
        DeltaVerb::Bench(args) => bench::run(&args, screen),
    }
}
