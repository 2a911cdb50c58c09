//! The referees see: each breach is committed here once, on purpose, and once avoided.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{
    Ballot, Beacon, Fact, Failure, Heads, Propose, Say, SignedFact, Statement, StopReason, Vote, VoteState,
};
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::node::record::{Installed, SlotRecord};
use groundswell_protocol::node::{Event, Record};
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::wire::frame::Frame;

use super::progress::Sight;
use super::*;
use crate::fleet::{Fleet, Release};
use crate::generator::Generator;
use crate::machine::message::Message;
use crate::machine::reader::Remembering;
use crate::scenario::catalogue::release;
use crate::scenario::plan;

const NOW: Moment = Moment(1);
/// Long after every bake.
const LATER: Moment = Moment::seconds(30);

struct Bench {
    fleet: Fleet,
    releases: Vec<Release>,
    referees: Referees,
}

impl Bench {
    fn new() -> Self {
        let fleet = Fleet::found(4, &Generator::new(1));
        let mut laws =
            [release("1.0.0", 1), release("2.0.0", 2), release("3.0.0", 3), release("2.0.0-twin", 2)];
        laws[2].signed = false;
        let releases: Vec<Release> = laws.iter().map(|law| fleet.release(law, &plan(), None)).collect();
        let referees = Referees::new(&fleet, &releases, BTreeSet::new(), Remembering::new(8, None));
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
        self.referees.durable(NOW, place, &Record::Fact(fact.clone()));
    }

    fn send(&mut self, place: u32, fact: &SignedFact) {
        self.referees.sent(NOW, place, &Message::new(Frame::Gossip(fact.clone()).encode()));
    }

    /// Three of four jurors open everything of a release, when all machines are long healthy with it.
    fn open(&mut self, release: usize) {
        for place in 0..4 {
            let fact = self.vote(place, release, VoteState::Healthy, 1);
            self.keep(place, &fact);
        }
        for ranks in [1, 2, 3, 4] {
            for place in 0..3 {
                let fact = self.ballot(place, release, Say::Open(ranks));
                self.referees.durable(LATER, place, &Record::Fact(fact));
            }
        }
    }

    fn vote(&self, place: u32, release: usize, state: VoteState, beat: u32) -> SignedFact {
        let (rollout, node) = (self.releases[release].rollout, self.fleet.nodes[place as usize]);
        let numbers = HealthNumbers::default();
        let vote = Vote { rollout, node, state, attempt: 1, beat, numbers, note: String::new() };
        self.sign(place, Statement::Vote(vote))
    }

    /// The machine at a rank of a release.
    fn place_of_rank(&self, release: usize, rank: usize) -> u32 {
        self.fleet.place(self.releases[release].roster.members[rank]).expect("BUG: a member has a place")
    }

    /// A machine has heard and kept all that it must before it switches.
    fn prepare(&mut self, place: u32, release: usize) {
        let rollout = self.releases[release].rollout;
        self.referees.reported(NOW, place, &Event::Opened { rollout, from: 0, to: 4 });
        for other in (0..4).filter(|other| *other != place) {
            let beacon = Statement::Beacon(Beacon {
                node: self.fleet.nodes[other as usize],
                boot: 1,
                incarnation: 1,
                count: 1,
                heads: Heads::default(),
                active: Vec::new(),
                installed: Vec::new(),
                addresses: Vec::new(),
            });
            let frame = Frame::Gossip(self.sign(other, beacon));
            self.referees.received(place, self.fleet.nodes[0], &Message::new(frame.encode()));
            let seen = Frame::Seen { entries: Vec::new() };
            self.referees.received(place, self.fleet.nodes[other as usize], &Message::new(seen.encode()));
        }
        self.keep_trial(place, release, 1);
    }

    fn keep_trial(&mut self, place: u32, release: usize, boots: u8) {
        let record = self.trial(release, boots);
        self.referees.durable(NOW, place, &record);
    }

