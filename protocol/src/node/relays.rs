//! How often one register's changes are passed on (hole H40).

use std::collections::BTreeMap;

use crate::bounds::{RELAY_BURST, RELAY_BURST_BEACON, RELAY_WINDOW};
use crate::facts::Key;
use crate::marks::mark;
use crate::time::Time;

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Time,
    relayed: u32,
    /// A change was held back; it goes out when the window ends.
    owed: bool,
}

/// Counts relays per register. Holds one entry for each register that changed within the window.
#[derive(Debug, Default)]
pub(super) struct Relays {
    windows: BTreeMap<Key, Window>,
    /// No window ends before this.
    none_before: Option<Time>,
    /// Windows that owe something.
    owing: usize,
}

impl Relays {
    /// Whether a change of `key` may be passed on now. If not, it is owed.
    pub(super) fn may_pass(&mut self, key: &Key, now: Time) -> bool {
        let burst = if matches!(key, Key::Beacon(_)) { RELAY_BURST_BEACON } else { RELAY_BURST };
        let fresh = Window { ends: now + RELAY_WINDOW, relayed: 0, owed: false };
        let window = self.windows.entry(key.clone()).or_insert(fresh);
        if window.ends <= now {
            self.owing -= usize::from(window.owed);
            *window = fresh;
        }
        self.none_before = Some(self.none_before.map_or(fresh.ends, |ends| ends.min(window.ends)));
        if window.relayed < burst {
            window.relayed += 1;
            true
        } else {
            mark!(RelayHeldBack);
            self.owing += usize::from(!std::mem::replace(&mut window.owed, true));
            false
        }
    }

    /// The registers whose held-back change is due now. Ended windows are forgotten.
    pub(super) fn due(&mut self, now: Time) -> Vec<Key> {
        let mut due = Vec::new();
        if self.none_before.is_none_or(|ends| ends > now) {
            return due;
        }
        let (mut next, mut owing) = (None, 0);
        self.windows.retain(|key, window| {
            if window.ends > now {
                next = Some(next.map_or(window.ends, |ends: Time| ends.min(window.ends)));
                owing += usize::from(window.owed);
                return true;
            }
            if window.owed {
                mark!(RelayOwed);
                due.push(key.clone());
            }
            false
        });
        (self.none_before, self.owing) = (next, owing);
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
        self.windows.values().filter(|window| window.owed).map(|window| window.ends).min()
    }
}
