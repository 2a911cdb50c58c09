//! Events and states as people read them: the same words in logs, on the console and in tools.

use groundswell_protocol::facts::health::{Health, HealthNumbers};
use groundswell_protocol::facts::{Failure, RolloutId, SkipReason, StopReason, VoteState};
use groundswell_protocol::node::Event;
use groundswell_protocol::node::event::{Blame, Hold, Stage};
use groundswell_protocol::trust::command::Instruction;

/// What a vote says of its node.
pub fn vote_words(state: VoteState) -> &'static str {
    match state {
        VoteState::Staged => "staged",
        VoteState::Skip(SkipReason::NoComponent) => "skips: does not have the component",
        VoteState::Skip(SkipReason::NoSpace) => "skips: has no room",
        VoteState::Skip(SkipReason::Newer) => "skips: runs a newer release",
        VoteState::Trying => "trying",
        VoteState::Healthy => "healthy",
        VoteState::Failed(Failure::Unknown) => "failed",
        VoteState::Failed(Failure::Doubt) => "failed, and so does the old version",
        VoteState::Failed(Failure::Recovered) => "failed, and the old version is healthy",
    }
}

/// What stands between a rollout and its next step.
pub fn hold_words(hold: Hold) -> &'static str {
    match hold {
        Hold::None => "nothing holds it",
        Hold::WaitingForHealth => "waits for open nodes to prove healthy",
        Hold::TooFewJurors => "held: too few jurors can be heard",
        Hold::Failures => "held: too many open nodes failed",
        Hold::Paused => "paused by an operator",
        Hold::Superseded => "held: a later release is here",
        Hold::Bound => "held: this juror opened another release of the same sequence",
        Hold::Conflict => "stopped: two signed releases have the same sequence",
        Hold::SignersRevoked => "held: the newest policy no longer accepts its signers",
        Hold::CensusOutdated => "held: its census is outdated",
        Hold::Expired => "held: it has expired",
        Hold::SequenceTooFar => "held: its sequence is too far ahead",
        Hold::RequirementNotDone => "held: something that it requires is not done",
        Hold::WaitingForLeader => "waits for the leader to propose",
        Hold::Ended => "ended",
    }
}

/// How far a node has come.
pub fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::NotMine => "not for this node",
        Stage::Known => "known",
        Stage::Fetching => "fetching",
        Stage::Staging => "staging",
        Stage::Staged => "staged, waits for its turn",
        Stage::Freshening => "open, waits for fresh news",
        Stage::Announcing => "announcing the switch",
        Stage::Activating => "switching",
        Stage::Trial => "on trial",
        Stage::Healthy => "healthy",
        Stage::Reverting => "going back",
        Stage::Reprobing => "back on the old version, probing it",
        Stage::Failed => "failed",
        Stage::Reverted => "reverted",
        Stage::Confirmed => "confirmed",
        Stage::Skipped => "takes no part",
        Stage::Stuck => "stuck: unhealthy, with nothing to go back to",
    }
}

/// Why a juror stops a rollout.
pub fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Expired => "it stood still for too long",
        StopReason::Evidence => "enough nodes failed",
    }
}

/// What an operator ordered.
pub fn instruction_words(instruction: Instruction) -> String {
    match instruction {
        Instruction::Flow { pause: true, .. } => "pause".to_owned(),
        Instruction::Flow { pause: false, .. } => "resume".to_owned(),
        Instruction::Promote(open) => format!("promote to {open} nodes"),
        Instruction::Stop => "abort".to_owned(),
    }
}

/// Whose fault something is.
pub fn blame_words(blame: Blame) -> &'static str {
    match blame {
        Blame::Peer => "the peer",
        Blame::Signer => "its signer",
        Blame::Nobody => "nobody",
        Blame::Disk => "this machine's disk",
    }
}

/// The numbers behind a vote, in short; empty before the first try.
pub fn numbers_words(numbers: &HealthNumbers) -> String {
    let HealthNumbers { passed, failed, restarts, slowest_micros, .. } = *numbers;
    if passed == 0 && failed == 0 && restarts == 0 {
        return String::new();
    }
    let mut words = format!("{passed} passed, {failed} failed");
    if restarts > 0 {
        words.push_str(&format!(", {restarts} restarts"));
    }
    if slowest_micros > 0 {
        words.push_str(&format!(", slowest {}", micros_words(slowest_micros)));
    }
    words
}

fn micros_words(micros: u32) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

