//! One machine: a node of the core with a disk, a service and its health.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::identity::{KeyPair, NodeId};
use groundswell_protocol::node::{Config, Entropy, Node, Record, WriteId};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::policy::FleetId;

/// What a disk does with what it is told to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskMode {
    /// Makes it durable.
    Sound,
    /// Is busy: says nothing, forgets nothing.
    Held,
    /// Says that it failed.
    Failing,
}

/// Something on its way to the disk.
#[derive(Clone, Debug)]
pub(crate) enum DiskWork {
    Write(WriteId, Record),
    Forget(Vec<u8>),
}

/// A disk: what is durable, and what is on its way.
pub(crate) struct Disk {
    pub(crate) mode: DiskMode,
    pub(crate) durable: BTreeMap<Vec<u8>, Record>,
    pub(crate) queue: VecDeque<DiskWork>,
    /// Writes asked for since the machine was made.
    pub(crate) asked: u64,
}

impl Disk {
    /// Makes everything up to write `id` durable.
    pub(crate) fn flush(&mut self, id: WriteId, fleet: FleetId) {
        while let Some(work) = self.queue.pop_front() {
            match work {
                DiskWork::Write(number, record) => {
                    self.durable.insert(record.key(fleet), record);
                    if number >= id {
                        break;
                    }
                }
                DiskWork::Forget(key) => {
                    self.durable.remove(&key);
                }
            }
        }
    }

    /// The newest write on its way.
    pub(crate) fn newest(&self) -> Option<WriteId> {
        self.queue.iter().rev().find_map(|work| match work {
            DiskWork::Write(id, _) => Some(*id),
            DiskWork::Forget(_) => None,
        })
    }

    /// Loses everything from write `id` on.
    pub(crate) fn fail(&mut self, id: WriteId) {
        self.queue.retain(|work| matches!(work, DiskWork::Write(number, _) if *number < id));
    }
}

/// One machine of the fleet.
pub(crate) struct Machine {
    pub(crate) key: KeyPair,
    pub(crate) id: NodeId,
    pub(crate) components: BTreeSet<ComponentName>,
    /// Absent while the agent is down.
    pub(crate) node: Option<Node>,
    /// Which start this is; what was under way in an earlier one has no effect.
    pub(crate) start: u64,
    pub(crate) disk: Disk,
    /// What runs, by component.
    pub(crate) runs: BTreeMap<ComponentName, Digest>,
    /// What the slot link points at; survives a crash.
    pub(crate) slot: BTreeMap<ComponentName, Digest>,
    /// Stops that this start of the agent has reported.
    pub(crate) stops: BTreeSet<RolloutId>,
    /// Crash when so many writes were asked for.
    pub(crate) crash_at_write: Option<u64>,
}

impl Machine {
    pub(crate) fn new(key: KeyPair, components: BTreeSet<ComponentName>) -> Self {
        Self {
            id: key.public(),
            key,
            components,
            node: None,
            start: 0,
            disk: Disk { mode: DiskMode::Sound, durable: BTreeMap::new(), queue: VecDeque::new(), asked: 0 },
            runs: BTreeMap::new(),
            slot: BTreeMap::new(),
            stops: BTreeSet::new(),
            crash_at_write: None,
        }
    }

    /// Starts the agent from what is durable.
    pub(crate) fn boot(&mut self, fleet: FleetId) {
        self.start += 1;
        self.stops.clear();
        let config = Config { fleet, key: self.key.clone(), components: self.components.clone() };
        let salt = [&self.id.0[..], &self.start.to_le_bytes()].concat();
        let records: Vec<Record> = self.disk.durable.values().rev().cloned().collect();
        self.node = Some(Node::new(config, records, Entropy(Digest::of(&salt).0)));
    }

    /// Ends the agent at once: what was not durable is gone.
    pub(crate) fn crash(&mut self) {
        self.node = None;
        self.start += 1;
        self.disk.queue.clear();
        self.runs.clear();
    }
}
