//! What must hold after every step of every fleet, whatever the test is about. Letters as in the
//! protocol's list of invariants.

use std::collections::{BTreeMap, BTreeSet};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, Key, RolloutId, Say, SignedFact, Statement, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::Record;
use groundswell_protocol::rollout::roster::Roster;
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::manifest::ReleaseOrder;
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::policy::FleetId;
use groundswell_protocol::wire::frame::Frame;

use super::machine::{DiskWork, Machine};

/// A release that was signed.
pub(crate) struct Published {
    pub(crate) component: ComponentName,
    pub(crate) order: ReleaseOrder,
    pub(crate) version: String,
    pub(crate) tree: Digest,
    pub(crate) roster: Roster,
}

/// The log of all signatures, and what was published.
#[derive(Default)]
pub(crate) struct Referee {
    pub(crate) published: BTreeMap<RolloutId, Published>,
    /// Per register of an author: the greatest rank that left, and its body.
    signed: BTreeMap<Key, (u64, Vec<u8>)>,
    leaders: BTreeMap<(RolloutId, u32), NodeId>,
    promoted: BTreeMap<RolloutId, u32>,
    activated: BTreeMap<(ComponentName, ReleaseOrder), BTreeSet<RolloutId>>,
    /// Activations of something new.
    pub(crate) switches: u64,
    /// Questions for what a juror misses.
    pub(crate) questions: u64,
}

fn facts_of(frame: Frame) -> Vec<SignedFact> {
    match frame {
        Frame::Gossip(fact) => vec![fact],
        Frame::Facts { facts, .. } => facts,
        Frame::Digest { beacon, yours, .. } | Frame::Summary { beacon, yours, .. } => {
            beacon.into_iter().chain(yours).collect()
        }
        Frame::Want { .. } | Frame::Seen { .. } | Frame::Missed { .. } => Vec::new(),
    }
}

impl Referee {
    /// A command was handed to some node.
    pub(crate) fn ordered(&mut self, rollout: RolloutId, instruction: Instruction) {
        if let Instruction::Promote(open) = instruction {
            let promoted = self.promoted.entry(rollout).or_default();
            *promoted = open.max(*promoted);
        }
    }

    /// S9: nothing of mine leaves before it is durable. S10: nothing of mine contradicts what left
    /// before. S3: one leader for a term.
    pub(crate) fn sent(&mut self, fleet: FleetId, by: &Machine, frame: &[u8]) {
        let frame = Frame::decode(frame).expect("what a node sends is a frame");
        self.questions += u64::from(matches!(frame, Frame::Missed { .. }));
        for signed in facts_of(frame) {
            let fact = Fact::read(fleet, signed).expect("what a node sends are facts");
            if fact.statement.author() != Some(by.id) {
                continue;
            }
            let said_before = self.signed.get(&fact.key).is_some_and(|(rank, _)| *rank >= fact.rank);
            if !said_before && !matches!(fact.key, Key::Beacon(_)) {
                let kept = by.disk.durable.get(&Record::fact_key(&fact.key));
                let kept = match kept {
                    Some(Record::Fact(kept)) => Fact::read(fleet, kept.clone()).expect("a kept fact"),
                    _ => panic!("S9: {:?} left before it was durable", fact.statement),
                };
                assert!(kept.rank >= fact.rank, "S9: {:?} left before it was durable", fact.statement);
            }
            self.log_signature(&fact);
        }
    }

    fn log_signature(&mut self, fact: &Fact) {
        if let Statement::Propose(propose) = &fact.statement {
            let leader = *self.leaders.entry((propose.rollout, propose.term)).or_insert(propose.leader);
            assert_eq!(leader, propose.leader, "S3: two leaders in one term");
        }
        let entry = self.signed.entry(fact.key.clone()).or_insert((fact.rank, fact.signed.body.to_vec()));
        if fact.rank == entry.0 {
            assert!(entry.1 == *fact.signed.body, "S10: two bodies of one rank: {:?}", fact.statement);
        } else if fact.rank > entry.0 {
            *entry = (fact.rank, fact.signed.body.to_vec());
        }
    }

    /// How many of the rollout's jurors have signed an opening beyond `rank`.
    fn openers(&self, rollout: RolloutId, rank: u32, fleet: FleetId) -> u32 {
        let beyond = self.signed.iter().filter(|(key, (_, body))| {
            matches!(key, Key::Ballot(of, _, _) if *of == rollout)
                && matches!(Fact::read_body(body, Some(fleet)),
                    Ok((_, Statement::Ballot(ballot))) if matches!(ballot.say, Say::Open(open) if open > rank))
        });
        u32::try_from(beyond.count()).unwrap()
    }

    /// S1, S2, S4, S5, S8 at a switch to something that does not run yet; H22: `Trying` is durable.
    pub(crate) fn activates(
        &mut self,
        fleet: FleetId,
        by: &Machine,
        component: &ComponentName,
        tree: Digest,
        active: Option<ReleaseOrder>,
    ) {
        if by.slot.get(component) == Some(&tree) {
            return;
        }
        self.switches += 1;
        let of_tree = |p: &&Published| p.tree == tree && p.component == *component;
        let newest = self.published.iter().filter(|(_, p)| of_tree(p)).max_by_key(|(_, p)| p.order);
        let (rollout, published) = newest.expect("S1: only signed trees activate");
        let stopped = by.stops.contains(rollout);
        assert!(!stopped, "S5: {} activated after its stop was known", published.version);
        if let Some(active) = active {
            assert!(published.order >= active, "S2: {} goes down", published.version);
        }
        let roster = &published.roster;
        let rank = roster.rank(&by.id).unwrap_or(roster.count());
        let promoted = self.promoted.get(rollout).copied().unwrap_or(0);
        let openers = self.openers(*rollout, rank, fleet);
        assert!(
            promoted > rank || openers >= roster.quorum.quorum || active == Some(published.order),
            "S4: {} activated at rank {rank} with {openers} of {} jurors",
            published.version,
            roster.quorum.quorum
        );
        if roster.rank(&by.id).is_some() && active != Some(published.order) {
            let key = Record::fact_key(&Key::Vote(*rollout, by.id));
            let tried = match by.disk.durable.get(&key) {
                Some(Record::Fact(signed)) => match Fact::read_body(&signed.body, Some(fleet)) {
                    Ok((_, Statement::Vote(vote))) => vote.state >= VoteState::Trying,
                    _ => false,
                },
                _ => false,
            };
            assert!(tried, "H22: {} activated before Trying was durable", published.version);
            let queued = by.disk.queue.iter().any(|work| {
                matches!(work, DiskWork::Write(_, Record::Installed { component: of, .. }) if of == component)
            });
            assert!(!queued, "S6: {} activated before the trial was durable", published.version);
        }
        let twins = self.activated.entry((component.clone(), published.order)).or_default();
        twins.insert(*rollout);
        assert!(twins.len() <= 1, "S8: two releases of one sequence activated");
    }
}
