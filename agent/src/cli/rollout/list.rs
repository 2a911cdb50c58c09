//! `swell rollout list`: all rollouts that the agent keeps, and how earlier ones ended.

use std::fmt::Write;

use clap::Args;
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::status::{EndedStatus, RolloutStatus};
use serde::Serialize;

use crate::cli::daemon::SocketArgs;
use crate::cli::failure::Failure;
use crate::cli::screen::{Answer, Screen};
use crate::cli::status::rollout_line;

/// Lists rollouts, the oldest first
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell rollout list
  swell rollout list --json")]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Serialize)]
struct Listed<'a> {
    rollouts: &'a [RolloutStatus],
    ended: &'a [EndedStatus],
}

pub(super) fn run(args: &ListArgs, screen: Screen) -> Result<Answer, Failure> {
    let status = args.socket.daemon()?.status()?.node;
    let mut text = String::new();
    for ended in &status.ended {
        let how = match ended.ending {
            Ending::Done => "done",
            Ending::Stopped => "stopped",
            Ending::Superseded => "superseded",
        };
        let line = format!(
            "{}  {} sequence {}  {how}, put away",
            ended.rollout.0.short(),
            ended.component,
            ended.order.sequence
        );
        let _ = writeln!(text, "{}", screen.faint(&line));
    }
    for rollout in &status.rollouts {
        let _ = writeln!(text, "{}", rollout_line(rollout, screen));
    }
    if text.is_empty() {
        text.push_str("no rollouts yet\n");
    }
    Ok(Answer::new(text, &Listed { rollouts: &status.rollouts, ended: &status.ended }))
}
