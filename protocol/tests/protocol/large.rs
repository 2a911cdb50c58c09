//! Fleets with more electors than a jury has seats: who judges is drawn, and few hear from each other.

use groundswell_protocol::facts::{Ballot, Beacon, Fact, Heads, Key, Say, Statement};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::event::{Event, Stage};
use groundswell_protocol::node::{Input, Via};
use groundswell_protocol::time::Span;
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::wire::frame::Frame;

use crate::fleet::{Fleet, gossip};

const SECOND: Span = Span::seconds(1);

/// H28: a node that never heard of the jurors of a release cannot tell old beacons from new ones. So the
/// first that it hears of each is no news yet, however often it is played back; the next one is.
#[test]
fn beacons_of_strangers_are_news_only_when_they_rise() {
    let mut fleet = Fleet::new(65);
    assert!(fleet.run_until(Span::seconds(60), Fleet::all_sign));
    let (rollout, manifest) = fleet.release(1, "1.0");
    let line = fleet.line(rollout);
    let (jurors, node, liar) = (line[1..].to_vec(), line[0], line[1]);
    let others: Vec<usize> = (0..65).filter(|other| *other != node).collect();
    fleet.partition(&[&[node], &others]);
    fleet.submit(node, manifest);
    let from = fleet.machines[liar].id;
    let hear = |fleet: &mut Fleet, fact: &Fact| {
        let frame = gossip(fact);
        fleet.input(node, Input::Received { from, via: Via::Gossip, frame: &frame });
    };
    for juror in &jurors {
        let say = Say::Open(1);
        let ballot = Ballot { rollout, juror: fleet.machines[*juror].id, say };
        let ballot = fleet.papers.by(*juror, Statement::Ballot(ballot));
        hear(&mut fleet, &ballot);
    }
    let reached = |stage| move |fleet: &Fleet| fleet.stage(node, rollout) == Some(stage);
    assert!(fleet.run_until(Span::seconds(60), reached(Stage::Freshening)));

    let speak = |fleet: &mut Fleet, count| {
        for juror in &jurors {
            let beacon = beacon(fleet.machines[*juror].id, count);
            let beacon = fleet.papers.by(*juror, Statement::Beacon(beacon));
            hear(fleet, &beacon);
        }
    };
    for _ in 0..30 {
        speak(&mut fleet, 1);
        fleet.advance(SECOND);
        assert_eq!(fleet.stage(node, rollout), Some(Stage::Freshening));
    }
    speak(&mut fleet, 2);
    assert!(fleet.run_until(SECOND, reached(Stage::Announcing)));
}

/// Half of a large fleet may ask a juror at once: each must cost it a sign of life, and not all that differs.
#[test]
fn who_wants_news_of_a_juror_gets_its_beacon_and_nothing_else() {
    let mut fleet = Fleet::new(65);
    assert!(fleet.run_until(Span::seconds(60), Fleet::all_sign));
    let (rollout, manifest) = fleet.release(1, "1.0");
    let line = fleet.line(rollout);
    let (juror, node) = (line[1], line[0]);
    fleet.submit(juror, manifest);
    fleet.advance(SECOND);
    let (from, me) = (fleet.machines[node].id, fleet.machines[juror].id);
    let ask = |fleet: &mut Fleet, of: NodeId| {
        let frame = Frame::Want { keys: vec![Key::Beacon(of).short()] }.encode();
        let input = Input::Received { from, via: Via::Direct, frame: &frame };
        let effects = fleet.input(juror, input).expect("it runs");
        effects.frames().map(|bytes| Frame::decode(bytes).expect("a frame")).collect::<Vec<_>>()
    };
    let answers = ask(&mut fleet, me);
    let [Frame::Facts { facts, confirm: false, last: false }] = &answers[..] else { panic!("{answers:?}") };
    let [signed] = &facts[..] else { panic!("{facts:?}") };
    let fact = Fact::read(fleet.papers.fleet, signed.clone()).expect("a fact");
    assert_eq!(fact.key, Key::Beacon(me));
    let others = ask(&mut fleet, from);
    assert_eq!(
        others,
        [Frame::Facts { facts: Vec::new(), confirm: false, last: true }],
        "of others it has none"
    );
}

