//! What a node does with a release on its own machine.

use std::collections::BTreeSet;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Failure, SkipReason, VoteState};
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::{Event, Input, Recipe, Verdict};
use groundswell_protocol::time::Span;
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::manifest::{DeltaOffer, Manifest, Requirement};
use groundswell_protocol::trust::names::ComponentName;

use crate::fleet::effects::Effect;
use crate::fleet::papers::web;
use crate::fleet::{FIRST, Fleet};

const MINUTE: Span = Span::seconds(60);

fn tree(version: &str) -> Digest {
    Digest::of(version.as_bytes())
}

fn ready(count: usize) -> Fleet {
    let mut fleet = Fleet::new(count);
    assert!(fleet.run_until(MINUTE, Fleet::all_sign));
    fleet
}

fn runs(fleet: &Fleet, node: usize) -> Option<Digest> {
    fleet.machines[node].runs.get(&web()).copied()
}

fn voted(fleet: &Fleet, of: usize, wanted: VoteState) -> usize {
    let id = fleet.machines[of].id;
    let says = |e: &Event| matches!(e, Event::Vote { node, state, .. } if *node == id && *state == wanted);
    fleet.count(|node, e| node == of && says(e))
}

#[test]
fn a_bad_day_is_told_from_a_bad_release_and_tried_again_three_times() {
    let mut fleet = ready(4);
    let rollout = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(rollout)[0];
    fleet.set_sick(canary, "1.0", true);
    fleet.set_sick(canary, FIRST, true);
    fleet.advance(MINUTE.times(10));
    assert_eq!(voted(&fleet, canary, VoteState::Failed(Failure::Doubt)), 3);
    assert_eq!(voted(&fleet, canary, VoteState::Failed(Failure::Recovered)), 0);
    assert_eq!(runs(&fleet, canary), Some(tree(FIRST)));
    let others = fleet.line(rollout).into_iter().skip(1);
    for node in others.collect::<Vec<_>>() {
        assert_eq!(fleet.stage(node, rollout), Some(Stage::Confirmed), "the others go on without it");
    }
}

#[test]
fn a_release_is_scarce_until_three_others_hold_it_or_it_has_ended() {
    let mut fleet = ready(6);
    fleet.partition(&[&[0, 1, 2], &[3, 4, 5]]);
    let rollout = fleet.publish(0, 1, "1.0");
    fleet.advance(MINUTE);
    let scarce = |fleet: &Fleet| {
        let node = fleet.machines[0].node.as_ref().expect("it runs");
        node.scarce_trees().contains(&tree("1.0"))
    };
    assert!(scarce(&fleet), "two others at most have heard of it");
    fleet.partition(&[]);
    assert!(fleet.run_until(MINUTE, |fleet| !scarce(fleet)));
    let others = fleet.rollout(0, rollout).expect("known").votes.len();
    assert!(others >= 3, "{others} votes");
    assert!(fleet.run_until(MINUTE.times(10), |fleet| fleet.all_at(rollout, Stage::Confirmed)));
    assert!(!scarce(&fleet));
}

#[test]
fn a_day_that_turns_good_ends_on_the_release() {
    let mut fleet = ready(4);
    let rollout = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(rollout)[0];
    fleet.set_sick(canary, "1.0", true);
    fleet.set_sick(canary, FIRST, true);
    fleet.run_until(MINUTE, |f| voted(f, canary, VoteState::Failed(Failure::Doubt)) > 0);
    fleet.set_sick(canary, "1.0", false);
    fleet.set_sick(canary, FIRST, false);
    assert!(fleet.run_until(MINUTE.times(5), |f| f.all_at(rollout, Stage::Confirmed)));
}

