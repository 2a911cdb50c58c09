//! The command line: what can be asked of `swell`, one file a verb.
//!
//! A verb takes its parsed arguments and gives an `screen::Answer` or a [`Failure`]; this file alone
//! prints and ends the process. Deliberately absent: work. Verbs call the rooms that do it.

mod bench;
mod clock;
mod daemon;
mod delta;
pub mod explain;
pub mod failure;
mod fleet;
mod identity;
mod progress;
mod release;
mod rollout;
mod run;
#[cfg(test)]
mod sample;
mod screen;
mod status;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::service::SHIM_COMMAND;
pub use failure::{Code, Failure};
use screen::Screen;

const ABOUT: &str = "Server-less software updates for fleets.

Every machine runs an agent. A signed release spreads by gossip, its binary deltas travel from peer to \
peer, it goes live in canary waves, and the fleet itself decides, on evidence, to go on or to roll back.";

const AFTER_HELP: &str = "EXIT CODES:
  0  done
  1  the thing that was asked about is bad (a rollout that was stopped, a demo not as promised)
  2  the command line is wrong
  3  a file or signature is bad
  4  something named was not found
  5  the agent cannot be reached
  6  the fleet's rules refuse it
  7  the disk is full, or other local trouble

EXAMPLES:
  swell demo                                       watch a whole fleet on this machine
  swell fleet init --name shop                     make keys and the first policy
  swell release build --component web --release-version 1.2.0 --tree ./build
  swell rollout explain                            why is it where it is?
  swell delta diff app-1.0 app-1.1                 a delta between two files, without any fleet";

/// Everything that `swell` understands.
#[derive(Parser, Debug)]
#[command(name = "swell", version, about = ABOUT, after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    #[command(subcommand)]
    Fleet(fleet::FleetVerb),
    Identity(identity::IdentityArgs),
    Agent(run::AgentArgs),
    #[command(subcommand)]
    Release(release::ReleaseVerb),
    Status(status::StatusArgs),
    #[command(subcommand)]
    Rollout(rollout::RolloutVerb),
    #[command(subcommand)]
    Delta(delta::DeltaVerb),
    #[command(subcommand)]
    Bench(bench::BenchVerb),
    Console(run::ConsoleArgs),
    Demo(run::DemoArgs),
    #[command(hide = true)]
    ExecService(run::ExecServiceArgs),
    #[command(hide = true)]
    DemoService(run::DemoServiceArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Before anything is parsed: what follows are another program's words.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|verb| verb == SHIM_COMMAND) {
        return run::exec_service(words);
    }
    let cli = Cli::parse();
    let screen = Screen::new(cli.json);
    match run(cli.verb, screen) {
        Ok(code) => code,
        Err(failure) => {
            failure.print(cli.json);
            ExitCode::from(failure.code as u8)
        }
    }
}

fn run(verb: Verb, screen: Screen) -> Result<ExitCode, Failure> {
    let answer = match verb {
        Verb::Fleet(verb) => fleet::run(verb, screen)?,
        Verb::Identity(args) => identity::run(&args, screen)?,
        Verb::Release(verb) => release::run(verb, screen)?,
        Verb::Status(args) => status::run(&args, screen)?,
        Verb::Rollout(verb) => rollout::run(verb, screen)?,
        Verb::Delta(verb) => delta::run(verb, screen)?,
        Verb::Bench(verb) => return bench::run(verb, screen),
        Verb::Agent(args) => return run::agent(&args),
        Verb::Console(args) => return run::console(&args),
        Verb::Demo(args) => return run::demo(&args, screen.json),
        Verb::ExecService(args) => return Ok(run::exec_service(args.program)),
        Verb::DemoService(args) => return run::demo_service(&args),
    };
    screen.print(&answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_examples() {
        fn check(command: &clap::Command) {
            let verbs: Vec<_> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
            if verbs.is_empty() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("EXAMPLES:"), "{} has no examples", command.get_name());
                assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
            }
            verbs.into_iter().filter(|verb| verb.get_name() != "help").for_each(check);
        }
        check(&Cli::command());
    }
}
