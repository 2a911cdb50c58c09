//! From the records that a driver kept to a node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Node;
use super::beacons::{Beacons, FreezeWatch};
use super::entropy::{Entropy, Generator};
use super::hand::Hand;
use super::install::Component;
use super::reader::Reader;
use super::record::Record;
use super::relays::Relays;
use super::rest::Rest;
use super::signing::Signer;
use super::syncing::Syncs;
use super::tombstones::{Tombstone, Tombstones};
use super::tracked::Tracked;
use super::writes::Writes;
use crate::facts::{Fact, Registers, RolloutId, SignedFact, Statement};
use crate::few::{Few, FewOf};
use crate::node::accept::Judged;
use crate::rollout::freshness::Freshness;
use crate::time::Time;
use crate::trust::names::ComponentName;
use crate::trust::policy::FleetId;
use crate::trust::store::Trust;

/// Builds a node from its records.
pub(super) fn node(
    fleet: FleetId,
    hand: Hand,
    components: &BTreeSet<ComponentName>,
    restored: Vec<Record>,
    entropy: &Entropy,
    reader: Arc<dyn Reader>,
) -> Node {
    let me = hand.node();
    let components = components.iter().map(|name| (name.clone(), Box::<Component>::default())).collect();
    let mut node = Node {
        fleet,
        hand,
        me,
        trust: Trust::default(),
        registers: Registers::default(),
        rollouts: Few::default(),
        components,
        bindings: BTreeMap::new(),
        tombstones: Tombstones::default(),
        freshness: Freshness::default(),
        writes: Writes::default(),
        signer: Signer::new(0, Generator::new(entropy, "incarnation").draw()),
        beacons: Beacons::default(),
        freeze: FreezeWatch::default(),
        syncs: Syncs::default(),
        relays: Relays::default(),
        links: FewOf::default(),
        addresses: Vec::new(),
        wall_clock: None,
        last_change: Time(0),
        census_since: Time(0),
        generator: Generator::new(entropy, "jitter and partners"),
        started: false,
        rest: Rest::default(),
        reader,
        members: Arc::default(),
        enrolled: false,
    };
    let facts = node.take_records(restored);
    node.take_facts_back(&facts);
    node.rest.until(node.due(), Time(0));
    node
}

impl Node {
    /// Takes back everything but facts, which are returned.
    fn take_records(&mut self, restored: Vec<Record>) -> Vec<SignedFact> {
        let mut facts = Vec::new();
        for record in restored {
            match record {
                Record::Fact(signed) => facts.push(signed),
                Record::Boot(boot) => self.signer.last_boot = self.signer.last_boot.max(boot),
                Record::Binding { component, order, rollout } => {
                    self.bindings.insert((component, order), rollout);
                }
                Record::Installed { component, installed } => {
                    // A component that is no longer configured keeps its record and is left alone.
                    if let Some(known) = self.components.get_mut(&component) {
                        known.installed = *installed;
                    }
                }
                Record::Tombstone { component, order, rollout, ending } => {
                    self.tombstones.add(Tombstone { rollout, component, order, ending });
                }
            }
        }
        facts
    }

    /// Takes facts back in the order in which they depend on each other. Each is judged again: the disk is no better than a peer.
    fn take_facts_back(&mut self, facts: &[SignedFact]) {
        let mut readable: Vec<Arc<Fact>> =
            facts.iter().filter_map(|signed| self.reader.fact(self.fleet, signed).ok()).collect();
        readable.sort_by(|a, b| a.key.cmp(&b.key));
        for fact in readable {
            if let Ok(Judged::Rises(fact)) = self.judge_read(Ok(fact)) {
                self.take_fact_back(&fact);
            }
        }
        self.list_members();
    }

    fn take_fact_back(&mut self, fact: &Arc<Fact>) {
        self.registers.merge(fact);
        match &fact.statement {
            Statement::Policy(policy) => self.trust.add_policy(fact.id, Arc::clone(policy)),
            Statement::Census(census) => self.trust.add_census(fact.id, Arc::clone(census)),
            Statement::Manifest(manifest) => {
                let id = RolloutId(fact.id);
                if let Some(census) = self.trust.census(manifest.census) {
                    let roster = self.reader.roster(id, manifest, census);
                    let tracked =
                        Tracked::new(id, Arc::clone(fact), Arc::clone(manifest), roster, &self.me, Time(0));
                    self.hush_if_far(&tracked);
                    self.rollouts.insert(id, Box::new(tracked));
                }
            }
            Statement::Vote(vote) => self.note_vote(vote),
            Statement::Ballot(ballot) => self.note_ballot(ballot),
            Statement::Command(command) => self.note_command(command),
            Statement::Propose(_) | Statement::Beacon(_) => {}
        }
    }
}
