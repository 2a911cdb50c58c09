//! Parts of a fleet with labels of their own: zones, rings, hardware classes, electors.

use serde::{Deserialize, Serialize};

use super::Scenario;

/// Zones of a fleet without groups; machines are in them by turns.
const USUAL_ZONES: u32 = 4;
/// Most groups of a story.
pub(super) const GROUPS_MAX: usize = 4_096;

/// Machines with the same labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Group {
    /// How many; in a fleet of another size as large a part of it.
    pub nodes: u32,
    /// Failure domain: a rack, a site, a region.
    #[serde(default = "usual_zone")]
    pub zone: String,
    /// Environment.
    #[serde(default = "usual_ring")]
    pub ring: String,
    /// What sort of machine.
    #[serde(default = "usual_class")]
    pub class: String,
    /// Whether they may sit on juries.
    #[serde(default = "super::yes", skip_serializing_if = "Clone::clone")]
    pub elector: bool,
}

fn usual_zone() -> String {
    "zone-0".to_owned()
}

fn usual_ring() -> String {
    "production".to_owned()
}

fn usual_class() -> String {
    "server".to_owned()
}

impl Group {
    /// The labels of the machine at a place of a fleet without groups.
    pub fn usual(place: u32) -> Self {
        Self {
            nodes: 1,
            zone: format!("zone-{}", place % USUAL_ZONES),
            ring: usual_ring(),
            class: usual_class(),
            elector: true,
        }
    }
}

impl Scenario {
    /// The group of each machine, by place. A fleet without groups is one class in four zones.
    pub fn labels(&self) -> Vec<Group> {
        let total: u64 = self.groups.iter().map(|group| u64::from(group.nodes)).sum();
        (0..self.nodes)
            .map(|place| {
                let along = u64::from(place) * total / u64::from(self.nodes);
                let mut before = 0;
                let group = self.groups.iter().find(|group| {
                    before += u64::from(group.nodes);
                    along < before
                });
                group.cloned().unwrap_or_else(|| Group::usual(place))
            })
            .collect()
    }

    /// The names of the zones, in the order in which machines first are in them.
    pub fn zones(&self) -> Vec<String> {
        if self.groups.is_empty() {
            return (0..USUAL_ZONES).map(|zone| format!("zone-{zone}")).collect();
        }
        let mut zones: Vec<String> = Vec::new();
        for group in &self.groups {
            if !zones.contains(&group.zone) {
                zones.push(group.zone.clone());
            }
        }
        zones
    }
}
