//! Policies, censuses, and who may sign: rotation, stolen keys, clones, latecomers.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, KeySignature, Statement};
use groundswell_protocol::identity::{KeyPair, Signature};
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::status::Signing;
use groundswell_protocol::node::{Event, Input, Record, Refusal, Verdict};
use groundswell_protocol::time::Span;
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::manifest::ReleaseOrder;
use groundswell_protocol::trust::policy::Role;

use crate::fleet::Fleet;
use crate::fleet::machine::Machine;
use crate::fleet::papers::{key, web};

const MINUTE: Span = Span::seconds(60);

fn ready(count: usize) -> Fleet {
    let mut fleet = Fleet::new(count);
    assert!(fleet.run_until(MINUTE, Fleet::all_sign));
    fleet
}

fn role(name: &str) -> Role {
    Role::new(vec![key(name).public()], 1)
}

#[test]
fn policies_are_walked_in_order_and_signed_by_the_old_and_the_new_root() {
    let mut fleet = ready(3);
    let papers = fleet.papers.clone();
    let new_root = key("root 2");
    let first = (&papers.policy_fact, &papers.policy);
    let (two, policy_two) =
        papers.next_policy(first, &[&papers.root, &new_root], |p| p.roles.root = role("root 2"));
    let (alone, _) = papers.next_policy(first, &[&new_root], |p| p.roles.root = role("root 2"));
    let (three, policy_three) = papers.next_policy((&two, &policy_two), &[&new_root], |p| p.epoch = 2);
    let (lower, _) = papers.next_policy((&three, &policy_three), &[&new_root], |p| p.epoch = 1);
    let (stray, _) =
        papers.next_policy((&three, &policy_three), &[&new_root], |p| p.previous = Digest([7; 32]));
    assert_eq!(fleet.submit(0, alone.signed), Verdict::Refused(Refusal::Unsigned));
    assert_eq!(fleet.submit(0, three.signed.clone()), Verdict::Refused(Refusal::MissingParent));
    assert_eq!(fleet.submit(0, two.signed), Verdict::Accepted);
    assert_eq!(fleet.submit(0, three.signed), Verdict::Accepted);
    assert_eq!(fleet.submit(0, lower.signed), Verdict::Refused(Refusal::BrokenChain));
    assert_eq!(fleet.submit(0, stray.signed), Verdict::Refused(Refusal::BrokenChain));
    assert!(fleet.run_until(MINUTE, |f| f.running().all(|n| f.status(n).policy == 3)));
    // H33: a sequence driven up by a thief is got past by an epoch.
    let far = fleet.publish(0, u64::MAX, "9.9");
    fleet.advance(Span::seconds(20));
    let seen = fleet.rollout(1, far).unwrap();
    assert_eq!((seen.open, seen.hold), (0, Hold::SequenceTooFar));
    let mut fix = papers.manifest(1, "1.0");
    fix.policy = 3;
    fix.order = ReleaseOrder { epoch: 2, sequence: 1 };
    let (fix, fact) = fleet.sign(fix);
    fleet.submit(0, fact);
    assert!(fleet.run_until(MINUTE, |f| f.all_at(fix, Stage::Confirmed)));
}

#[test]
fn two_policies_of_one_version_are_both_kept_and_alarm() {
    let mut fleet = ready(3);
    let papers = fleet.papers.clone();
    let first = (&papers.policy_fact, &papers.policy);
    let (one, _) = papers.next_policy(first, &[&papers.root], |p| p.expires += 1);
    let (other, _) = papers.next_policy(first, &[&papers.root], |p| p.expires += 2);
    fleet.submit(0, one.signed);
    fleet.submit(2, other.signed);
    assert!(fleet.run_until(MINUTE, |f| f.running().all(|n| f.status(n).conflict)));
    fleet.advance(MINUTE);
    assert!(fleet.agrees());
}

/// R1: a key that root has taken away opens nothing more, whatever other keys it claims to sign with.
#[test]
fn a_manifest_of_a_revoked_key_is_not_opened() {
    let mut fleet = ready(3);
    let papers = fleet.papers.clone();
    let first = (&papers.policy_fact, &papers.policy);
    let (two, _) = papers.next_policy(first, &[&papers.root], |p| p.roles.release = role("release 2"));
    fleet.submit(0, two.signed);
    let (stolen, mut fact) = fleet.release(1, "1.0");
    let noise = KeySignature { key: key("release 2").public(), signature: Signature([1; 64]) };
    fact.signatures.push(noise);
    fact.signatures.sort_unstable();
    assert_eq!(fleet.submit(0, fact), Verdict::Accepted, "its policy still vouches for it");
    fleet.advance(MINUTE);
    let seen = fleet.rollout(1, stolen).unwrap();
    assert_eq!((seen.open, seen.hold), (0, Hold::SignersRevoked));
}

