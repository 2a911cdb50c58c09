//! The referees: they see everything, and judge every effect before the world performs it.
//!
//! They keep their own books and trust no node's word on itself. The numbers of the properties are
//! those of the design: S for what must never happen, L for what must happen in the end.

pub mod shadow;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, RolloutId, Say, SignedFact, Statement};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::{Event, Record};
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::manifest::ReleaseOrder;
use groundswell_protocol::wire::frame::Frame;
use serde::Serialize;

use crate::fleet::{Fleet, Release};
use crate::world::queue::Moment;
use shadow::Shadow;

/// A property of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Property {
    /// Only threshold-signed bytes activate.
    S1,
    /// A component never goes down, but for the revert to the slot that the trial began from.
    S2,
    /// At most one leader proposes in a rollout's term.
    S3,
    /// No activation before a quorum of jurors opened the rank.
    S4,
    /// No activation after the node knew the stop.
    S5,
    /// Some slot always starts: what is gone back to, and what runs, is here.
    S6,
    /// The core does not ask to be woken without end.
    S7,
    /// Two releases of one place in the order never both activate; no juror opens both.
    S8,
    /// No signature leaves before it is durable.
    S9,
    /// No signature contradicts an earlier one, over any crash.
    S10,
    /// Every machine that is on ends on the target or the rollback version.
    L1,
    /// A bad release stops inside its wave.
    L3,
    /// In the end nothing moves, and traffic is back in its budget.
    L5,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::S1,
        Self::S2,
        Self::S3,
        Self::S4,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::S9,
        Self::S10,
        Self::L1,
        Self::L3,
        Self::L5,
    ];

    /// Whether its breach is one of safety; else it is one of liveness.
    pub fn is_safety(self) -> bool {
        !matches!(self, Self::L1 | Self::L3 | Self::L5)
    }
}

/// A breach.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// Of what.
    pub property: Property,
    /// When, in milliseconds of virtual time.
    pub at_ms: u64,
    /// On which machine, by place; `None` for the fleet as a whole.
    pub machine: Option<u32>,
    /// What happened.
    pub what: String,
}

/// Breaches that are kept; what follows the first ones says little.
const VIOLATIONS_MAX: usize = 32;

/// What the referees know of a release.
struct Known {
    rollout: RolloutId,
    order: ReleaseOrder,
    tree: Digest,
    signed: bool,
    members: u32,
    ranks: BTreeMap<NodeId, u32>,
    jury: BTreeSet<NodeId>,
    opens: BTreeMap<NodeId, u32>,
    promoted: u32,
    leaders: BTreeMap<u32, NodeId>,
    quorum: usize,
    stoppers: usize,
}

/// The referees.
pub struct Referees {
    releases: BTreeMap<RolloutId, Known>,
    nodes: Vec<NodeId>,
    liars: BTreeSet<u32>,
    shadow: Shadow,
    stops_known: BTreeSet<(u32, RolloutId)>,
    began_from: BTreeMap<(u32, Digest), Option<Digest>>,
    anchors: BTreeMap<u32, Digest>,
    activated: BTreeMap<ReleaseOrder, RolloutId>,
    bound: BTreeMap<(u32, ReleaseOrder), RolloutId>,
    violations: Vec<Violation>,
}

impl Referees {
    /// Referees of a fleet; `liars` are excused from everything that they say.
    pub fn new(fleet: &Fleet, releases: &[Release], liars: BTreeSet<u32>) -> Self {
        let known = |release: &Release| {
            let jury: BTreeSet<NodeId> = release.roster.jury.iter().copied().collect();
            let faulty = (jury.len() - 1) / 3;
            Known {
                rollout: release.rollout,
                order: release.order,
                tree: release.tree,
                signed: release.law.signed,
                members: release.roster.count(),
                ranks: (0..).zip(&release.roster.members).map(|(rank, node)| (*node, rank)).collect(),
                opens: BTreeMap::new(),
                promoted: 0,
                leaders: BTreeMap::new(),
                quorum: (jury.len() + faulty + 1).div_ceil(2),
                stoppers: faulty + 1,
                jury,
            }
        };
        Self {
            releases: releases.iter().map(|r| (r.rollout, known(r))).collect(),
            nodes: fleet.nodes.clone(),
            liars,
            shadow: Shadow::new(fleet.id),
            stops_known: BTreeSet::new(),
            began_from: BTreeMap::new(),
            anchors: BTreeMap::new(),
            activated: BTreeMap::new(),
            bound: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// The breaches so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Notes a breach.
    pub fn breach(&mut self, now: Moment, property: Property, machine: Option<u32>, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { property, at_ms: now.as_milliseconds(), machine, what });
        }
    }

