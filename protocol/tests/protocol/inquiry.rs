//! Jurors that cannot hear each other: what one misses it learns from another.

use std::collections::BTreeSet;

use groundswell_protocol::facts::{Fact, Key};
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::node::{Event, Input, Via};
use groundswell_protocol::time::Span;
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::wire::frame::Frame;

use crate::fleet::Fleet;

/// Of a drawn jury of 64 so many are behind routers that the others are no quorum of 43.
const BEHIND: usize = 26;

/// A fleet with a drawn jury, many of whose jurors are behind routers, and the first in line too.
fn behind_routers() -> Fleet {
    let mut fleet = Fleet::new(66);
    assert!(fleet.run_until(Span::seconds(60), Fleet::all_sign));
    let (rollout, _) = fleet.release(1, "1.0");
    let line = fleet.line(rollout);
    // Jurors stand last in line: the first two are none.
    fleet.put_behind_routers(line[..1].iter().chain(&line[2..2 + BEHIND]).copied());
    fleet
}

#[test]
fn a_drawn_jury_of_which_many_are_behind_routers_opens_all_the_same() {
    let mut fleet = behind_routers();
    let rollout = fleet.publish(0, 1, "1.0");
    let canary = fleet.line(rollout)[0];
    let open = |fleet: &Fleet| fleet.rollout(canary, rollout).map_or(0, |status| status.open);
    assert!(
        fleet.run_until(Span::seconds(60), |fleet| open(fleet) > 1),
        "the first wave is judged by a quorum"
    );
    assert_eq!(fleet.count(|_, event| matches!(event, Event::StopBallot { .. })), 0);
}

#[test]
fn a_bad_release_is_stopped_though_its_canary_and_jurors_are_behind_routers() {
    let mut fleet = behind_routers();
    let all: Vec<usize> = fleet.running().collect();
    for node in all {
        fleet.set_sick(node, "1.0", true);
    }
    let rollout = fleet.publish(0, 1, "1.0");
    let stopped = |fleet: &Fleet| {
        fleet.running().all(|node| fleet.rollout(node, rollout).is_some_and(|status| status.ending.is_some()))
    };
    assert!(fleet.run_until(Span::seconds(60), stopped));
}

#[test]
fn without_gossip_a_quorum_that_speaks_rarely_is_heard() {
    let mut fleet = Fleet::new(24);
    fleet.network.gossip = false;
    assert!(fleet.run_until(Span::seconds(120), Fleet::all_sign));
    let mut manifest = fleet.papers.manifest(1, "1.0");
    manifest.plan.beacon_ms = 20_000;
    let (rollout, fact) = fleet.sign(manifest);
    fleet.submit(0, fact);
    let done = |fleet: &Fleet| fleet.all_at(rollout, Stage::Confirmed);
    assert!(fleet.run_until(Span::seconds(1_200), done), "{:?}", fleet.rollout(0, rollout));
}

/// What a juror asks for costs who answers, so nobody else is answered; and who is dead is asked for ever more rarely.
#[test]
fn jurors_alone_are_told_what_they_miss_and_the_dead_are_missed_rarely() {
    let mut fleet = Fleet::new(66);
    assert!(fleet.run_until(Span::seconds(60), Fleet::all_sign));
    let (rollout, manifest) = fleet.release(1, "1.0");
    let line = fleet.line(rollout);
    let (member, asked, juror, dead) = (line[0], line[10], line[11], line[12]);
    fleet.submit(asked, manifest);
    fleet.order(asked, rollout, Instruction::Flow { counter: 1, pause: true });
    fleet.advance(Span::seconds(20));
    let ask = |fleet: &mut Fleet, from: usize| {
        let frame = Frame::Missed { rollout, seats: u64::MAX, ranks: vec![0, 1, 70_000] }.encode();
        let input = Input::Received { from: fleet.machines[from].id, via: Via::Direct, frame: &frame };
        let effects = fleet.input(asked, input).expect("it runs");
        let frames: Vec<_> = effects.frames().map(|bytes| Frame::decode(bytes).expect("a frame")).collect();
        frames
            .into_iter()
            .flat_map(|frame| match frame {
                Frame::Facts { facts, confirm: false, last: false } => facts,
                other => panic!("{other:?}"),
            })
            .map(|signed| Fact::read(fleet.papers.fleet, signed).expect("a fact").key)
            .collect::<BTreeSet<Key>>()
    };
    assert_eq!(ask(&mut fleet, member), BTreeSet::new());
    let told = ask(&mut fleet, juror);
    assert!(told.contains(&Key::Beacon(fleet.machines[dead].id)), "{told:?}");
    assert_eq!(told.len(), 63, "all jurors but the one that answers");
    assert_eq!(ask(&mut fleet, juror), BTreeSet::new(), "who asks again at once is not answered");
    assert_eq!(ask(&mut fleet, line[13]).len(), 63, "and keeps no other from its answer");
    fleet.advance(Span::seconds(2));
    assert!(!ask(&mut fleet, juror).is_empty());
    fleet.crash(dead);
    fleet.advance(Span::seconds(100));
    let questions = |fleet: &Fleet| fleet.referee.questions;
    let before = questions(&fleet);
    fleet.advance(Span::seconds(120));
    let asked = questions(&fleet) - before;
    assert!((63..=63 * 4).contains(&asked), "{asked} questions in two minutes of 63 jurors that miss one");
    assert!(fleet.rollout(juror, rollout).is_some_and(|status| status.paused));
}
