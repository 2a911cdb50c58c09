//! `swell release plan`: a plan to begin with, or whether one is right.

use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::trust::plan::Plan;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::screen::Answer;
use crate::release::plan_file::{DEFAULT_PLAN, read};

/// Prints the default plan with every field explained, or checks one
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell release plan > plan.toml
  swell release plan --check plan.toml --members 40")]
pub(in crate::cli) struct PlanArgs {
    /// Check this plan instead
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Show the waves for so many nodes
    #[arg(long, value_name = "N", requires = "check", value_parser = clap::value_parser!(u32).range(1..))]
    members: Option<u32>,
}

#[derive(Serialize)]
struct PlanAnswer {
    plan: Plan,
    targets: Option<Vec<u32>>,
}

pub(super) fn run(args: &PlanArgs) -> Result<Answer, Failure> {
    let Some(path) = &args.check else {
        return Ok(Answer::new(
            DEFAULT_PLAN.to_owned(),
            &PlanAnswer { plan: Plan::default(), targets: None },
        ));
    };
    let plan = read(path)?;
    let targets = args.members.map(|members| plan.targets(members));
    let mut text = format!("{} is a sound plan\n", path.display());
    if let Some(targets) = &targets {
        let sizes: Vec<String> = targets.iter().map(u32::to_string).collect();
        text.push_str(&format!("nodes open after each wave: {}\n", sizes.join(", ")));
    }
    Ok(Answer::new(text, &PlanAnswer { plan, targets }))
}
