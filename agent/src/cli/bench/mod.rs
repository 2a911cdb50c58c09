//! `swell bench`: how well bytes travel.

mod caps;
mod courtesy;
mod ground;
mod transfer;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::failure::{Code, Failure};
use super::screen::Screen;

/// Measures ourselves beside others
#[derive(Subcommand, Debug)]
pub(super) enum BenchVerb {
    Transfer(transfer::TransferArgs),
    Caps(caps::CapsArgs),
    Courtesy(courtesy::CourtesyArgs),
    #[command(hide = true)]
    Node(NodeArgs),
}

/// One node of a bench (started by the bench)
#[derive(Args, Debug)]
pub(super) struct NodeArgs {
    /// What to be.
    task: String,
}

pub(super) fn run(verb: BenchVerb, screen: Screen) -> Result<ExitCode, Failure> {
    match verb {
        BenchVerb::Transfer(args) => screen.print(&transfer::run(&args, screen)?),
        BenchVerb::Caps(args) => screen.print(&caps::run(&args, screen)?),
        BenchVerb::Courtesy(args) => screen.print(&courtesy::run(&args, screen)?),
        BenchVerb::Node(args) => node(&args),
    }
}

fn node(args: &NodeArgs) -> Result<ExitCode, Failure> {
    match super::run::runtime("run a node of a bench")?.block_on(crate::bench::run_node(&args.task)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) => {
            println!("failed: {why}");
            Ok(ExitCode::from(Code::Local as u8))
        }
    }
}