/// A verdict of probes, in words.
pub fn health_words(health: Health) -> &'static str {
    match health {
        Health::Unknown => "not judged yet",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

/// The rollout that an event is about.
pub fn rollout_of(event: &Event) -> Option<RolloutId> {
    match event {
        Event::Rollout { rollout, .. }
        | Event::Vote { rollout, .. }
        | Event::Opened { rollout, .. }
        | Event::Term { rollout, .. }
        | Event::Proposed { rollout, .. }
        | Event::StopBallot { rollout, .. }
        | Event::Stopped { rollout, .. }
        | Event::Done { rollout }
        | Event::Commanded { rollout, .. }
        | Event::Holding { rollout, .. }
        | Event::Stage { rollout, .. }
        | Event::Trouble { rollout, .. } => Some(*rollout),
        Event::Recovered { .. }
        | Event::Refused { .. }
        | Event::Policy { .. }
        | Event::Census { .. }
        | Event::Conflict { .. }
        | Event::Cloned
        | Event::Switched { .. }
        | Event::Health { .. }
        | Event::PersistFailed
        | Event::FreezeSuspected { .. }
        | Event::Synced { .. } => None,
    }
}

/// An event as one full sentence, without the name of its rollout, which stands beside it.
pub fn sentence(event: &Event) -> String {
    match event {
        Event::Recovered { boot } => format!("Recovered: this node signs again (start {boot})."),
        Event::Refused { from, why } => {
            let from = from.map_or("this machine".to_owned(), |from| from.short());
            format!("Refused something from {from}: {}; at fault: {}.", why.words(), blame_words(why.blame()))
        }
        Event::Policy { version } => format!("Policy {version} holds now."),
        Event::Census { version, members } => {
            format!("Census {version} holds now: {members} members.")
        }
        Event::Conflict { what } => format!("Conflict: {what}."),
        Event::Cloned => {
            "Another machine uses this node's key: it signs nothing more until one of them has a new key."
                .to_owned()
        }
        Event::Rollout { component, version, order, members, .. } => {
            let sequence = order.sequence;
            format!("Accepted release {component} {version} (sequence {sequence}) for {members} nodes.")
        }
        Event::Vote { node, state, attempt, numbers, note, .. } => {
            vote_sentence(&node.short(), *state, *attempt, numbers, note)
        }
        Event::Opened { from, to, .. } => format!("Opened {to} nodes; {from} were open."),
        Event::Term { term, leader, .. } => format!("Term {term}: {} leads.", leader.short()),
        Event::Proposed { term, open, .. } => format!("Proposed to open {open} nodes, in term {term}."),
        Event::StopBallot { reason, .. } => {
            format!("This juror says stop: {}.", stop_words(*reason))
        }
        Event::Stopped { why, .. } => format!("Stopped: {why}."),
        Event::Done { .. } => "Done: the release is complete on the fleet.".to_owned(),
        Event::Commanded { instruction, note, .. } => {
            format!("An operator ordered: {}{}.", instruction_words(*instruction), aside(note))
        }
        Event::Holding { hold, .. } => format!("Holding: {}.", hold_words(*hold)),
        Event::Stage { from, to, note, .. } => {
            format!("This node: {} (before: {}){}.", stage_words(*to), stage_words(*from), aside(note))
        }
        Event::Switched { component, tree, revert } => {
            let how = if *revert { "Reverted" } else { "Switched" };
            format!("{how} {component}: tree {} is active.", tree.short())
        }
        Event::Health { component, report } => {
            format!("{component} is {}{}.", health_words(report.health), aside(&report.note))
        }
        Event::Trouble { what, .. } => format!("Trouble: {what}; it is tried again."),
        Event::PersistFailed => {
            "The disk refused a write: nothing that depends on it was sent, and it is tried again.".to_owned()
        }
        Event::FreezeSuspected { heard, needed } => format!(
            "No fresh news from enough electors ({heard} of {needed}): perhaps this node is kept from them."
        ),
        Event::Synced { with, learned } => format!("Synced with {}: {learned} new facts.", with.short()),
    }
}

fn vote_sentence(node: &str, state: VoteState, attempt: u8, numbers: &HealthNumbers, note: &str) -> String {
    let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
    let numbers = numbers_words(numbers);
    let numbers = if numbers.is_empty() { String::new() } else { format!(" ({numbers})") };
    format!("Node {node} votes: {}{again}{numbers}{}.", vote_words(state), aside(note))
}

fn aside(note: &str) -> String {
    let note = note.trim_end_matches('.');
    if note.is_empty() { String::new() } else { format!(": {note}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::digest::Digest;
    use groundswell_protocol::identity::PublicKey;

    #[test]
    fn a_vote_is_a_sentence_with_its_numbers_and_its_reason() {
        let event = Event::Vote {
            rollout: RolloutId(Digest([1; 32])),
            node: PublicKey([0xab; 32]),
            state: VoteState::Failed(Failure::Recovered),
            attempt: 2,
            numbers: HealthNumbers { passed: 3, failed: 4, slowest_micros: 1_250, ..Default::default() },
            note: "GET /health answered 500 three times.".into(),
        };
        assert_eq!(
            sentence(&event),
            "Node abababab votes: failed, and the old version is healthy, attempt 2 \
             (3 passed, 4 failed, slowest 1.2 ms): GET /health answered 500 three times."
        );
    }
}
