//! How often one register's changes are passed on (hole H40).

use std::collections::{BTreeMap, VecDeque};

use crate::bounds::{RELAY_BURST, RELAY_BURST_BEACON, RELAY_WINDOW};
use crate::facts::{Fact, Key};
use crate::marks::mark;
use crate::time::Time;

/// Room for so many windows stays when none is open.
const ROOM_KEPT: usize = 16;

#[derive(Debug)]
struct Window {
    ends: Time,
    relayed: u32,
    /// A change was held back; it goes out when the window ends.
    owed: Option<Box<Key>>,
}

/// Counts relays per register, by its short key: registers that share one share their allowance, and sync carries
/// what is held back. Holds one entry for each register that changed within the window.
#[derive(Debug, Default)]
pub(super) struct Relays {
    windows: BTreeMap<u64, Window>,
    /// The windows in the order in which they end; one that was begun anew stands here twice.
    ends: VecDeque<(Time, u64)>,
    /// Windows that owe something.
    owing: usize,
}

impl Relays {
    /// Whether a change of the fact's register may be passed on now. If not, it is owed.
    pub(super) fn may_pass(&mut self, fact: &Fact, now: Time) -> bool {
        let burst = if matches!(fact.key, Key::Beacon(_)) { RELAY_BURST_BEACON } else { RELAY_BURST };
        let fresh = || Window { ends: now + RELAY_WINDOW, relayed: 0, owed: None };
        let window = self.windows.entry(fact.short).or_insert_with(fresh);
        if window.ends <= now {
            self.owing -= usize::from(window.owed.is_some());
            *window = fresh();
        }
        if window.relayed == 0 && window.owed.is_none() {
            self.ends.push_back((window.ends, fact.short));
        }
        if window.relayed < burst {
            window.relayed += 1;
            true
        } else {
            mark!(RelayHeldBack);
            self.owing += usize::from(window.owed.replace(Box::new(fact.key.clone())).is_none());
            false
        }
    }

    /// The registers whose held-back change is due now. Ended windows are forgotten.
    pub(super) fn due(&mut self, now: Time) -> Vec<Key> {
        let mut due = Vec::new();
        while let Some((ends, short)) = self.ends.pop_front_if(|(ends, _)| *ends <= now) {
            if self.windows.get(&short).is_some_and(|window| window.ends == ends)
                && let Some(Window { owed: Some(key), .. }) = self.windows.remove(&short)
            {
                mark!(RelayOwed);
                self.owing -= 1;
                due.push(*key);
            }
        }
        if self.ends.is_empty() && self.ends.capacity() > ROOM_KEPT {
            self.ends = VecDeque::new();
        }
        due.sort_unstable();
        due
    }

    /// How many registers changed lately.
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// When the next held-back change is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        if self.owing == 0 {
            return None;
        }
        self.windows.values().filter(|window| window.owed.is_some()).map(|window| window.ends).min()
    }
}
