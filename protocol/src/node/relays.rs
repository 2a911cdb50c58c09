//! How often one register's changes are passed on (hole H40).

use std::collections::{BTreeMap, VecDeque};

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
    /// The windows in the order in which they end; one that was begun anew stands here twice.
    ends: VecDeque<(Time, Key)>,
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
        if window.relayed == 0 && !window.owed {
            self.ends.push_back((window.ends, key.clone()));
        }
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
        while let Some((ends, key)) = self.ends.pop_front_if(|(ends, _)| *ends <= now) {
            if self.windows.get(&key).is_some_and(|window| window.ends == ends)
                && let Some(window) = self.windows.remove(&key)
                && window.owed
            {
                mark!(RelayOwed);
                self.owing -= 1;
                due.push(key);
            }
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
        self.windows.values().filter(|window| window.owed).map(|window| window.ends).min()
    }
}
