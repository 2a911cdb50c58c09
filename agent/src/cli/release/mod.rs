//! `swell release`: from files to a signed release in the fleet's hands.

mod build;
mod plan;
mod publish;
mod review;
mod show;
mod sign;

use clap::Subcommand;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::Status;
use groundswell_protocol::trust::manifest::ReleaseOrder;
use groundswell_protocol::trust::names::ComponentName;

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

/// The releases of a component that an agent has heard of, those that ended long ago too.
fn known_releases(
    node: &Status,
    component: &ComponentName,
) -> impl Iterator<Item = (ReleaseOrder, RolloutId)> {
    let kept = node.rollouts.iter().map(|kept| (&kept.component, kept.order, kept.rollout));
    let ended = node.ended.iter().map(|ended| (&ended.component, ended.order, ended.rollout));
    let of_component = kept.chain(ended).filter(move |(of, ..)| *of == component);
    of_component.map(|(_, order, rollout)| (order, rollout))
}
