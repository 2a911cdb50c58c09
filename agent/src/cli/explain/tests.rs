//! One story for every reason to hold, as people would read it.

use groundswell_protocol::facts::{Failure, StopReason, VoteState};
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::status::RolloutStatus;
use groundswell_protocol::rollout::view::Tally;

use super::explain;
use crate::cli::sample::{node, opened, rollout, status};

const HEALTHY: VoteState = VoteState::Healthy;
const BAD: VoteState = VoteState::Failed(Failure::Recovered);

fn said(rollout: &RolloutStatus) -> String {
    explain(&status(vec![rollout.clone()]), rollout)
}

/// The line that says what the rollout waits for.
fn waits(rollout: &RolloutStatus) -> String {
    said(rollout).lines().nth(2).expect("a third line").to_owned()
}

fn held(hold: Hold) -> RolloutStatus {
    let mut rollout = opened(rollout("web", 2), 3, &[HEALTHY, HEALTHY, VoteState::Trying]);
    rollout.hold = hold;
    rollout
}

#[test]
fn waiting_for_health_is_told_in_full() {
    let mut rollout = held(Hold::WaitingForHealth);
    rollout.tally.good = 2;
    rollout.my_rank = Some(2);
    rollout.my_stage = Stage::Trial;
    rollout.trial_left_ms = Some(90_000);
    rollout.allowed = 3;
    assert_eq!(
        said(&rollout),
        "web 1.2.0 (sequence 2) is in wave 2 of 3 waves: 3 of 12 members open.
This node has rank 2 in wave 2, which brings it to 3 nodes: open, on trial, 90 s left.
It waits for health: of the 3 open 2 count as good (healthy for the bake of 10 min and heard from), and 3 are needed to go on. 8 of 12 jurors must agree to open more.
Votes of the open nodes: 2 healthy: 00000000, 01010101; 1 trying: 02020202.
It would be stopped by 2 bad nodes (0 now), by standing still for 50 min more, by 4 jurors saying so, or by an operator.
An operator can wait, pause it, abort it, or promote it past the jury."
    );
}

#[test]
fn failures_are_named_with_their_words() {
    let mut rollout = held(Hold::Failures);
    rollout.votes[1].state = Some(BAD);
    rollout.votes[1].note = "GET /health answered 500 three times".to_owned();
    rollout.votes[2].state = Some(VoteState::Failed(Failure::Doubt));
    rollout.tally = Tally {
        good: 1,
        bad: 1,
        doubt: 1,
        lost: 2,
        hold_at: 2,
        stop_at: 2,
        fresh_jurors: 12,
        ..Tally::default()
    };
    rollout.ballots[0].stop = Some(StopReason::Evidence);
    assert_eq!(
        waits(&rollout),
        "It is held by failures: 1 bad and 1 doubtful of 3 open nodes, and 2 hold it (2 bad ones stop it). 8 of 12 jurors must agree to open more. 1 of the 4 that it takes say stop: 00000000 (enough nodes failed)."
    );
    assert_eq!(
        said(&rollout).lines().nth(3),
        Some(
            "Votes of the open nodes: 1 failed, and the old version is healthy: 01010101 (GET /health answered 500 three times); 1 failed, and so does the old version: 02020202; 1 healthy: 00000000."
        )
    );
}

#[test]
fn an_outage_is_told_apart_from_failures() {
    let mut rollout = held(Hold::Failures);
    rollout.tally = Tally {
        doubt: 2,
        zone_out: 2,
        lost: 2,
        hold_at: 2,
        stop_at: 2,
        fresh_jurors: 12,
        ..Tally::default()
    };
    assert_eq!(
        waits(&rollout),
        "It is held by failures: 0 bad and 2 doubtful of 3 open nodes, and 2 hold it (2 bad ones stop it). 2 of the doubtful fell silent together with most of their zone, which looks like an outage and stops nothing: it goes on when they are back. 8 of 12 jurors must agree to open more."
    );
}

#[test]
fn a_leader_that_waits_is_named_with_its_silence() {
    let mut rollout = held(Hold::WaitingForLeader);
    rollout.allowed = 12;
    for ballot in &mut rollout.ballots[..5] {
        ballot.open = 12;
    }
    assert_eq!(
        waits(&rollout),
        "It waits for its leader: this juror allows 12 nodes open, and 07070707, who leads term 2, was heard 400 ms ago and has proposed nothing; a leader that stays silent is replaced. 5 of the 8 jurors that it takes have opened 12."
    );
    rollout.leader = node(5);
    rollout.proposed = Some(13);
    assert!(waits(&rollout).contains("is this node and has proposed 13"), "{}", waits(&rollout));
    assert!(waits(&rollout).ends_with("0 of the 8 jurors that it takes say that it is done."));
}

