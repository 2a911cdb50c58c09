//! Inputs and effects in a few words, for people.

use super::effects::Effect;
use crate::digest::Digest;
use crate::facts::{Fact, SignedFact, Statement};
use crate::node::input::Via;
use crate::node::{Input, Trouble, Work};
use crate::wire::frame::Frame;

/// An input in a few words.
pub fn input_words(input: &Input<'_>) -> String {
    match input {
        Input::Wake => "wakes".to_owned(),
        Input::WallClock(seconds) => format!("reads the wall clock: {seconds}"),
        Input::Received { from, via, frame } => {
            let via = match via {
                Via::Gossip => "hears from",
                Via::Direct => "is sent by",
            };
            format!("{via} {}: {}", from.short(), frame_words(frame))
        }
        Input::LinkUp(node) => format!("is linked with {}", node.short()),
        Input::LinkDown(node) => format!("has lost its link with {}", node.short()),
        Input::Addresses(addresses) => format!("can be reached at {}", addresses.join(", ")),
        Input::Persisted(id) => format!("has written up to {id}"),
        Input::PersistFailed(id) => format!("could not write {id} and what followed"),
        Input::Stored { rollout, outcome } => {
            format!("has fetched for {}: {}", rollout.0.short(), outcome_words(outcome))
        }
        Input::Staged { rollout, outcome } => {
            format!("has staged {}: {}", rollout.0.short(), outcome_words(outcome))
        }
        Input::Activated { component, tree, outcome } => {
            format!("has switched {component} to {}: {}", tree_words(tree.as_ref()), outcome_words(outcome))
        }
        Input::Probed { component, tree, report } => {
            let note = &report.note;
            format!("probed {component} at {}: {:?} {note}", tree.short(), report.health)
        }
        Input::Submitted(signed) => format!("is handed {}", fact_words(signed)),
    }
}

/// An effect in a few words, those that tell any two apart.
pub fn effect_words(effect: &Effect) -> String {
    match effect {
        Effect::Send { to, frame } => format!("sends {} {}", to.short(), frame_words(frame)),
        Effect::Broadcast(frame) => format!("gossips {}", frame_words(frame)),
        Effect::Persist { id, record } => {
            let bytes = record.encode();
            format!("writes {id}: {} bytes ({})", bytes.len(), Digest::of(&bytes).short())
        }
        Effect::Forget(key) => format!("forgets the record {}", key.escape_ascii()),
        Effect::Fetch { work, holders } => {
            format!("fetches {} from {} holders", work_words(work), holders.len())
        }
        Effect::Stage(work) => format!("stages {}", work_words(work)),
        Effect::Cancel(rollout) => format!("gives up {}", rollout.0.short()),
        Effect::Activate { component, tree } => format!("switches {component} to {}", tree.short()),
        Effect::Revert { component, tree } => {
            format!("switches {component} back to {}", tree_words(tree.as_ref()))
        }
        Effect::Confirm { component, tree, keep } => {
            format!("confirms {component} at {}, keeping {} others", tree.short(), keep.len())
        }
        Effect::Probe { component, tree, probes } => {
            format!("probes {component} at {} in {} ways", tree.short(), probes.len())
        }
        Effect::Admit(members) => format!("admits {} members", members.len()),
        Effect::Learn { node, addresses } => {
            format!("learns that {} is at {}", node.short(), addresses.join(", "))
        }
        Effect::Report(event) => format!("reports {event:?}"),
    }
}

fn work_words(work: &Work) -> String {
    format!("{} for {}", work.tree.short(), work.rollout.0.short())
}

fn tree_words(tree: Option<&Digest>) -> String {
    tree.map_or("nothing".to_owned(), Digest::short)
}

fn outcome_words(outcome: &Result<(), Trouble>) -> &str {
    outcome.as_ref().map_or_else(Trouble::words, |()| "done")
}

fn frame_words(bytes: &[u8]) -> String {
    let what = match Frame::decode(bytes) {
        Ok(Frame::Gossip(signed)) => fact_words(&signed),
        Ok(Frame::Digest { equal: true, .. }) => "an equal digest".to_owned(),
        Ok(Frame::Digest { digest, .. }) => format!("the digest {}", digest.short()),
        Ok(Frame::Summary { entries, .. }) => format!("a summary of {}", entries.len()),
        Ok(Frame::Missed { ranks, seats, .. }) => {
            format!("a question for news of {} jurors and {} members", seats.count_ones(), ranks.len())
        }
        Ok(Frame::Want { keys }) => format!("a wish for {} facts", keys.len()),
        Ok(Frame::Facts { facts, .. }) => format!("{} facts", facts.len()),
        Ok(Frame::Seen { entries }) => format!("word of having seen {}", entries.len()),
        Err(error) => error.to_string(),
    };
    format!("{what}, {} bytes ({})", bytes.len(), Digest::of(bytes).short())
}

fn fact_words(signed: &SignedFact) -> String {
    let Ok((_, statement)) = Fact::read_body(&signed.body, None) else { return "no fact".to_owned() };
    match statement {
        Statement::Policy(policy) => format!("policy {}", policy.version),
        Statement::Census(census) => format!("census {}", census.version),
        Statement::Manifest(manifest) => {
            format!("the manifest of {} {}", manifest.component, manifest.version)
        }
        Statement::Vote(vote) => {
            format!("the vote of {}: {:?} on {}", vote.node.short(), vote.state, vote.rollout.0.short())
        }
        Statement::Ballot(ballot) => {
            format!(
                "the ballot of {}: {:?} on {}",
                ballot.juror.short(),
                ballot.say,
                ballot.rollout.0.short()
            )
        }
        Statement::Propose(propose) => {
            format!("the proposal of {}: open {}", propose.leader.short(), propose.open)
        }
        Statement::Command(command) => {
            format!("the command {:?} on {}", command.instruction, command.rollout.0.short())
        }
        Statement::Beacon(beacon) => format!("the beacon of {}", beacon.node.short()),
    }
}
