//! A component's slots on one machine: which trees are here, and which one runs. Durable.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::few::{Few, FewOf};

use super::parts::Parts;

/// The slots of one component.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// The tree that runs.
    pub active: Option<Digest>,
    /// Complete and verified trees.
    pub trees: FewOf<Digest>,
    /// Releases whose bytes are here, staged or not.
    pub blobs: FewOf<RolloutId>,
    /// Releases whose bytes are here in part.
    pub parts: Few<RolloutId, Parts>,
}

impl Slots {
    /// Whether the tree's bytes can be served to others.
    pub fn serves(&self, rollout: RolloutId, tree: Digest) -> bool {
        self.blobs.contains(&rollout) || self.trees.contains(&tree)
    }

    /// Switches to a tree that is here. False: it is not, and nothing changed.
    pub fn switch(&mut self, tree: Option<Digest>) -> bool {
        let here = tree.is_none_or(|tree| self.trees.contains(&tree));
        if here {
            self.active = tree;
        }
        here
    }

    /// Lets go of every tree that is not to be kept and does not run.
    pub fn collect(&mut self, keep: &[Digest]) {
        let active = self.active;
        self.trees.retain(|tree| keep.contains(tree) || Some(*tree) == active);
    }
}
