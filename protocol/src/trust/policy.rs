//! The root of trust: who may sign what. Policies form a chain, rotated as in The Update Framework.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::names::is_label;
use crate::bounds::ROLE_KEYS_MAX;
use crate::digest::Digest;
use crate::identity::PublicKey;
use crate::time::UnixSeconds;
use crate::wire::codec;

/// A fleet's name for machines: the digest of its first policy, so it vouches for itself.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
pub struct FleetId(pub Digest);

impl std::fmt::Debug for FleetId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What a key may be trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Signs policies. Kept offline.
    Root,
    /// Signs manifests.
    Release,
    /// Signs pause, resume, promote and stop.
    Operator,
    /// Signs the census.
    Enrol,
}

impl RoleName {
    /// All roles, in the order of the policy.
    pub const ALL: [Self; 4] = [Self::Root, Self::Release, Self::Operator, Self::Enrol];

    /// The word for screens and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Release => "release",
            Self::Operator => "operator",
            Self::Enrol => "enrol",
        }
    }
}

/// The keys of one role, and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Role {
    /// The keys, strictly rising, at most `ROLE_KEYS_MAX`.
    pub keys: Vec<PublicKey>,
    /// How many different ones must sign; 1 to the number of keys.
    pub threshold: u8,
}

impl Role {
    /// A role of `keys` of which `threshold` must sign. Sorts and deduplicates the keys.
    pub fn new(mut keys: Vec<PublicKey>, threshold: u8) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self { keys, threshold }
    }

    fn is_valid(&self) -> bool {
        (1..=ROLE_KEYS_MAX).contains(&self.keys.len())
            && self.keys.is_sorted_by(|a, b| a < b)
            && self.threshold >= 1
            && usize::from(self.threshold) <= self.keys.len()
    }
}

/// The four roles.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Roles {
    /// See [`RoleName::Root`].
    pub root: Role,
    /// See [`RoleName::Release`].
    pub release: Role,
    /// See [`RoleName::Operator`].
    pub operator: Role,
    /// See [`RoleName::Enrol`].
    pub enrol: Role,
}

/// One version of the fleet's policy.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Policy {
    /// Rises by one with every policy; the first is 1.
    pub version: u32,
    /// Goes before `sequence` in the order of releases; root raises it to get past a sequence that a
    /// stolen release key drove up (hole H33).
    pub epoch: u32,
    /// The fleet's name for people.
    pub name: String,
    /// Who may sign what.
    pub roles: Roles,
    /// Id of the policy before; zeros in the first.
    pub previous: Digest,
    /// When operators should have rotated it. Alarms; stops nothing, because no server could renew it.
    pub expires: UnixSeconds,
}

impl Policy {
    /// The keys and threshold of `role`.
    pub fn role(&self, role: RoleName) -> &Role {
        match role {
            RoleName::Root => &self.roles.root,
            RoleName::Release => &self.roles.release,
            RoleName::Operator => &self.roles.operator,
            RoleName::Enrol => &self.roles.enrol,
        }
    }

    /// The fleet that this policy founds, if it is a first one.
    pub fn founds(&self) -> FleetId {
        FleetId(Digest::of_parts("groundswell 2026 fleet", &[&codec::encode(self)]))
    }

    /// Whether the policy is sound by itself: bounds, roles, names.
    pub fn is_valid(&self) -> bool {
        let first = self.version == 1;
        self.version >= 1
            && is_label(&self.name)
            && RoleName::ALL.iter().all(|role| self.role(*role).is_valid())
            && first == (self.previous == Digest([0; 32]))
    }
}
