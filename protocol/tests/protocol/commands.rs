//! What operators order, and what two signers of one sequence get.

use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Ballot, BallotKind, Fact, Key, Say, Statement};
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::{Event, Input, Record, Refusal, Verdict, Via};
use groundswell_protocol::time::Span;
use groundswell_protocol::trust::command::Instruction;

use crate::fleet::{FIRST, Fleet, gossip};

const MINUTE: Span = Span::seconds(60);
const PAUSE: Instruction = Instruction::Flow { counter: 1, pause: true };
const RESUME: Instruction = Instruction::Flow { counter: 2, pause: false };

fn ready(count: usize) -> Fleet {
    let mut fleet = Fleet::new(count);
    assert!(fleet.run_until(MINUTE, Fleet::all_sign));
    fleet
}

fn stopped_everywhere(fleet: &Fleet, rollout: groundswell_protocol::facts::RolloutId) -> bool {
    fleet.running().all(|n| fleet.rollout(n, rollout).is_some_and(|r| r.ending == Some(Ending::Stopped)))
}

#[test]
fn a_pause_holds_and_a_resume_goes_on() {
    let mut fleet = ready(5);
    let rollout = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(rollout)[0];
    assert!(fleet.run_until(MINUTE, |f| f.stage(canary, rollout) == Some(Stage::Trial)));
    fleet.order(1, rollout, PAUSE);
    fleet.advance(MINUTE.times(10));
    let seen = fleet.rollout(0, rollout).unwrap();
    assert_eq!((seen.open, seen.hold, seen.ending), (1, Hold::Paused, None), "a pause outlasts hold_s");
    assert_eq!(seen.next_flow_counter, 2);
    fleet.order(2, rollout, RESUME);
    assert!(fleet.run_until(MINUTE, |f| f.all_at(rollout, Stage::Confirmed)));
}

#[test]
fn a_pause_keeps_open_nodes_from_switching() {
    let mut fleet = ready(5);
    let (rollout, fact) = fleet.release(1, "1.0");
    fleet.submit(0, fact);
    fleet.order(0, rollout, PAUSE);
    fleet.order(0, rollout, Instruction::Promote(5));
    fleet.advance(MINUTE);
    assert_eq!(fleet.rollout(0, rollout).unwrap().open, 5);
    assert_eq!(fleet.referee.switches, 0);
    fleet.order(0, rollout, RESUME);
    assert!(fleet.run_until(MINUTE, |f| f.all_at(rollout, Stage::Confirmed)));
}

#[test]
fn a_promote_opens_without_the_jury() {
    let mut fleet = ready(5);
    let rollout = fleet.publish(0, 1, "1.0");
    fleet.run_until(MINUTE, |f| f.running().all(|n| f.rollout(n, rollout).is_some()));
    fleet.order(0, rollout, Instruction::Promote(6));
    assert!(fleet.run_until(Span::seconds(8), |f| f.all_at(rollout, Stage::Confirmed)), "no waves, no bake");
}

#[test]
fn an_abort_wins_over_promote_and_done() {
    let mut fleet = ready(5);
    let rollout = fleet.publish(0, 1, "1.0");
    assert!(fleet.run_until(MINUTE, |f| f.rollout(0, rollout).is_some_and(|r| r.open == 4)));
    fleet.order(0, rollout, Instruction::Stop);
    fleet.order(1, rollout, Instruction::Promote(6));
    assert!(fleet.run_until(MINUTE, |f| stopped_everywhere(f, rollout)));
    fleet.advance(MINUTE);
    assert!(fleet.machines.iter().all(|m| m.slot.values().all(|tree| *tree == Digest::of(FIRST.as_bytes()))));
}

#[test]
fn commands_are_bounded_and_need_the_operator() {
    let mut fleet = ready(3);
    let rollout = fleet.publish(0, 1, "1.0");
    let papers = fleet.papers.clone();
    let high = papers.command(rollout, Instruction::Promote(5));
    assert_eq!(fleet.submit(0, high), Verdict::Refused(Refusal::OutOfRange));
    let stranger = papers.command_under(1, &papers.release, rollout, Instruction::Stop);
    assert_eq!(fleet.submit(0, stranger), Verdict::Refused(Refusal::Unsigned));
    let unknown = papers.command_under(7, &papers.operator, rollout, Instruction::Stop);
    assert_eq!(fleet.submit(0, unknown), Verdict::Refused(Refusal::MissingParent));
}

