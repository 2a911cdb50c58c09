//! The signed documents of a simulated fleet: keys, policy, census, manifests, commands.
//!
//! Everything is made with the protocol's own types and signed for real: nodes verify it as in production.

use std::collections::BTreeSet;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, RolloutId, SignedFact, Statement};
use groundswell_protocol::identity::{KeyPair, NodeId};
use groundswell_protocol::node::record::{Ending, Installed, SlotRecord};
use groundswell_protocol::node::{Config, Record};
use groundswell_protocol::places::place_of;
use groundswell_protocol::rollout::roster::Roster;
use groundswell_protocol::trust::census::{Census, Enrolment};
use groundswell_protocol::trust::command::{Command, Instruction};
use groundswell_protocol::trust::manifest::{DeltaOffer, Kind, Manifest, ReleaseOrder, Select};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::plan::Plan;
use groundswell_protocol::trust::policy::{FleetId, Policy, Role, Roles};
use serde::{Deserialize, Serialize};

use crate::generator::Generator;
use crate::machine::service::HealthLaw;
use crate::scenario::Group;
use crate::scenario::words::{Bytes, Maybe, Written};

/// The wall clock when a run begins: 2026-12-01.
pub const WALL_START: u64 = 1_796_083_200;
const WALL_FAR: u64 = WALL_START + 10 * 365 * 24 * 3600;

/// What a scenario says of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReleaseLaw {
    /// Its name for people.
    pub version: String,
    /// Its place in the order.
    pub sequence: u64,
    /// Size of the tree.
    #[serde(default = "usual_bytes", with = "Written::<Bytes>")]
    pub bytes: u64,
    /// Size of the delta from the first release; `None`: no delta is offered.
    #[serde(rename = "delta", default, with = "Maybe::<Bytes>", skip_serializing_if = "Option::is_none")]
    pub delta_bytes: Option<u64>,
    /// What it does to machines.
    #[serde(default)]
    pub health: HealthLaw,
    /// Whether enough keys sign it.
    #[serde(default = "usually_signed", skip_serializing_if = "Clone::clone")]
    pub signed: bool,
    /// Who signs it if not enough keys do: a thief with what was stolen.
    #[serde(default, skip_serializing_if = "Thief::is_usual")]
    pub thief: Thief,
}

/// What somebody has who hands in a release without enough keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thief {
    /// One release key, and two are needed.
    #[default]
    OneKey,
    /// One release key, whose signature is there twice.
    OneKeyTwice,
    /// One release key, and those of all other roles.
    OtherRoles,
    /// No release key, but those of machines.
    Machines,
}

impl Thief {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

fn usual_bytes() -> u64 {
    20_000_000
}

fn usually_signed() -> bool {
    true
}

/// A release as it is published.
pub struct Release {
    /// The manifest.
    pub fact: SignedFact,
    /// Its rollout.
    pub rollout: RolloutId,
    /// Its place in the order.
    pub order: ReleaseOrder,
    /// Its tree.
    pub tree: Digest,
    /// Its plan.
    pub plan: Plan,
    /// Line and jury.
    pub roster: Roster,
    /// What was said of it.
    pub law: ReleaseLaw,
}

/// A fleet's secrets and documents.
pub struct Fleet {
    /// The fleet's name for machines.
    pub id: FleetId,
    /// The one component of these runs.
    pub component: ComponentName,
    /// The machines' keys, by place.
    pub keys: Vec<KeyPair>,
    /// The machines' names, by place.
    pub nodes: Vec<NodeId>,
    /// The machines' labels, by place.
    pub labels: Vec<Group>,
    /// Machines that are enrolled, by place.
    enrolled: BTreeSet<u32>,
    enrol_key: KeyPair,
    policy: SignedFact,
    census: SignedFact,
    census_document: Census,
    census_id: Digest,
    release_keys: [KeyPair; 2],
    operator_key: KeyPair,
    root_key: KeyPair,
}

impl Fleet {
    /// Founds a fleet of `nodes` machines with the usual labels. Releases need two signatures.
    pub fn found(nodes: u32, root: &Generator) -> Self {
        let labels: Vec<Group> = (0..nodes).map(Group::usual).collect();
        Self::labelled(labels, &BTreeSet::new(), root)
    }

    /// Founds a fleet with a machine for each of `labels`, of which `latecomers` are enrolled later.
    pub fn labelled(labels: Vec<Group>, latecomers: &BTreeSet<u32>, root: &Generator) -> Self {
        let nodes = u32::try_from(labels.len()).unwrap_or(u32::MAX);
        let pair = |subject: &str, number: u32| {
            KeyPair::from_seed(&root.split(subject, u64::from(number)).bytes32())
        };
        let mut keys: Vec<KeyPair> = (0..nodes).map(|n| pair("node key", n)).collect();
        keys.sort_by_key(KeyPair::public);
        let release_keys = [pair("release key", 0), pair("release key", 1)];
        let (root_key, enrol_key, operator_key) =
            (pair("root key", 0), pair("enrol key", 0), pair("operator key", 0));
        let policy = Policy {
            version: 1,
            epoch: 1,
            name: "simulated".to_owned(),
            roles: Roles {
                root: Role::new(vec![root_key.public()], 1),
                release: Role::new(release_keys.iter().map(KeyPair::public).collect(), 2),
                operator: Role::new(vec![operator_key.public()], 1),
                enrol: Role::new(vec![enrol_key.public()], 1),
            },
            previous: Digest([0; 32]),
            expires: WALL_FAR,
        };
        let id = policy.founds();
        let enrolled: BTreeSet<u32> = (0..nodes).filter(|place| !latecomers.contains(place)).collect();
        let census_document = census(1, Digest([0; 32]), &enrolled, &labels, &keys);
        let policy = Fact::sign(id, Statement::Policy(policy.into()), &[&root_key]);
        let census = Fact::sign(id, Statement::Census(census_document.clone().into()), &[&enrol_key]);
        Self {
            id,
            labels,
            enrolled,
            enrol_key,
            component: ComponentName::new("web").expect("BUG: a constant name is valid"),
            nodes: keys.iter().map(KeyPair::public).collect(),
            keys,
            policy: policy.signed,
            census_id: census.id,
            census: census.signed,
            census_document,
            release_keys,
            operator_key,
            root_key,
        }
    }

