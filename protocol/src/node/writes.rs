//! Writes under way: what must be durable before something else may happen.

use std::collections::VecDeque;
use std::sync::Arc;

use super::input::WriteId;
use super::outbox::Outbox;
use super::record::Record;
use crate::bounds::{PENDING_MAX, PERSIST_RETRY};
use crate::facts::{Fact, Key, RolloutId};
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::time::Time;

/// What waits for a write.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// A fact of mine may be merged and sent: no signature leaves before it would survive a crash (S9, S10).
    Publish(Arc<Fact>),
    /// This start's number may be used.
    Boot,
    /// The trial is on record: the component may be switched to this rollout's release.
    Switch(RolloutId),
}

/// The queue of writes that are not yet known to be durable; at most `PENDING_MAX`.
#[derive(Debug, Default)]
pub(super) struct Writes {
    last: WriteId,
    /// In the order of their numbers.
    waiting: VecDeque<(WriteId, Record, Then)>,
    failed: VecDeque<(Record, Then)>,
    retry_at: Option<Time>,
}

impl Writes {
    /// Asks for a write. Returns whether it was taken: with `PENDING_MAX` under way the disk is stuck,
    /// and nothing more is promised until it moves.
    pub(super) fn write(&mut self, record: Record, then: Then, out: &mut impl Outbox) -> bool {
        if self.len() >= PENDING_MAX {
            return false;
        }
        // A write that is to be tried again keeps its place before later ones.
        if self.retry_at.is_some() {
            mark!(WriteQueuesBehindFailed);
            self.failed.push_back((record, then));
        } else {
            self.issue(record, then, out);
        }
        true
    }

    fn issue(&mut self, record: Record, then: Then, out: &mut impl Outbox) {
        self.last += 1;
        out.persist(self.last, record.clone());
        self.waiting.push_back((self.last, record, then));
    }

    /// All writes up to `id` are durable; returns what waited for them, in order.
    pub(super) fn persisted(&mut self, id: WriteId) -> Vec<Then> {
        let done = self.waiting.partition_point(|(waits, ..)| *waits <= id);
        if mutations::is(Mutation::WritesNeverLetGo) {
            let done = self.waiting.range_mut(..done);
            return done.map(|(.., then)| std::mem::replace(then, Then::Nothing)).collect();
        }
        let done = self.waiting.drain(..done).map(|(.., then)| then).collect();
        if self.waiting.is_empty() {
            // Nearly always: a node at rest has nothing under way.
            self.waiting = VecDeque::new();
        }
        done
    }

    /// The write `id` and all after it failed.
    pub(super) fn failed(&mut self, id: WriteId, now: Time) {
        let kept = self.waiting.partition_point(|(waits, ..)| *waits < id);
        for (_, record, then) in self.waiting.split_off(kept).into_iter().rev() {
            self.failed.push_front((record, then));
        }
        if !self.failed.is_empty() {
            mark!(WriteFailed);
            self.retry_at = Some(now + PERSIST_RETRY);
        }
    }

    /// Writes again what failed, when it is time.
    pub(super) fn retry(&mut self, now: Time, out: &mut impl Outbox) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            for (record, then) in std::mem::take(&mut self.failed) {
                self.issue(record, then, out);
            }
        }
    }

    /// Writes that are not known to be durable, those that failed among them.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.failed.len()
    }

    /// Writes that the driver was asked for and has not answered.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When to try again.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.retry_at
    }

    /// The greatest fact of mine for `key` that waits for the disk.
    pub(super) fn pending(&self, key: &Key) -> Option<&Arc<Fact>> {
        let waiting = self.waiting.iter().map(|(.., then)| then);
        let failed = self.failed.iter().map(|(_, then)| then);
        waiting
            .chain(failed)
            .filter_map(|then| match then {
                Then::Publish(fact) if fact.key == *key => Some(fact),
                _ => None,
            })
            .max_by_key(|fact| fact.rank)
    }
}
