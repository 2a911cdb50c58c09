//! `swell rollout`: where releases stand, why, and an operator's word on them.

mod command;
mod explain;
mod find;
mod list;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use super::screen::{Answer, Screen};

/// Shows and steers rollouts
#[derive(Subcommand, Debug)]
pub(super) enum RolloutVerb {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Explain(explain::ExplainArgs),
    Pause(command::PauseArgs),
    Resume(command::ResumeArgs),
    Promote(command::PromoteArgs),
    Abort(command::AbortArgs),
}

pub(super) fn run(verb: RolloutVerb, screen: Screen) -> Result<Answer, Failure> {
    match verb {
        RolloutVerb::List(args) => list::run(&args, screen),
        RolloutVerb::Show(args) => show::run(&args, screen),
        RolloutVerb::Explain(args) => explain::run(&args),
        RolloutVerb::Pause(args) => command::pause(&args, screen),
        RolloutVerb::Resume(args) => command::resume(&args, screen),
        RolloutVerb::Promote(args) => command::promote(&args, screen),
        RolloutVerb::Abort(args) => command::abort(&args, screen),
    }
}
