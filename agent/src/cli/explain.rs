//! Why a rollout is where it is on this node: a pure function from a status to sentences with numbers.
//!
//! The sentences follow one order: where the rollout stands, what that means for this node, what it waits
//! for, what the jurors and the open nodes say, what would stop it, what an operator can do.

use std::collections::BTreeMap;

use groundswell_protocol::bounds::JURY_MAX;
use groundswell_protocol::facts::{Failure as VoteFailure, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::status::{RolloutStatus, Status};

use super::words::{bytes, count, seconds, some_of, span};
use crate::control::api::{MissingView, TransferView};
use crate::telemetry::words::{stage_words, stop_words, vote_words};

/// Nodes named in one sentence.
const NODES_SHOWN: usize = 6;

/// Says why `rollout` is where it is on the node whose status this is. One thought a line.
pub fn explain(status: &Status, rollout: &RolloutStatus) -> String {
    let sentences = if rollout.ending.is_some() {
        [Some(ended(rollout)), Some(this_node(rollout)), votes(rollout), Some(after_the_end(rollout))]
    } else {
        [
            Some(place(rollout)),
            Some(this_node(rollout)),
            Some(format!("{} {}", waits_for(status, rollout), ballots(rollout))),
            Some(
                [votes(rollout), Some(would_stop(rollout)), Some(operator_can(rollout))]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("\n"),
            ),
        ]
    };
    sentences.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// What nobody who can be reached has of a fetch, a line a blob.
pub(super) fn missing_lines(transfer: &TransferView) -> Vec<String> {
    let line = |missing: &MissingView| {
        let shortage = &missing.shortage;
        format!(
            "of the blob {} no peer that answers has the pieces {} ({} of {}, {}), for {}",
            missing.blob.short(),
            shortage.words(),
            shortage.pieces,
            shortage.of,
            bytes(shortage.bytes),
            span(shortage.lasts_ms)
        )
    };
    let mut lines: Vec<String> = transfer.missing.iter().map(line).collect();
    let more = (transfer.missing_blobs as usize).saturating_sub(lines.len());
    if more > 0 {
        lines.push(format!("and of {more} more blobs"));
    }
    lines
}

fn name(rollout: &RolloutStatus) -> String {
    format!("{} {} (sequence {})", rollout.component, rollout.version, rollout.order.sequence)
}

/// Ranks that are open; `done` opens no further one.
fn open(rollout: &RolloutStatus) -> u32 {
    rollout.open.min(rollout.members)
}

fn ended(rollout: &RolloutStatus) -> String {
    let (name, members) = (name(rollout), count(rollout.members, "member"));
    match rollout.ending {
        Some(Ending::Stopped) => format!(
            "{name} was stopped with {} of {members} open: {}.",
            open(rollout),
            rollout.stopped_why.as_deref().unwrap_or("this node was told of the stop and not of its reason")
        ),
        Some(Ending::Superseded) => {
            format!("{name} was superseded by a later release with {} of {members} open.", open(rollout))
        }
        _ => format!(
            "{name} is done: all of its {members} were opened, and nodes keep it as the version to go back to."
        ),
    }
}

/// The wave that this rank, or for the rank beyond the last target the last one, belongs to; from 1.
fn wave_of(rollout: &RolloutStatus, rank: u32) -> usize {
    let before = rollout.targets.iter().take_while(|target| **target <= rank).count();
    (before + 1).min(rollout.targets.len().max(1))
}

fn place(rollout: &RolloutStatus) -> String {
    let (name, waves) = (name(rollout), count(rollout.targets.len() as u64, "wave"));
    let members = count(rollout.members, "member");
    match open(rollout).checked_sub(1) {
        None => format!("{name} has not begun: none of its {members} is open, and there will be {waves}."),
        Some(last) => format!(
            "{name} is in wave {} of {waves}: {} of {members} open.",
            wave_of(rollout, last),
            open(rollout)
        ),
    }
}

fn this_node(rollout: &RolloutStatus) -> String {
    let Some(rank) = rollout.my_rank else {
        return "This node is not among its members.".to_owned();
    };
    let wave = wave_of(rollout, rank);
    let target = wave.checked_sub(1).and_then(|place| rollout.targets.get(place)).copied();
    let target = target.unwrap_or(rollout.members);
    let stage = stage_words(rollout.my_stage);
    let left = match (rollout.my_stage, rollout.trial_left_ms) {
        (Stage::Trial, Some(ms)) => format!(", {} left", span(ms)),
        _ => String::new(),
    };
    let turn = if rank < rollout.open { "open" } else { "not open yet" };
    let reach = count(target, "node");
    format!("This node has rank {rank} in wave {wave}, which brings it to {reach}: {turn}, {stage}{left}.")
}

/// How many good nodes this juror wants before it allows more than is open.
fn good_needed(status: &Status, rollout: &RolloutStatus) -> u32 {
    let (open, lost) = (open(rollout), rollout.tally.lost);
    if open >= rollout.members {
        return rollout.members.saturating_sub(lost).max(1);
    }
    let next = rollout.targets.iter().position(|target| target.saturating_add(lost) > open);
    let by_target = match next {
        Some(place) if place > 0 => rollout.targets[place - 1],
        _ => 0,
    };
    // While members are jurors, a step never puts more of them on trial than the quorum can spare.
    let spare = rollout.quorum.jurors.saturating_sub(rollout.quorum.quorum).max(1);
    let electors = status.members.iter().filter(|member| member.enrolment.elector).count();
    let everybody_judges = electors <= JURY_MAX;
    let by_step = if everybody_judges { (open + 1).saturating_sub(lost).saturating_sub(spare) } else { 0 };
    by_target.max(by_step)
}

fn waits_for(status: &Status, rollout: &RolloutStatus) -> String {
    let tally = &rollout.tally;
    match rollout.hold {
        Hold::None => format!(
            "Nothing holds it: this juror allows {}.",
            allowed_words(rollout)
        ),
        Hold::WaitingForHealth => format!(
            "It waits for health: of the {} open {} count as good ({}), and {} are needed to go on.",
            open(rollout),
            tally.good,
            match rollout.plan.bake_s {
                0 => "healthy and heard from".to_owned(),
                bake => format!("healthy for the bake of {} and heard from", seconds(bake)),
            },
            good_needed(status, rollout)
        ),
        Hold::TooFewJurors => format!(
            "It is held because only {} of {} jurors can be heard and {} must agree: all clocks stand until more come back (silent: {}).",
            tally.fresh_jurors,
            rollout.quorum.jurors,
            rollout.quorum.quorum,
            silent_jurors(rollout)
        ),
        Hold::Failures => format!(
            "It is held by failures: {} bad and {} doubtful of {} open nodes, and {} hold it ({} bad ones stop it).{}",
            tally.bad,
            tally.doubt,
            open(rollout),
            tally.hold_at,
            tally.stop_at,
            zone_out(rollout)
        ),
        Hold::Paused => {
            "An operator paused it: trials under way go on, nothing more is opened, and the clock that stops a standing rollout stands.".to_owned()
        }
        Hold::Superseded => format!("It is held because {} is here; should that one stop, this one goes on.", later(status, rollout)),
        Hold::Bound => format!(
            "This juror opened another release of {} with sequence {} before and opens no second one of that sequence.",
            rollout.component, rollout.order.sequence
        ),
        Hold::Conflict => format!(
            "Two signed releases of {} have sequence {}: neither may go on, and a release key is misused or a release was built twice.",
            rollout.component, rollout.order.sequence
        ),
        Hold::SignersRevoked => format!(
            "Policy {}, the newest, no longer accepts enough of those who signed it.",
            status.policy
        ),
        Hold::CensusOutdated => format!(
            "Census {} has been here for more than {}, and the release pins an older one: this juror no longer begins it.",
            status.census,
            seconds(rollout.plan.hold_s)
        ),
        Hold::Expired => "It has expired on this juror's clock, which opens nothing of it any more.".to_owned(),
        Hold::SequenceTooFar => format!(
            "Its sequence {} is too far above the newest one that was done: a mistake, or a stolen release key.",
            rollout.order.sequence
        ),
        Hold::RequirementNotDone => {
            "It requires another component's release that is not done in this fleet yet.".to_owned()
        }
        Hold::WaitingForLeader => waits_for_leader(status, rollout),
        Hold::Ended => "It has ended.".to_owned(),
    }
}

fn allowed_words(rollout: &RolloutStatus) -> String {
    if rollout.allowed > rollout.members {
        "it to be done".to_owned()
    } else {
        format!("{} open", count(rollout.allowed, "node"))
    }
}

fn waits_for_leader(status: &Status, rollout: &RolloutStatus) -> String {
    let silent = status
        .members
        .iter()
        .find(|member| member.enrolment.node == rollout.leader)
        .and_then(|member| member.silent_ms);
    let heard = match silent {
        _ if rollout.leader == status.node => "is this node".to_owned(),
        Some(ms) => format!("was heard {} ago", span(ms)),
        None => "has not been heard".to_owned(),
    };
    let proposed = match rollout.proposed {
        Some(number) => format!("has proposed {number}"),
        None => "has proposed nothing".to_owned(),
    };
    format!(
        "It waits for its leader: this juror allows {}, and {}, who leads term {}, {heard} and {proposed}; a leader that stays silent is replaced.",
        allowed_words(rollout),
        rollout.leader.short(),
        rollout.term
    )
}

/// The release that supersedes this one, by name if it is known here.
fn later(status: &Status, rollout: &RolloutStatus) -> String {
    status
        .rollouts
        .iter()
        .filter(|other| other.component == rollout.component && other.order > rollout.order)
        .filter(|other| other.ending != Some(Ending::Stopped))
        .max_by_key(|other| other.order)
        .map_or_else(|| "a later release".to_owned(), name)
}

/// What an outage has to do with it.
fn zone_out(rollout: &RolloutStatus) -> String {
    match rollout.tally.zone_out {
        0 => String::new(),
        silent => format!(
            " {silent} of the doubtful fell silent together with most of their zone, which looks like an outage and stops nothing: it goes on when they are back."
        ),
    }
}

fn silent_jurors(rollout: &RolloutStatus) -> String {
    let silent: Vec<String> =
        rollout.ballots.iter().filter(|ballot| !ballot.fresh).map(|ballot| ballot.juror.short()).collect();
    if silent.is_empty() { "none".to_owned() } else { some_of(&silent, NODES_SHOWN) }
}

/// How far the jurors are with the next number.
fn ballots(rollout: &RolloutStatus) -> String {
    let next = rollout.proposed.into_iter().chain([rollout.allowed]).find(|number| *number > rollout.open);
    let quorum = rollout.quorum.quorum;
    let mut words = match next {
        None => format!("{quorum} of {} jurors must agree to open more.", rollout.quorum.jurors),
        Some(next) => {
            let agree = rollout.ballots.iter().filter(|ballot| ballot.open >= next).count();
            let what = if next > rollout.members {
                "say that it is done".to_owned()
            } else {
                format!("have opened {next}")
            };
            format!("{agree} of the {quorum} jurors that it takes {what}.")
        }
    };
    let stops: Vec<String> = rollout
        .ballots
        .iter()
        .filter_map(|ballot| {
            ballot.stop.map(|reason| format!("{} ({})", ballot.juror.short(), stop_words(reason)))
        })
        .collect();
    if !stops.is_empty() {
        words.push_str(&format!(
            " {} of the {} that it takes say stop: {}.",
            stops.len(),
            rollout.quorum.faulty + 1,
            some_of(&stops, NODES_SHOWN)
        ));
    }
    words
}

/// Who said what, of the nodes that are open.
fn votes(rollout: &RolloutStatus) -> Option<String> {
    let mut groups: BTreeMap<(u8, &str), Vec<String>> = BTreeMap::new();
    for vote in rollout.votes.iter().filter(|vote| vote.rank < rollout.open) {
        let words = vote.state.map_or("without a vote", vote_words);
        groups.entry((weight(vote.state), words)).or_default().push(voter(vote.node, vote.state, &vote.note));
    }
    if groups.is_empty() {
        return None;
    }
    let groups: Vec<String> = groups
        .into_iter()
        .map(|((_, words), nodes)| format!("{} {words}: {}", nodes.len(), some_of(&nodes, NODES_SHOWN)))
        .collect();
    Some(format!("Votes of the open nodes: {}.", groups.join("; ")))
}

/// What matters most stands first.
fn weight(state: Option<VoteState>) -> u8 {
    match state {
        Some(VoteState::Failed(VoteFailure::Recovered)) => 0,
        Some(VoteState::Failed(_)) => 1,
        Some(VoteState::Healthy) => 2,
        Some(VoteState::Trying) => 3,
        Some(VoteState::Staged) => 4,
        Some(VoteState::Skip(_)) => 5,
        None => 6,
    }
}

fn voter(node: NodeId, state: Option<VoteState>, note: &str) -> String {
    match state {
        Some(VoteState::Failed(_)) if !note.is_empty() => format!("{} ({note})", node.short()),
        _ => node.short(),
    }
}

fn would_stop(rollout: &RolloutStatus) -> String {
    let tally = &rollout.tally;
    let standing = match rollout.hold_left_ms {
        Some(ms) if !rollout.paused => format!("standing still for {} more", span(ms)),
        _ => format!("standing still for {} (that clock stands now)", seconds(rollout.plan.hold_s)),
    };
    format!(
        "It would be stopped by {} ({} now), by {standing}, by {} saying so, or by an operator.",
        count(tally.stop_at, "bad node"),
        tally.bad,
        count(rollout.quorum.faulty + 1, "juror")
    )
}

fn operator_can(rollout: &RolloutStatus) -> String {
    let advice = match rollout.hold {
        Hold::None | Hold::WaitingForHealth | Hold::WaitingForLeader => {
            "wait, pause it, abort it, or promote it past the jury"
        }
        Hold::TooFewJurors => {
            "bring silent nodes back; or retire those that are gone and release again; or promote it past the jury"
        }
        Hold::Failures => {
            "promote it past the failures if they are not its fault, or abort it and release a fix"
        }
        Hold::Paused => "resume it, or abort it",
        Hold::Superseded => "wait for the later release, or abort this one",
        Hold::Bound | Hold::Conflict => "release again with a higher sequence, and find out who signed twice",
        Hold::SignersRevoked => "build and sign it again under the newest policy",
        Hold::CensusOutdated => "build and sign it again, which pins the newest census",
        Hold::Expired => "build and sign it again, after a look at this machine's clock",
        Hold::SequenceTooFar => {
            "release again with the next sequence; if a key was stolen, rotate the policy and raise its epoch"
        }
        Hold::RequirementNotDone => "release what it requires first, or wait until that is done",
        Hold::Ended => "release again with a higher sequence",
    };
    format!("An operator can {advice}.")
}

fn after_the_end(rollout: &RolloutStatus) -> String {
    match rollout.ending {
        Some(Ending::Stopped) => {
            "Nodes on it go back to the version before, the failing ones at once; a fixed release with a higher sequence may follow."
        }
        Some(Ending::Superseded) => "Nodes go on to the later release.",
        _ => "Nothing is left to do; going back to an older version means releasing it again with a higher sequence.",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