    fn trial(&self, release: usize, boots: u8) -> Record {
        let release = &self.releases[release];
        let slot = SlotRecord {
            rollout: release.rollout,
            order: release.order,
            version: release.law.version.to_owned(),
            tree: release.tree,
            probes: Vec::new(),
        };
        let installed = Installed { trial: Some(slot), trial_boots: boots, ..Installed::default() };
        Record::Installed { component: self.fleet.component.clone(), installed: Box::new(installed) }
    }

    /// All machines are on and reach each other, and nothing has changed since the beginning.
    fn look(&mut self, seconds: u64) {
        self.look_at(seconds, &[true; 4]);
    }

    fn look_at(&mut self, seconds: u64, on: &[bool]) {
        self.referees.look(&Sight {
            now: Moment::seconds(seconds),
            calm_since: Moment(0),
            on,
            linked: &|_, _| true,
            meet: &|_, _| true,
            patience: 1,
        });
    }

    fn meet(&mut self, place: u32, release: usize) {
        let release = &self.releases[release];
        let event = Event::Rollout {
            rollout: release.rollout,
            component: self.fleet.component.clone(),
            version: release.law.version.to_owned(),
            order: release.order,
            members: 4,
        };
        self.referees.reported(NOW, place, &event);
    }

    fn stop(&mut self, place: u32, release: usize) {
        let rollout = self.releases[release].rollout;
        self.referees.reported(NOW, place, &Event::Stopped { rollout, why: String::new() });
    }

    fn stage(&mut self, place: u32, to: Stage) {
        let rollout = self.releases[1].rollout;
        let event = Event::Stage { rollout, from: Stage::Known, to, note: String::new() };
        self.referees.reported(NOW, place, &event);
    }

    fn hold(&mut self, place: u32, hold: Hold) {
        let rollout = self.releases[1].rollout;
        self.referees.reported(NOW, place, &Event::Holding { rollout, hold });
    }

    fn activate(&mut self, place: u32, from: Option<usize>, to: usize) {
        let current = from.map(|release| self.releases[release].tree);
        self.referees.activating(LATER, place, current, self.releases[to].tree);
    }

    fn breached(&self) -> Vec<Property> {
        self.referees.violations().iter().map(|v| v.property).collect()
    }
}

#[test]
fn an_opened_release_may_activate() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.prepare(0, 1);
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached(), []);
}

#[test]
fn unsigned_and_unknown_trees_breach_s1() {
    let mut bench = Bench::new();
    bench.open(2);
    bench.prepare(0, 2);
    bench.activate(0, Some(0), 2);
    bench.referees.activating(LATER, 1, None, Digest::of(b"nobody's"));
    assert_eq!(bench.breached(), [Property::S1, Property::S1]);
}

#[test]
fn going_down_breaches_s2_and_going_back_does_not() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.open(1);
    bench.prepare(0, 1);
    bench.activate(0, Some(0), 1);
    let (old, new) = (bench.releases[0].tree, bench.releases[1].tree);
    bench.referees.reverting(LATER, 0, Some(new), Some(old), true);
    assert_eq!(bench.breached(), []);
    bench.prepare(0, 0);
    bench.activate(0, Some(1), 0);
    bench.referees.reverting(LATER, 1, Some(new), Some(old), true);
    assert_eq!(bench.breached(), [Property::S2, Property::S2]);
}

#[test]
fn proposing_in_a_term_that_another_leads_breaches_s3() {
    let mut bench = Bench::new();
    for place in 0..2 {
        let (leader, rollout) = (bench.fleet.nodes[place as usize], bench.releases[1].rollout);
        let seat = bench.releases[1].roster.jury.iter().position(|juror| *juror == leader);
        let term = u32::try_from(seat.expect("BUG: everybody judges")).expect("BUG: few seats") + place;
        let proposal = bench.sign(place, Statement::Propose(Propose { rollout, term, leader, open: 1 }));
        bench.keep(place, &proposal);
    }
    assert_eq!(bench.breached(), [Property::S3]);
}

