//! The one queue of everything that will happen, in an order that depends on nothing but the run.
//!
//! Entries are ordered by time, then by the machine that caused them, then by that machine's own
//! counter. No two entries compare equal, and the order of two causes at one moment does not depend on
//! who was served first: the queue can later be cut into shards by machine.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

/// A moment of virtual time, in microseconds since the run began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Moment(pub u64);

impl Moment {
    /// So many milliseconds after the beginning.
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(1000))
    }

    /// So many seconds after the beginning.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// This moment in whole milliseconds.
    pub const fn as_milliseconds(self) -> u64 {
        self.0 / 1000
    }

    /// A later moment.
    pub const fn after_milliseconds(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds.saturating_mul(1000)))
    }

    /// A later moment.
    pub const fn after_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Milliseconds from `earlier` to this moment; zero if it is later.
    pub const fn milliseconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>5}.{:03}", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// Who causes an entry: a machine's place, or the world itself.
pub type Source = u32;

/// The world as a source: the script, the overlay, the clock on the wall.
pub const WORLD: Source = u32::MAX;

struct Entry<T> {
    at: Moment,
    source: Source,
    counter: u64,
    what: T,
}

impl<T> Entry<T> {
    fn place(&self) -> (Moment, Source, u64) {
        (self.at, self.source, self.counter)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// The queue.
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    counters: BTreeMap<Source, u64>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), counters: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    /// Lets `what` happen at `at`, caused by `source`.
    pub fn push(&mut self, at: Moment, source: Source, what: T) {
        let counter = self.counters.entry(source).or_default();
        *counter += 1;
        self.heap.push(Reverse(Entry { at, source, counter: *counter, what }));
    }

    /// What happens next, and when.
    pub fn pop(&mut self) -> Option<(Moment, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_time_then_source_then_counter_and_never_insertion() {
        let mut one = Queue::default();
        one.push(Moment(5), 2, "c");
        one.push(Moment(5), 1, "a");
        one.push(Moment(1), WORLD, "first");
        one.push(Moment(5), 1, "b");
        let order: Vec<_> = std::iter::from_fn(|| one.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, ["first", "a", "b", "c"]);
    }
}