/// P15: the same end whatever the order in which two operators' words arrive.
#[test]
fn commands_in_any_order_end_the_same_and_the_safer_wins() {
    let orders =
        [PAUSE, Instruction::Flow { counter: 1, pause: false }, Instruction::Promote(2), Instruction::Stop];
    let mut ends = Vec::new();
    for first in 0..4 {
        for second in (0..4).filter(|x| *x != first) {
            for third in (0..4).filter(|x| *x != first && *x != second) {
                let fourth = 6 - first - second - third;
                let mut fleet = ready(2);
                let rollout = fleet.publish(0, 1, "1.0");
                for (turn, which) in [first, second, third, fourth].into_iter().enumerate() {
                    let command = fleet.papers.command(rollout, orders[which]);
                    fleet.referee.ordered(rollout, orders[which]);
                    fleet.run_until(MINUTE, |f| f.rollout(turn % 2, rollout).is_some());
                    fleet.submit(turn % 2, command);
                }
                fleet.advance(MINUTE);
                assert!(fleet.agrees());
                let seen = fleet.rollout(1, rollout).unwrap();
                ends.push((seen.paused, seen.ending, seen.stopped_why));
            }
        }
    }
    ends.dedup();
    assert_eq!(ends, vec![(true, Some(Ending::Stopped), Some("an operator aborted it".to_owned()))]);
}

#[test]
fn two_releases_of_one_sequence_are_both_stopped_and_the_next_goes_on() {
    let mut fleet = ready(5);
    let (one, fact_one) = fleet.release(1, "1.0");
    let (other, fact_other) = fleet.release(1, "1.0-rebuilt");
    fleet.submit(0, fact_one);
    fleet.submit(4, fact_other);
    assert!(fleet.run_until(MINUTE, |f| stopped_everywhere(f, one) && stopped_everywhere(f, other)));
    assert_eq!(fleet.referee.switches, 0);
    let next = fleet.publish(0, 2, "2.0");
    assert!(fleet.run_until(MINUTE, |f| f.all_at(next, Stage::Confirmed)));
}

/// S8 and R9: a twin that comes later, even after the first was put away, finds the place taken.
#[test]
fn a_late_twin_stops_what_is_under_way() {
    let mut fleet = ready(5);
    let one = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(one)[0];
    assert!(fleet.run_until(MINUTE, |f| f.stage(canary, one) == Some(Stage::Healthy)));
    let twin = fleet.publish(0, 1, "1.0-rebuilt");
    assert!(fleet.run_until(MINUTE, |f| stopped_everywhere(f, one) && stopped_everywhere(f, twin)));
    fleet.advance(MINUTE.times(2));
    for (sequence, version) in [(2, "2.0"), (3, "3.0"), (4, "4.0")] {
        for node in 0..5 {
            fleet.set_sick(node, version, true);
        }
        fleet.publish(0, sequence, version);
        fleet.advance(MINUTE);
    }
    fleet.advance(MINUTE.times(2));
    assert!(fleet.status(0).ended.iter().all(|e| e.ending == Ending::Stopped), "{:?}", fleet.status(0).ended);
    for node in 0..5 {
        fleet.crash(node);
    }
    fleet.start_all();
    fleet.advance(MINUTE);
    for rollout in fleet.status(0).rollouts {
        assert_eq!(rollout.ending, Some(Ending::Stopped), "a stop is never unsaid");
    }
}

/// P3 and S4: what fewer than a quorum of jurors say opens nothing, however high, and the binding of a
/// juror that opened is for ever.
#[test]
fn ballots_below_the_quorum_open_nothing() {
    let mut fleet = ready(7);
    // Only one node's agent runs: what the others say is made up here.
    for node in 1..7 {
        fleet.crash(node);
    }
    let (rollout, fact) = fleet.release(1, "1.0");
    fleet.submit(0, fact);
    let papers = fleet.papers.clone();
    for liar in 1..5 {
        let juror = papers.nodes[liar].public();
        let ballot = papers.by(liar, Statement::Ballot(Ballot { rollout, juror, say: Say::Open(8) }));
        let input = Input::Received { from: juror, via: Via::Gossip, frame: &gossip(&ballot) };
        fleet.input(0, input);
        assert_eq!(fleet.rollout(0, rollout).unwrap().open, 0, "{liar} ballots of 5");
    }
    let juror = papers.nodes[5].public();
    let ballot = papers.by(5, Statement::Ballot(Ballot { rollout, juror, say: Say::Open(1) }));
    fleet.input(0, Input::Received { from: juror, via: Via::Gossip, frame: &gossip(&ballot) });
    assert_eq!(fleet.rollout(0, rollout).unwrap().open, 1, "the quorum's lowest");
    let kept = fleet.machines[0].disk.durable.len();
    fleet.advance(Span::seconds(1));
    assert!(fleet.machines[0].disk.durable.len() >= kept + 5, "the ballots behind an opening are kept");
}

