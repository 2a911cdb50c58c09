//! Keys and documents of a test fleet, signed for real.

use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, RolloutId, SignedFact, Statement};
use groundswell_protocol::identity::{KeyPair, NodeId};
use groundswell_protocol::trust::census::{Census, Enrolment};
use groundswell_protocol::trust::command::{Command, Instruction};
use groundswell_protocol::trust::manifest::{Kind, Manifest, ReleaseOrder, Select};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::plan::{Plan, Rung};
use groundswell_protocol::trust::policy::{FleetId, Policy, Role, Roles};
use groundswell_protocol::trust::probe::{Probe, ProbeAction};

/// A key pair that is the same in every run.
pub(crate) fn key(label: &str) -> KeyPair {
    KeyPair::from_seed(&Digest::of(label.as_bytes()).0)
}

/// The name of the component that most tests update.
pub(crate) fn web() -> ComponentName {
    ComponentName::new("web").unwrap()
}

/// A plan whose times suit tests: trials of 2 s, bakes of 1 s, waves of 1, 3 and all.
pub(crate) fn plan() -> Plan {
    Plan {
        ladder: vec![Rung::Nodes(1), Rung::Nodes(3), Rung::Permille(1000)],
        bake_s: 1,
        stage_s: 60,
        trial_s: 2,
        hold_s: 120,
        revert_spread_s: 4,
        beacon_ms: 500,
        probes: vec![Probe {
            action: ProbeAction::Process,
            initial_delay_ms: 0,
            period_ms: 100,
            timeout_ms: 100,
            success_threshold: 1,
            failure_threshold: 1,
        }],
        ..Plan::default()
    }
}

/// The documents that a fleet trusts, and the keys that sign them.
#[derive(Clone)]
pub(crate) struct Papers {
    pub(crate) root: KeyPair,
    pub(crate) release: KeyPair,
    pub(crate) operator: KeyPair,
    pub(crate) enrol: KeyPair,
    pub(crate) nodes: Vec<KeyPair>,
    pub(crate) fleet: FleetId,
    pub(crate) policy: Policy,
    pub(crate) policy_fact: Fact,
    pub(crate) census: Fact,
}

fn role(key: &KeyPair) -> Role {
    Role::new(vec![key.public()], 1)
}

/// A node's enrolment as an elector of the only zone, ring and class.
pub(crate) fn enrolment(node: NodeId) -> Enrolment {
    Enrolment { node, zone: "z".into(), ring: "r".into(), class: "c".into(), elector: true }
}

impl Papers {
    /// The papers of a fleet of `count` nodes, all of them electors.
    pub(crate) fn new(count: usize) -> Self {
        Self::with_electors(count, count)
    }

    /// The papers of a fleet of `count` nodes, of which the first `electors` are electors.
    pub(crate) fn with_electors(count: usize, electors: usize) -> Self {
        let [root, release, operator, enrol] = ["root", "release", "operator", "enrol"].map(key);
        let roles = Roles {
            root: role(&root),
            release: role(&release),
            operator: role(&operator),
            enrol: role(&enrol),
        };
        let policy = Policy {
            version: 1,
            epoch: 1,
            name: "test".into(),
            roles,
            previous: Digest([0; 32]),
            expires: 4_000_000_000,
        };
        let fleet = policy.founds();
        let policy_fact = Fact::sign(fleet, Statement::Policy(Arc::new(policy.clone())), &[&root]);
        let nodes: Vec<KeyPair> = (1..=count).map(|number| key(&format!("node {number}"))).collect();
        let enrolled = |(place, node): (usize, &KeyPair)| Enrolment {
            elector: place < electors,
            ..enrolment(node.public())
        };
        let list: Vec<Enrolment> = nodes.iter().enumerate().map(enrolled).collect();
        let census = Census::new(1, 1, Digest([0; 32]), &list);
        let census = Fact::sign(fleet, Statement::Census(Arc::new(census)), &[&enrol]);
        Self { root, release, operator, enrol, nodes, fleet, policy, policy_fact, census }
    }

    /// The policy after `policy`, changed by `change`, signed by the root keys in `signers`.
    pub(crate) fn next_policy(
        &self,
        before: (&Fact, &Policy),
        signers: &[&KeyPair],
        change: impl FnOnce(&mut Policy),
    ) -> (Fact, Policy) {
        let mut policy = Policy { version: before.1.version + 1, previous: before.0.id, ..before.1.clone() };
        change(&mut policy);
        (Fact::sign(self.fleet, Statement::Policy(Arc::new(policy.clone())), signers), policy)
    }

    /// A census of `nodes` under policy `policy`, following this one, signed by `signer`.
    pub(crate) fn next_census(
        &self,
        version: u32,
        policy: u32,
        nodes: &[NodeId],
        signer: &KeyPair,
    ) -> (Fact, Arc<Census>) {
        let list: Vec<Enrolment> = nodes.iter().map(|node| enrolment(*node)).collect();
        let census = Arc::new(Census::new(version, policy, self.census.id, &list));
        (Fact::sign(self.fleet, Statement::Census(Arc::clone(&census)), &[signer]), census)
    }

    /// A manifest of `web` with this sequence and version.
    pub(crate) fn manifest(&self, sequence: u64, version: &str) -> Manifest {
        Manifest {
            component: web(),
            kind: Kind::Service,
            version: version.into(),
            order: ReleaseOrder { epoch: 1, sequence },
            policy: 1,
            census: self.census.id,
            tree: Digest::of(version.as_bytes()),
            index_bytes: 100,
            bytes: 1000,
            deltas: Vec::new(),
            requires: Vec::new(),
            select: Select::default(),
            plan: plan(),
            expires: 4_000_000_000,
            note: String::new(),
        }
    }

    /// A signed manifest and its rollout.
    pub(crate) fn sign(&self, manifest: Manifest) -> (RolloutId, Fact) {
        let fact = Fact::sign(self.fleet, Statement::Manifest(Arc::new(manifest)), &[&self.release]);
        (RolloutId(fact.id), fact)
    }

    /// A signed release of `web`.
    pub(crate) fn release(&self, sequence: u64, version: &str) -> (RolloutId, Fact) {
        self.sign(self.manifest(sequence, version))
    }

    /// An operator's command under policy 1.
    pub(crate) fn command(&self, rollout: RolloutId, instruction: Instruction) -> SignedFact {
        self.command_under(1, &self.operator, rollout, instruction)
    }

    /// A command under another policy or of another key.
    pub(crate) fn command_under(
        &self,
        policy: u32,
        signer: &KeyPair,
        rollout: RolloutId,
        instruction: Instruction,
    ) -> SignedFact {
        let command = Command { rollout, policy, instruction, note: "as ordered".into() };
        Fact::sign(self.fleet, Statement::Command(command), &[signer]).signed
    }

    /// What a node signs.
    pub(crate) fn by(&self, node: usize, statement: Statement) -> Fact {
        Fact::sign(self.fleet, statement, &[&self.nodes[node]])
    }
}