#[test]
fn activating_before_a_quorum_opened_breaches_s4() {
    let mut bench = Bench::new();
    for place in 0..2 {
        let fact = bench.ballot(place, 1, Say::Open(1));
        bench.keep(place, &fact);
    }
    let first = bench.place_of_rank(1, 0);
    bench.prepare(first, 1);
    bench.activate(first, Some(0), 1);
    assert_eq!(bench.breached(), [Property::S4]);
}

#[test]
fn opening_more_than_the_votes_allow_breaches_s4() {
    let mut bench = Bench::new();
    let opens = |bench: &mut Bench, at: Moment, ranks| {
        for place in 0..3 {
            let fact = bench.ballot(place, 1, Say::Open(ranks));
            bench.referees.durable(at, place, &Record::Fact(fact));
        }
    };
    opens(&mut bench, NOW, 1);
    let first = bench.place_of_rank(1, 0);
    let vote = bench.vote(first, 1, VoteState::Healthy, 0);
    bench.keep(first, &vote);
    assert_eq!(bench.breached(), []);
    opens(&mut bench, Moment::seconds(3), 2);
    assert_eq!(bench.breached(), [Property::S4; 3], "it has not baked for 4 s");
    opens(&mut bench, Moment::seconds(5), 2);
    assert_eq!(bench.breached().len(), 3, "it has");
    opens(&mut bench, Moment::seconds(5), 3);
    assert_eq!(bench.breached().len(), 6, "a quorum must stay off trial");
}

#[test]
fn a_failed_node_is_replaced_until_the_hold_band_and_not_beyond() {
    let mut bench = Bench::new();
    let opens = |bench: &mut Bench, ranks| {
        let fact = bench.ballot(0, 1, Say::Open(ranks));
        bench.keep(0, &fact);
        let fact = bench.ballot(1, 1, Say::Open(ranks));
        bench.keep(1, &fact);
        let fact = bench.ballot(2, 1, Say::Open(ranks));
        bench.keep(2, &fact);
    };
    opens(&mut bench, 1);
    for (rank, next) in [(0, 2), (1, 3)] {
        let place = bench.place_of_rank(1, rank);
        let vote = bench.vote(place, 1, VoteState::Failed(Failure::Recovered), 0);
        bench.keep(place, &vote);
        opens(&mut bench, next);
    }
    assert_eq!(bench.breached(), [Property::S4; 3], "two failures of two hold");
}

#[test]
fn activating_what_is_known_to_be_stopped_breaches_s5_also_after_a_restart_that_kept_it() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.stop(0, 1);
    bench.referees.restarted(NOW, 0, &[]);
    bench.prepare(0, 1);
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached(), [], "it forgot what was not durable");
    bench.stop(1, 1);
    let ballots: Vec<Record> =
        (0..2).map(|n| Record::Fact(bench.ballot(n, 1, Say::Stop(StopReason::Evidence)))).collect();
    bench.referees.restarted(NOW, 1, &ballots);
    bench.prepare(1, 1);
    bench.activate(1, Some(0), 1);
    assert_eq!(bench.breached(), [Property::S5]);
}

#[test]
fn a_stop_that_the_disk_does_not_show_breaches_s5() {
    let mut bench = Bench::new();
    bench.stop(0, 1);
    let ballots: Vec<Record> =
        (0..2).map(|n| Record::Fact(bench.ballot(n, 1, Say::Stop(StopReason::Evidence)))).collect();
    bench.referees.at_rest(NOW, 0, || ballots.clone());
    bench.stop(1, 1);
    bench.referees.at_rest(NOW, 1, || ballots[..1].to_vec());
    bench.referees.at_rest(NOW, 1, || unreachable!("asked once"));
    assert_eq!(bench.breached(), [Property::S5]);
}

