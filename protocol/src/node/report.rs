//! From a node to a status.

use std::collections::BTreeSet;

use super::Node;
use super::event::Hold;
use super::record::Ending;
use super::status::{
    BallotStatus, ComponentStatus, EndedStatus, MemberStatus, PlanStatus, RolloutStatus, Standing, Status,
    VoteStatus,
};
use super::tracked::Tracked;
use crate::bounds::{COPIES_ENOUGH, SITE_SILENCE};
use crate::digest::Digest;
use crate::facts::health::HealthNumbers;
use crate::facts::{BallotKind, Key, RolloutId, Say, SignedFact, Statement};
use crate::identity::NodeId;
use crate::rollout::derived::{Derived, Stop, said};
use crate::time::{Span, Time};
use crate::transfer::locality::SITE_MEMBERS_MAX;

impl Node {
    /// What the node knows, at `now`.
    pub fn status(&self, now: Time) -> Status {
        let policy = self.trust.newest_policy();
        Status {
            fleet: self.fleet,
            fleet_name: policy.map(|p| p.name.clone()).unwrap_or_default(),
            node: self.me,
            boot: self.signer.boot().unwrap_or(0),
            signing: self.signing(),
            policy: policy.map_or(0, |p| p.version),
            policy_expires: policy.map_or(0, |p| p.expires),
            census: self.trust.newest_census().map_or(0, |(_, census)| census.version),
            conflict: self.trust.conflict().is_some(),
            quorum: self.electors(),
            members: self.member_statuses(now),
            components: self
                .components
                .iter()
                .map(|(name, component)| ComponentStatus {
                    component: name.clone(),
                    installed: component.installed.clone(),
                    health: component.report.clone(),
                })
                .collect(),
            rollouts: self.rollout_statuses(now),
            ended: self
                .tombstones
                .iter()
                .map(|t| EndedStatus {
                    rollout: t.rollout,
                    component: t.component.clone(),
                    order: t.order,
                    ending: t.ending,
                })
                .collect(),
            facts: self.registers.len() as u64,
        }
    }

    /// Where this node stands with one rollout; `None` if it does not follow it. Costs next to nothing, beside
    /// [`Node::status`].
    pub fn standing(&self, rollout: RolloutId) -> Option<Standing> {
        let tracked = self.rollouts.get(&rollout)?;
        let Derived { open, term, .. } = tracked.derived;
        Some(Standing { open, term, stage: tracked.install.stage })
    }

    /// The policy chain and the newest census: what somebody needs to trust this fleet.
    pub fn trust_facts(&self) -> Vec<SignedFact> {
        let newest = self.trust.newest_census().map(|(id, census)| Key::Census(census.version, id));
        let wanted = |key: &Key| matches!(key, Key::Policy(..)) || Some(key) == newest.as_ref();
        let mut facts: Vec<_> = self.registers.iter().filter(|(key, _)| wanted(key)).collect();
        facts.sort_unstable_by_key(|(key, _)| *key);
        facts.into_iter().map(|(_, fact)| fact.signed.clone()).collect()
    }

    /// The blobs that the rollouts kept here name: indexes of trees, and deltas.
    pub fn named_blobs(&self) -> BTreeSet<Digest> {
        let manifests = || self.rollouts.values().map(|tracked| &tracked.manifest);
        let deltas = manifests().flat_map(|manifest| manifest.deltas.iter().map(|delta| delta.blob));
        manifests().map(|manifest| manifest.tree).chain(deltas).collect()
    }

    /// This node's site, as the newest census names it, and its other members that were heard within
    /// [`SITE_SILENCE`] or are linked; none where it is enrolled in no zone.
    pub fn site(&self, now: Time) -> (String, Vec<NodeId>) {
        let none = || (String::new(), Vec::new());
        let Some((_, census)) = self.trust.newest_census() else { return none() };
        let Some(me) = census.member(&self.me) else { return none() };
        let Some(zone) = census.zones.get(usize::from(me.zone)).filter(|zone| !zone.is_empty()) else {
            return none();
        };
        let lately = self.freshness.heard().filter(|(_, at)| now.since(*at) <= SITE_SILENCE);
        let there = lately.map(|(node, _)| *node).chain(self.links.iter().copied());
        // Those who were heard are few in a large fleet, and a walk through its census for each fetch is what it costs.
        let of_site = |node: &NodeId| census.member(node).is_some_and(|other| other.zone == me.zone);
        let mut members: Vec<NodeId> = there.filter(|node| *node != self.me && of_site(node)).collect();
        members.sort_unstable();
        members.dedup();
        members.truncate(SITE_MEMBERS_MAX);
        (zone.clone(), members)
    }

    /// Trees of live releases that fewer than [`COPIES_ENOUGH`] other members say they hold whole: bytes of
    /// theirs that are here may be the last. Where nobody hears what others hold, all of them.
    pub fn scarce_trees(&self) -> BTreeSet<Digest> {
        let is_scarce = |tracked: &&Tracked| {
            let others = (tracked.roster.count() as usize).saturating_sub(1);
            !tracked.ended() && self.holders(tracked.id).len() < COPIES_ENOUGH.min(others.max(1))
        };
        let far = |tracked: &&Tracked| tracked.is_far() && !tracked.ended();
        let scarce = self
            .rollouts
            .values()
            .map(|tracked| &**tracked)
            .filter(|tracked| far(tracked) || is_scarce(tracked));
        scarce.map(|tracked| tracked.manifest.tree).collect()
    }

