//! How rollouts ended that are no longer kept.

use std::collections::VecDeque;

use super::record::{Ending, Record};
use crate::bounds::TOMBSTONES_MAX;
use crate::facts::RolloutId;
use crate::trust::manifest::ReleaseOrder;
use crate::trust::names::ComponentName;

/// How one rollout ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    /// The rollout.
    pub(super) rollout: RolloutId,
    /// The component.
    pub(super) component: ComponentName,
    /// Its place in the component's order.
    pub(super) order: ReleaseOrder,
    /// How it ended.
    pub(super) ending: Ending,
}

impl Tombstone {
    /// The record that keeps it over restarts.
    pub(super) fn record(&self) -> Record {
        Record::Tombstone {
            component: self.component.clone(),
            order: self.order,
            rollout: self.rollout,
            ending: self.ending,
        }
    }
}

/// The newest `TOMBSTONES_MAX` endings, oldest first.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    kept: VecDeque<Tombstone>,
}

impl Tombstones {
    /// Adds one; returns the oldest if it had to go.
    pub(super) fn add(&mut self, tombstone: Tombstone) -> Option<Tombstone> {
        if self.contains(tombstone.rollout) {
            return None;
        }
        self.kept.push_back(tombstone);
        if self.kept.len() > TOMBSTONES_MAX { self.kept.pop_front() } else { None }
    }

    /// Whether this rollout's ending is known.
    pub(super) fn contains(&self, rollout: RolloutId) -> bool {
        self.find(rollout).is_some()
    }

    /// How this rollout ended.
    pub(super) fn find(&self, rollout: RolloutId) -> Option<&Tombstone> {
        self.kept.iter().find(|t| t.rollout == rollout)
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tombstone> {
        self.kept.iter()
    }

    /// The newest order of `component` that was done.
    pub(super) fn done(&self, component: &ComponentName) -> Option<ReleaseOrder> {
        let done = |t: &&Tombstone| t.component == *component && t.ending == Ending::Done;
        self.kept.iter().filter(done).map(|t| t.order).max()
    }
}