    /// Enrols a machine: the next census, for somebody to hand in. Releases made before keep theirs.
    pub fn enrol(&mut self, place: u32) -> SignedFact {
        self.enrolled.insert(place);
        let next = census(
            self.census_document.version + 1,
            self.census_id,
            &self.enrolled,
            &self.labels,
            &self.keys,
        );
        let fact = Fact::sign(self.id, Statement::Census(next.clone().into()), &[&self.enrol_key]);
        self.census_document = next;
        self.census_id = fact.id;
        fact.signed
    }

    /// What a machine's core is told.
    pub fn config(&self, place: u32) -> Config {
        Config {
            fleet: self.id,
            key: self.keys[place as usize].clone(),
            components: BTreeSet::from([self.component.clone()]),
        }
    }

    /// A machine's place.
    pub fn place(&self, node: NodeId) -> Option<u32> {
        let place = place_of(self.nodes.len(), &node, |place| &self.nodes[place]);
        place.and_then(|place| u32::try_from(place).ok())
    }

    /// Makes and signs a release. `older` is the release that its delta starts from.
    pub fn release(&self, law: &ReleaseLaw, plan: &Plan, older: Option<&Release>) -> Release {
        let tree = Digest::of(format!("tree of {}", law.version).as_bytes());
        let order = ReleaseOrder { epoch: 1, sequence: law.sequence };
        let delta = |older: &Release, bytes| DeltaOffer {
            from: older.tree,
            blob: Digest::of(format!("delta to {}", law.version).as_bytes()),
            bytes,
        };
        let manifest = Manifest {
            component: self.component.clone(),
            kind: Kind::Service,
            version: law.version.clone(),
            order,
            policy: 1,
            census: self.census_id,
            tree,
            index_bytes: 4096 + law.bytes / 1000,
            bytes: law.bytes,
            deltas: older
                .zip(law.delta_bytes)
                .map(|(older, bytes)| delta(older, bytes))
                .into_iter()
                .collect(),
            requires: Vec::new(),
            select: Select::default(),
            plan: plan.clone(),
            expires: WALL_FAR,
            note: String::new(),
        };
        let fact = self.signed(&Statement::Manifest(manifest.clone().into()), law);
        let rollout = RolloutId(fact.id);
        Release {
            roster: Roster::draw(rollout, &manifest, &self.census_document),
            rollout,
            order,
            tree,
            plan: plan.clone(),
            fact: fact.signed,
            law: law.clone(),
        }
    }

    /// Signs a manifest as its law says.
    fn signed(&self, statement: &Statement, law: &ReleaseLaw) -> Fact {
        let [first, second] = &self.release_keys;
        let signers: Vec<&KeyPair> = match law.thief {
            _ if law.signed => vec![first, second],
            Thief::OneKey | Thief::OneKeyTwice => vec![first],
            Thief::OtherRoles => vec![first, &self.root_key, &self.enrol_key, &self.operator_key],
            Thief::Machines => self.keys.iter().take(2).collect(),
        };
        let mut fact = Fact::sign(self.id, statement.clone(), &signers);
        if !law.signed && law.thief == Thief::OneKeyTwice {
            let again = fact.signed.signatures.clone();
            fact.signed.signatures.extend(again.iter().copied());
        }
        fact
    }

    /// An operator's signed word.
    pub fn command(&self, rollout: RolloutId, instruction: Instruction) -> SignedFact {
        let command = Command { rollout, policy: 1, instruction, note: "simulated".to_owned() };
        Fact::sign(self.id, Statement::Command(command), &[&self.operator_key]).signed
    }

    /// What a machine has on disk when the run begins: trust, and `running`, a release that was
    /// completed before, if there is one.
    pub fn first_records(&self, running: Option<(&Release, &Plan)>) -> Vec<Record> {
        let mut records = vec![Record::Fact(self.policy.clone()), Record::Fact(self.census.clone())];
        if let Some((release, plan)) = running {
            let slot = SlotRecord {
                rollout: release.rollout,
                order: release.order,
                version: release.law.version.clone(),
                tree: release.tree,
                probes: plan.probes.clone(),
            };
            let installed =
                Installed { active: Some(slot.clone()), anchor: Some(slot), ..Installed::default() };
            records.push(Record::Installed {
                component: self.component.clone(),
                installed: Box::new(installed),
            });
            records.push(Record::Tombstone {
                component: self.component.clone(),
                order: release.order,
                rollout: release.rollout,
                ending: Ending::Done,
            });
        }
        records
    }
}

fn census(
    version: u32,
    previous: Digest,
    enrolled: &BTreeSet<u32>,
    labels: &[Group],
    keys: &[KeyPair],
) -> Census {
    let of = |place: &u32| Some(enrolment(labels.get(*place as usize)?, keys.get(*place as usize)?));
    let enrolments: Vec<Enrolment> = enrolled.iter().filter_map(of).collect();
    Census::new(version, 1, previous, &enrolments)
}

fn enrolment(labels: &Group, key: &KeyPair) -> Enrolment {
    Enrolment {
        node: key.public(),
        zone: labels.zone.clone(),
        ring: labels.ring.clone(),
        class: labels.class.clone(),
        elector: labels.elector,
    }
}
