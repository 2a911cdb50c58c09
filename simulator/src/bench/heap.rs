//! A binary heap in the order of a run: what the calendar is measured against.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::world::queue::{Moment, Source};

/// When, from whom, which of that source's, and what.
type Entry = (Moment, Source, u64, [u64; 3]);

/// A queue of plain numbers.
#[derive(Default)]
pub(super) struct Heap {
    heap: BinaryHeap<Reverse<Entry>>,
    counters: Vec<u64>,
}

impl Heap {
    pub(super) fn push(&mut self, at: Moment, source: Source, what: [u64; 3]) {
        let place = source as usize;
        if self.counters.len() <= place {
            self.counters.resize(place + 1, 0);
        }
        self.counters[place] += 1;
        self.heap.push(Reverse((at, source, self.counters[place], what)));
    }

    pub(super) fn pop(&mut self) -> Option<(Moment, [u64; 3])> {
        self.heap.pop().map(|Reverse((at, _, _, what))| (at, what))
    }
}
