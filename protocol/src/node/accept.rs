//! Accepting facts: whether a fact is valid depends on its bytes and what they name, never on who reads it or when.
//!
//! Cheap checks come first and the signature last, so that refusing costs less than sending.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Node;
use super::event::Refusal;
use crate::bounds::{COMPONENTS_MAX, POLICIES_MAX};
use crate::facts::{BadFact, Fact, Key, Merged, Say, SignedFact, Statement};
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::rollout::roster::Roster;
use crate::trust::command::{Command, Instruction};
use crate::trust::manifest::Manifest;
use crate::trust::policy::{Policy, RoleName};

/// A fact that passed every check, and what it would do.
pub(super) enum Judged {
    /// It raises its register.
    Rises(Arc<Fact>),
    /// It is there already, or a greater one is.
    Known,
}

impl Node {
    /// Judges a fact as it travels. No state changes.
    pub(super) fn judge(&self, signed: &SignedFact) -> Result<Judged, Refusal> {
        self.judge_read(self.reader.fact(self.fleet, signed))
    }

    /// Judges a fact that was read. No state changes.
    pub(super) fn judge_read(&self, fact: Result<Arc<Fact>, BadFact>) -> Result<Judged, Refusal> {
        let fact = fact.map_err(|bad| match bad {
            BadFact::OtherFleet => Refusal::OtherFleet,
            BadFact::Signatures => Refusal::Unsigned,
            _ => Refusal::BadFact,
        })?;
        if self.registers.compare(&fact) != Merged::Rose {
            mark!(EquivocationRefused if self.registers.get(&fact.key)
                .is_some_and(|held| held.rank == fact.rank && held.id != fact.id));
            return Ok(Judged::Known);
        }
        let checked = self.check(&fact);
        mark!(NoSeatRefused if checked == Err(Refusal::NoSeat));
        mark!(CollectedRefused if checked == Err(Refusal::Collected));
        checked?;
        Ok(Judged::Rises(fact))
    }

    fn check(&self, fact: &Arc<Fact>) -> Result<(), Refusal> {
        match &fact.statement {
            Statement::Policy(policy) => self.check_policy(fact, policy),
            Statement::Census(census) => {
                let policy = self.trust.policy(census.policy).ok_or(Refusal::MissingParent)?;
                if self.trust.censuses(census.version).count() >= 2 {
                    return Err(Refusal::Full);
                }
                self.signed_by(fact, policy, RoleName::Enrol)
            }
            Statement::Manifest(manifest) => self.check_manifest(fact, manifest),
            Statement::Command(command) => self.check_command(fact, command),
            Statement::Vote(vote) => {
                let roster = self.roster_of(fact)?;
                roster.rank(&vote.node).ok_or(Refusal::NoSeat)?;
                self.signed_by_author(fact)
            }
            Statement::Ballot(ballot) => {
                let roster = self.roster_of(fact)?;
                if !roster.is_juror(&ballot.juror) {
                    return Err(Refusal::NoSeat);
                }
                if matches!(ballot.say, Say::Open(open) if open > roster.done()) {
                    return Err(Refusal::OutOfRange);
                }
                self.signed_by_author(fact)
            }
            Statement::Propose(propose) => {
                let roster = self.roster_of(fact)?;
                let second = mutations::is(Mutation::TwoLeaders)
                    && roster.leader(propose.term + 1) == Some(propose.leader);
                if roster.leader(propose.term) != Some(propose.leader) && !second {
                    return Err(Refusal::NoSeat);
                }
                if propose.open > roster.done() {
                    return Err(Refusal::OutOfRange);
                }
                self.signed_by_author(fact)
            }
            Statement::Beacon(beacon) => {
                if !self.is_member(&beacon.node) {
                    return Err(Refusal::NotAMember);
                }
                self.signed_by_author(fact)
            }
        }
    }

