//! `swell release`: from files to a signed release in the fleet's hands.

mod build;
mod plan;
mod publish;
mod review;
mod show;
mod sign;

use clap::Subcommand;

use super::failure::Failure;
use super::screen::{Answer, Screen};

/// Builds, shows, signs and publishes releases
#[derive(Subcommand, Debug)]
pub(super) enum ReleaseVerb {
    Build(Box<build::BuildArgs>),
    Show(show::ShowArgs),
    Sign(sign::SignArgs),
    Publish(publish::PublishArgs),
    Plan(plan::PlanArgs),
}

pub(super) fn run(verb: ReleaseVerb, screen: Screen) -> Result<Answer, Failure> {
    match verb {
        ReleaseVerb::Build(args) => build::run(&args, screen),
        ReleaseVerb::Show(args) => show::run(&args, screen),
        ReleaseVerb::Sign(args) => sign::run(&args, screen),
        ReleaseVerb::Publish(args) => publish::run(&args, screen),
        ReleaseVerb::Plan(args) => plan::run(&args),
    }
}