/// H40: a juror's pace is not the pace of others' disks.
#[test]
fn a_flood_of_ballots_neither_writes_nor_is_relayed_at_its_pace() {
    let mut fleet = ready(7);
    let rollout = fleet.publish(0, 1, "1.0");
    fleet.run_until(MINUTE, |f| f.rollout(1, rollout).is_some());
    for node in 1..7 {
        fleet.crash(node);
    }
    let papers = fleet.papers.clone();
    let juror = papers.nodes[6].public();
    let asked = fleet.machines[0].disk.asked;
    let mut passed = 0;
    for term in 1..200 {
        let ballot = papers.by(6, Statement::Ballot(Ballot { rollout, juror, say: Say::Term(term) }));
        let out = fleet.input(0, Input::Received { from: juror, via: Via::Gossip, frame: &gossip(&ballot) });
        passed += usize::from(out.unwrap().verdict() == Some(Verdict::Accepted));
        fleet.advance(Span::milliseconds(10));
    }
    assert!(fleet.machines[0].disk.asked - asked < 20, "{} writes", fleet.machines[0].disk.asked - asked);
    assert!(passed <= 4, "{passed} relays in two seconds");
    assert!(!fleet.machines[0].disk.durable.contains_key(&Record::fact_key(&Key::Ballot(
        rollout,
        juror,
        BallotKind::Term
    ))));
}

/// L2: a leader that is silent is replaced.
#[test]
fn a_leader_that_dies_is_replaced() {
    for count in [3, 4, 7] {
        let mut fleet = ready(count);
        let rollout = fleet.publish(0, 1, "1.0");
        let leader = fleet.leader(rollout, 0);
        assert!(fleet.run_until(MINUTE, |f| f.rollout(leader, rollout).is_some_and(|r| r.open >= 1)));
        fleet.crash(leader);
        let at = fleet.now;
        let led = |e: &Event| matches!(e, Event::Term { term: 1, .. });
        assert!(fleet.run_until(MINUTE, |f| f.first(led).is_some()), "n={count}");
        assert!(fleet.first(led).unwrap().0.since(at) < Span::seconds(5), "n={count}");
        // Its rank never reaches a trial, or hangs in one: the plan's stage_s and the silence rule free its place.
        assert!(fleet.run_until(MINUTE.times(5), |f| f.all_at(rollout, Stage::Confirmed)), "n={count}");
    }
}

/// L6: with too many electors gone the fleet holds and says so; nothing is stopped by that alone (H25).
#[test]
fn a_minority_holds_and_stops_nothing() {
    let mut fleet = ready(7);
    let rollout = fleet.publish(0, 1, "1.0");
    assert!(fleet.run_until(MINUTE, |f| f.rollout(0, rollout).is_some_and(|r| r.open == 1)));
    let line = fleet.line(rollout);
    fleet.partition(&[&line[..4], &line[4..]]);
    fleet.advance(MINUTE.times(10));
    for node in 0..7 {
        let seen = fleet.rollout(node, rollout).unwrap();
        assert_eq!((seen.hold, seen.ending), (Hold::TooFewJurors, None));
        assert!(seen.ballots.iter().all(|ballot| ballot.stop.is_none()));
    }
    fleet.partition(&[]);
    assert!(fleet.run_until(MINUTE, |f| f.all_at(rollout, Stage::Confirmed)));
}

/// P7: a node that is cut off holds a valid opening and not the stop: it does not switch.
#[test]
fn a_node_far_from_fresh_news_does_not_activate() {
    let mut fleet = ready(5);
    let rollout = fleet.publish(0, 1, "1.0");
    let line = fleet.line(rollout);
    assert!(fleet.run_until(MINUTE, |f| f.stage(line[0], rollout) == Some(Stage::Healthy)));
    let victim = line[2];
    let before = fleet.status(victim).rollouts[0].open;
    // Everything but the ballots is kept from it: it learns that it is open, and nothing after.
    fleet.partition(&[&[], &[victim]]);
    fleet.run_until(MINUTE, |f| f.rollout(line[0], rollout).unwrap().open > before);
    let papers = fleet.papers.clone();
    for juror in 0..5 {
        let id = papers.nodes[juror].public();
        let ballot = Statement::Ballot(Ballot { rollout, juror: id, say: Say::Open(4) });
        let signed = Fact::sign(papers.fleet, ballot, &[&papers.nodes[juror]]);
        if juror != victim {
            let frame = gossip(&Arc::new(signed));
            fleet.input(victim, Input::Received { from: id, via: Via::Gossip, frame: &frame });
        }
    }
    assert_eq!(fleet.rollout(victim, rollout).unwrap().open, 4);
    fleet.advance(MINUTE);
    assert_eq!(fleet.stage(victim, rollout), Some(Stage::Freshening));
    assert_eq!(fleet.installed(victim).trial, None);
}