#[test]
fn activating_without_fresh_news_or_while_paused_breaches_s5() {
    let mut bench = Bench::new();
    bench.open(1);
    let rollout = bench.releases[1].rollout;
    bench.keep_trial(0, 1, 1);
    bench.referees.reported(NOW, 0, &Event::Opened { rollout, from: 0, to: 4 });
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached(), [Property::S5, Property::L3], "neither news nor word to jurors");
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached().len(), 2, "a trial that goes on asks nobody again");
    let flow = |counter, pause| Event::Commanded {
        rollout,
        instruction: Instruction::Flow { counter, pause },
        note: String::new(),
    };
    for (place, last) in [(1, flow(2, false)), (2, flow(2, true))] {
        bench.referees.reported(NOW, place, &flow(1, true));
        bench.referees.reported(NOW, place, &last);
        bench.prepare(place, 1);
        bench.activate(place, Some(0), 1);
    }
    assert_eq!(bench.breached(), [Property::S5, Property::L3, Property::S5]);
}

#[test]
fn letting_go_of_what_runs_or_has_nothing_to_run_breaches_s6() {
    let mut bench = Bench::new();
    let (old, new) = (bench.releases[0].tree, bench.releases[1].tree);
    bench.referees.confirming(NOW, 0, Some(new), new, &[new, old]);
    bench.referees.starting(NOW, 0, Some(new), &std::iter::once(new).collect());
    assert_eq!(bench.breached(), []);
    bench.referees.confirming(NOW, 0, Some(new), new, &[old]);
    bench.referees.starting(NOW, 0, Some(new), &std::iter::once(old).collect());
    assert_eq!(bench.breached(), [Property::S6, Property::S6]);
    bench.referees.confirming(NOW, 0, Some(new), old, &[old, new]);
    bench.referees.reverting(NOW, 0, Some(new), Some(old), false);
    assert_eq!(bench.breached().last(), Some(&Property::S6));
}

#[test]
fn a_table_beyond_its_bound_and_a_write_that_nobody_owes_breach_s7_once() {
    let mut bench = Bench::new();
    let size = |count| [Size { name: "syncs", count, most: 64 }];
    bench.referees.measured(NOW, 0, &size(64), 3, 3);
    assert_eq!(bench.breached(), []);
    bench.referees.measured(NOW, 0, &size(65), 3, 3);
    bench.referees.measured(NOW, 0, &size(66), 3, 3);
    bench.referees.measured(NOW, 1, &size(1), 4, 3);
    assert_eq!(bench.breached(), [Property::S7, Property::S7]);
}

#[test]
fn opening_both_of_two_twins_and_running_either_knowingly_breaches_s8() {
    let mut bench = Bench::new();
    let (one, other) = (bench.ballot(0, 1, Say::Open(1)), bench.ballot(0, 3, Say::Open(1)));
    bench.keep(0, &one);
    bench.keep(0, &other);
    assert_eq!(bench.breached(), [Property::S8], "a juror opens both");
    let mut bench = Bench::new();
    bench.open(1);
    bench.meet(0, 1);
    bench.meet(0, 3);
    bench.prepare(0, 1);
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached(), [Property::S8], "it knows both");
}

#[test]
fn sending_what_is_not_durable_breaches_s9() {
    let mut bench = Bench::new();
    let fact = bench.ballot(0, 1, Say::Open(1));
    bench.send(0, &fact);
    assert_eq!(bench.breached(), [Property::S9]);
}

#[test]
fn switching_before_the_trial_is_on_record_breaches_s9() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.prepare(0, 1);
    bench.keep_trial(0, 1, 0);
    bench.activate(0, Some(0), 1);
    assert_eq!(bench.breached(), [Property::S9]);
}

#[test]
fn taking_up_again_what_was_put_away_breaches_s9_but_not_in_another_life() {
    let mut bench = Bench::new();
    bench.meet(0, 1);
    bench.referees.restarted(NOW, 0, &[]);
    bench.meet(0, 1);
    assert_eq!(bench.breached(), []);
    bench.meet(0, 1);
    assert_eq!(bench.breached(), [Property::S9]);
}

