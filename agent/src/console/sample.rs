//! A made-up fleet that goes through releases step by step: for the screen's tests and its preview.
//! It imitates what a node reports and none of how a node decides.

use std::collections::BTreeMap;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::{Health, HealthNumbers, HealthReport};
use groundswell_protocol::facts::{BeaconInstalled, Failure, RolloutId, StopReason, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::event::{Event, Hold, Stage};
use groundswell_protocol::node::record::{Ending, Installed, SlotRecord};
use groundswell_protocol::node::status::{
    BallotStatus, ComponentStatus, MemberStatus, PlanStatus, Quorum, RolloutStatus, Signing, Status, Tally,
    VoteStatus,
};
use groundswell_protocol::trust::census::Enrolment;
use groundswell_protocol::trust::manifest::{Kind, ReleaseOrder};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::policy::FleetId;

/// A fleet and what happens to it.
pub(crate) struct Story {
    /// What its first node knows.
    pub(crate) status: Status,
    bad: BTreeMap<RolloutId, bool>,
    steps: u32,
}

fn node(number: u32) -> NodeId {
    groundswell_protocol::identity::PublicKey(Digest::of(&number.to_le_bytes()).0)
}

fn web() -> ComponentName {
    ComponentName::new("web").expect("a valid name")
}

fn rollout_id(version: &str) -> RolloutId {
    RolloutId(Digest::of(version.as_bytes()))
}

fn slot(version: &str, sequence: u64) -> SlotRecord {
    SlotRecord {
        rollout: rollout_id(version),
        order: ReleaseOrder { epoch: 1, sequence },
        version: version.to_owned(),
        tree: Digest::of(version.as_bytes()),
        probes: Vec::new(),
    }
}

impl Story {
    /// A fleet of `nodes`, all of them on version 1.1.0, with nothing to do.
    pub(crate) fn idle(nodes: u32) -> Self {
        let faulty = (nodes - 1) / 3;
        let quorum = Quorum { jurors: nodes, faulty, quorum: (nodes + faulty + 1).div_ceil(2) };
        let active = slot("1.1.0", 2);
        let members = (0..nodes).map(|number| member(number, &active)).collect();
        let health = HealthReport {
            health: Health::Healthy,
            numbers: HealthNumbers { passed: 420, slowest_micros: 2_100, ..HealthNumbers::default() },
            note: String::new(),
        };
        let component = ComponentStatus {
            component: web(),
            installed: Installed {
                active: Some(active.clone()),
                anchor: Some(active),
                ..Installed::default()
            },
            health: Some(health),
        };
        let status = Status {
            fleet: FleetId(Digest::of(b"acme")),
            fleet_name: "acme".into(),
            node: node(0),
            boot: 2,
            signing: Signing::Yes,
            policy: 1,
            policy_expires: 2_000_000_000,
            census: 3,
            conflict: false,
            quorum,
            members,
            components: vec![component],
            rollouts: Vec::new(),
            ended: Vec::new(),
            facts: 61,
        };
        let mut story = Self { status, bad: BTreeMap::new(), steps: 0 };
        story.publish("1.1.0", 2, false);
        let first = &mut story.status.rollouts[0];
        for vote in &mut first.votes {
            vote.state = Some(VoteState::Healthy);
        }
        first.open = nodes + 1;
        first.tally.good = nodes;
        first.ending = Some(Ending::Done);
        first.hold = Hold::Ended;
        first.my_stage = Stage::Confirmed;
        story
    }

    /// A release is published.
    pub(crate) fn publish(&mut self, version: &str, sequence: u64, bad: bool) -> Vec<Event> {
        let members = u32::try_from(self.status.members.len()).expect("a small fleet");
        let rollout = rollout_id(version);
        let order = ReleaseOrder { epoch: 1, sequence };
        let vote = |rank| VoteStatus {
            rank,
            node: node((rank * 5 + 3) % members),
            state: None,
            attempt: 1,
            numbers: HealthNumbers::default(),
            note: String::new(),
        };
        let votes: Vec<_> = (0..members).map(vote).collect();
        let my_rank = votes.iter().find(|vote| vote.node == self.status.node).map(|vote| vote.rank);
        let ballot = |number| BallotStatus { juror: node(number), term: 1, open: 0, stop: None, fresh: true };
        let tally = Tally { hold_at: 2, stop_at: 2, fresh_jurors: members, ..Tally::default() };
        self.bad.insert(rollout, bad);
        self.status.rollouts.push(RolloutStatus {
            rollout,
            component: web(),
            kind: Kind::Service,
            version: version.to_owned(),
            order,
            note: "faster start".into(),
            bytes: 21_400_000,
            ending: None,
            stopped_why: None,
            paused: false,
            next_flow_counter: 1,
            members,
            targets: vec![1, members.div_ceil(4), members],
            open: 0,
            term: 1,
            leader: node(4 % members),
            proposed: None,
            quorum: self.status.quorum,
            tally,
            allowed: 0,
            hold: Hold::WaitingForLeader,
            hold_left_ms: Some(3_540_000),
            my_rank,
            my_stage: Stage::Fetching,
            trial_left_ms: None,
            votes,
            ballots: (0..members).map(ballot).collect(),
            plan: PlanStatus { trial_s: 2, bake_s: 1, stage_s: 60, hold_s: 3_600 },
        });
        let component = web();
        let accepted = Event::Rollout { rollout, component, version: version.to_owned(), order, members };
        vec![accepted, Event::Term { rollout, term: 1, leader: node(4 % members) }]
    }

    /// Whether every rollout has ended.
    pub(crate) fn is_idle(&self) -> bool {
        self.status.rollouts.iter().all(|rollout| rollout.ending.is_some())
    }

    /// One step of the newest rollout that has not ended.
    pub(crate) fn step(&mut self) -> Vec<Event> {
        let Some(place) = self.status.rollouts.iter().position(|rollout| rollout.ending.is_none()) else {
            return Vec::new();
        };
        let bad = self.bad.get(&self.status.rollouts[place].rollout).copied().unwrap_or(false);
        let rollout = &mut self.status.rollouts[place];
        if rollout.paused {
            return Vec::new();
        }
        self.steps += 1;
        let mut events = advance_votes(rollout, bad, self.steps);
        rollout.tally.good = count(rollout, |state| state == VoteState::Healthy);
        rollout.tally.bad = count(rollout, |state| state == VoteState::Failed(Failure::Recovered));
        let settled = (0..rollout.open).all(|rank| {
            let vote = &rollout.votes[rank as usize];
            !matches!(
                vote.state,
                None | Some(VoteState::Staged | VoteState::Trying | VoteState::Failed(Failure::Unknown))
            )
        });
        rollout.hold = Hold::WaitingForHealth;
        if settled {
            events.extend(if rollout.tally.bad > 0 { stop(rollout) } else { open_next(rollout) });
        }
        let mine = rollout.votes.iter().find(|vote| Some(vote.rank) == rollout.my_rank);
        rollout.my_stage = match mine.and_then(|vote| vote.state) {
            None => Stage::Fetching,
            Some(VoteState::Trying) => Stage::Trial,
            Some(VoteState::Healthy) => Stage::Healthy,
            Some(VoteState::Failed(_)) => Stage::Failed,
            _ => Stage::Staged,
        };
        rollout.trial_left_ms = (rollout.my_stage == Stage::Trial).then_some(1_400);
        self.install(place);
        events
    }

    /// What beacons would say of what runs where.
    fn install(&mut self, place: usize) {
        let rollout = &self.status.rollouts[place];
        let stopped = rollout.ending == Some(Ending::Stopped);
        for vote in &rollout.votes {
            let runs = !stopped && matches!(vote.state, Some(VoteState::Trying | VoteState::Healthy));
            let Some(member) =
                self.status.members.iter_mut().find(|member| member.enrolment.node == vote.node)
            else {
                continue;
            };
            if runs {
                member.installed = vec![BeaconInstalled { rollout: rollout.rollout, healthy: true }];
            } else if matches!(vote.state, Some(VoteState::Failed(_))) {
                member.installed = vec![BeaconInstalled { rollout: rollout_id("1.1.0"), healthy: true }];
            }
        }
    }
}

fn member(number: u32, active: &SlotRecord) -> MemberStatus {
    MemberStatus {
        enrolment: Enrolment {
            node: node(number),
            zone: format!("z{}", number % 3),
            ring: "production".into(),
            class: "web".into(),
            elector: true,
        },
        silent_ms: Some(u64::from(number) * 130),
        linked: number != 0,
        installed: vec![BeaconInstalled { rollout: active.rollout, healthy: true }],
        addresses: Vec::new(),
    }
}

fn count(rollout: &RolloutStatus, is: impl Fn(VoteState) -> bool) -> u32 {
    let votes = rollout.votes.iter().filter(|vote| vote.state.is_some_and(&is));
    u32::try_from(votes.count()).expect("a small fleet")
}

fn advance_votes(rollout: &mut RolloutStatus, bad: bool, step: u32) -> Vec<Event> {
    let mut events = Vec::new();
    for vote in rollout.votes.iter_mut().filter(|vote| vote.state.is_none()).take(5) {
        vote.state = Some(VoteState::Staged);
    }
    for vote in rollout.votes.iter_mut().take(rollout.open as usize) {
        // No two nodes are equally fast.
        if (step + vote.rank * 2) % 3 == 1 {
            continue;
        }
        let (state, passed, failed, note) = match vote.state {
            Some(VoteState::Staged) => (VoteState::Trying, 0, 0, ""),
            Some(VoteState::Trying) if bad => {
                (VoteState::Failed(Failure::Unknown), 1, 3, "GET /health answered 500 three times")
            }
            Some(VoteState::Trying) => (VoteState::Healthy, 20, 0, ""),
            Some(VoteState::Failed(Failure::Unknown)) => (
                VoteState::Failed(Failure::Recovered),
                1,
                3,
                "GET /health answered 500 three times; 1.1.0 answers 200 again",
            ),
            _ => continue,
        };
        vote.state = Some(state);
        let slowest_micros = if passed > 0 { 1_900 + 37 * vote.rank } else { 0 };
        vote.numbers = HealthNumbers { passed, failed, slowest_micros, ..HealthNumbers::default() };
        vote.note = note.to_owned();
        events.push(Event::Vote {
            rollout: rollout.rollout,
            node: vote.node,
            state,
            attempt: vote.attempt,
            numbers: vote.numbers,
            note: vote.note.clone(),
        });
    }
    events
}

fn open_next(rollout: &mut RolloutStatus) -> Vec<Event> {
    let id = rollout.rollout;
    let Some(next) = rollout.targets.iter().copied().find(|target| *target > rollout.open) else {
        rollout.ending = Some(Ending::Done);
        rollout.hold = Hold::Ended;
        rollout.open = rollout.members + 1;
        return vec![Event::Done { rollout: id }];
    };
    let from = std::mem::replace(&mut rollout.open, next);
    rollout.proposed = Some(next);
    for ballot in &mut rollout.ballots {
        ballot.open = next;
    }
    vec![
        Event::Opened { rollout: id, from, to: next },
        Event::Holding { rollout: id, hold: Hold::WaitingForHealth },
    ]
}

/// Two jurors more say stop, until enough do.
fn stop(rollout: &mut RolloutStatus) -> Vec<Event> {
    let id = rollout.rollout;
    for ballot in rollout.ballots.iter_mut().filter(|ballot| ballot.stop.is_none()).take(2) {
        ballot.stop = Some(StopReason::Evidence);
    }
    let said = rollout.ballots.iter().filter(|ballot| ballot.stop.is_some()).count();
    rollout.hold = Hold::Failures;
    if said == 2 {
        let held = Event::Holding { rollout: id, hold: Hold::Failures };
        return vec![held, Event::StopBallot { rollout: id, reason: StopReason::Evidence }];
    }
    if said <= rollout.quorum.faulty as usize {
        return Vec::new();
    }
    rollout.ending = Some(Ending::Stopped);
    rollout.hold = Hold::Ended;
    let why = format!("{said} of {} jurors found enough failures", rollout.quorum.jurors);
    rollout.stopped_why = Some(why.clone());
    vec![Event::Stopped { rollout: id, why }]
}