#[test]
fn silent_jurors_are_named() {
    let mut rollout = held(Hold::TooFewJurors);
    rollout.tally.fresh_jurors = 7;
    rollout.hold_left_ms = None;
    for ballot in &mut rollout.ballots[..5] {
        ballot.fresh = false;
    }
    assert_eq!(
        waits(&rollout),
        "It is held because only 7 of 12 jurors can be heard and 8 must agree: all clocks stand until more come back (silent: 00000000, 01010101, 02020202, 03030303, 04040404). 8 of 12 jurors must agree to open more."
    );
    assert!(said(&rollout).contains("by standing still for 60 min (that clock stands now)"));
}

#[test]
fn every_other_reason_has_its_sentence_and_its_advice() {
    for (hold, sentence, advice) in [
        (Hold::None, "Nothing holds it: this juror allows 0 nodes open.", "wait, pause it"),
        (Hold::Paused, "An operator paused it: trials under way go on", "resume it"),
        (Hold::Superseded, "It is held because a later release is here", "wait for the later release"),
        (Hold::Bound, "This juror opened another release of web with sequence 2 before", "higher sequence"),
        (Hold::Conflict, "Two signed releases of web have sequence 2", "who signed twice"),
        (Hold::SignersRevoked, "Policy 1, the newest, no longer accepts", "under the newest policy"),
        (Hold::CensusOutdated, "Census 1 has been here for more than 60 min", "pins the newest census"),
        (Hold::Expired, "It has expired on this juror's clock", "this machine's clock"),
        (Hold::SequenceTooFar, "Its sequence 2 is too far above", "raise its epoch"),
        (Hold::RequirementNotDone, "It requires another component's release", "release what it requires"),
        (Hold::Ended, "It has ended.", "higher sequence"),
    ] {
        let rollout = held(hold);
        assert!(waits(&rollout).starts_with(sentence), "{hold:?}: {}", waits(&rollout));
        let last = said(&rollout).lines().last().expect("a last line").to_owned();
        assert!(last.starts_with("An operator can ") && last.contains(advice), "{hold:?}: {last}");
    }
}

#[test]
fn the_release_that_supersedes_is_named_if_it_is_known() {
    let mut old = rollout("web", 2);
    old.hold = Hold::Superseded;
    let status = status(vec![old.clone(), rollout("web", 3), rollout("database", 9)]);
    assert!(explain(&status, &old).contains("because web 1.3.0 (sequence 3) is here"));
}

#[test]
fn before_the_first_wave_nobody_has_voted() {
    let mut rollout = rollout("web", 1);
    rollout.hold = Hold::WaitingForLeader;
    rollout.allowed = 1;
    let said = said(&rollout);
    assert!(
        said.starts_with("web 1.1.0 (sequence 1) has not begun: none of its 12 members is open"),
        "{said}"
    );
    assert!(
        said.contains("This node has rank 5 in wave 3, which brings it to 12 nodes: not open yet, staged")
    );
    assert!(!said.contains("Votes"), "{said}");
}

#[test]
fn a_node_without_a_rank_is_told_so() {
    let mut rollout = held(Hold::WaitingForHealth);
    rollout.my_rank = None;
    assert!(said(&rollout).contains("This node is not among its members."));
}

#[test]
fn the_end_is_told_with_its_reason() {
    let mut stopped = held(Hold::Ended);
    stopped.ending = Some(Ending::Stopped);
    stopped.stopped_why = Some("4 jurors saw enough nodes fail".to_owned());
    stopped.votes[0].state = Some(BAD);
    assert_eq!(
        said(&stopped),
        "web 1.2.0 (sequence 2) was stopped with 3 of 12 members open: 4 jurors saw enough nodes fail.
This node has rank 5 in wave 3, which brings it to 12 nodes: not open yet, staged, waits for its turn.
Votes of the open nodes: 1 failed, and the old version is healthy: 00000000; 1 healthy: 01010101; 1 trying: 02020202.
Nodes on it go back to the version before, the failing ones at once; a fixed release with a higher sequence may follow."
    );
    let mut done = opened(rollout("web", 2), 13, &[HEALTHY; 12]);
    (done.ending, done.my_stage) = (Some(Ending::Done), Stage::Confirmed);
    assert!(said(&done).starts_with("web 1.2.0 (sequence 2) is done: all of its 12 members were opened"));
    assert!(said(&done).contains("rank 5 in wave 3, which brings it to 12 nodes: open, confirmed."));
    let mut superseded = held(Hold::Ended);
    superseded.ending = Some(Ending::Superseded);
    assert!(said(&superseded).contains("was superseded by a later release with 3 of 12 members open"));
}

#[test]
fn a_large_step_waits_for_what_the_quorum_can_spare() {
    // 3 are good, so the third target could open; but 12 jurors of whom 8 must stay can spare 4 at once.
    let mut rollout = opened(rollout("web", 2), 7, &[HEALTHY, HEALTHY, HEALTHY]);
    rollout.hold = Hold::WaitingForHealth;
    rollout.tally.good = 3;
    assert!(waits(&rollout).contains("of the 7 open 3 count as good"), "{}", waits(&rollout));
    assert!(waits(&rollout).contains("and 4 are needed to go on"), "{}", waits(&rollout));
}
