//! The calendar against a heap, with 800,000 entries waiting: each that comes out puts in another.

use std::time::Instant;

use super::heap::Heap;
use super::{Row, hundredths};
use crate::generator::{Generator, mix};
use crate::report::kinds::Kinds;
use crate::world::queue::{Moment, Queue, Source};

const WAITING: u64 = 800_000;
const TURNS: u64 = 8_000_000;
const SOURCES: u64 = 100_000;

/// What both can do.
trait Line {
    fn put(&mut self, at: Moment, source: Source, what: [u64; 3]);
    fn take(&mut self) -> Option<(Moment, [u64; 3])>;
}

impl Line for Heap {
    fn put(&mut self, at: Moment, source: Source, what: [u64; 3]) {
        self.push(at, source, what);
    }
    fn take(&mut self) -> Option<(Moment, [u64; 3])> {
        self.pop()
    }
}

impl Line for Queue<[u64; 3]> {
    fn put(&mut self, at: Moment, source: Source, what: [u64; 3]) {
        self.push(at, source, what);
    }
    fn take(&mut self) -> Option<(Moment, [u64; 3])> {
        self.pop()
    }
}

/// When what a frame brings about happens: soon as a rule, sometimes at a deadline.
fn ahead(luck: &mut Generator) -> u64 {
    match luck.below(8) {
        0 => luck.below(60_000_000),
        1 => luck.below(2_000_000),
        _ => luck.between(1_000, 45_000),
    }
}

/// Fills a line and turns it; returns events a second, and a digest of their order.
fn turn(line: &mut impl Line) -> (u64, u64) {
    let mut luck = Generator::new(1);
    let source = |luck: &mut Generator| u32::try_from(luck.below(SOURCES)).unwrap_or(0);
    for number in 0..WAITING {
        let (at, source) = (Moment(luck.below(60_000_000)), source(&mut luck));
        line.put(at, source, [number, 0, 0]);
    }
    let mut order = 0;
    let begun = Instant::now();
    for number in 0..TURNS {
        let Some((now, what)) = line.take() else { break };
        order = mix(order ^ now.0 ^ what[0].rotate_left(32));
        let (at, source) = (now.after_micros(ahead(&mut luck)), source(&mut luck));
        line.put(at, source, [WAITING + number, 0, 0]);
    }
    (TURNS * 100 / hundredths(begun), order)
}

pub(super) fn row() -> Row {
    let (slow, one) = turn(&mut Heap::default());
    let (fast, other) = turn(&mut Queue::default());
    Row {
        name: "queue",
        run: format!("{WAITING} entries waiting, each that comes out puts in another"),
        goal: "a calendar faster than a heap, in the same order",
        reached: format!("{fast} entries a second; a heap {slow}"),
        ok: fast > slow && one == other,
        beside: format!("{TURNS} turns, order {}", if one == other { "the same" } else { "DIFFERS" }),
        kinds: Kinds::default(),
    }
}