#[test]
fn a_manifest_that_old_and_new_keys_sign_outlives_a_rotation() {
    let mut fleet = ready(3);
    let papers = fleet.papers.clone();
    let first = (&papers.policy_fact, &papers.policy);
    let (two, _) = papers.next_policy(first, &[&papers.root], |p| p.roles.release = role("release 2"));
    let (rollout, fact) = fleet.release(1, "1.0");
    let (_, statement) = Fact::read_body(&fact.body, None).unwrap();
    let both = Fact::sign(papers.fleet, statement, &[&papers.release, &key("release 2")]);
    fleet.submit(0, both.signed);
    fleet.submit(0, two.signed);
    assert!(fleet.run_until(MINUTE, |f| f.all_at(rollout, Stage::Confirmed)));
}

#[test]
fn commands_under_a_policy_older_than_the_release_are_refused() {
    let mut fleet = ready(3);
    let papers = fleet.papers.clone();
    let first = (&papers.policy_fact, &papers.policy);
    let (two, _) = papers.next_policy(first, &[&papers.root], |p| p.roles.operator = role("operator 2"));
    fleet.submit(0, two.signed);
    let mut manifest = papers.manifest(1, "1.0");
    manifest.policy = 2;
    let (rollout, fact) = fleet.sign(manifest);
    fleet.submit(0, fact);
    let stale = papers.command_under(1, &papers.operator, rollout, Instruction::Stop);
    assert_eq!(fleet.submit(0, stale), Verdict::Refused(Refusal::StalePolicy));
    let revoked = papers.command_under(2, &papers.operator, rollout, Instruction::Stop);
    assert_eq!(fleet.submit(0, revoked), Verdict::Refused(Refusal::Unsigned));
    let good = papers.command_under(2, &key("operator 2"), rollout, Instruction::Stop);
    assert_eq!(fleet.submit(0, good), Verdict::Accepted);
}

/// R2: an enrol key that root has taken away makes no more members.
#[test]
fn a_revoked_enrol_key_cannot_outbid_its_successor() {
    let mut fleet = ready(3);
    let papers = fleet.papers.clone();
    let members: Vec<_> = papers.nodes.iter().map(KeyPair::public).collect();
    let first = (&papers.policy_fact, &papers.policy);
    let (two, _) = papers.next_policy(first, &[&papers.root], |p| p.roles.enrol = role("enrol 2"));
    fleet.submit(0, two.signed);
    let (good, _) = papers.next_census(2, 2, &members, &key("enrol 2"));
    assert_eq!(fleet.submit(0, good.signed), Verdict::Accepted);
    let sybils: Vec<_> = (0..50).map(|n| key(&format!("sybil {n}")).public()).collect();
    let (stolen, _) = papers.next_census(99, 1, &sybils, &papers.enrol);
    fleet.submit(0, stolen.signed);
    fleet.advance(MINUTE);
    for node in 0..3 {
        assert_eq!(fleet.status(node).census, 2);
        assert_eq!(fleet.status(node).signing, Signing::Yes);
    }
}

/// H30: a node that is enrolled after a release was signed takes it when it is done, not before.
#[test]
fn a_latecomer_takes_done_releases_only() {
    let mut fleet = ready(4);
    let papers = fleet.papers.clone();
    let late = key("late");
    let mut members: Vec<_> = papers.nodes.iter().map(KeyPair::public).collect();
    members.push(late.public());
    let (census, _) = papers.next_census(2, 1, &members, &papers.enrol);
    let mut machine = Machine::new(late, [web()].into());
    for fact in [&papers.policy_fact, &papers.census, &census] {
        let record = Record::Fact(fact.signed.clone());
        machine.disk.durable.insert(record.key(papers.fleet), record);
    }
    fleet.machines.push(machine);
    fleet.network.group.push(0);
    let rollout = fleet.publish(0, 1, "1.0");
    assert!(fleet.run_until(MINUTE, |f| f.rollout(0, rollout).is_some_and(|r| r.open >= 1)));
    fleet.submit(0, census.signed);
    fleet.start(4);
    assert!(fleet.run_until(MINUTE, |f| f.rollout(4, rollout).is_some_and(|r| r.open >= 3)));
    assert_eq!(fleet.stage(4, rollout), Some(Stage::NotMine));
    assert_eq!(fleet.rollout(4, rollout).unwrap().my_rank, None);
    assert!(fleet.run_until(MINUTE.times(2), |f| f.all_at(rollout, Stage::Confirmed)));
    let done = fleet.first(|e| matches!(e, Event::Done { .. })).unwrap().0;
    let switched = |e: &Event| matches!(e, Event::Switched { .. });
    assert!(fleet.events.iter().find(|(_, node, e)| *node == 4 && switched(e)).unwrap().0 >= done);
}

