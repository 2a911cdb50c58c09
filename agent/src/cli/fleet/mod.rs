//! `swell fleet`: who belongs to the fleet, and who may sign what.

mod arguments;
mod enrol;
mod handover;
mod init;
mod retire;
mod rotate;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use super::screen::{Answer, Screen};

/// Makes and changes the fleet's keys, policy and census
#[derive(Subcommand, Debug)]
pub(super) enum FleetVerb {
    Init(init::InitArgs),
    Enrol(enrol::EnrolArgs),
    Retire(retire::RetireArgs),
    Rotate(rotate::RotateArgs),
    Show(show::ShowArgs),
}

pub(super) fn run(verb: FleetVerb, screen: Screen) -> Result<Answer, Failure> {
    match verb {
        FleetVerb::Init(args) => init::run(&args, screen),
        FleetVerb::Enrol(args) => enrol::run(&args),
        FleetVerb::Retire(args) => retire::run(&args),
        FleetVerb::Rotate(args) => rotate::run(&args),
        FleetVerb::Show(args) => show::run(&args, screen),
    }
}
