//! How often one register's changes are passed on (hole H40).

use std::cmp::Ordering;

use crate::bounds::{RELAY_BURST, RELAY_BURST_BEACON, RELAY_WINDOW};
use crate::facts::{Fact, Key};
use crate::marks::mark;
use crate::sorted::Sorted;
use crate::time::Time;

#[derive(Debug)]
struct Window {
    ends: Time,
    relayed: u32,
    /// A change was held back; it goes out when the window ends.
    owed: Option<Box<Key>>,
}

impl Window {
    fn new(now: Time) -> Self {
        Self { ends: now + RELAY_WINDOW, relayed: 0, owed: None }
    }
}

/// Counts relays per register, by its short key: registers that share one share their allowance, and sync carries
/// what is held back. Holds one entry for each register that changed within the last two windows.
#[derive(Debug, Default)]
pub(super) struct Relays {
    windows: Sorted<u64, Window>,
    /// When ended windows are forgotten next.
    sweep_at: Time,
    /// Windows that owe something.
    owing: usize,
}

impl Relays {
    /// Whether a change of the fact's register may be passed on now. If not, it is owed.
    pub(super) fn may_pass(&mut self, fact: &Fact, now: Time) -> bool {
        let burst = if matches!(fact.key, Key::Beacon(_)) { RELAY_BURST_BEACON } else { RELAY_BURST };
        let window = self.windows.get_or_put(fact.short, |_| Ordering::Equal, || Window::new(now));
        if window.ends <= now {
            self.owing -= usize::from(window.owed.is_some());
            *window = Window::new(now);
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

    /// The registers whose held-back change is due now. Ended windows are forgotten now and then.
    pub(super) fn due(&mut self, now: Time) -> Vec<Key> {
        let mut due = Vec::new();
        if self.deadline().is_some_and(|at| at <= now) {
            for window in self.windows.values_mut().filter(|window| window.ends <= now) {
                due.extend(window.owed.take().map(|key| *key));
            }
            mark!(RelayOwed);
            self.owing -= due.len();
            due.sort_unstable();
        }
        if self.sweep_at <= now {
            self.sweep_at = now + RELAY_WINDOW;
            self.windows.retain(|_, window| window.ends > now);
        }
        due
    }

    /// How many registers changed lately.
    pub(super) fn len(&self) -> usize {
        self.windows.iter().count()
    }

    /// When the next held-back change is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        if self.owing == 0 {
            return None;
        }
        self.windows.iter().filter(|(_, window)| window.owed.is_some()).map(|(_, window)| window.ends).min()
    }
}
