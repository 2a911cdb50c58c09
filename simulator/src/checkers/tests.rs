//! The referees see: each breach is committed here once, on purpose, and once avoided.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{
    Ballot, Fact, Propose, Say, SignedFact, Statement, StopReason, Vote, VoteState,
};
use groundswell_protocol::node::{Event, Record};
use groundswell_protocol::wire::frame::Frame;

use super::*;
use crate::fleet::{Fleet, Release};
use crate::generator::Generator;
use crate::scenario::catalogue::release;
use crate::scenario::plan;

struct Bench {
    fleet: Fleet,
    releases: Vec<Release>,
    referees: Referees,
}

impl Bench {
    fn new() -> Self {
        let fleet = Fleet::found(4, &Generator::new(1));
        let mut laws = [release("1.0.0", 1), release("2.0.0", 2), release("3.0.0", 3)];
        laws[2].signed = false;
        let releases: Vec<Release> = laws.iter().map(|law| fleet.release(law, &plan(), None)).collect();
        let referees = Referees::new(&fleet, &releases, BTreeSet::new());
        Self { fleet, releases, referees }
    }

    fn sign(&self, place: u32, statement: Statement) -> SignedFact {
        Fact::sign(self.fleet.id, statement, &[&self.fleet.keys[place as usize]]).signed
    }

    fn ballot(&self, place: u32, release: usize, say: Say) -> SignedFact {
        let juror = self.fleet.nodes[place as usize];
        let rollout = self.releases[release].rollout;
        self.sign(place, Statement::Ballot(Ballot { rollout, juror, say }))
    }

    fn keep(&mut self, place: u32, fact: &SignedFact) {
        self.referees.durable(Moment(1), place, &Record::Fact(fact.clone()));
    }

    fn send(&mut self, place: u32, fact: &SignedFact) {
        self.referees.sent(Moment(2), place, &Frame::Gossip(fact.clone()).encode());
    }

    /// Three of four jurors open everything of a release.
    fn open(&mut self, release: usize) {
        for place in 0..3 {
            let fact = self.ballot(place, release, Say::Open(4));
            self.keep(place, &fact);
        }
    }

    fn activate(&mut self, place: u32, from: Option<usize>, to: usize) {
        let current = from.map(|release| self.releases[release].tree);
        self.referees.activating(Moment(3), place, current, self.releases[to].tree);
    }

    fn breached(&self) -> Vec<Property> {
        self.referees.violations().iter().map(|v| v.property).collect()
    }
}

#[test]
fn an_opened_release_may_activate() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached(), []);
}

#[test]
fn unsigned_and_unknown_trees_breach_s1() {
    let mut bench = Bench::new();
    bench.open(2);
    bench.activate(0, Some(0), 2);
    bench.referees.activating(Moment(3), 1, None, Digest::of(b"nobody's"));
    assert_eq!(bench.breached(), [Property::S1, Property::S1]);
}

#[test]
fn going_down_breaches_s2_and_going_back_does_not() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.open(1);
    bench.activate(0, Some(0), 1);
    let (old, new) = (bench.releases[0].tree, bench.releases[1].tree);
    bench.referees.reverting(Moment(4), 0, Some(new), Some(old));
    assert_eq!(bench.breached(), []);
    bench.activate(0, Some(1), 0);
    bench.referees.reverting(Moment(5), 1, Some(new), Some(old));
    assert_eq!(bench.breached(), [Property::S2, Property::S2]);
}

#[test]
fn two_leaders_of_a_term_breach_s3() {
    let mut bench = Bench::new();
    for place in 0..2 {
        let (leader, rollout) = (bench.fleet.nodes[place as usize], bench.releases[1].rollout);
        let proposal = bench.sign(place, Statement::Propose(Propose { rollout, term: 5, leader, open: 1 }));
        bench.keep(place, &proposal);
    }
    assert_eq!(bench.breached(), [Property::S3]);
}

#[test]
fn activating_before_a_quorum_opened_breaches_s4() {
    let mut bench = Bench::new();
    for place in 0..2 {
        let fact = bench.ballot(place, 1, Say::Open(4));
        bench.keep(place, &fact);
    }
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached(), [Property::S4]);
}

#[test]
fn activating_what_is_known_to_be_stopped_breaches_s5_also_after_a_restart_that_kept_it() {
    let mut bench = Bench::new();
    bench.open(1);
    let rollout = bench.releases[1].rollout;
    let stop = Event::Stopped { rollout, why: String::new() };
    bench.referees.reported(0, &stop);
    bench.referees.restarted(0, &[], &bench.fleet);
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached(), [], "it forgot what was not durable");
    bench.referees.reported(1, &stop);
    let ballots: Vec<Record> =
        (0..2).map(|n| Record::Fact(bench.ballot(n, 1, Say::Stop(StopReason::Evidence)))).collect();
    bench.referees.restarted(1, &ballots, &bench.fleet);
    bench.activate(1, Some(0), 1);
    assert_eq!(bench.breached(), [Property::S5]);
}

#[test]
fn letting_go_of_what_runs_breaches_s6() {
    let mut bench = Bench::new();
    let (old, new) = (bench.releases[0].tree, bench.releases[1].tree);
    bench.referees.confirming(Moment(1), 0, Some(new), new, &[new, old]);
    assert_eq!(bench.breached(), []);
    bench.referees.confirming(Moment(1), 0, Some(new), new, &[old]);
    assert_eq!(bench.breached(), [Property::S6]);
}

#[test]
fn sending_what_is_not_durable_breaches_s9() {
    let mut bench = Bench::new();
    let fact = bench.ballot(0, 1, Say::Open(1));
    bench.send(0, &fact);
    assert_eq!(bench.breached(), [Property::S9]);
}

#[test]
fn signing_lower_breaches_s10_and_repeating_does_not() {
    let mut bench = Bench::new();
    let (one, four) = (bench.ballot(0, 1, Say::Open(1)), bench.ballot(0, 1, Say::Open(4)));
    let vote = |bench: &Bench, beat| {
        let (rollout, node) = (bench.releases[1].rollout, bench.fleet.nodes[0]);
        let vote = Vote {
            rollout,
            node,
            state: VoteState::Trying,
            attempt: 1,
            beat,
            numbers: groundswell_protocol::facts::health::HealthNumbers::default(),
            note: String::new(),
        };
        bench.sign(0, Statement::Vote(vote))
    };
    for fact in [&one, &four] {
        bench.keep(0, fact);
        bench.send(0, fact);
        bench.send(0, fact);
    }
    bench.send(0, &one);
    assert_eq!(bench.breached(), [], "an old statement may be repeated");
    let late = bench.ballot(0, 1, Say::Open(2));
    bench.keep(0, &late);
    bench.send(0, &late);
    assert_eq!(bench.breached(), [Property::S10]);
    let (second, first) = (vote(&bench, 2), vote(&bench, 1));
    for fact in [&second, &first] {
        bench.keep(0, fact);
        bench.send(0, fact);
    }
    assert_eq!(bench.breached(), [Property::S10, Property::S10]);
}
