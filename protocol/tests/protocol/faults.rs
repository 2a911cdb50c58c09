//! Disks that fail, machines that die at any write, releases that take machines down.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Failure, VoteState};
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::node::{Event, Input};
use groundswell_protocol::time::Span;

use crate::fleet::machine::DiskMode;
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
    fleet.machines[node].runs.values().next().copied()
}

/// The referee sees to it that nothing signed leaves early; here: that all waits, and goes on after.
#[test]
fn nothing_happens_before_the_disk_has_it() {
    for mode in [DiskMode::Held, DiskMode::Failing] {
        let mut fleet = ready(4);
        for node in 0..4 {
            fleet.set_disk(node, mode);
        }
        let rollout = fleet.publish(0, 1, "1.0");
        fleet.advance(MINUTE);
        assert_eq!(fleet.referee.switches, 0, "{mode:?}: nobody switched");
        assert_eq!(fleet.rollout(0, rollout).unwrap().open, 0, "{mode:?}: nobody opened");
        assert_eq!(fleet.first(|e| matches!(e, Event::Vote { .. })), None, "{mode:?}: nobody voted");
        for node in 0..4 {
            fleet.set_disk(node, DiskMode::Sound);
        }
        assert!(fleet.run_until(MINUTE, |f| f.all_at(rollout, Stage::Confirmed)), "{mode:?}");
    }
}

#[test]
fn a_canary_whose_disk_fails_in_each_stage_goes_on_when_it_can() {
    for after in 1..=8 {
        let mut fleet = ready(4);
        let rollout = fleet.publish(0, 1, "1.0");
        let canary = fleet.line(rollout)[0];
        let written = fleet.machines[canary].disk.asked;
        fleet.run_until(MINUTE, |f| f.machines[canary].disk.asked >= written + after);
        fleet.set_disk(canary, DiskMode::Failing);
        fleet.advance(Span::seconds(5));
        fleet.set_disk(canary, DiskMode::Sound);
        assert!(
            fleet.run_until(MINUTE.times(5), |f| f.all_at(rollout, Stage::Confirmed)),
            "after {after} writes: {:?}",
            fleet.stage(canary, rollout)
        );
    }
}

/// S6 and S9: a machine that loses all that was not durable, at any write, ends on a good slot.
#[test]
fn a_crash_at_any_write_of_a_good_release_ends_on_it() {
    for crash in 1..60 {
        let mut fleet = ready(4);
        let (rollout, fact) = fleet.release(1, "1.0");
        let canary = fleet.line(rollout)[0];
        let machine = &mut fleet.machines[canary];
        machine.crash_at_write = Some(machine.disk.asked + crash);
        fleet.submit((canary + 1) % 4, fact);
        let ended = |f: &Fleet| f.running().count() == 4 && f.all_at(rollout, Stage::Confirmed);
        assert!(
            fleet.run_until(MINUTE.times(10), ended),
            "write {crash}: {:?}",
            fleet.stage(canary, rollout)
        );
        fleet.advance(MINUTE);
        assert_eq!(runs(&fleet, canary), Some(tree("1.0")), "write {crash}");
        if fleet.machines[canary].crash_at_write > Some(fleet.machines[canary].disk.asked) {
            assert!(crash > 15, "a release takes some writes");
            return;
        }
    }
}

#[test]
fn a_crash_at_any_write_of_a_bad_release_ends_on_the_old_one() {
    for crash in 1..60 {
        let mut fleet = ready(4);
        for node in 0..4 {
            fleet.set_sick(node, "1.0", true);
        }
        let (rollout, fact) = fleet.release(1, "1.0");
        let canary = fleet.line(rollout)[0];
        let machine = &mut fleet.machines[canary];
        machine.crash_at_write = Some(machine.disk.asked + crash);
        fleet.submit((canary + 1) % 4, fact);
        let stopped = |f: &Fleet| {
            f.running().count() == 4
                && f.running().all(|n| f.rollout(n, rollout).is_some_and(|r| r.ending.is_some()))
        };
        assert!(
            fleet.run_until(MINUTE.times(10), stopped),
            "write {crash}: {:?}",
            fleet.rollout(canary, rollout)
        );
        fleet.advance(MINUTE);
        for node in 0..4 {
            assert_eq!(runs(&fleet, node), Some(tree(FIRST)), "write {crash}, node {node}");
        }
        let machine = &fleet.machines[canary];
        if machine.crash_at_write > Some(machine.disk.asked) {
            return;
        }
    }
}

