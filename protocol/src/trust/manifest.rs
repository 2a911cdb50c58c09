//! The signed document that announces a release.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::census::{Census, Member};
use super::names::{ComponentName, is_label, is_note};
use super::plan::{BadPlan, Plan};
use crate::bounds::MANIFEST_LIST_MAX;
use crate::digest::Digest;
use crate::time::UnixSeconds;

/// A rollout's name: the digest of its manifest's body.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
pub struct RolloutId(pub Digest);

impl std::fmt::Debug for RolloutId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::fmt::Display for RolloutId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What sort of thing a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A long-running process.
    Service,
    /// Files that something else runs.
    Application,
    /// Weights for inference.
    AiModel,
    /// Configuration.
    Config,
    /// The operating system's kernel.
    Kernel,
    /// A fix for a vulnerability.
    SecurityPatch,
}

/// A binary patch from an earlier tree to this release's tree.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct DeltaOffer {
    /// The earlier tree.
    pub from: Digest,
    /// The delta's name.
    pub blob: Digest,
    /// The delta's size.
    pub bytes: u64,
}

/// Another component that must be confirmed first.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Requirement {
    /// That component.
    pub component: ComponentName,
    /// The least sequence of it that will do.
    pub min_sequence: u64,
}

/// Which members of the census a rollout is for; an empty list stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// Zones.
    pub zones: Vec<String>,
    /// Rings.
    pub rings: Vec<String>,
    /// Classes.
    pub classes: Vec<String>,
}

impl Select {
    /// Whether `member` is meant.
    pub fn includes(&self, census: &Census, member: &Member) -> bool {
        let passes = |wanted: &[String], labels: &[String], place: u16| {
            wanted.is_empty() || labels.get(usize::from(place)).is_some_and(|label| wanted.contains(label))
        };
        passes(&self.zones, &census.zones, member.zone)
            && passes(&self.rings, &census.rings, member.ring)
            && passes(&self.classes, &census.classes, member.class)
    }
}

/// The order of a component's releases: epoch first, then sequence.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    SchemaRead,
    SchemaWrite,
    Serialize,
    Deserialize,
)]
pub struct ReleaseOrder {
    /// The policy's epoch.
    pub epoch: u32,
    /// Rises with every release of a component.
    pub sequence: u64,
}

/// A release, as its signers vouch for it.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Manifest {
    /// What is updated.
    pub component: ComponentName,
    /// What sort of thing that is.
    pub kind: Kind,
    /// The release's name for people, such as `2.4.1`.
    pub version: String,
    /// Its place in the component's order.
    pub order: ReleaseOrder,
    /// The policy whose release role signs it.
    pub policy: u32,
    /// The census that says who takes part and who judges.
    pub census: Digest,
    /// The tree: digest of its index.
    pub tree: Digest,
    /// Size of the index in bytes.
    pub index_bytes: u64,
    /// Size of all the tree's files in bytes.
    pub bytes: u64,
    /// Patches from earlier trees.
    pub deltas: Vec<DeltaOffer>,
    /// What must be confirmed first.
    pub requires: Vec<Requirement>,
    /// Whom it is for.
    pub select: Select,
    /// How it goes live.
    pub plan: Plan,
    /// Jurors open nothing after this moment on their clocks.
    pub expires: UnixSeconds,
    /// For people.
    pub note: String,
}

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadManifest {
    /// A name or text.
    #[error("component, version or note is empty, too long or holds control characters")]
    Text,
    /// A list is too long, or a requirement names the component itself.
    #[error("at most 32 deltas, requirements and labels of each sort; a component cannot require itself")]
    List,
    /// The plan.
    #[error("the plan is out of bounds: {0}")]
    Plan(#[from] BadPlan),
}

impl Manifest {
    /// Checks the manifest's bounds; not its signatures, and nothing that it names.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), BadManifest> {
        if !self.component.is_valid() || !is_label(&self.version) || !is_note(&self.note) {
            return Err(BadManifest::Text);
        }
        let labels = [&self.select.zones, &self.select.rings, &self.select.classes];
        let requires_ok =
            self.requires.iter().all(|r| r.component.is_valid() && r.component != self.component);
        if self.deltas.len() > MANIFEST_LIST_MAX
            || self.requires.len() > MANIFEST_LIST_MAX
            || labels.iter().any(|l| l.len() > MANIFEST_LIST_MAX || !l.iter().all(|x| is_label(x)))
            || !requires_ok
        {
            return Err(BadManifest::List);
        }
        self.plan.check()?;
        Ok(())
    }
}
