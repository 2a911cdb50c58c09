//! The ring of events behind the live stream.
//!
//! One ring serves every reader: a reader is a number, its place in the ring, so that a slow one costs
//! nothing and is told exactly how many events it missed. Events are never waited for by the pusher.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use groundswell_protocol::node::Event;
use tokio::sync::watch;

use super::api::{EventLine, StreamLine};

/// Events that are kept for late and slow readers.
pub const RING_MAX: usize = 1_024;
/// Lines that a reader gets at once.
pub const BATCH_MAX: usize = 64;

/// The ring. Clones share it.
#[derive(Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

struct Shared {
    ring: Mutex<VecDeque<EventLine>>,
    newest: watch::Sender<u64>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new()
    }
}

impl EventLog {
    /// An empty ring; the first event will have the number 1.
    pub fn new() -> Self {
        let shared =
            Shared { ring: Mutex::new(VecDeque::with_capacity(RING_MAX)), newest: watch::Sender::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Adds an event, stamped with the wall clock, and returns its number. The oldest makes room.
    pub fn push(&self, event: Event) -> u64 {
        let mut ring = self.ring();
        let number = *self.shared.newest.borrow() + 1;
        if ring.len() == RING_MAX {
            ring.pop_front();
        }
        ring.push_back(EventLine { number, unix_ms: unix_ms(), event });
        // Under the ring's lock, so that numbers and places agree for every reader.
        self.shared.newest.send_replace(number);
        number
    }

    /// What is kept after the number `after`, then whatever comes. 0 stands for all that is kept, and
    /// so does a number that was never given out: it stems from an earlier life of the agent.
    pub fn subscribe(&self, after: u64) -> EventStream {
        let newest = self.shared.newest.subscribe();
        let known = *newest.borrow();
        let after = if after == 0 || after > known {
            self.ring().front().map_or(known, |oldest| oldest.number - 1)
        } else {
            after
        };
        EventStream { log: self.clone(), newest, after }
    }

    /// A panic elsewhere cannot leave the ring half-changed: each change is one push or pop.
    fn ring(&self) -> MutexGuard<'_, VecDeque<EventLine>> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_after(&self, after: u64) -> (Vec<StreamLine>, u64) {
        let ring = self.ring();
        let oldest = ring.front().map_or(after + 1, |line| line.number);
        let missed = oldest.saturating_sub(after + 1);
        let from = after + missed;
        let skip = usize::try_from((from + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let mut lines = Vec::new();
        if missed > 0 {
            lines.push(StreamLine::Missed { missed });
        }
        let fresh = ring.iter().skip(skip).take(BATCH_MAX);
        lines.extend(fresh.map(|line| StreamLine::Event(Box::new(line.clone()))));
        let last = lines.iter().rev().find_map(|line| match line {
            StreamLine::Event(line) => Some(line.number),
            StreamLine::Missed { .. } => None,
        });
        (lines, last.unwrap_or(from))
    }
}

/// One reader's place in the ring.
pub struct EventStream {
    log: EventLog,
    newest: watch::Receiver<u64>,
    after: u64,
}

impl EventStream {
    /// The next lines, at least one and at most `BATCH_MAX` and a word on what was missed. Waits for as
    /// long as there is none; giving up waiting loses nothing.
    pub async fn next(&mut self) -> Vec<StreamLine> {
        loop {
            self.newest.borrow_and_update();
            let (lines, after) = self.log.read_after(self.after);
            if !lines.is_empty() {
                self.after = after;
                return lines;
            }
            self.newest.changed().await.expect("BUG: the stream itself keeps the sender alive");
        }
    }
}

/// Now, in milliseconds since 1970-01-01 UTC; 0 on a clock that stands before.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(version: u32) -> Event {
        Event::Policy { version }
    }

    fn numbers(lines: &[StreamLine]) -> Vec<u64> {
        lines
            .iter()
            .filter_map(|line| match line {
                StreamLine::Event(line) => Some(line.number),
                StreamLine::Missed { .. } => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn a_reader_gets_the_backlog_and_then_what_comes() {
        let log = EventLog::new();
        assert_eq!(log.push(event(1)), 1);
        assert_eq!(log.push(event(2)), 2);
        let mut stream = log.subscribe(1);
        assert_eq!(numbers(&stream.next().await), [2]);
        let waiting = tokio::spawn(async move { stream.next().await });
        tokio::task::yield_now().await;
        log.push(event(3));
        assert_eq!(numbers(&waiting.await.unwrap()), [3]);
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_exactly_how_many_it_missed() {
        let log = EventLog::new();
        log.push(event(1));
        let mut stream = log.subscribe(0);
        let extra = 10;
        for version in 0..u32::try_from(RING_MAX).unwrap() + extra {
            log.push(event(version));
        }
        let lines = stream.next().await;
        assert_eq!(lines[0], StreamLine::Missed { missed: u64::from(extra) + 1 });
        assert_eq!(lines.len(), BATCH_MAX + 1);
        let mut seen = numbers(&lines);
        while seen.len() < RING_MAX {
            seen.extend(numbers(&stream.next().await));
        }
        let first = u64::from(extra) + 2;
        assert!(seen.iter().copied().eq(first..first + RING_MAX as u64), "no gap and nothing twice");
    }

    #[tokio::test]
    async fn a_number_of_an_earlier_life_stands_for_all_that_is_kept() {
        let log = EventLog::new();
        log.push(event(1));
        log.push(event(2));
        assert_eq!(numbers(&log.subscribe(900).next().await), [1, 2]);
        for version in 0..2_000 {
            log.push(event(version));
        }
        let first = log.subscribe(0).next().await;
        assert!(matches!(first[0], StreamLine::Event(_)), "a new reader was promised nothing older");
    }
}
