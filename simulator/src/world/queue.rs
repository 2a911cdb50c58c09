//! The one queue of everything that will happen, in an order that depends on nothing but the run.
//!
//! Entries are ordered by time, then by the machine that caused them, then by that machine's own
//! counter. No two entries compare equal, and the order of two causes at one moment does not depend on
//! who was served first: the queue can later be cut into shards by machine.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

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

/// An entry's place in the order of a run: no two are equal.
type Place = (Moment, Source, u64);

struct Entry<T> {
    at: Moment,
    counter: u64,
    source: Source,
    what: T,
}

impl<T> Entry<T> {
    fn place(&self) -> Place {
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

/// A short day is 2^8 µs long: at two million events a second of real time it holds some dozens.
const DAY_BITS: u32 = 8;
/// A short day in microseconds.
pub const DAY_MICROS: u64 = 1 << DAY_BITS;
/// A leaf of the calendar has 2^12 days: the short ones make about one second, which is a long day, and
/// the long ones make about 71 minutes.
const LEAF_BITS: u32 = 12;
const DAYS: usize = 1 << LEAF_BITS;

/// Room for so many entries of a day stays when the day is over.
const TODAY_KEPT: usize = 1 << 14;

/// No cell.
const NONE: u32 = u32::MAX;

/// Where entries lie until their days begin: as many places as entries ever waited at once, whichever days they waited for.
struct Cells<T> {
    entries: Vec<Option<Entry<T>>>,
    /// The cell of another entry of the same day, by cell. Apart from the entries, so that a day's cells are found in
    /// little memory, and what lies in them is fetched side by side and not one after the other.
    next: Vec<u32>,
    /// The first of those that hold nothing.
    free: u32,
}

impl<T> Cells<T> {
    /// Puts an entry into a cell.
    fn put(&mut self, entry: Entry<T>) -> u32 {
        if self.free == NONE {
            self.entries.push(Some(entry));
            self.next.push(NONE);
            return u32::try_from(self.entries.len() - 1).expect("BUG: four thousand million entries wait");
        }
        let cell = self.free;
        self.free = self.next[cell as usize];
        self.entries[cell as usize] = Some(entry);
        cell
    }

    /// Empties the cells from `first` on into a list.
    fn take_all(&mut self, first: u32, list: &mut Vec<Entry<T>>) {
        let mut cell = first;
        while cell != NONE {
            list.extend(self.entries[cell as usize].take());
            let next = std::mem::replace(&mut self.next[cell as usize], self.free);
            self.free = cell;
            cell = next;
        }
    }
}

/// One leaf: `DAYS` days, of which those that hold something are marked.
struct Leaf {
    /// The first cell of each day.
    days: Vec<u32>,
    marks: Vec<u64>,
}

impl Leaf {
    fn new() -> Self {
        Self { days: vec![NONE; DAYS], marks: vec![0; DAYS / 64] }
    }

    /// Lets a day begin with this cell; returns the one that it led on to.
    fn put(&mut self, day: usize, cell: u32) -> u32 {
        self.marks[day / 64] |= 1 << (day % 64);
        std::mem::replace(&mut self.days[day], cell)
    }

    /// The first marked day from `from` on, without turning the leaf.
    fn next_marked(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut bits = self.marks.get(word)? & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = *self.marks.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// Takes a day's cells.
    fn take(&mut self, day: usize) -> u32 {
        self.marks[day / 64] &= !(1 << (day % 64));
        std::mem::replace(&mut self.days[day], NONE)
    }
}

/// The queue.
pub struct Queue<T> {
    /// Today's entries, the next one last.
    today: Vec<Entry<T>>,
    /// What was put in for today, or for the past, after the day had begun.
    late: BinaryHeap<Reverse<Entry<T>>>,
    /// The short days of the present long day.
    short: Leaf,
    /// The long days of the present age.
    long: Leaf,
    /// What lies on these leaves.
    cells: Cells<T>,
    /// Everything after the present age.
    far: BinaryHeap<Reverse<Entry<T>>>,
    /// Today's number, counted from the beginning of the run.
    day: u64,
    length: usize,
    counters: Vec<u64>,
    world_counter: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            today: Vec::new(),
            late: BinaryHeap::new(),
            short: Leaf::new(),
            long: Leaf::new(),
            cells: Cells { entries: Vec::new(), next: Vec::new(), free: NONE },
            far: BinaryHeap::new(),
            day: 0,
            length: 0,
            counters: Vec::new(),
            world_counter: 0,
        }
    }
}

/// Files an entry under a day of a leaf.
fn put<T>(cells: &mut Cells<T>, leaf: &mut Leaf, day: usize, entry: Entry<T>) {
    let cell = cells.put(entry);
    cells.next[cell as usize] = leaf.put(day, cell);
}

/// The place of a day on its leaf.
fn on_leaf(day: u64) -> usize {
    usize::try_from(day % DAYS as u64).expect("BUG: a leaf's days fit into usize")
}

impl<T> Queue<T> {
    /// Lets `what` happen at `at`, caused by `source`.
    pub fn push(&mut self, at: Moment, source: Source, what: T) {
        let counter = self.count(source);
        self.length += 1;
        self.file(Entry { at, counter, source, what });
    }