/// R3: three bad releases do not push out what sleepers need.
#[test]
fn a_sleeper_ends_on_the_newest_done_release() {
    let mut fleet = ready(5);
    fleet.crash(4);
    let good = fleet.publish(0, 1, "1.0");
    assert!(fleet.run_until(MINUTE.times(5), |f| f.all_at(good, Stage::Confirmed)));
    for (sequence, version) in [(2, "2.0"), (3, "3.0"), (4, "4.0"), (5, "5.0")] {
        for node in 0..5 {
            fleet.set_sick(node, version, true);
        }
        fleet.publish(0, sequence, version);
        fleet.advance(MINUTE.times(3));
    }
    assert!(fleet.rollout(0, good).is_some(), "the newest done is kept");
    let kept = fleet.status(0).rollouts.len();
    assert!(kept <= 4, "{kept} rollouts are kept");
    fleet.start(4);
    assert!(fleet.run_until(MINUTE.times(5), |f| f.stage(4, good) == Some(Stage::Confirmed)));
    fleet.advance(MINUTE.times(3));
    assert!(fleet.agrees());
    assert_eq!(fleet.machines[4].runs.get(&web()), Some(&Digest::of(b"1.0")));
}

/// H11: nothing is signed before the node has heard what it signed earlier.
#[test]
fn a_node_alone_signs_nothing() {
    let mut fleet = Fleet::bare(4);
    fleet.start(0);
    fleet.advance(MINUTE.times(10));
    assert_eq!(fleet.status(0).signing, Signing::Recovering { heard: 0, needed: 2 });
    fleet.start(1);
    fleet.advance(MINUTE);
    assert_eq!(fleet.status(0).signing, Signing::Recovering { heard: 1, needed: 2 });
    fleet.start(2);
    assert!(fleet.run_until(MINUTE, Fleet::all_sign));
}

/// Found by the simulator, seed 1057 with 98 machines: the only linked elector that a node had not heard yet never
/// answered, and it was asked for ever, and nobody else.
#[test]
fn a_linked_elector_that_never_answers_keeps_nobody_from_recovering() {
    let mut fleet = Fleet::bare(4);
    [1, 2, 3].into_iter().for_each(|node| fleet.start(node));
    assert!(fleet.run_until(MINUTE, Fleet::all_sign));
    fleet.crash(3);
    // Away while it starts, so that it is linked with nobody else.
    fleet.network.group[0] = 9;
    fleet.start(0);
    fleet.network.group[0] = 0;
    let silent = fleet.machines[3].id;
    fleet.input(0, Input::LinkUp(silent));
    assert!(fleet.run_until(MINUTE, Fleet::all_sign));
}

/// H11 and S10: a disk that was restored to an earlier day contradicts nothing: the referee compares
/// all signatures with all that left before.
#[test]
fn a_restored_disk_contradicts_nothing_and_is_heard() {
    let mut fleet = ready(4);
    let (rollout, fact) = fleet.release(1, "1.0");
    let victim = fleet.line(rollout)[0];
    let (image, slot) = (fleet.machines[victim].disk.durable.clone(), fleet.machines[victim].slot.clone());
    fleet.crash(victim);
    fleet.start(victim);
    fleet.submit((victim + 1) % 4, fact);
    assert!(fleet.run_until(MINUTE, |f| f.stage(victim, rollout) == Some(Stage::Healthy)));
    fleet.crash(victim);
    fleet.machines[victim].disk.durable = image;
    fleet.machines[victim].slot = slot;
    fleet.start(victim);
    assert!(fleet.run_until(MINUTE, Fleet::all_sign));
    assert!(fleet.status(victim).boot >= 3, "a start that others heard of is not used again");
    assert!(fleet.run_until(MINUTE.times(3), |f| f.all_at(rollout, Stage::Confirmed)));
    assert_eq!(fleet.first(|e| matches!(e, Event::Cloned)), None);
}