#[test]
fn deltas_of_the_release_before_lead_on_unless_it_was_stopped() {
    let mut fleet = ready(4);
    let offer = |from: &str, to: &str, bytes| DeltaOffer {
        from: tree(from),
        blob: tree(&format!("{from} to {to}")),
        bytes,
    };
    let first = Manifest { deltas: vec![offer(FIRST, "1.0", 100)], ..fleet.papers.manifest(1, "1.0") };
    let second = Manifest { deltas: vec![offer("1.0", "2.0", 200)], ..fleet.papers.manifest(2, "2.0") };
    let third = Manifest { deltas: vec![offer("1.0", "3.0", 300)], ..fleet.papers.manifest(3, "3.0") };
    let (rollout, fact) = fleet.sign(first);
    assert_eq!(fleet.submit(0, fact), Verdict::Accepted);
    let recipe = |fleet: &mut Fleet, manifest: Manifest| {
        let (_, fact) = fleet.sign(manifest);
        let effects = fleet.input(0, Input::Submitted(fact)).unwrap();
        effects.0.into_iter().find_map(|effect| match effect {
            Effect::Fetch(work) => Some(work.recipe),
            _ => None,
        })
    };
    let Some(Recipe::Deltas { from, steps }) = recipe(&mut fleet, second) else { panic!("by deltas") };
    let over: Vec<_> = steps.iter().map(|step| (step.tree, step.bytes)).collect();
    assert_eq!((from, over), (tree(FIRST), vec![(tree("1.0"), 100), (tree("2.0"), 200)]));
    fleet.order(0, rollout, Instruction::Stop);
    assert_eq!(recipe(&mut fleet, third), Some(Recipe::Chunks));
}

#[test]
fn a_stop_in_a_trial_goes_back_at_once_and_healthy_nodes_in_turn() {
    let mut fleet = ready(5);
    let rollout = fleet.publish(0, 1, "1.0");
    let line = fleet.line(rollout);
    assert!(fleet.run_until(MINUTE, |f| f.stage(line[2], rollout) == Some(Stage::Trial)));
    assert_eq!(fleet.stage(line[0], rollout), Some(Stage::Healthy));
    fleet.order(line[0], rollout, Instruction::Stop);
    let at = fleet.now;
    fleet.advance(Span::seconds(10));
    let back = |node: usize| {
        let reverted = |e: &Event| matches!(e, Event::Stage { to: Stage::Reverted, .. });
        let found = fleet.events.iter().rfind(|(_, of, e)| *of == node && reverted(e));
        found.map(|(when, _, _)| when.since(at)).unwrap()
    };
    assert!(back(line[2]) < Span::milliseconds(200));
    assert!(back(line[0]) < Span::milliseconds(200), "rank 0 is first in turn");
    for node in 0..5 {
        assert_eq!(runs(&fleet, node), Some(tree(FIRST)));
    }
}

#[test]
fn a_first_install_that_fails_leaves_nothing_running() {
    let mut fleet = Fleet::bare(3);
    fleet.start_all();
    fleet.run_until(MINUTE, Fleet::all_sign);
    for node in 0..3 {
        fleet.set_sick(node, "1.0", true);
    }
    let rollout = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(rollout)[0];
    assert!(fleet.run_until(MINUTE, |f| f.stage(canary, rollout) == Some(Stage::Failed)));
    assert_eq!(runs(&fleet, canary), None);
    fleet.advance(MINUTE.times(5));
    assert!(fleet.machines.iter().all(|m| m.runs.is_empty()));
    let again = fleet.publish(0, 2, "2.0");
    assert!(fleet.run_until(MINUTE, |f| f.all_at(again, Stage::Confirmed)), "the next release is taken");
}

