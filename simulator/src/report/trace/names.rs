//! Names for people: machines by place, releases by version, and what facts and events say in words.

use std::collections::BTreeMap;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::Health;
use groundswell_protocol::facts::{Failure, RolloutId, Say, Statement, StopReason, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::Event;
use groundswell_protocol::trust::command::Instruction;

use super::faults::clipped;
use super::rollouts::hold_words;

/// Who is who.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// By place; sorted.
    pub(super) nodes: Vec<NodeId>,
    /// Releases by rollout, by their place.
    pub(super) releases: BTreeMap<RolloutId, usize>,
    /// Releases by tree, by their place.
    pub(super) trees: BTreeMap<Digest, usize>,
    /// Versions of the releases, by place.
    pub(super) versions: Vec<String>,
}

impl Names {
    pub(super) fn place(&self, node: NodeId) -> Option<u32> {
        self.nodes.binary_search(&node).ok().and_then(|place| u32::try_from(place).ok())
    }

    pub(super) fn machine(&self, node: NodeId) -> String {
        self.place(node).map_or_else(|| "a stranger".to_owned(), |place| format!("machine {place}"))
    }

    fn version(&self, rollout: RolloutId) -> &str {
        self.releases.get(&rollout).map_or("an unknown release", |place| &self.versions[*place])
    }

    fn tree(&self, tree: Digest) -> &str {
        self.trees.get(&tree).map_or("an unknown tree", |place| &self.versions[*place])
    }

    /// What a fact says.
    pub(super) fn statement(&self, statement: &Statement) -> String {
        match statement {
            Statement::Policy(policy) => format!("policy {}", policy.version),
            Statement::Census(census) => format!("census {}", census.version),
            Statement::Manifest(manifest) => clipped(&format!("manifest of {}", manifest.version)),
            Statement::Vote(vote) => {
                let version = self.version(vote.rollout);
                format!("vote on {version}: {}", vote_words(vote.state))
            }
            Statement::Ballot(ballot) => {
                let version = self.version(ballot.rollout);
                match ballot.say {
                    Say::Term(term) => format!("ballot on {version}: term {term}"),
                    Say::Open(open) => format!("ballot on {version}: open to {open}"),
                    Say::Stop(reason) => format!("ballot on {version}: stop, {}", stop_words(reason)),
                }
            }
            Statement::Propose(propose) => format!(
                "proposal for {}: open to {} (term {})",
                self.version(propose.rollout),
                propose.open,
                propose.term
            ),
            Statement::Command(command) => format!(
                "command on {}: {}",
                self.version(command.rollout),
                instruction_words(command.instruction)
            ),
            Statement::Beacon(_) => "beacon".to_owned(),
        }
    }

    /// What an event says, if it belongs into a chain of causes.
    pub(super) fn event(&self, event: &Event) -> Option<String> {
        let words = match event {
            Event::Rollout { version, .. } => format!("accepts the manifest of {version}"),
            Event::Vote { rollout, node, state: VoteState::Failed(failure), note, .. } => format!(
                "counts {} as failed with {} ({}): {note}",
                self.machine(*node),
                self.version(*rollout),
                failure_words(*failure)
            ),
            Event::Opened { rollout, from, to } => {
                format!("{}: sees a quorum open {from} → {to}", self.version(*rollout))
            }
            Event::Term { rollout, term, leader } => {
                format!("{}: term {term}, led by {}", self.version(*rollout), self.machine(*leader))
            }
            Event::Proposed { rollout, term, open } => {
                format!("{}: proposes to open to {open} as leader of term {term}", self.version(*rollout))
            }
            Event::StopBallot { rollout, reason } => {
                format!("{}: decides to say stop, {}", self.version(*rollout), stop_words(*reason))
            }
            Event::Stopped { rollout, why } => format!("{}: knows it stopped: {why}", self.version(*rollout)),
            Event::Done { rollout } => format!("{}: knows it done", self.version(*rollout)),
            Event::Commanded { rollout, instruction, .. } => {
                format!("{}: an operator says {}", self.version(*rollout), instruction_words(*instruction))
            }
            Event::Holding { rollout, hold } => {
                format!("{}: as a juror, {}", self.version(*rollout), hold_words(*hold))
            }
            Event::Stage { rollout, from, to, note } => {
                let note = if note.is_empty() { String::new() } else { format!(": {note}") };
                format!("{}: {from:?} → {to:?}{note}", self.version(*rollout))
            }
            Event::Switched { tree, revert, .. } => {
                format!("{} {}", if *revert { "is back on" } else { "runs" }, self.tree(*tree))
            }
            Event::Health { report, .. } => match report.health {
                Health::Unhealthy => format!("probes fail: {}", report.note),
                Health::Healthy => "probes pass".to_owned(),
                Health::Unknown => return None,
            },
            Event::Trouble { what, .. } => format!("trouble: {what}"),
            Event::Conflict { what } => format!("sees a conflict: {what}"),
            Event::PersistFailed => "its disk refuses a write".to_owned(),
            Event::Cloned => "its key speaks elsewhere".to_owned(),
            Event::FreezeSuspected { heard, needed } => {
                format!("hears from {heard} electors of the {needed} it needs")
            }
            Event::Recovered { boot } => format!("may sign again (start {boot})"),
            Event::Vote { .. }
            | Event::Refused { .. }
            | Event::Policy { .. }
            | Event::Census { .. }
            | Event::Synced { .. } => return None,
        };
        Some(clipped(&words))
    }
}

fn vote_words(state: VoteState) -> String {
    match state {
        VoteState::Staged => "staged".to_owned(),
        VoteState::Skip(reason) => format!("skips, {reason:?}"),
        VoteState::Trying => "about to switch".to_owned(),
        VoteState::Healthy => "healthy".to_owned(),
        VoteState::Failed(failure) => format!("failed, {}", failure_words(failure)),
    }
}

fn failure_words(failure: Failure) -> &'static str {
    match failure {
        Failure::Unknown => "the old version has not answered yet",
        Failure::Doubt => "the old version fails too",
        Failure::Recovered => "the old version is well",
    }
}

fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Evidence => "enough nodes failed",
        StopReason::Expired => "it stands still for too long",
    }
}

pub(super) fn instruction_words(instruction: Instruction) -> String {
    match instruction {
        Instruction::Flow { pause: true, .. } => "pause".to_owned(),
        Instruction::Flow { pause: false, .. } => "resume".to_owned(),
        Instruction::Promote(open) => format!("promote to {open}"),
        Instruction::Stop => "stop".to_owned(),
    }
}
