//! How large the node's tables are, each with its bound: the property that nothing grows without end (S7).

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use crate::bounds::{
    CENSUSES_MAX, COMPONENTS_MAX, JURY_MAX, MEMBERS_MAX, PENDING_MAX, POLICIES_MAX, ROLLOUTS_HELD_MAX,
    SEQUENCE_LEAD_MAX, SYNCS_MAX, TOMBSTONES_MAX,
};
use crate::trust::names::ComponentName;

/// One table: what it holds, and what it may hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The table, in words.
    pub name: &'static str,
    /// Entries in it.
    pub count: usize,
    /// The bound.
    pub most: usize,
}

impl Node {
    /// Every table of this node that grows with what others do.
    pub fn sizes(&self) -> Vec<Size> {
        let size = |name, count, most| Size { name, count, most };
        let mut of_component: BTreeMap<&ComponentName, usize> = BTreeMap::new();
        for tracked in self.rollouts.values() {
            *of_component.entry(&tracked.manifest.component).or_default() += 1;
        }
        let bound: BTreeSet<&ComponentName> = self.bindings.keys().map(|(component, _)| component).collect();
        let lead = usize::try_from(SEQUENCE_LEAD_MAX).unwrap_or(usize::MAX);
        let members = self.trust.newest_census().map_or(0, |(_, census)| census.members.len());
        let registers = self.registers_max();
        let seen = self.rollouts.values().map(|r| r.view.seen().saturating_sub(r.roster.members.len())).max();
        vec![
            size(
                "rollouts of a component",
                of_component.values().copied().max().unwrap_or(0),
                ROLLOUTS_HELD_MAX,
            ),
            size("components with rollouts", of_component.len(), COMPONENTS_MAX),
            size("registers", self.registers.len(), registers),
            size("relays held back", self.relays.len(), registers.saturating_mul(2)),
            size("bindings", self.bindings.len(), lead.saturating_mul(bound.len())),
            size("tombstones", self.tombstones.iter().count(), TOMBSTONES_MAX),
            size("policies", self.trust.policy_count(), POLICIES_MAX),
            size("censuses", self.trust.census_names().len(), self.censuses_max()),
            size("writes under way", self.writes.len(), PENDING_MAX),
            size("syncs", self.syncs.len(), SYNCS_MAX),
            size("members heard from", self.freshness.len(), members),
            size("links", self.links.len(), MEMBERS_MAX),
            size("nodes seen beyond a rollout's members", seen.unwrap_or(0), 0),
        ]
    }

    /// Writes that this node still waits for: the disk must owe every one of them.
    pub fn writes_under_way(&self) -> usize {
        self.writes.waiting()
    }

    fn censuses_max(&self) -> usize {
        CENSUSES_MAX + self.rollouts.len() + 1
    }

    /// What the registers may hold: they are countable, because every author is.
    fn registers_max(&self) -> usize {
        let of_rollouts = self.rollouts.values().map(|tracked| {
            let jury = tracked.roster.jury.len().min(JURY_MAX);
            // Term, open, stop and proposal of each juror; a vote of each member; three commands; the manifest.
            4 * jury + tracked.roster.members.len() + 4
        });
        let members = self.trust.newest_census().map_or(0, |(_, census)| census.members.len());
        of_rollouts.sum::<usize>() + members + self.trust.policy_count() + self.censuses_max()
    }
}