    /// A machine lets a frame go.
    pub fn sent(&mut self, now: Moment, place: u32, frame: &[u8]) {
        if self.liars.contains(&place) {
            return;
        }
        let facts = match Frame::decode(frame) {
            Ok(Frame::Gossip(fact)) => vec![fact],
            Ok(Frame::Digest { beacon: Some(fact), .. }) => vec![fact],
            Ok(Frame::Facts { facts, .. }) => facts,
            Ok(_) => return,
            Err(error) => {
                return self.breach(
                    now,
                    Property::S7,
                    Some(place),
                    format!("sends what nobody can read: {error}"),
                );
            }
        };
        for fact in &facts {
            self.sent_fact(now, place, fact);
        }
    }

    fn sent_fact(&mut self, now: Moment, place: u32, signed: &SignedFact) {
        let me = self.nodes[place as usize];
        if !matches!(signed.signatures.as_slice(), [one] if one.key == me) {
            return;
        }
        match self.shadow.sent(place, signed) {
            Ok(Some(fact)) => self.said(now, place, &fact),
            Ok(None) => {}
            Err((property, what)) => self.breach(now, property, Some(place), what),
        }
    }

    /// A record became durable.
    pub fn durable(&mut self, now: Moment, place: u32, record: &Record) {
        let me = self.nodes[place as usize];
        if let Record::Fact(signed) = record
            && matches!(signed.signatures.as_slice(), [one] if one.key == me)
            && let Some(fact) = self.shadow.durable(place, signed)
        {
            self.said(now, place, &fact);
        }
    }

    /// A node has bound itself to a statement, by sending it or by making it durable.
    fn said(&mut self, now: Moment, place: u32, fact: &Fact) {
        let mut breaches = Vec::new();
        match &fact.statement {
            Statement::Ballot(ballot) => {
                if let (Say::Open(open), Some(known)) = (ballot.say, self.releases.get_mut(&ballot.rollout)) {
                    let opened = known.opens.entry(ballot.juror).or_default();
                    *opened = open.max(*opened);
                    let other = *self.bound.entry((place, known.order)).or_insert(ballot.rollout);
                    if other != ballot.rollout {
                        breaches.push((
                            Property::S8,
                            format!("opens {:?}, but is bound to {other:?} of one order", ballot.rollout),
                        ));
                    }
                }
            }
            Statement::Propose(proposal) => {
                if let Some(known) = self.releases.get_mut(&proposal.rollout) {
                    let leader = *known.leaders.entry(proposal.term).or_insert(proposal.leader);
                    if leader != proposal.leader {
                        breaches.push((
                            Property::S3,
                            format!("proposes in term {}, which {leader:?} leads", proposal.term),
                        ));
                    }
                }
            }
            _ => {}
        }
        // A liar's ballots count like anybody's; what they break is not held against the core.
        if !self.liars.contains(&place) {
            for (property, what) in breaches {
                self.breach(now, property, Some(place), what);
            }
        }
    }

    /// An operator signed.
    pub fn commanded(&mut self, rollout: RolloutId, instruction: Instruction) {
        if let (Instruction::Promote(open), Some(known)) = (instruction, self.releases.get_mut(&rollout)) {
            known.promoted = known.promoted.max(open);
        }
    }

    /// A node reports.
    pub fn reported(&mut self, place: u32, event: &Event) {
        if let Event::Stopped { rollout, .. } = event {
            self.stops_known.insert((place, *rollout));
        }
    }

