//! `swell rollout show`: everything that the agent knows of one rollout.

use std::fmt::Write;

use clap::Args;
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::status::RolloutStatus;

use super::find::Which;
use crate::cli::failure::Failure;
use crate::cli::screen::{Answer, Screen, table};
use crate::cli::status::rollout_line;
use crate::cli::words::{bytes, seconds};
use crate::telemetry::words::{numbers_words, stage_words, stop_words, vote_words};

/// Shows one rollout: waves, votes with their numbers, jurors
#[derive(Args, Debug)]
#[command(after_help = "Exits with 1 if the rollout was stopped.

EXAMPLES:
  swell rollout show
  swell rollout show web
  swell rollout show 3f2a91 --json")]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(args: &ShowArgs, screen: Screen) -> Result<Answer, Failure> {
    let status = args.which.socket.daemon()?.status()?.node;
    let rollout = args.which.find(&status)?;
    Ok(Answer::new(words(rollout, screen), rollout).judged(rollout.ending != Some(Ending::Stopped)))
}

fn words(rollout: &RolloutStatus, screen: Screen) -> String {
    let mut text = format!("{}\n", rollout_line(rollout, screen));
    let _ = writeln!(text, "rollout  {}", rollout.rollout);
    if !rollout.note.is_empty() {
        let _ = writeln!(text, "note     {}", rollout.note);
    }
    let targets: Vec<String> = rollout.targets.iter().map(u32::to_string).collect();
    let _ = writeln!(
        text,
        "plan     {}; waves open {}; trial {}, bake {}",
        bytes(rollout.bytes),
        targets.join(", "),
        seconds(rollout.plan.trial_s),
        seconds(rollout.plan.bake_s)
    );
    let rank = rollout.my_rank.map_or_else(|| "no rank".to_owned(), |rank| format!("rank {rank}"));
    let _ = writeln!(text, "here     {rank}: {}", stage_words(rollout.my_stage));
    let proposed = rollout.proposed.map_or_else(|| "nothing yet".to_owned(), |open| open.to_string());
    let _ = writeln!(
        text,
        "leader   {} in term {}, proposes {proposed}; this juror allows {}",
        rollout.leader.short(),
        rollout.term,
        rollout.allowed
    );
    text.push('\n');
    text.push_str(&votes(rollout, screen));
    text.push('\n');
    text.push_str(&ballots(rollout, screen));
    text
}

fn votes(rollout: &RolloutStatus, screen: Screen) -> String {
    let rows: Vec<[String; 5]> = rollout
        .votes
        .iter()
        .map(|vote| {
            let open = if vote.rank < rollout.open { "open" } else { "" };
            let state = vote.state.map_or("-", vote_words);
            let numbers = numbers_words(&vote.numbers);
            let why = [numbers, vote.note.clone()].into_iter().filter(|part| !part.is_empty());
            [
                vote.rank.to_string(),
                vote.node.short(),
                open.to_owned(),
                state.to_owned(),
                why.collect::<Vec<_>>().join("; "),
            ]
        })
        .collect();
    table(screen, ["RANK", "NODE", "", "VOTE", "WHY"], &rows)
}

fn ballots(rollout: &RolloutStatus, screen: Screen) -> String {
    let rows: Vec<[String; 5]> = rollout
        .ballots
        .iter()
        .map(|ballot| {
            [
                ballot.juror.short(),
                if ballot.fresh { "fresh" } else { "silent" }.to_owned(),
                ballot.term.to_string(),
                ballot.open.to_string(),
                ballot.stop.map_or_else(|| "-".to_owned(), |reason| stop_words(reason).to_owned()),
            ]
        })
        .collect();
    table(screen, ["JUROR", "HEARD", "TERM", "OPENS", "STOP"], &rows)
}
