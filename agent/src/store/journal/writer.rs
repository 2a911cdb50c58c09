//! The journal's writer: a thread that commits what queued up while the disk was busy, as one transaction.
//!
//! [`Writer::write`] never waits; [`Outcomes::next`] says what became durable. A write id rises with every write, and an
//! outcome covers all writes up to its id. After a failure everything that was queued is thrown away, up to the moment
//! when the failure is taken from [`Outcomes`]: whoever writes learns of it, and writes again what still matters.
//! So no later success can be mistaken for a lost earlier write.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use groundswell_protocol::node::WriteId;
use tokio::sync::Notify;

use super::{Journal, JournalError, Write, check_bounds};

/// Most records that wait for the disk.
pub const QUEUE_RECORDS_MAX: usize = 16_384;
/// Most bytes that wait for the disk, beside one write that may exceed it alone.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;

/// What became of writes.
#[derive(Debug)]
pub enum Outcome {
    /// All writes up to this one are durable.
    Persisted(WriteId),
    /// This write and all later ones up to now are not: write again what still matters.
    Failed {
        /// The first write that failed: the first of a batch, not the id that it was handed in with.
        first: WriteId,
        /// Why.
        error: JournalError,
    },
}

/// Where writes go in. Dropped, it finishes what is queued and ends the thread.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Where outcomes come out.
#[derive(Debug)]
pub struct Outcomes {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    outcome: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    queued_records: usize,
    /// Deletions that failed; nobody repeats them, so they go with the next commit.
    forgotten: BTreeSet<Vec<u8>>,
    /// The last id of the last batch that was handed in.
    last: WriteId,
    persisted: Option<WriteId>,
    failed: Option<(WriteId, JournalError)>,
    /// From a failure until it is taken from `Outcomes`, writes are thrown away.
    refusing: bool,
    closed: bool,
    ended: bool,
}

#[derive(Debug)]
struct Queued {
    /// First and last id; `None` for deletions, which nobody waits for.
    ids: Option<(WriteId, WriteId)>,
    writes: Vec<Write>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(journal: Journal) -> io::Result<(Self, Outcomes)> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("journal".to_owned()).spawn(move || run(&journal, &of_thread))?;
        Ok((Self { shared: Arc::clone(&shared), thread: Some(thread) }, Outcomes { shared }))
    }

    /// Queues a batch with all writes after those of the batch before, up to the id `last`; ids rise. It is durable once
    /// an [`Outcome::Persisted`] of this or a later id comes.
    pub fn write(&self, last: WriteId, batch: Vec<Write>) {
        let mut state = self.shared.lock();
        let first = state.last.saturating_add(1);
        state.last = last;
        if state.refusing {
            return;
        }
        if let Err(error) = state.admit(&batch) {
            state.refuse(first, error);
            self.shared.outcome.notify_one();
            return;
        }
        state.push(Queued { ids: Some((first, last)), writes: batch });
        self.shared.work.notify_one();
    }

    /// Queues a deletion that nobody waits for. A record that could not be deleted may be there after a restart.
    pub fn forget(&self, key: Vec<u8>) {
        let mut state = self.shared.lock();
        if state.refusing {
            state.remember_deletion(key);
            return;
        }
        let writes = vec![Write { key, value: None }];
        if state.admit(&writes).is_ok() {
            state.push(Queued { ids: None, writes });
            self.shared.work.notify_one();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread has nothing to say beyond the outcomes; a panic in it was printed already.
            let _ = thread.join();
        }
    }
}