#[test]
fn nodes_that_take_no_part_say_why_and_are_replaced() {
    let mut fleet = Fleet::bare(4);
    fleet.machines[1].components = BTreeSet::new();
    fleet.full.insert(2);
    fleet.start_all();
    fleet.run_until(MINUTE, Fleet::all_sign);
    let rollout = fleet.publish(0, 1, "1.0");
    let ends = |f: &Fleet| [0, 3].iter().all(|node| f.stage(*node, rollout) == Some(Stage::Confirmed));
    assert!(fleet.run_until(MINUTE.times(2), ends));
    assert_eq!(voted(&fleet, 1, VoteState::Skip(SkipReason::NoComponent)), 1);
    assert_eq!(voted(&fleet, 2, VoteState::Skip(SkipReason::NoSpace)), 1);
    fleet.full.clear();
    assert!(
        fleet.run_until(MINUTE.times(6), |f| f.stage(2, rollout) == Some(Stage::Confirmed)),
        "room was made, and the release done"
    );
}

#[test]
fn a_machine_that_runs_newer_skips() {
    let mut fleet = ready(3);
    let newer = fleet.publish(0, 5, "5.0");
    assert!(
        fleet.run_until(MINUTE, |f| f.all_at(newer, Stage::Healthy) || f.all_at(newer, Stage::Confirmed))
    );
    let (_, old) = fleet.release(4, "4.0");
    fleet.run_until(MINUTE, |f| f.all_at(newer, Stage::Confirmed));
    let verdict = fleet.submit(0, old);
    assert_eq!(
        verdict,
        Verdict::Refused(groundswell_protocol::node::Refusal::Collected),
        "below the newest done"
    );
}

#[test]
fn a_later_release_supersedes_and_everybody_ends_on_it() {
    for count in [1, 2, 4, 6] {
        let mut fleet = ready(count);
        let first = fleet.publish(0, 1, "1.0");
        let canary = fleet.line(first)[0];
        fleet.run_until(MINUTE, |f| f.stage(canary, first) == Some(Stage::Trial));
        let second = fleet.publish(0, 2, "2.0");
        assert!(fleet.run_until(MINUTE.times(2), |f| f.all_at(second, Stage::Confirmed)), "n={count}");
        let ended = fleet.status(0).ended;
        assert!(ended.iter().any(|e| e.rollout == first), "n={count}: the first was put away");
    }
}

#[test]
fn when_the_later_release_is_stopped_the_earlier_goes_on() {
    let mut fleet = ready(5);
    let first = fleet.publish(0, 1, "1.0");
    let line = fleet.line(first);
    fleet.run_until(MINUTE, |f| f.stage(line[0], first) == Some(Stage::Healthy));
    for node in 0..5 {
        fleet.set_sick(node, "2.0", true);
    }
    let second = fleet.publish(0, 2, "2.0");
    assert!(fleet.run_until(MINUTE.times(5), |f| f.all_at(first, Stage::Confirmed)));
    assert_eq!(fleet.rollout(0, second).unwrap().ending, Some(Ending::Stopped));
    for node in 0..5 {
        assert_eq!(runs(&fleet, node), Some(tree("1.0")));
    }
}

#[test]
fn a_release_waits_for_what_it_requires() {
    let base = ComponentName::new("base").unwrap();
    let mut fleet = Fleet::bare(4);
    for machine in &mut fleet.machines {
        machine.components.insert(base.clone());
    }
    fleet.start_all();
    fleet.run_until(MINUTE, Fleet::all_sign);
    let mut top = fleet.papers.manifest(1, "1.0");
    top.requires = vec![Requirement { component: base.clone(), min_sequence: 2 }];
    let (top, fact) = fleet.sign(top);
    fleet.submit(0, fact);
    fleet.advance(Span::seconds(20));
    let seen = fleet.rollout(0, top).unwrap();
    assert_eq!((seen.open, seen.hold), (0, Hold::RequirementNotDone));
    let mut below = fleet.papers.manifest(2, "base 2");
    below.version = "2".into();
    below.component = base;
    let (below, fact) = fleet.sign(below);
    fleet.submit(1, fact);
    let confirmed = |e: &Event, which| matches!(e, Event::Stage { rollout, to: Stage::Confirmed, .. } if *rollout == which);
    assert!(fleet.run_until(MINUTE, |f| f.all_at(top, Stage::Confirmed)));
    for node in 0..4 {
        let at = |which| fleet.events.iter().find(|(_, of, e)| *of == node && confirmed(e, which)).unwrap().0;
        assert!(at(below) < at(top));
    }
}

