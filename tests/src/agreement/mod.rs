//! Agreement with reality: the same rollout by a fleet of real agents on loopback and by the simulator, compared.
//!
//! Both give a [`Course`] for every rollout, in the same terms, and an [`Overlay`] for what gossip cost:
//!
//! | file | its job |
//! |---|---|
//! | `real` | runs agents that record themselves, and reads courses and gossip out of the recordings |
//! | `simulated` | plays the same scenario over many seeds |
//! | `table` | the two beside each other, for people |
//!
//! Times of real agents are those of their recordings, laid beside each other by the wall clock of the one machine.

pub mod real;
pub mod simulated;
pub mod table;

use groundswell_protocol::trust::plan::{Plan, Rung};

use crate::trees;

/// A rollout as it went. Times are milliseconds from the moment at which the first node knew of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// When the first node knew that so many ranks are open: (when, how many), by time.
    pub opened: Vec<(u64, u32)>,
    /// When a leader first proposed so many ranks, by time.
    pub proposed: Vec<(u64, u32)>,
    /// When each node had switched to the release, by time.
    pub switched: Vec<u64>,
    /// When each node had passed its trial, by time.
    pub healthy: Vec<u64>,
    /// When the first node knew that it is done.
    pub done: Option<u64>,
}

/// What a rollout's course is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// A leader proposed so many ranks.
    Proposed(u32),
    /// So many ranks are open.
    Opened(u32),
    /// So many nodes have switched.
    Switched(u32),
    /// So many nodes have passed their trials.
    Healthy(u32),
    /// It is done.
    Done,
}

impl Course {
    /// The milestones of the waves that end at `targets`, in the order of time. A tie goes by the milestones' own order.
    pub fn milestones(&self, targets: &[u32]) -> Vec<Milestone> {
        let mut told = Vec::new();
        for target in targets {
            let of = |list: &[(u64, u32)]| list.iter().find(|(_, open)| open == target).map(|(at, _)| *at);
            let place = *target as usize - 1;
            let all = [
                (of(&self.proposed), Milestone::Proposed(*target)),
                (of(&self.opened), Milestone::Opened(*target)),
                (self.switched.get(place).copied(), Milestone::Switched(*target)),
                (self.healthy.get(place).copied(), Milestone::Healthy(*target)),
            ];
            told.extend(all.into_iter().filter_map(|(at, what)| Some((at?, *target, what))));
        }
        told.extend(self.done.map(|at| (at, u32::MAX, Milestone::Done)));
        told.sort();
        told.into_iter().map(|(_, _, what)| what).collect()
    }
}

/// What gossip cost. Counts are of one rollout and its surroundings, all nodes together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overlay {
    /// Gossiped messages that a node got for the first time.
    pub first_copies: u64,
    /// Gossiped messages that a node had already.
    pub duplicates: u64,
    /// Messages that a node asked for after they were announced to it.
    pub asked: u64,
    /// First copies whose way is known, their hops together, and the longest way.
    pub ways: u64,
    /// See `ways`.
    pub hops: u64,
    /// See `ways`.
    pub hops_max: u64,
    /// First copies that came straight from their author.
    pub straight: u64,
    /// Mesh neighbours of all nodes together, and nodes that were asked.
    pub mesh: u64,
    /// See `mesh`.
    pub mesh_nodes: u64,
}

impl Overlay {
    /// Adds another rollout's.
    pub fn add(&mut self, other: &Self) {
        self.first_copies += other.first_copies;
        self.duplicates += other.duplicates;
        self.asked += other.asked;
        self.ways += other.ways;
        self.hops += other.hops;
        self.hops_max = self.hops_max.max(other.hops_max);
        self.straight += other.straight;
        self.mesh += other.mesh;
        self.mesh_nodes += other.mesh_nodes;
    }
}

/// Waves of 1, 4, half and all. Trials and bakes take seconds, so that a machine that is shared by thirty agents is not
/// what is measured.
pub fn plan() -> Plan {
    let mut plan = Plan {
        ladder: vec![Rung::Nodes(1), Rung::Nodes(4), Rung::Permille(500), Rung::Permille(1_000)],
        bake_s: 2,
        trial_s: 4,
        hold_s: 120,
        beacon_ms: 1_000,
        ..trees::plan()
    };
    plan.probes.iter_mut().for_each(|probe| probe.period_ms = 1_000);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_are_told_in_the_order_of_time() {
        let course = Course {
            opened: vec![(10, 1), (900, 2)],
            proposed: vec![(5, 1), (880, 2)],
            switched: vec![50, 950],
            healthy: vec![850, 1_700],
            done: Some(1_800),
        };
        use Milestone::{Done, Healthy, Opened, Proposed, Switched};
        assert_eq!(
            course.milestones(&[1, 2]),
            [
                Proposed(1),
                Opened(1),
                Switched(1),
                Healthy(1),
                Proposed(2),
                Opened(2),
                Switched(2),
                Healthy(2),
                Done
            ]
        );
    }
}