impl Outcomes {
    /// Waits for the next outcome; `None` once the writer has ended and all was said. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Outcome> {
        loop {
            let changed = self.shared.outcome.notified();
            {
                let mut state = self.shared.lock();
                if let Some(id) = state.persisted.take() {
                    return Some(Outcome::Persisted(id));
                }
                // What was queued before a backlog is still being written, and its success comes first.
                if let Some((first, error)) = state.take_failure() {
                    return Some(Outcome::Failed { first, error });
                }
                if state.ended {
                    return None;
                }
            }
            changed.await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a batch may queue up.
    fn admit(&self, batch: &[Write]) -> Result<(), JournalError> {
        batch.iter().try_for_each(check_bounds)?;
        let has_room = self.queue.is_empty()
            || (self.queued_records + batch.len() <= QUEUE_RECORDS_MAX
                && self.queued_bytes + bytes_of(batch) <= QUEUE_BYTES_MAX);
        if !has_room {
            return Err(JournalError::Backlog { records: QUEUE_RECORDS_MAX, bytes: QUEUE_BYTES_MAX });
        }
        Ok(())
    }

    /// From now on throws writes away, until the failure is taken.
    fn refuse(&mut self, first: WriteId, error: JournalError) {
        self.refusing = true;
        self.failed = Some((first, error));
    }

    fn push(&mut self, queued: Queued) {
        self.queued_records += queued.writes.len();
        self.queued_bytes += bytes_of(&queued.writes);
        self.queue.push_back(queued);
    }

    fn take_queue(&mut self) -> VecDeque<Queued> {
        self.queued_records = 0;
        self.queued_bytes = 0;
        std::mem::take(&mut self.queue)
    }

    fn remember_deletion(&mut self, key: Vec<u8>) {
        if self.forgotten.len() < QUEUE_RECORDS_MAX {
            self.forgotten.insert(key);
        }
    }

    fn take_failure(&mut self) -> Option<(WriteId, JournalError)> {
        let failed = self.failed.take();
        if failed.is_some() {
            self.refusing = false;
        }
        failed
    }

    /// What to commit next: deletions left over, then the whole queue in its order.
    fn next_group(&mut self) -> Group {
        let left_over = std::mem::take(&mut self.forgotten).into_iter();
        let mut group = Group {
            first: None,
            last: None,
            writes: left_over.map(|key| Write { key, value: None }).collect(),
        };
        for queued in self.take_queue() {
            group.first = group.first.or(queued.ids.map(|ids| ids.0));
            group.last = queued.ids.map(|ids| ids.1).or(group.last);
            group.writes.extend(queued.writes);
        }
        group
    }

    /// After a failed commit: throws the queue away, and refuses from now on if somebody waits for any of it.
    fn fail(&mut self, mut group: Group, error: JournalError) {
        for queued in self.take_queue() {
            group.first = group.first.or(queued.ids.map(|ids| ids.0));
            group.writes.extend(queued.writes);
        }
        for write in group.writes {
            if write.value.is_none() {
                self.remember_deletion(write.key);
            }
        }
        if let Some(first) = group.first {
            self.refuse(first, error);
        }
    }
}

/// What is committed together.
struct Group {
    first: Option<WriteId>,
    last: Option<WriteId>,
    writes: Vec<Write>,
}

fn bytes_of(batch: &[Write]) -> usize {
    batch.iter().map(|write| write.key.len() + write.value.as_ref().map_or(0, Vec::len)).sum()
}

/// The thread: takes all that is queued, commits it, says so.
fn run(journal: &Journal, shared: &Shared) {
    let _ending = Ending(shared);
    while let Some(group) = wait_for_work(shared) {
        let done = journal.commit(&group.writes);
        let mut state = shared.lock();
        match done {
            Ok(()) => state.persisted = group.last.or(state.persisted),
            Err(error) => state.fail(group, error),
        }
        drop(state);
        shared.outcome.notify_one();
    }
}

/// The next group to commit; `None` when the writer is closed and all is done.
fn wait_for_work(shared: &Shared) -> Option<Group> {
    let mut state = shared.lock();
    loop {
        if !state.queue.is_empty() {
            return Some(state.next_group());
        }
        if state.closed {
            return None;
        }
        state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Says that no outcome will follow, even if the thread panicked.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.outcome.notify_one();
    }
}