#[test]
fn the_same_bytes_come_back_as_a_new_release() {
    let mut fleet = ready(3);
    let one = fleet.publish(0, 1, "1.0");
    assert!(fleet.run_until(MINUTE, |f| f.all_at(one, Stage::Confirmed)));
    let mut manifest = fleet.papers.manifest(2, "0.9-again");
    manifest.tree = tree(FIRST);
    let (again, fact) = fleet.sign(manifest);
    fleet.submit(0, fact);
    assert!(fleet.run_until(MINUTE, |f| f.all_at(again, Stage::Confirmed)));
    assert_eq!(
        fleet.count(
            |_, e| matches!(e, Event::Stage { rollout, to: Stage::Fetching, .. } if *rollout == again)
        ),
        0
    );
    assert_eq!(runs(&fleet, 1), Some(tree(FIRST)));
}

#[test]
fn a_switch_that_does_not_begin_counts_against_the_release() {
    let mut fleet = ready(4);
    for node in 0..4 {
        fleet.unstartable.insert((node, tree("1.0")));
    }
    let rollout = fleet.publish(0, 1, "1.0");
    let ended = |f: &Fleet| {
        f.running().all(|n| f.rollout(n, rollout).is_some_and(|r| r.ending == Some(Ending::Stopped)))
    };
    assert!(fleet.run_until(MINUTE, ended));
    for node in 0..4 {
        assert_eq!(runs(&fleet, node), Some(tree(FIRST)));
    }
}

/// R12: bytes of a stopped release are not fetched to the end.
#[test]
fn a_stopped_release_is_neither_fetched_nor_staged() {
    let mut fleet = ready(3);
    let rollout = fleet.publish(0, 1, "1.0");
    assert!(fleet.run_until(MINUTE, |f| f.stage(0, rollout) == Some(Stage::Fetching)));
    fleet.order(0, rollout, Instruction::Stop);
    fleet.advance(MINUTE);
    for node in 0..3 {
        assert!(
            matches!(fleet.stage(node, rollout), Some(Stage::Known | Stage::Staged | Stage::Reverted)),
            "{node}"
        );
    }
    assert_eq!(fleet.stage(0, rollout), Some(Stage::Known));
}

/// No data means hold, never pass; but not for ever.
#[test]
fn probes_that_say_nothing_pass_nothing() {
    let mut fleet = ready(3);
    for node in 0..3 {
        fleet.mute.insert((node, tree("1.0")));
    }
    let rollout = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(rollout)[0];
    assert!(fleet.run_until(MINUTE, |f| f.stage(canary, rollout) == Some(Stage::Failed)));
    assert_eq!(voted(&fleet, canary, VoteState::Healthy), 0);
}

/// A release that passed its trial is not judged by the probes of the next one's trial.
#[test]
fn a_bad_successor_leaves_the_release_before_it_alone() {
    for count in [1, 4] {
        let mut fleet = Fleet::bare(count);
        fleet.start_all();
        fleet.run_until(MINUTE, Fleet::all_sign);
        let mut manifest = fleet.papers.manifest(1, "1.0");
        manifest.plan.bake_s = 60;
        let (first, fact) = fleet.sign(manifest);
        fleet.submit(0, fact);
        let canary = fleet.line(first)[0];
        assert!(fleet.run_until(MINUTE, |f| f.stage(canary, first) == Some(Stage::Healthy)), "n={count}");
        for node in 0..count {
            fleet.set_sick(node, "2.0", true);
        }
        let mut sequence = 2;
        // Until the canary of the first release is also one of the second's.
        let second = loop {
            let (second, fact) = fleet.release(sequence, "2.0");
            if fleet.line(second)[0] == canary {
                fleet.submit(0, fact);
                break second;
            }
            sequence += 1;
        };
        assert!(fleet.run_until(MINUTE, |f| f.stage(canary, second) == Some(Stage::Failed)), "n={count}");
        assert_eq!(runs(&fleet, canary), Some(tree("1.0")), "n={count}");
        assert!(fleet.run_until(MINUTE.times(10), |f| f.all_at(first, Stage::Confirmed)), "n={count}");
        let left = |e: &Event| matches!(e, Event::Stage { rollout, to: Stage::Reverting | Stage::Stuck | Stage::Failed, .. } if *rollout == first);
        assert_eq!(fleet.first(left), None, "n={count}");
    }
}