    fn member_statuses(&self, now: Time) -> Vec<MemberStatus> {
        let Some((_, census)) = self.trust.newest_census() else { return Vec::new() };
        let status = |enrolment: crate::trust::census::Enrolment| {
            let node = enrolment.node;
            let beacon = match self.registers.get(&Key::Beacon(node)).map(|fact| &fact.statement) {
                Some(Statement::Beacon(beacon)) => Some(beacon),
                _ => None,
            };
            MemberStatus {
                enrolment,
                silent_ms: if node == self.me {
                    Some(0)
                } else {
                    self.freshness.last(&node).map(|at| now.since(at).0)
                },
                linked: self.links.contains(&node),
                installed: beacon.map(|b| b.installed.clone()).unwrap_or_default(),
                addresses: beacon.map(|b| b.addresses.clone()).unwrap_or_default(),
            }
        };
        census.enrolments().into_iter().map(status).collect()
    }

    fn rollout_statuses(&self, now: Time) -> Vec<RolloutStatus> {
        let mut tracked: Vec<&Tracked> = self.rollouts.values().map(|tracked| &**tracked).collect();
        tracked.sort_by(|a, b| {
            (&a.manifest.component, a.manifest.order, a.id).cmp(&(
                &b.manifest.component,
                b.manifest.order,
                b.id,
            ))
        });
        tracked.into_iter().map(|t| self.rollout_status(t, now)).collect()
    }

    fn rollout_status(&self, tracked: &Tracked, now: Time) -> RolloutStatus {
        let (manifest, derived, roster) = (&tracked.manifest, &tracked.derived, &tracked.roster);
        let plan = &manifest.plan;
        let ending = if tracked.is_stopped() {
            Some(Ending::Stopped)
        } else if tracked.is_done() {
            Some(Ending::Done)
        } else {
            None
        };
        let hold_left = Span::seconds(u64::from(plan.hold_s)).0.saturating_sub(tracked.watch.still.0);
        RolloutStatus {
            rollout: tracked.id,
            component: manifest.component.clone(),
            kind: manifest.kind,
            version: manifest.version.clone(),
            order: manifest.order,
            note: manifest.note.clone(),
            bytes: manifest.bytes,
            ending,
            stopped_why: derived.stop.map(Stop::words).map(str::to_owned),
            paused: derived.paused,
            next_flow_counter: derived.flow_counter.map_or(1, |counter| counter.saturating_add(1)),
            members: roster.count(),
            targets: roster.targets.clone(),
            open: derived.open,
            term: derived.term,
            leader: roster.leader(derived.term).unwrap_or(self.me),
            proposed: self.proposal(tracked).map(|propose| propose.open),
            quorum: roster.quorum,
            tally: tracked.tally,
            allowed: tracked.allowed.open,
            hold: if ending.is_some() { Hold::Ended } else { tracked.watch.hold },
            hold_left_ms: (ending.is_none() && tracked.view.runs()).then_some(hold_left),
            my_rank: tracked.my_rank,
            my_stage: tracked.install.stage,
            trial_left_ms: tracked.install.trial_ends().map(|at| at.since(now).0),
            votes: roster
                .members
                .iter()
                .zip(0..)
                .map(|(node, rank)| self.vote_status(tracked, *node, rank))
                .collect(),
            ballots: roster.jury.iter().map(|juror| self.ballot_status(tracked, *juror, now)).collect(),
            plan: PlanStatus {
                trial_s: plan.trial_s,
                bake_s: plan.bake_s,
                stage_s: plan.stage_s,
                hold_s: plan.hold_s,
            },
        }
    }

    fn vote_status(&self, tracked: &Tracked, node: NodeId, rank: u32) -> VoteStatus {
        let vote = match self.registers.get(&Key::Vote(tracked.id, node)).map(|fact| &fact.statement) {
            Some(Statement::Vote(vote)) => Some(vote),
            _ => None,
        };
        VoteStatus {
            rank,
            node,
            state: vote.map(|v| v.state),
            attempt: vote.map_or(0, |v| v.attempt),
            numbers: vote.map_or(HealthNumbers::default(), |v| v.numbers),
            note: vote.map(|v| v.note.clone()).unwrap_or_default(),
        }
    }

    fn ballot_status(&self, tracked: &Tracked, juror: NodeId, now: Time) -> BallotStatus {
        let number = |kind| match said(&self.registers, tracked.id, juror, kind) {
            Some(Say::Term(number) | Say::Open(number)) => number,
            _ => 0,
        };
        let period = tracked.roster.juror_period(&tracked.manifest.plan);
        BallotStatus {
            juror,
            term: number(BallotKind::Term),
            open: number(BallotKind::Open),
            stop: match said(&self.registers, tracked.id, juror, BallotKind::Stop) {
                Some(Say::Stop(reason)) => Some(reason),
                _ => None,
            },
            fresh: juror == self.me || self.freshness.is_fresh(&juror, now, period),
        }
    }
}