    /// What happens next, and when.
    pub fn pop(&mut self) -> Option<(Moment, T)> {
        if self.today.is_empty() && self.late.is_empty() {
            self.next_day()?;
        }
        let late = match (self.today.last(), self.late.peek()) {
            (Some(next), Some(Reverse(late))) => late < next,
            (next, _) => next.is_none(),
        };
        let entry = if late { self.late.pop().map(|Reverse(entry)| entry) } else { self.today.pop() }?;
        self.length -= 1;
        Some((entry.at, entry.what))
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn count(&mut self, source: Source) -> u64 {
        let counter = if source == WORLD {
            &mut self.world_counter
        } else {
            let place = source as usize;
            if self.counters.len() <= place {
                self.counters.resize(place + 1, 0);
            }
            &mut self.counters[place]
        };
        *counter += 1;
        *counter
    }

    fn file(&mut self, entry: Entry<T>) {
        let day = entry.at.0 >> DAY_BITS;
        let (long, present) = (day >> LEAF_BITS, self.day >> LEAF_BITS);
        if day <= self.day {
            self.late.push(Reverse(entry));
        } else if long == present {
            put(&mut self.cells, &mut self.short, on_leaf(day), entry);
        } else if long >> LEAF_BITS == present >> LEAF_BITS {
            put(&mut self.cells, &mut self.long, on_leaf(long), entry);
        } else {
            self.far.push(Reverse(entry));
        }
    }

    /// Goes on to the next day that holds something. `None`: there is none.
    fn next_day(&mut self) -> Option<()> {
        loop {
            if let Some(place) = self.short.next_marked(on_leaf(self.day)) {
                self.day = (self.day >> LEAF_BITS << LEAF_BITS) + place as u64;
                if self.today.capacity() > TODAY_KEPT {
                    self.today = Vec::new();
                }
                let first = self.short.take(place);
                self.cells.take_all(first, &mut self.today);
                self.today.sort_unstable_by(|one, other| other.cmp(one));
                return Some(());
            }
            let present = self.day >> LEAF_BITS;
            if let Some(place) = self.long.next_marked(on_leaf(present)) {
                let long = (present >> LEAF_BITS << LEAF_BITS) + place as u64;
                self.begin_long_day(long, place);
            } else {
                self.begin_age()?;
            }
        }
    }

    /// Deals a long day's entries out to its short days.
    fn begin_long_day(&mut self, long: u64, place: usize) {
        self.day = long << LEAF_BITS;
        let mut cell = self.long.take(place);
        while cell != NONE {
            let at = self.cells.entries[cell as usize].as_ref().map_or(0, |entry| entry.at.0);
            let next = &mut self.cells.next[cell as usize];
            let here = std::mem::replace(&mut cell, *next);
            *next = self.short.put(on_leaf(at >> DAY_BITS), here);
        }
    }

    /// Goes on to the age of the first entry that lies further off.
    fn begin_age(&mut self) -> Option<()> {
        let age = |entry: &Entry<T>| entry.at.0 >> (DAY_BITS + 2 * LEAF_BITS);
        let next = age(&self.far.peek()?.0);
        self.day = next << (2 * LEAF_BITS);
        while self.far.peek().is_some_and(|Reverse(entry)| age(entry) == next) {
            if let Some(Reverse(entry)) = self.far.pop() {
                let day = on_leaf(entry.at.0 >> (DAY_BITS + LEAF_BITS));
                put(&mut self.cells, &mut self.long, day, entry);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::generator::Generator;

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

    /// The law: a queue is a list that is kept in order.
    struct Plain {
        list: BTreeMap<Place, u32>,
        counters: BTreeMap<Source, u64>,
    }

    impl Plain {
        fn push(&mut self, at: Moment, source: Source, what: u32) {
            let counter = self.counters.entry(source).or_default();
            *counter += 1;
            self.list.insert((at, source, *counter), what);
        }
    }

    #[test]
    fn whatever_is_put_in_comes_out_as_from_an_ordered_list() {
        for seed in 0..40 {
            let mut luck = Generator::new(seed).split("queue", 0);
            let mut queue = Queue::default();
            let mut plain = Plain { list: BTreeMap::new(), counters: BTreeMap::new() };
            let mut now = Moment::default();
            for what in 0..3_000 {
                if luck.chance(550) {
                    // From the same moment over days, long days and ages to the end of time; the past too.
                    let ahead = match luck.below(40) {
                        0 => u64::MAX - now.0,
                        1 => luck.below(1 << 45),
                        2 => luck.below(1 << 33),
                        3..8 => luck.below(1 << 27),
                        8..16 => luck.below(DAY_MICROS * 3),
                        16 => 0,
                        _ => luck.below(1 << 18),
                    };
                    let at = if luck.chance(10) { Moment(now.0 / 2) } else { now.after_micros(ahead) };
                    let source =
                        if luck.chance(50) { WORLD } else { u32::try_from(luck.below(9)).unwrap_or(0) };
                    queue.push(at, source, what);
                    plain.push(at, source, what);
                } else {
                    let wanted = plain.list.pop_first().map(|((at, _, _), what)| (at, what));
                    assert_eq!(queue.pop(), wanted, "seed {seed}");
                    now = wanted.map_or(now, |(at, _)| at.min(Moment(1 << 46)));
                }
                assert_eq!(queue.len(), plain.list.len());
            }
            while let Some(((at, _, _), what)) = plain.list.pop_first() {
                assert_eq!(queue.pop(), Some((at, what)), "seed {seed}");
            }
            assert!(queue.is_empty() && queue.pop().is_none());
        }
    }
}