/// It passed its trial, nothing older is there: a service that ails is better than none.
#[test]
fn a_release_that_fails_late_with_nothing_older_stays() {
    let mut fleet = Fleet::bare(3);
    fleet.start_all();
    fleet.run_until(MINUTE, Fleet::all_sign);
    let mut manifest = fleet.papers.manifest(1, "1.0");
    manifest.plan.bake_s = 60;
    let (rollout, fact) = fleet.sign(manifest);
    fleet.submit(0, fact);
    let canary = fleet.line(rollout)[0];
    assert!(fleet.run_until(MINUTE, |f| f.stage(canary, rollout) == Some(Stage::Healthy)));
    fleet.set_sick(canary, "1.0", true);
    assert!(fleet.run_until(MINUTE, |f| f.stage(canary, rollout) == Some(Stage::Stuck)));
    fleet.advance(MINUTE.times(5));
    assert_eq!(runs(&fleet, canary), Some(tree("1.0")));
    let others = fleet.line(rollout).into_iter().skip(1).collect::<Vec<_>>();
    assert!(others.iter().all(|node| runs(&fleet, *node).is_none()), "one failure stops a fleet of three");
}

#[test]
fn a_node_that_tells_jurors_of_what_they_have_put_away_goes_on_with_what_is_done() {
    let mut fleet = ready(5);
    let first = fleet.publish(0, 1, "1.0");
    let slow = fleet.line(first)[0];
    assert!(fleet.run_until(MINUTE, |f| f.stage(slow, first) == Some(Stage::Announcing)));
    let others: Vec<usize> = (0..5).filter(|node| *node != slow).collect();
    fleet.partition(&[&[slow], &others]);
    let second = fleet.publish(others[0], 2, "2.0");
    let done = |f: &Fleet, nodes: &[usize]| {
        nodes.iter().all(|node| f.stage(*node, second) == Some(Stage::Confirmed))
    };
    assert!(fleet.run_until(MINUTE.times(20), |f| done(f, &others)));
    fleet.advance(MINUTE.times(2));
    assert!(others.iter().all(|node| fleet.rollout(*node, first).is_none()), "they have put it away");
    fleet.partition(&[]);
    assert!(fleet.run_until(MINUTE.times(5), |f| done(f, &[slow])), "{:?}", fleet.stage(slow, first));
}

#[test]
fn a_node_that_nobody_acknowledges_does_not_stay_announcing() {
    let mut fleet = ready(4);
    let rollout = fleet.publish(0, 1, "1.0");
    let alone = fleet.line(rollout)[0];
    assert!(fleet.run_until(MINUTE, |f| f.stage(alone, rollout) == Some(Stage::Announcing)));
    let others: Vec<usize> = (0..4).filter(|node| *node != alone).collect();
    fleet.partition(&[&[alone], &others]);
    fleet.advance(MINUTE.times(2));
    assert_eq!(
        fleet.stage(alone, rollout),
        Some(Stage::Freshening),
        "it waits for news, and holds nothing up"
    );
    fleet.partition(&[]);
    assert!(fleet.run_until(MINUTE.times(10), |f| f.all_at(rollout, Stage::Confirmed)));
}