#[test]
fn signing_lower_breaches_s10_and_repeating_does_not() {
    let mut bench = Bench::new();
    bench.open(1);
    let (one, four) = (bench.ballot(0, 1, Say::Open(1)), bench.ballot(0, 1, Say::Open(4)));
    for fact in [&one, &four] {
        bench.keep(0, fact);
        bench.send(0, fact);
        bench.send(0, fact);
    }
    bench.send(0, &one);
    assert_eq!(bench.breached(), [], "an old statement may be repeated");
    let late = bench.ballot(0, 0, Say::Open(1));
    let later = bench.ballot(0, 0, Say::Open(0));
    for fact in [&late, &later] {
        bench.keep(0, fact);
        bench.send(0, fact);
    }
    assert_eq!(bench.breached(), [Property::S10]);
    let (second, first) = (bench.vote(0, 2, VoteState::Trying, 2), bench.vote(0, 2, VoteState::Trying, 1));
    for fact in [&second, &first] {
        bench.keep(0, fact);
        bench.send(0, fact);
    }
    assert_eq!(bench.breached(), [Property::S10, Property::S10]);
}

#[test]
fn a_leader_that_stays_without_proposing_breaches_l2() {
    let mut bench = Bench::new();
    (0..4).for_each(|place| bench.meet(place, 1));
    bench.hold(0, Hold::WaitingForLeader);
    bench.look(60);
    assert_eq!(bench.breached(), [], "patience comes first");
    bench.look(300);
    assert_eq!(bench.breached(), [Property::L2]);
}

#[test]
fn a_leader_is_not_replaced_where_too_few_jurors_are_on() {
    let mut bench = Bench::new();
    (0..4).for_each(|place| bench.meet(place, 1));
    bench.hold(0, Hold::TooFewJurors);
    bench.hold(1, Hold::TooFewJurors);
    bench.look_at(600, &[true, true, false, false]);
    assert_eq!(bench.breached(), []);
}

#[test]
fn a_release_that_enough_nodes_found_bad_and_that_goes_on_breaches_l3() {
    let mut bench = Bench::new();
    for place in 0..2 {
        let vote = bench.vote(place, 1, VoteState::Failed(Failure::Recovered), 0);
        bench.keep(place, &vote);
    }
    bench.look(100);
    bench.look(159);
    assert_eq!(bench.breached(), []);
    bench.look(161);
    assert_eq!(bench.breached(), [Property::L3]);
    let mut bench = Bench::new();
    for place in 0..2 {
        let vote = bench.vote(place, 1, VoteState::Failed(Failure::Recovered), 0);
        bench.keep(place, &vote);
    }
    bench.look(100);
    bench.stop(3, 1);
    bench.look(400);
    assert_eq!(bench.breached(), [], "it was stopped");
}

#[test]
fn a_stage_without_end_breaches_l4_and_a_resting_place_does_not() {
    let mut bench = Bench::new();
    bench.stage(0, Stage::Staged);
    bench.stage(1, Stage::Trial);
    bench.look(15);
    bench.look(3_600);
    assert_eq!(bench.breached(), [Property::L4]);
    assert_eq!(bench.referees.violations()[0].machine, Some(1));
}

#[test]
fn a_trial_that_no_number_of_starts_ends_breaches_l4() {
    let mut bench = Bench::new();
    let (third, fourth) = (bench.trial(1, 3), bench.trial(1, 4));
    bench.referees.restarted(NOW, 0, &[third]);
    assert_eq!(bench.breached(), []);
    bench.referees.restarted(NOW, 0, &[fourth]);
    assert_eq!(bench.breached(), [Property::L4]);
}

#[test]
fn holding_for_want_of_jurors_without_saying_so_breaches_l6() {
    let mut bench = Bench::new();
    (0..4).for_each(|place| bench.meet(place, 1));
    bench.hold(0, Hold::TooFewJurors);
    bench.look_at(20, &[true, true, false, false]);
    assert_eq!(bench.breached(), [], "silence is noticed after a while");
    bench.look_at(60, &[true, true, false, false]);
    assert_eq!(bench.breached(), [Property::L6]);
    assert_eq!(bench.referees.violations()[0].machine, Some(1));
}
