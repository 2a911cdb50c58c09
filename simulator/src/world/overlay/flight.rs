//! Messages under way, and who has got them: the overlay's duplicate cache, kept by message and not by machine.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::{ANNOUNCED_HEARTBEATS, HEARTBEAT_MILLISECONDS, IDONTWANT_BYTES};
use crate::machine::message::Payload;
use crate::world::queue::Moment;

/// How long a message is remembered: the agent's duplicate cache time.
const SEEN_MILLISECONDS: u64 = 60_000;

/// Who has got a message.
struct Seen {
    /// One bit a machine.
    bits: Vec<u64>,
    /// When each machine got it: of a large message, or of all where they wait to be judged.
    times: BTreeMap<u32, Moment>,
    last_new: Moment,
    count: usize,
}

struct Under {
    message: Payload,
    /// How many machines there are.
    nodes: usize,
    began: Moment,
    timed: bool,
    seen: RefCell<Seen>,
}

/// A message under way.
#[derive(Clone)]
pub struct Flight(Rc<Under>);

impl std::fmt::Debug for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0.message.id())
    }
}

impl Flight {
    /// The message.
    pub fn message(&self) -> &Payload {
        &self.0.message
    }

    /// Whether a machine has got it.
    pub fn has(&self, node: u32) -> bool {
        self.0.seen.borrow().bits[node as usize / 64] & (1 << (node % 64)) != 0
    }

    /// The machines that have not got it, by rising place.
    pub(super) fn lacking(&self) -> Vec<u32> {
        let seen = self.0.seen.borrow();
        let mut lacking = Vec::new();
        for (word, bits) in (0..).zip(&seen.bits) {
            let mut left = !bits;
            while left != 0 {
                lacking.push(word * 64 + left.trailing_zeros());
                left &= left - 1;
            }
        }
        let end = lacking.partition_point(|node| (*node as usize) < self.0.nodes);
        lacking.truncate(end);
        lacking
    }

    /// Whether it is large enough for machines to say that they have got it.
    pub fn is_large(&self) -> bool {
        self.0.message.length() >= IDONTWANT_BYTES
    }

    /// Whether a machine got it so early that `after` microseconds later its word of that had come.
    pub fn had(&self, node: u32, now: Moment, after: impl FnOnce() -> u64) -> bool {
        self.0.seen.borrow().times.get(&node).is_some_and(|at| at.after_micros(after()) <= now)
    }

    /// A machine gets it. True: for the first time.
    pub fn first_time(&self, now: Moment, node: u32) -> bool {
        let mut seen = self.0.seen.borrow_mut();
        let word = &mut seen.bits[node as usize / 64];
        let bit = 1 << (node % 64);
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        seen.count += 1;
        seen.last_new = now;
        if self.0.timed {
            seen.times.insert(node, now);
        }
        true
    }

    fn forget(&self, node: u32) {
        let mut seen = self.0.seen.borrow_mut();
        let bit = 1 << (node % 64);
        let word = &mut seen.bits[node as usize / 64];
        let had = *word & bit != 0;
        *word &= !bit;
        seen.count -= usize::from(had);
        seen.times.remove(&node);
    }
}

/// All messages that are remembered.
pub(super) struct Flights {
    nodes: usize,
    note_times: bool,
    by_name: BTreeMap<u64, Flight>,
    /// In the order in which they began.
    order: VecDeque<Flight>,
}

impl Flights {
    pub(super) fn new(nodes: usize) -> Self {
        Self { nodes, note_times: false, by_name: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Whether it is noted of small messages too when each machine got them.
    pub(super) fn note_times(&mut self, note: bool) {
        self.note_times = note;
    }

    pub(super) fn of(&mut self, now: Moment, message: &Payload) -> Flight {
        if let Some(flight) = self.by_name.get(&message.id()) {
            return flight.clone();
        }
        let seen =
            Seen { bits: vec![0; self.nodes.div_ceil(64)], times: BTreeMap::new(), last_new: now, count: 0 };
        let timed = self.note_times || message.length() >= IDONTWANT_BYTES;
        let (message, nodes) = (Payload::clone(message), self.nodes);
        let under = Under { message, nodes, began: now, timed, seen: RefCell::new(seen) };
        let flight = Flight(Rc::new(under));
        self.by_name.insert(flight.message().id(), flight.clone());
        self.order.push_back(flight.clone());
        flight
    }

    pub(super) fn forget(&mut self, node: u32) {
        for flight in &self.order {
            flight.forget(node);
        }
    }

    fn since(&self, now: Moment, milliseconds: u64) -> impl Iterator<Item = &Flight> {
        let young = move |flight: &&Flight| now.milliseconds_since(flight.0.began) <= milliseconds;
        self.order.iter().rev().take_while(young)
    }

    /// Messages that are announced now and that not all have: those that began before the last heartbeat.
    pub(super) fn announced(&self, now: Moment) -> Vec<Flight> {
        let settled = |flight: &&Flight| {
            now.milliseconds_since(flight.0.began) >= HEARTBEAT_MILLISECONDS
                && flight.0.seen.borrow().count < self.nodes
        };
        self.since(now, (ANNOUNCED_HEARTBEATS + 1) * HEARTBEAT_MILLISECONDS)
            .filter(settled)
            .cloned()
            .collect()
    }

    /// How many messages are young enough to be announced.
    pub(super) fn young(&self, now: Moment) -> u64 {
        self.since(now, ANNOUNCED_HEARTBEATS * HEARTBEAT_MILLISECONDS).count() as u64
    }

    pub(super) fn expire(&mut self, now: Moment) {
        while let Some(oldest) = self.order.front() {
            if now.milliseconds_since(oldest.0.seen.borrow().last_new) <= SEEN_MILLISECONDS {
                break;
            }
            self.by_name.remove(&oldest.0.message.id());
            self.order.pop_front();
        }
    }
}