/// H11: of those that a machine with a lost disk asks, none may remember its beacons, because they have started
/// since. When it meets its past later it takes a higher number, and does not take itself for a clone.
#[test]
fn a_past_that_only_a_stranger_remembers_silences_nobody() {
    let mut fleet = ready(4);
    let victim = 3;
    let image = fleet.machines[victim].disk.durable.clone();
    for _ in 0..3 {
        fleet.crash(victim);
        fleet.start(victim);
        assert!(fleet.run_until(MINUTE, Fleet::all_sign));
    }
    fleet.advance(MINUTE.times(2));
    let boot = fleet.status(victim).boot;
    fleet.crash(victim);
    for forgetful in [1, 2] {
        fleet.crash(forgetful);
        fleet.start(forgetful);
    }
    assert!(fleet.run_until(MINUTE, |f| (0..3).all(|node| f.status(node).signing == Signing::Yes)));
    // The one that remembers is cut off when the disk is lost.
    fleet.network.group[0] = 9;
    fleet.machines[victim].disk.durable = image;
    fleet.start(victim);
    assert!(fleet.run_until(MINUTE, |f| f.status(3).signing == Signing::Yes));
    assert!(fleet.status(victim).boot <= boot, "nobody could tell it");
    fleet.network.group[0] = 0;
    assert!(
        fleet.run_until(MINUTE.times(5), |f| f.status(3).boot > boot && f.status(3).signing == Signing::Yes)
    );
    assert_eq!(fleet.first(|e| matches!(e, Event::Cloned)), None);
}

#[test]
fn of_two_machines_with_one_key_one_falls_silent() {
    let mut fleet = ready(4);
    let papers = fleet.papers.clone();
    let mut clone = Machine::new(papers.nodes[1].clone(), [web()].into());
    clone.disk.durable = fleet.machines[1].disk.durable.clone();
    // Another start draws other randomness.
    clone.start = 100;
    clone.slot = fleet.machines[1].slot.clone();
    fleet.machines.push(clone);
    fleet.network.group.push(0);
    fleet.start(4);
    assert!(fleet.run_until(MINUTE.times(3), |f| f.first(|e| matches!(e, Event::Cloned)).is_some()));
    let silent = [1, 4].into_iter().filter(|node| fleet.status(*node).signing == Signing::Cloned).count();
    assert!(silent >= 1);
}

/// R11, H34: a node whom nobody tells anything says so.
#[test]
fn a_node_that_is_kept_from_news_suspects_a_freeze() {
    let mut fleet = ready(4);
    fleet.advance(MINUTE.times(15));
    let frozen = |e: &Event| matches!(e, Event::FreezeSuspected { .. });
    assert_eq!(fleet.first(frozen), None);
    for node in 1..4 {
        fleet.machines[node].crash();
    }
    fleet.advance(MINUTE.times(15));
    assert_eq!(fleet.count(|node, e| node == 0 && frozen(e)), 1, "links are up, and nothing comes");
}

#[test]
fn a_retired_node_signs_no_more_and_its_beacons_are_forgotten() {
    let mut fleet = ready(4);
    let papers = fleet.papers.clone();
    let members: Vec<_> = papers.nodes[..3].iter().map(KeyPair::public).collect();
    let (census, _) = papers.next_census(2, 1, &members, &papers.enrol);
    let Statement::Census(body) = census.statement.clone() else { unreachable!() };
    fleet.submit(0, census.signed);
    assert!(fleet.run_until(MINUTE, |f| f.running().all(|n| f.status(n).census == 2)));
    assert_eq!(fleet.status(3).signing, Signing::NotEnrolled);
    let mut manifest = papers.manifest(1, "1.0");
    manifest.census = census.id;
    let (rollout, fact) = fleet.sign_for(manifest, &body);
    fleet.submit(0, fact);
    assert!(fleet.run_until(MINUTE, |f| (0..3).all(|n| f.stage(n, rollout) == Some(Stage::Confirmed))));
    assert_ne!(fleet.stage(3, rollout), Some(Stage::Confirmed));
}
