//! Small fleets for this room's tests.

use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, Statement};
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::trust::census::{Census, Enrolment};
use groundswell_protocol::trust::policy::{Policy, Role, Roles};

use super::bundle::Bundle;

/// One key a role, derived from a number.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) name: String,
    pub(super) root: KeyPair,
    pub(super) release: KeyPair,
    pub(super) operator: KeyPair,
    pub(super) enrol: KeyPair,
}

impl Keys {
    pub(super) fn new(number: u8) -> Self {
        let key = |role: u8| KeyPair::from_seed(&[number.wrapping_mul(4).wrapping_add(role); 32]);
        Self { name: "test".to_owned(), root: key(0), release: key(1), operator: key(2), enrol: key(3) }
    }

    pub(super) fn renamed(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    fn policy(&self, version: u32, previous: Digest) -> Policy {
        let role = |key: &KeyPair| Role::new(vec![key.public()], 1);
        Policy {
            version,
            epoch: 0,
            name: self.name.clone(),
            roles: Roles {
                root: role(&self.root),
                release: role(&self.release),
                operator: role(&self.operator),
                enrol: role(&self.enrol),
            },
            previous,
            expires: 4_000_000_000,
        }
    }
}

pub(super) fn first_policy(keys: &Keys) -> Fact {
    let policy = keys.policy(1, Digest([0; 32]));
    let fleet = policy.founds();
    Fact::sign(fleet, Statement::Policy(Arc::new(policy)), &[&keys.root])
}

pub(super) fn next_policy(bundle: &Bundle, keys: &Keys, signers: &[&KeyPair]) -> Fact {
    let policy = keys.policy(bundle.newest_policy().version + 1, bundle.newest_policy_id());
    Fact::sign(bundle.fleet(), Statement::Policy(Arc::new(policy)), signers)
}

pub(super) fn enrolment(number: u8) -> Enrolment {
    Enrolment {
        node: KeyPair::from_seed(&[100 + number; 32]).public(),
        zone: "a".to_owned(),
        ring: "production".to_owned(),
        class: "server".to_owned(),
        elector: true,
    }
}

pub(super) fn census_of(bundle: &Bundle, keys: &Keys, numbers: &[u8]) -> Fact {
    let nodes: Vec<_> = numbers.iter().map(|number| enrolment(*number)).collect();
    let (version, previous) = match bundle.census_fact() {
        Some(fact) => (bundle.census().expect("census").version + 1, fact.id),
        None => (1, Digest([0; 32])),
    };
    let census = Census::new(version, bundle.newest_policy().version, previous, &nodes);
    Fact::sign(bundle.fleet(), Statement::Census(Arc::new(census)), &[&keys.enrol])
}

/// A fleet with three members.
pub(super) fn small_fleet() -> (Keys, Bundle) {
    let keys = Keys::new(1);
    let mut bundle = Bundle::found(first_policy(&keys)).expect("founds");
    let census = census_of(&bundle, &keys, &[1, 2, 3]);
    bundle.add(census).expect("census");
    (keys, bundle)
}