/// The count of a node's newest beacon, which is signed to be asked for.
fn count_of(fleet: &mut Fleet, node: usize) -> u32 {
    let (me, from) = (fleet.machines[node].id, fleet.machines[(node + 1) % 65].id);
    let frame = Frame::Want { keys: vec![Key::Beacon(me).short()] }.encode();
    let input = Input::Received { from, via: Via::Direct, frame: &frame };
    let effects = fleet.input(node, input).expect("it runs");
    let frames: Vec<_> = effects.frames().map(|bytes| Frame::decode(bytes).expect("a frame")).collect();
    let [Frame::Facts { facts, .. }] = &frames[..] else { panic!("{frames:?}") };
    let fact = Fact::read(fleet.papers.fleet, facts[0].clone()).expect("a fact");
    let Statement::Beacon(beacon) = fact.statement else { panic!("{fact:?}") };
    beacon.count
}

/// In a drawn jury the leader speaks at the plan's pace, and is replaced as soon as it is silent at that pace; those
/// on whom nothing turns for now speak rarely, and a new leader is given the time to be heard.
#[test]
fn of_a_drawn_jury_who_leads_speaks_at_the_plans_pace_and_the_others_rarely() {
    let mut fleet = Fleet::new(65);
    assert!(fleet.run_until(Span::seconds(60), Fleet::all_sign));
    let rollout = fleet.publish(0, 1, "1.0");
    fleet.order(0, rollout, Instruction::Flow { counter: 1, pause: true });
    fleet.advance(Span::seconds(15));
    let leader = fleet.leader(rollout, 0);
    let others = [1, 2].map(|term| fleet.leader(rollout, term));
    let spoken = |fleet: &mut Fleet, node, seconds| {
        let before = count_of(fleet, node);
        fleet.advance(Span::seconds(seconds));
        count_of(fleet, node) - before - 1
    };
    assert!(spoken(&mut fleet, leader, 60) >= 110);
    for other in others {
        assert!((5..=8).contains(&spoken(&mut fleet, other, 60)));
    }
    fleet.crash(leader);
    let term = |fleet: &Fleet| fleet.rollout(others[0], rollout).map(|status| status.term);
    assert!(fleet.run_until(Span::seconds(5), |fleet| term(fleet) == Some(1)));
    assert!(spoken(&mut fleet, others[0], 60) >= 110);
    assert_eq!(term(&fleet), Some(1), "it is heard");
    // One that fell silent before it led is not heard at its new pace.
    fleet.crash(others[1]);
    fleet.crash(others[0]);
    assert!(fleet.run_until(Span::seconds(10), |fleet| {
        let juror = fleet.leader(rollout, 3);
        fleet.rollout(juror, rollout).is_some_and(|status| status.term == 3)
    }));
}

/// While a drawn jury judges, whoever neither judges nor is open has nothing to lose by asking rarely: half of what a
/// fleet of ten thousand sent were such questions. Once it is open it asks at the active pace.
#[test]
fn onlookers_sync_rarely_until_they_are_open() {
    let mut fleet = Fleet::new(66);
    assert!(fleet.run_until(Span::seconds(60), Fleet::all_sign));
    let rollout = fleet.publish(0, 1, "1.0");
    fleet.order(0, rollout, Instruction::Flow { counter: 1, pause: true });
    fleet.advance(Span::seconds(20));
    let jurors: Vec<usize> = (0..64).map(|term| fleet.leader(rollout, term)).collect();
    let onlooker = (0..66).find(|node| !jurors.contains(node)).expect("64 of 66 judge");
    let synced = |fleet: &mut Fleet, seconds| {
        let of = |fleet: &Fleet, one| {
            fleet.count(|node, event| node == one && matches!(event, Event::Synced { .. }))
        };
        let before = [of(fleet, jurors[0]), of(fleet, onlooker)];
        fleet.advance(Span::seconds(seconds));
        [of(fleet, jurors[0]) - before[0], of(fleet, onlooker) - before[1]]
    };
    let [juror, rarely] = synced(&mut fleet, 120);
    assert!((11..=19).contains(&juror) && (3..=7).contains(&rarely), "{juror}, {rarely}");
    fleet.order(0, rollout, Instruction::Promote(66));
    fleet.advance(SECOND);
    let [_, often] = synced(&mut fleet, 60);
    assert!(often >= 5, "{often}");
}

fn beacon(node: NodeId, count: u32) -> Beacon {
    Beacon {
        node,
        boot: 1,
        incarnation: 7,
        count,
        heads: Heads { policy: 1, census: 1, facts: 0 },
        active: Vec::new(),
        installed: Vec::new(),
        addresses: Vec::new(),
    }
}