#[test]
fn a_release_that_takes_machines_down_spends_its_starts_and_is_stopped() {
    let mut fleet = ready(4);
    for node in 0..4 {
        fleet.deadly.insert((node, tree("1.0")));
    }
    let rollout = fleet.publish(0, 1, "1.0");
    let ended = |f: &Fleet| {
        f.running().count() == 4
            && f.running().all(|n| f.rollout(n, rollout).is_some_and(|r| r.ending.is_some()))
    };
    assert!(fleet.run_until(MINUTE.times(20), ended));
    fleet.advance(MINUTE);
    for node in 0..4 {
        assert_eq!(runs(&fleet, node), Some(tree(FIRST)));
    }
    assert!(fleet.machines.iter().filter(|m| m.start > 1).count() <= 2, "f + 1 canaries died of it");
    let canary = fleet.line(rollout)[0];
    assert!(
        fleet.machines[canary].start <= 9,
        "and were not started for ever: {}",
        fleet.machines[canary].start
    );
}

/// R6: a machine that ends while it asks whether the old version is well still says what came of it.
#[test]
fn a_crash_while_the_old_version_is_probed_ends_in_a_verdict() {
    let mut fleet = ready(4);
    let rollout = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(rollout)[0];
    fleet.set_sick(canary, "1.0", true);
    fleet.mute.insert((canary, tree(FIRST)));
    assert!(fleet.run_until(MINUTE, |f| f.stage(canary, rollout) == Some(Stage::Reprobing)));
    fleet.advance(Span::milliseconds(50));
    fleet.crash(canary);
    fleet.mute.clear();
    fleet.start(canary);
    let recovered = |e: &Event| matches!(e, Event::Vote { state: VoteState::Failed(Failure::Recovered), .. });
    assert!(fleet.run_until(MINUTE, |f| f.first(recovered).is_some()));
    assert_eq!(
        fleet.count(|node, e| node == canary && matches!(e, Event::Stage { to: Stage::Trial, .. })),
        1
    );
}

#[test]
fn a_release_that_failed_here_is_not_tried_again_after_a_restart() {
    let mut fleet = ready(4);
    let rollout = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(rollout)[0];
    fleet.set_sick(canary, "1.0", true);
    assert!(fleet.run_until(MINUTE, |f| f.stage(canary, rollout) == Some(Stage::Failed)));
    fleet.set_sick(canary, "1.0", false);
    fleet.advance(Span::seconds(1));
    fleet.crash(canary);
    fleet.start(canary);
    fleet.advance(MINUTE.times(5));
    assert_eq!(fleet.stage(canary, rollout), Some(Stage::Failed));
    assert_eq!(runs(&fleet, canary), Some(tree(FIRST)));
}

/// R5: S5 over a restart: a stopped release does not start again, even if it was active.
#[test]
fn a_machine_that_ends_while_it_waits_its_turn_goes_back_when_it_starts() {
    let mut fleet = ready(4);
    let mut manifest = fleet.papers.manifest(1, "1.0");
    manifest.plan.revert_spread_s = 600;
    let (rollout, fact) = fleet.sign(manifest);
    fleet.submit(0, fact);
    assert!(fleet.run_until(MINUTE, |f| f.rollout(0, rollout).is_some_and(|r| r.open == 4)));
    let last = fleet.line(rollout)[2];
    assert!(fleet.run_until(MINUTE, |f| f.stage(last, rollout) == Some(Stage::Healthy)));
    fleet.order(0, rollout, groundswell_protocol::trust::command::Instruction::Stop);
    fleet.advance(Span::seconds(1));
    assert_eq!(runs(&fleet, last), Some(tree("1.0")), "waits its turn");
    fleet.crash(last);
    fleet.start(last);
    fleet.advance(Span::seconds(1));
    assert_eq!(runs(&fleet, last), Some(tree(FIRST)));
    assert_eq!(fleet.stage(last, rollout), Some(Stage::Reverted));
}

/// R7: what ran before the agent ended and does not start at once is started again.
#[test]
fn what_does_not_start_is_started_again() {
    let mut fleet = ready(3);
    fleet.crash(1);
    fleet.unstartable.insert((1, tree(FIRST)));
    fleet.start(1);
    fleet.advance(Span::seconds(20));
    assert_eq!(runs(&fleet, 1), None);
    fleet.unstartable.clear();
    assert!(fleet.run_until(Span::seconds(10), |f| runs(f, 1) == Some(tree(FIRST))));
}

/// R4: what was lost while there was no link does not bar the sync that a link begins.
#[test]
fn a_new_link_begins_a_sync() {
    let mut fleet = ready(3);
    let id = fleet.machines[1].id;
    for input in [Input::LinkDown(id), Input::LinkUp(id), Input::LinkUp(id)] {
        let begins = matches!(input, Input::LinkUp(_));
        let out = fleet.input(0, input).unwrap();
        assert_eq!(out.frames().count(), usize::from(begins));
    }
}

#[test]
fn a_whole_fleet_that_loses_power_in_a_rollout_completes_it() {
    let mut fleet = ready(5);
    let rollout = fleet.publish(0, 1, "1.0");
    for times in 1..=4 {
        fleet.advance(Span::milliseconds(1300 * times));
        for node in 0..5 {
            fleet.crash(node);
        }
        fleet.start_all();
    }
    assert!(fleet.run_until(MINUTE.times(10), |f| f.all_at(rollout, Stage::Confirmed)));
}