    fn check_policy(&self, fact: &Arc<Fact>, policy: &Policy) -> Result<(), Refusal> {
        if policy.version == 1 {
            if policy.founds() != self.fleet {
                return Err(Refusal::OtherFleet);
            }
            return self.signed_by(fact, policy, RoleName::Root);
        }
        if self.trust.policy_count() >= POLICIES_MAX || self.trust.policies(policy.version).count() >= 2 {
            return Err(Refusal::Full);
        }
        let mut before = self.trust.policies(policy.version - 1).peekable();
        if before.peek().is_none() {
            return Err(Refusal::MissingParent);
        }
        let (_, parent) = before.find(|(id, _)| **id == policy.previous).ok_or(Refusal::BrokenChain)?;
        if policy.epoch < parent.epoch {
            return Err(Refusal::BrokenChain);
        }
        // TUF 5.3.4: signed by the thresholds of both the trusted and the new root.
        self.signed_by(fact, parent, RoleName::Root)?;
        self.signed_by(fact, policy, RoleName::Root)
    }

    fn check_manifest(&self, fact: &Arc<Fact>, manifest: &Manifest) -> Result<(), Refusal> {
        let Key::Manifest(component, order, rollout) = &fact.key else { return Err(Refusal::BadFact) };
        if self.is_collected(component, *order, *rollout) {
            return Err(Refusal::Collected);
        }
        let policy = self.trust.policy(manifest.policy).ok_or(Refusal::MissingParent)?;
        if manifest.order.epoch > policy.epoch {
            return Err(Refusal::OutOfRange);
        }
        self.trust.census(manifest.census).ok_or(Refusal::MissingParent)?;
        let of_component: Vec<_> =
            self.rollouts.values().filter(|r| r.manifest.component == *component).collect();
        let twins = of_component.iter().filter(|r| r.manifest.order == *order).count();
        let components: BTreeSet<_> = self.rollouts.values().map(|r| &r.manifest.component).collect();
        mark!(ThirdTwinRefused if twins >= 2);
        if twins >= 2 || (of_component.is_empty() && components.len() >= COMPONENTS_MAX) {
            return Err(Refusal::Full);
        }
        self.signed_by(fact, policy, RoleName::Release)
    }

    fn check_command(&self, fact: &Arc<Fact>, command: &Command) -> Result<(), Refusal> {
        let rollout = self.rollouts.get(&command.rollout).ok_or_else(|| self.unknown(fact))?;
        if command.policy < rollout.manifest.policy {
            return Err(Refusal::StalePolicy);
        }
        if matches!(command.instruction, Instruction::Promote(open) if open > rollout.roster.done()) {
            return Err(Refusal::OutOfRange);
        }
        let policy = self.trust.policy(command.policy).ok_or(Refusal::MissingParent)?;
        self.signed_by(fact, policy, RoleName::Operator)
    }

    fn roster_of(&self, fact: &Fact) -> Result<&Roster, Refusal> {
        let rollout = fact.key.rollout().and_then(|id| self.rollouts.get(&id));
        rollout.map(|r| r.roster.as_ref()).ok_or_else(|| self.unknown(fact))
    }

    fn unknown(&self, fact: &Fact) -> Refusal {
        match fact.key.rollout() {
            Some(id) if self.tombstones.contains(id) => Refusal::Collected,
            _ => Refusal::MissingParent,
        }
    }

    /// Whether the newest census lists the node.
    pub(super) fn is_member(&self, node: &NodeId) -> bool {
        self.trust.newest_census().is_some_and(|(_, census)| census.member(node).is_some())
    }

    fn signed_by(&self, fact: &Arc<Fact>, policy: &Policy, role: RoleName) -> Result<(), Refusal> {
        if fact.role_signed_if(policy.role(role), |one| self.reader.is_signed(fact, one)) {
            return Ok(());
        }
        mark!(TooFewSignersRefused);
        Err(Refusal::Unsigned)
    }

    fn signed_by_author(&self, fact: &Arc<Fact>) -> Result<(), Refusal> {
        if fact.author_signed_if(|one| self.reader.is_signed(fact, one)) {
            return Ok(());
        }
        mark!(ForgeryRefused);
        Err(Refusal::Unsigned)
    }
}
