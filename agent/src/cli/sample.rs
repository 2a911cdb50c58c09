//! Statuses for this room's tests: a fleet of twelve, a rollout in three waves.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{RolloutId, VoteState};
use groundswell_protocol::identity::{NodeId, PublicKey};
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::status::{
    BallotStatus, MemberStatus, PlanStatus, RolloutStatus, Signing, Status, VoteStatus,
};
use groundswell_protocol::rollout::quorum::Quorum;
use groundswell_protocol::rollout::view::Tally;
use groundswell_protocol::trust::census::Enrolment;
use groundswell_protocol::trust::manifest::{Kind, ReleaseOrder};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::policy::FleetId;

const MEMBERS: u8 = 12;
const QUORUM: Quorum = Quorum::of(MEMBERS as u32);

/// The node with this number; its short name is the number four times.
pub(super) fn node(number: u8) -> NodeId {
    PublicKey([number; 32])
}

/// A live rollout of which nothing is open yet.
pub(super) fn rollout(component: &str, sequence: u64) -> RolloutStatus {
    let vote = |number: u8| VoteStatus {
        rank: u32::from(number),
        node: node(number),
        state: None,
        attempt: 1,
        numbers: HealthNumbers::default(),
        note: String::new(),
    };
    let ballot = |number: u8| BallotStatus { juror: node(number), term: 0, open: 0, stop: None, fresh: true };
    RolloutStatus {
        rollout: RolloutId(Digest::of(format!("{component} {sequence}").as_bytes())),
        component: ComponentName::new(component).expect("name"),
        kind: Kind::Service,
        version: format!("1.{sequence}.0"),
        order: ReleaseOrder { epoch: 0, sequence },
        note: String::new(),
        bytes: 20_000_000,
        ending: None,
        stopped_why: None,
        paused: false,
        next_flow_counter: 1,
        members: u32::from(MEMBERS),
        targets: vec![1, 3, 12],
        open: 0,
        term: 2,
        leader: node(7),
        proposed: None,
        quorum: QUORUM,
        tally: Tally { hold_at: 2, stop_at: 2, fresh_jurors: 12, ..Tally::default() },
        allowed: 0,
        hold: Hold::None,
        hold_left_ms: Some(3_000_000),
        my_rank: Some(5),
        my_stage: Stage::Staged,
        trial_left_ms: None,
        votes: (0..MEMBERS).map(vote).collect(),
        ballots: (0..MEMBERS).map(ballot).collect(),
        plan: PlanStatus { trial_s: 300, bake_s: 600, stage_s: 600, hold_s: 3600 },
    }
}

/// The rollout with so many ranks open by all jurors, and these votes from rank 0 on.
pub(super) fn opened(mut rollout: RolloutStatus, open: u32, votes: &[VoteState]) -> RolloutStatus {
    rollout.open = open;
    for ballot in &mut rollout.ballots {
        ballot.open = open;
    }
    for (vote, state) in rollout.votes.iter_mut().zip(votes) {
        vote.state = Some(*state);
    }
    rollout
}

/// Node 5's view of the fleet.
pub(super) fn status(rollouts: Vec<RolloutStatus>) -> Status {
    let member = |number: u8| MemberStatus {
        enrolment: Enrolment {
            node: node(number),
            zone: "a".to_owned(),
            ring: "production".to_owned(),
            class: "server".to_owned(),
            elector: true,
        },
        silent_ms: Some(400),
        linked: true,
        installed: Vec::new(),
        addresses: Vec::new(),
    };
    Status {
        fleet: FleetId(Digest::of(b"fleet")),
        fleet_name: "shop".to_owned(),
        node: node(5),
        boot: 1,
        signing: Signing::Yes,
        policy: 1,
        policy_expires: 4_000_000_000,
        census: 1,
        conflict: false,
        quorum: QUORUM,
        members: (0..MEMBERS).map(member).collect(),
        components: Vec::new(),
        rollouts,
        ended: Vec::new(),
        facts: 100,
    }
}
