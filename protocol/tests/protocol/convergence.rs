//! Any order, loss and duplication of deliveries ends in the same state, and sync alone suffices (P1, P2).

use std::collections::BTreeSet;
use std::sync::Arc;

use groundswell_protocol::bounds::SUMMARY_ENTRIES_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{Fact, Registers, Statement, Vote, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::node::{Config, Entropy, Event, Input, Node, Refusal, Verdict, Via};
use groundswell_protocol::sync::summary;
use groundswell_protocol::time::{Span, Time};
use groundswell_protocol::wire::frame::{Entry, Frame};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fleet::effects::{Effect, Effects};
use crate::fleet::papers::{Papers, key, web};
use crate::fleet::{Fleet, gossip};
use crate::pool::pool;

const MINUTE: Span = Span::seconds(60);

/// Where the jury is drawn from many electors, nobody but the jury is told how single nodes fare: a vote
/// that a node holds is no difference to others.
#[test]
fn votes_of_a_large_fleet_are_no_difference_between_nodes() {
    let papers = Papers::new(65);
    let (rollout, manifest) = papers.release(1, "1.0");
    let mut sides = [Listener::new(&papers, "left"), Listener::new(&papers, "right")];
    let relay = papers.nodes[0].public();
    for side in &mut sides {
        for fact in [&papers.policy_fact, &papers.census, &manifest] {
            side.take(Input::Submitted(fact.signed.clone()));
        }
    }
    let vote = Vote {
        rollout,
        node: papers.nodes[3].public(),
        state: VoteState::Trying,
        attempt: 1,
        beat: 0,
        numbers: HealthNumbers::default(),
        note: String::new(),
    };
    let vote = papers.by(3, Statement::Vote(vote));
    assert_eq!(sides[0].hear(relay, &vote), Verdict::Accepted);
    let [left, right] = &mut sides;
    assert_eq!(sync(left, right), Some(0));
    assert_eq!(left.holds(), right.holds());
}

/// A node that only listens: it is in no census, so it signs nothing.
struct Listener {
    node: Node,
    id: NodeId,
    now: Time,
}

impl Listener {
    fn new(papers: &Papers, name: &str) -> Self {
        let key = key(name);
        let id = key.public();
        let config = Config { fleet: papers.fleet, key, components: BTreeSet::from([web()]) };
        Self { node: Node::new(config, Vec::new(), Entropy(Digest::of(name.as_bytes()).0)), id, now: Time(1) }
    }

    fn take(&mut self, input: Input<'_>) -> Effects {
        let mut out = Effects::default();
        self.now = self.now + Span::milliseconds(700);
        self.node.handle(self.now, input, &mut out);
        out
    }

    fn hear(&mut self, from: NodeId, fact: &Fact) -> Verdict {
        let frame = gossip(fact);
        self.take(Input::Received { from, via: Via::Gossip, frame: &frame }).verdict().unwrap()
    }

    fn holds(&mut self) -> Vec<Entry> {
        let frame =
            Frame::Digest { digest: Digest([1; 32]), beacon: None, yours: None, equal: false }.encode();
        let from = NodeId { 0: [9; 32] };
        let out = self.take(Input::Received { from, via: Via::Direct, frame: &frame });
        let pages = out.frames().filter_map(|frame| match Frame::decode(frame) {
            Ok(Frame::Summary { entries, .. }) => Some(entries),
            _ => None,
        });
        pages.flatten().collect()
    }
}

/// One whole sync that `a` begins; returns how many facts it brought `a`.
fn sync(a: &mut Listener, b: &mut Listener) -> Option<u32> {
    let mut learned = None;
    let mut to_b: Vec<Vec<u8>> = Vec::new();
    let mut out = a.take(Input::LinkUp(b.id));
    for _ in 0..100 {
        for effect in std::mem::take(&mut out.0) {
            match effect {
                Effect::Send(to, frame) if to == b.id => to_b.push(frame),
                Effect::Report(Event::Synced { learned: n, .. }) => learned = Some(n),
                _ => {}
            }
        }
        if to_b.is_empty() {
            break;
        }
        let mut back = Vec::new();
        for frame in to_b.drain(..) {
            let from = a.id;
            for effect in b.take(Input::Received { from, via: Via::Direct, frame: &frame }).0 {
                match effect {
                    Effect::Send(to, frame) if to == from => back.push(frame),
                    _ => {}
                }
            }
        }
        for frame in back {
            out.0.extend(a.take(Input::Received { from: b.id, via: Via::Direct, frame: &frame }).0);
        }
    }
    learned
}

fn all_entries(facts: &[Arc<Fact>]) -> Vec<Entry> {
    let mut registers = Registers::default();
    for fact in facts {
        registers.merge(fact);
    }
    summary::pages(&registers).into_iter().flat_map(|page| page.entries).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// P1 and P2: whatever reached whom, in whatever order, one sync later both hold everything.
    #[test]
    fn any_delivery_and_one_sync_converge(
        deliveries in prop::collection::vec((any::<Index>(), any::<bool>()), 0..400),
    ) {
        let pool = pool();
        let mut sides = [Listener::new(&pool.papers, "left"), Listener::new(&pool.papers, "right")];
        let relay = pool.papers.nodes[0].public();
        for (pick, right) in deliveries {
            let fact = &pool.facts[pick.index(pool.facts.len())];
            let verdict = sides[usize::from(right)].hear(relay, fact);
            prop_assert!(
                !matches!(verdict, Verdict::Refused(why) if why != Refusal::MissingParent),
                "P1: {:?} of {:?}", verdict, fact.statement
            );
        }
        let [left, right] = &mut sides;
        // What neither was told reaches one of them at last, parents first.
        for fact in &pool.facts {
            left.hear(relay, fact);
        }
        sync(left, right);
        let expected = all_entries(&pool.facts);
        prop_assert_eq!(left.holds(), expected.clone());
        prop_assert_eq!(right.holds(), expected);
        prop_assert_eq!(sync(left, right), Some(0), "nothing is left to learn");
        prop_assert_eq!(sync(right, left), Some(0));
    }
}

#[test]
fn a_lossy_net_that_repeats_and_reorders_ends_in_one_state() {
    for seed in 0..6 {
        let mut fleet = Fleet::new(5);
        fleet.seed(seed);
        fleet.network.loss_permille = 200;
        fleet.network.duplicate_permille = 200;
        fleet.network.jitter_ms = 150;
        assert!(fleet.run_until(MINUTE, Fleet::all_sign), "seed {seed}");
        let rollout = fleet.publish(0, 1, "1.0");
        assert!(
            fleet.run_until(MINUTE.times(10), |f| f.all_at(rollout, Stage::Confirmed)),
            "seed {seed}: {:?}",
            fleet.rollout(0, rollout)
        );
        fleet.advance(MINUTE.times(5));
        assert!(fleet.agrees(), "seed {seed}");
    }
}

#[test]
fn sync_alone_carries_a_release_through_and_ends_in_one_state() {
    let mut fleet = Fleet::new(4);
    fleet.network.gossip = false;
    assert!(fleet.run_until(MINUTE, Fleet::all_sign));
    let mut manifest = fleet.papers.manifest(1, "1.0");
    manifest.plan.beacon_ms = 60_000;
    manifest.plan.hold_s = 3600;
    let (rollout, fact) = fleet.sign(manifest);
    fleet.submit(2, fact);
    assert!(fleet.run_until(MINUTE.times(30), |f| f.all_at(rollout, Stage::Confirmed)));
    fleet.advance(MINUTE.times(10));
    assert!(fleet.agrees());
}

#[test]
fn two_halves_agree_when_they_meet_again() {
    let mut fleet = Fleet::new(6);
    fleet.run_until(MINUTE, Fleet::all_sign);
    fleet.partition(&[&[0, 1, 2], &[3, 4, 5]]);
    let (left, right) = (fleet.publish(0, 1, "1.0"), fleet.publish(3, 2, "2.0"));
    fleet.advance(MINUTE);
    for (node, rollout) in [(0, left), (3, right)] {
        assert_eq!(fleet.rollout(node, rollout).unwrap().open, 0, "half a fleet opens nothing");
    }
    fleet.partition(&[]);
    assert!(fleet.run_until(MINUTE.times(10), |f| f.all_at(right, Stage::Confirmed)));
    fleet.advance(MINUTE.times(10));
    assert!(fleet.agrees());
}

/// The idle fleet is quiet: nothing but beacons and equal digests.
#[test]
fn an_idle_fleet_learns_nothing_and_says_little() {
    let mut fleet = Fleet::new(4);
    fleet.run_until(MINUTE, Fleet::all_sign);
    let rollout = fleet.publish(0, 1, "1.0");
    assert!(fleet.run_until(MINUTE, |f| f.all_at(rollout, Stage::Confirmed)));
    fleet.advance(MINUTE.times(3));
    let before = fleet.events.len();
    let writes: Vec<u64> = fleet.machines.iter().map(|m| m.disk.asked).collect();
    fleet.advance(MINUTE.times(10));
    for (_, _, event) in &fleet.events[before..] {
        assert!(matches!(event, Event::Synced { learned: 0, .. }), "{event:?}");
    }
    assert!(fleet.events.len() - before < 4 * 10 * 4, "about one sync a minute and node");
    assert_eq!(writes, fleet.machines.iter().map(|m| m.disk.asked).collect::<Vec<_>>());
}

/// A state of several pages: what one side has greater and what the other has cross in one sync.
#[test]
fn a_sync_of_many_pages_brings_everything_both_ways() {
    // Of more electors a jury would be drawn, and the votes would be its alone.
    let papers = Papers::with_electors(700, 60);
    let (rollout, manifest) = papers.release(1, "1.0");
    let mut sides = [Listener::new(&papers, "left"), Listener::new(&papers, "right")];
    let relay = papers.nodes[0].public();
    for side in &mut sides {
        // The census is too large for gossip.
        for fact in [&papers.policy_fact, &papers.census, &manifest] {
            let verdict = side.take(Input::Submitted(fact.signed.clone())).verdict();
            assert_eq!(verdict, Some(Verdict::Accepted));
        }
    }
    let mut facts: Vec<Arc<Fact>> =
        [&papers.policy_fact, &papers.census, &manifest].map(|fact| Arc::new(fact.clone())).into();
    for node in 0..700 {
        let states = [VoteState::Staged, VoteState::Trying];
        for (place, state) in states.into_iter().enumerate() {
            let (numbers, id) = (HealthNumbers::default(), papers.nodes[node].public());
            let vote = Vote { rollout, node: id, state, attempt: 1, beat: 0, numbers, note: String::new() };
            let fact = papers.by(node, Statement::Vote(vote));
            // Of a third of the nodes each side is ahead, of another third one side knows nothing.
            if (node + place) % 3 != 0 {
                sides[(node + place) % 2].hear(relay, &fact);
                facts.push(Arc::new(fact));
            }
        }
    }
    let expected = all_entries(&facts);
    assert!(expected.len() > SUMMARY_ENTRIES_MAX, "more than one page");
    let [left, right] = &mut sides;
    assert!(sync(left, right).is_some_and(|learned| learned > 100));
    assert_eq!(left.holds(), expected);
    assert_eq!(right.holds(), expected);
}