    /// A machine starts on these records: what it knew and did not keep, it knows no more.
    pub fn restarted(&mut self, place: u32, records: &[Record], fleet: &Fleet) {
        let mut votes: BTreeMap<RolloutId, usize> = BTreeMap::new();
        let mut stopped = BTreeSet::new();
        for record in records {
            match record {
                Record::Fact(signed) => match Fact::read(fleet.id, signed.clone()).map(|f| f.statement) {
                    Ok(Statement::Ballot(ballot)) if matches!(ballot.say, Say::Stop(_)) => {
                        *votes.entry(ballot.rollout).or_default() += 1;
                    }
                    Ok(Statement::Command(command)) if command.instruction == Instruction::Stop => {
                        stopped.insert(command.rollout);
                    }
                    _ => {}
                },
                Record::Tombstone { rollout, ending: Ending::Stopped, .. } => {
                    stopped.insert(*rollout);
                }
                _ => {}
            }
        }
        let enough = |rollout: &RolloutId, count: usize| {
            self.releases.get(rollout).is_some_and(|known| count >= known.stoppers)
        };
        stopped.extend(votes.iter().filter(|(rollout, count)| enough(rollout, **count)).map(|(r, _)| *r));
        self.stops_known.retain(|(node, rollout)| *node != place || stopped.contains(rollout));
    }

    /// A machine is about to switch forward from `current` to `tree`.
    pub fn activating(&mut self, now: Moment, place: u32, current: Option<Digest>, tree: Digest) {
        if self.liars.contains(&place) || current == Some(tree) {
            return;
        }
        self.began_from.insert((place, tree), current);
        let me = self.nodes[place as usize];
        let Some(known) = self.releases.values().find(|known| known.tree == tree) else {
            return self.breach(
                now,
                Property::S1,
                Some(place),
                format!("activates {tree:?}, which nobody released"),
            );
        };
        let mut breaches = Vec::new();
        if !known.signed {
            breaches.push((Property::S1, "activates a release that too few keys signed".to_owned()));
        }
        let running = current.and_then(|tree| self.releases.values().find(|known| known.tree == tree));
        if running.is_some_and(|running| running.order > known.order) {
            breaches.push((Property::S2, format!("goes down to sequence {}", known.order.sequence)));
        }
        let needed = known.ranks.get(&me).map_or(known.members + 1, |rank| rank + 1);
        let opened = known.jury.iter().filter(|juror| known.opens.get(*juror).is_some_and(|o| *o >= needed));
        let opened = opened.count();
        if opened < known.quorum && known.promoted < needed {
            let what = format!(
                "activates rank {} when {opened} of the {} jurors needed had opened it",
                needed - 1,
                known.quorum
            );
            breaches.push((Property::S4, what));
        }
        if self.stops_known.contains(&(place, known.rollout)) {
            breaches.push((Property::S5, "activates a release that it knows to be stopped".to_owned()));
        }
        let first = *self.activated.entry(known.order).or_insert(known.rollout);
        if first != known.rollout {
            let what = format!("activates {:?}; {first:?} of the same order ran before", known.rollout);
            breaches.push((Property::S8, what));
        }
        for (property, what) in breaches {
            self.breach(now, property, Some(place), what);
        }
    }

    /// A machine is about to go back from `current` to `tree`.
    pub fn reverting(&mut self, now: Moment, place: u32, current: Option<Digest>, tree: Option<Digest>) {
        if self.liars.contains(&place) || current == tree {
            return;
        }
        let began_from = current.and_then(|current| self.began_from.get(&(place, current)).copied());
        let anchor = self.anchors.get(&place).copied();
        if began_from != Some(tree) && (tree.is_none() || anchor != tree) {
            let what = format!(
                "goes back to {tree:?}; the trial began from {began_from:?}, the anchor is {anchor:?}"
            );
            self.breach(now, Property::S2, Some(place), what);
        }
    }

    /// A machine confirms a tree: it may be gone back to from now on.
    pub fn confirming(
        &mut self,
        now: Moment,
        place: u32,
        active: Option<Digest>,
        tree: Digest,
        keep: &[Digest],
    ) {
        self.anchors.insert(place, tree);
        if active.is_some_and(|active| !keep.contains(&active)) {
            self.breach(now, Property::S6, Some(place), "lets go of the tree that runs".to_owned());
        }
    }
}
