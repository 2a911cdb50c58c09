//! `swell rollout explain`: why a rollout is where it is on this node.

use clap::Args;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::event::Hold;
use groundswell_protocol::node::record::Ending;
use serde::Serialize;

use super::find::Which;
use crate::cli::explain::{explain, missing_lines};
use crate::cli::failure::Failure;
use crate::cli::screen::Answer;

/// Says why a rollout is where it is on this node
#[derive(Args, Debug)]
#[command(after_help = "Exits with 1 if the rollout was stopped.

EXAMPLES:
  swell rollout explain
  swell rollout explain web --socket data/agent.sock")]
pub(in crate::cli) struct ExplainArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Explained {
    rollout: RolloutId,
    hold: Hold,
    explanation: String,
}

pub(super) fn run(args: &ExplainArgs) -> Result<Answer, Failure> {
    let agent = args.which.socket.daemon()?.status()?;
    let (status, transfers) = (agent.node, agent.transfers);
    let rollout = args.which.find(&status)?;
    let mut explanation = explain(&status, rollout);
    let of_rollout = transfers.iter().filter(|transfer| transfer.rollout == rollout.rollout);
    for line in of_rollout.flat_map(missing_lines) {
        explanation.push_str(&format!("\nThis node cannot fetch it: {line}."));
    }
    let text = format!("{explanation}\n");
    let explained = Explained { rollout: rollout.rollout, hold: rollout.hold, explanation };
    Ok(Answer::new(text, &explained).judged(rollout.ending != Some(Ending::Stopped)))
}
