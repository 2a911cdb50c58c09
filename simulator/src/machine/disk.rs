//! A machine's disk of records: writes are durable only after a while, together, in order.
//!
//! One commit at a time: what is asked for meanwhile goes into the next one. Until a commit ends its
//! writes are in the page cache alone: a crash forgets what waits, and of what is being committed it keeps
//! any first part, often nothing or all. A disk may also refuse, be full, be slow, or say that something is
//! durable when it is not ([`DiskFault`]).

use groundswell_protocol::node::Record;
use groundswell_protocol::node::input::WriteId;

use super::records::{Kept, Name, Records};
use crate::generator::Generator;
use crate::scenario::DiskFault;

/// What the disk is asked to do.
#[derive(Clone, Debug)]
pub enum Write {
    /// Keep a record.
    Keep {
        /// The core's number for it.
        id: WriteId,
        /// Its key.
        key: Name,
        /// The record.
        record: Record,
    },
    /// Forget the record with this key.
    Forget(Name),
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
    kept: Records,
    committing: Option<Vec<Write>>,
    waiting: Vec<Write>,
    broken: bool,
    /// What is wrong, for a time.
    faults: Vec<DiskFault>,
    /// What stood where it wrote since it began to forget, the oldest first.
    undo: Vec<(Name, Option<Kept>)>,
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
    pub fn install(&mut self, key: Name, record: Record) {
        self.kept.keep(key, record.into());
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
        if self.refuses()
            && let Some(first) = writes.iter().chain(&self.waiting).find_map(Write::id)
        {
            self.waiting.clear();
            return Some(Commit::Failed(first));
        }
        let last = writes.iter().filter_map(Write::id).max();
        Some(Commit::Done(last, self.apply(writes)))
    }

    fn apply(&mut self, writes: impl IntoIterator<Item = Write>) -> Vec<Record> {
        let forgets = self.faults.contains(&DiskFault::Forgets);
        let mut durable = Vec::new();
        for write in writes {
            let (undone, before) = match write {
                Write::Keep { key, record, .. } => {
                    durable.push(record.clone());
                    let undone = forgets.then(|| key.clone());
                    (undone, self.kept.keep(key, record.into()))
                }
                Write::Forget(key) => {
                    let before = self.kept.forget(&key);
                    (forgets.then_some(key), before)
                }
            };
            if let Some(key) = undone {
                self.undo.push((key, before));
            }
        }
        durable
    }

    /// The power goes. Returns the records that became durable without anybody being told.
    pub fn crash(&mut self, generator: &mut Generator) -> Vec<Record> {
        self.waiting.clear();
        let (die, place) = (generator.below(3), generator.draw());
        let writes = self.committing.take().filter(|_| !self.refuses()).unwrap_or_default();
        let survive = match die {
            0 => 0,
            1 => writes.len(),
            _ => usize::try_from(place % (writes.len() as u64 + 1)).unwrap_or(0),
        };
        let durable = self.apply(writes.into_iter().take(survive));
        if self.undo.is_empty() {
            return durable;
        }
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(record) => self.kept.keep(key, record),
                None => self.kept.forget(&key),
            };
        }
        Vec::new()
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

    /// Something goes wrong, until [`Disk::mend`].
    pub fn ail(&mut self, fault: DiskFault) {
        self.faults.push(fault);
    }

    /// A fault ends. What was written while the disk forgot is durable from now on.
    pub fn mend(&mut self, fault: DiskFault) {
        if let Some(place) = self.faults.iter().position(|one| *one == fault) {
            self.faults.remove(place);
        }
        if !self.faults.contains(&DiskFault::Forgets) {
            self.undo.clear();
        }
    }

    /// All faults end.
    pub fn mend_all(&mut self) {
        self.faults.clear();
        self.undo.clear();
    }

    /// Whether it calls durable what is not.
    pub fn forgets(&self) -> bool {
        self.faults.contains(&DiskFault::Forgets)
    }

    /// Whether every write fails.
    pub fn refuses(&self) -> bool {
        self.broken || self.is_full() || self.faults.contains(&DiskFault::Refuses)
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        self.faults.contains(&DiskFault::Full)
    }

    /// How many times as long everything takes.
    pub fn slowness(&self) -> u64 {
        let slow = |fault: &DiskFault| match fault {
            DiskFault::Slow(times) => u64::from(*times),
            _ => 1,
        };
        self.faults.iter().map(slow).max().unwrap_or(1).max(1)
    }

    /// What survived.
    pub fn records(&self) -> Vec<Record> {
        self.kept.all()
    }

    /// The disk is replaced by one that holds these records. What is wrong with the machine stays.
    pub fn replace(&mut self, records: impl IntoIterator<Item = (Name, Record)>) {
        (self.committing, self.undo) = (None, Vec::new());
        self.waiting.clear();
        self.kept = Records::default();
        for (key, record) in records {
            self.kept.keep(key, record.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(id: WriteId, number: u32) -> Write {
        Write::Keep { id, key: b"boot".to_vec().into(), record: Record::Boot(number) }
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

    #[test]
    fn a_crash_keeps_any_first_part_of_a_commit() {
        let mut seen = [0; 4];
        for seed in 0..400 {
            let mut disk = Disk::default();
            disk.write(boot(1, 1));
            let key = |n: u64| Name::from(format!("key {n}").into_bytes());
            for id in 2..5 {
                disk.write(Write::Keep { id, key: key(id), record: Record::Boot(0) });
            }
            disk.commit();
            disk.begin();
            let durable = disk.crash(&mut Generator::new(seed));
            let kept: Vec<bool> = (2..5).map(|n| disk.kept.has(&key(n))).collect();
            assert!(kept.is_sorted_by(|before, after| before >= after), "never a hole: {kept:?}");
            assert_eq!(durable.len(), kept.iter().filter(|k| **k).count());
            seen[durable.len()] += 1;
        }
        assert!(seen.iter().all(|times| *times > 10), "{seen:?}");
    }

    #[test]
    fn a_disk_that_forgets_undoes_what_it_called_durable() {
        let mut disk = Disk::default();
        disk.write(boot(1, 1));
        disk.commit();
        disk.ail(DiskFault::Forgets);
        for (id, number) in [(2, 2), (3, 3)] {
            disk.write(boot(id, number));
            assert!(matches!(disk.commit(), Some(Commit::Done(..))));
        }
        assert_eq!(disk.records(), [Record::Boot(3)]);
        assert!(disk.crash(&mut Generator::new(1)).is_empty());
        assert_eq!(disk.records(), [Record::Boot(1)]);
        disk.write(boot(4, 4));
        disk.commit();
        disk.mend(DiskFault::Forgets);
        disk.crash(&mut Generator::new(1));
        assert_eq!(disk.records(), [Record::Boot(4)]);
    }

    #[test]
    fn a_full_disk_fails_and_a_slow_one_takes_its_time() {
        let mut disk = Disk::default();
        disk.ail(DiskFault::Full);
        disk.ail(DiskFault::Slow(50));
        disk.write(boot(1, 1));
        assert!(matches!(disk.commit(), Some(Commit::Failed(1))));
        assert_eq!((disk.is_full(), disk.slowness()), (true, 50));
        disk.mend(DiskFault::Full);
        disk.mend(DiskFault::Slow(50));
        assert_eq!((disk.refuses(), disk.slowness()), (false, 1));
    }
}
