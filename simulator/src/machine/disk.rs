//! A machine's disk of records: writes are durable only after a while, together, in order.
//!
//! One commit at a time: what is asked for meanwhile goes into the next one. A crash loses what waits,
//! and half of the time what is being committed; never a part of a commit (the journal is a database).

use std::collections::BTreeMap;

use groundswell_protocol::node::Record;
use groundswell_protocol::node::input::WriteId;

use crate::generator::Generator;

/// What the disk is asked to do.
#[derive(Clone, Debug)]
pub enum Write {
    /// Keep a record.
    Keep {
        /// The core's number for it.
        id: WriteId,
        /// Its key.
        key: Vec<u8>,
        /// The record.
        record: Record,
    },
    /// Forget the record with this key.
    Forget(Vec<u8>),
}

impl Write {
    fn id(&self) -> Option<WriteId> {
        match self {
            Self::Keep { id, .. } => Some(*id),
            Self::Forget(_) => None,
        }
    }
}

/// The disk.
#[derive(Default)]
pub struct Disk {
    kept: BTreeMap<Vec<u8>, Record>,
    committing: Option<Vec<Write>>,
    waiting: Vec<Write>,
    broken: bool,
}

/// How a commit ended.
pub enum Commit {
    /// All writes up to this one are durable; these records are new.
    Done(Option<WriteId>, Vec<Record>),
    /// Everything from this write on failed, also what waited.
    Failed(WriteId),
}

impl Disk {
    /// Keeps a record at once: for what a machine has before the run.
    pub fn install(&mut self, key: Vec<u8>, record: Record) {
        self.kept.insert(key, record);
    }

    /// Takes a write. True: the caller starts a commit.
    pub fn write(&mut self, write: Write) -> bool {
        self.waiting.push(write);
        self.begin()
    }

    /// Moves what waits into a commit, unless one is under way. True: one was begun.
    pub fn begin(&mut self) -> bool {
        if self.committing.is_some() || self.waiting.is_empty() {
            return false;
        }
        self.committing = Some(std::mem::take(&mut self.waiting));
        true
    }

    /// The commit under way ends.
    pub fn commit(&mut self) -> Option<Commit> {
        let writes = self.committing.take()?;
        if self.broken
            && let Some(first) = writes.iter().chain(&self.waiting).find_map(Write::id)
        {
            self.waiting.clear();
            return Some(Commit::Failed(first));
        }
        let last = writes.iter().filter_map(Write::id).max();
        Some(Commit::Done(last, self.apply(writes)))
    }

    fn apply(&mut self, writes: Vec<Write>) -> Vec<Record> {
        let mut durable = Vec::new();
        for write in writes {
            match write {
                Write::Keep { key, record, .. } => {
                    durable.push(record.clone());
                    self.kept.insert(key, record);
                }
                Write::Forget(key) => {
                    self.kept.remove(&key);
                }
            }
        }
        durable
    }

    /// The power goes. Returns the records that became durable without anybody being told.
    pub fn crash(&mut self, generator: &mut Generator) -> Vec<Record> {
        self.waiting.clear();
        match self.committing.take() {
            Some(writes) if !self.broken && generator.chance(500) => self.apply(writes),
            _ => Vec::new(),
        }
    }

    /// Whether nothing waits and nothing is being committed.
    pub fn is_at_rest(&self) -> bool {
        self.committing.is_none() && self.waiting.is_empty()
    }

    /// Records that were handed in and not yet answered.
    pub fn owes(&self) -> usize {
        let writes = self.committing.iter().flatten().chain(&self.waiting);
        writes.filter(|write| write.id().is_some()).count()
    }

    /// Whether writes fail from now on.
    pub fn set_broken(&mut self, broken: bool) {
        self.broken = broken;
    }

    /// What survived.
    pub fn records(&self) -> Vec<Record> {
        self.kept.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(id: WriteId, number: u32) -> Write {
        Write::Keep { id, key: b"boot".to_vec(), record: Record::Boot(number) }
    }

    #[test]
    fn what_waits_is_lost_and_what_was_told_durable_stays() {
        let mut generator = Generator::new(1);
        for _ in 0..32 {
            let mut disk = Disk::default();
            assert!(disk.write(boot(1, 1)));
            assert!(!disk.write(boot(2, 2)), "a commit is under way");
            assert!(matches!(disk.commit(), Some(Commit::Done(Some(1), _))));
            assert!(disk.begin());
            disk.write(boot(3, 3));
            disk.crash(&mut generator);
            let kept = disk.records();
            assert!(kept == [Record::Boot(1)] || kept == [Record::Boot(2)], "{kept:?}");
        }
    }

    #[test]
    fn a_broken_disk_fails_all_that_it_holds() {
        let mut disk = Disk::default();
        disk.set_broken(true);
        disk.write(boot(1, 1));
        disk.write(boot(2, 2));
        assert!(matches!(disk.commit(), Some(Commit::Failed(1))));
        assert!(!disk.begin());
        assert!(disk.records().is_empty());
    }
}
