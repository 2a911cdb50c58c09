//! How often one register's changes are passed on (hole H40).

use std::cmp::Ordering;

use crate::bounds::{RELAY_BURST, RELAY_BURST_BEACON, RELAY_WINDOW};
use crate::facts::{Fact, Key};
use crate::few::Few;
use crate::marks::mark;
use crate::sorted::Sorted;
use crate::time::Time;

/// When it ends, and how often the register's changes were passed on in it: one number, since a node holds one for each
/// register that changed lately, and a hundred thousand nodes may share a process.
#[derive(Clone, Copy, Debug)]
struct Window(u64);

/// Bits for the count: no burst is longer.
const COUNT_BITS: u32 = 8;
const _: () = assert!(RELAY_BURST < 1 << COUNT_BITS && RELAY_BURST_BEACON < 1 << COUNT_BITS);

impl Window {
    /// By a clock that shows more than two million years each window is over at once.
    fn new(now: Time) -> Self {
        let ends = (now + RELAY_WINDOW).0.min(u64::MAX >> COUNT_BITS);
        Self(ends << COUNT_BITS)
    }

    fn ends(self) -> Time {
        Time(self.0 >> COUNT_BITS)
    }

    /// Counts one more, if so few were.
    fn count(&mut self, burst: u32) -> bool {
        let may = self.0 & ((1 << COUNT_BITS) - 1) < u64::from(burst);
        self.0 += u64::from(may);
        may
    }
}

/// Counts relays per register, by its short key: registers that share one share their allowance, and sync carries
/// what is held back. Holds one entry for each register that changed within the last two windows.
#[derive(Debug, Default)]
pub(super) struct Relays {
    windows: Sorted<u64, Window>,
    /// Registers whose change was held back, by short key: it goes out when the window ends.
    owed: Few<u64, Key>,
    /// When ended windows are forgotten next.
    sweep_at: Time,
}

impl Relays {
    /// Whether a change of the fact's register may be passed on now. If not, it is owed.
    pub(super) fn may_pass(&mut self, fact: &Fact, now: Time) -> bool {
        let burst = if matches!(fact.key, Key::Beacon(_)) { RELAY_BURST_BEACON } else { RELAY_BURST };
        let window = self.windows.get_or_put(fact.short, |_| Ordering::Equal, || Window::new(now));
        if window.ends() <= now {
            *window = Window::new(now);
            self.owed.remove(&fact.short);
        }
        let may = window.count(burst);
        if !may {
            mark!(RelayHeldBack);
            self.owed.insert(fact.short, fact.key.clone());
        }
        may
    }

    /// The registers whose held-back change is due now. Ended windows are forgotten now and then.
    pub(super) fn due(&mut self, now: Time) -> Vec<Key> {
        let mut due = Vec::new();
        if self.deadline().is_some_and(|at| at <= now) {
            let ended =
                self.owed.keys().copied().filter(|short| self.ends(*short).is_none_or(|at| at <= now));
            let ended: Vec<u64> = ended.collect();
            due.extend(ended.iter().filter_map(|short| self.owed.remove(short)));
            mark!(RelayOwed);
            due.sort_unstable();
        }
        if self.sweep_at <= now {
            self.sweep_at = now + RELAY_WINDOW;
            self.windows.retain(|_, window| window.ends() > now);
        }
        due
    }

    fn ends(&self, short: u64) -> Option<Time> {
        self.windows.of(short).next().map(|window| window.ends())
    }

    /// How many registers changed lately.
    pub(super) fn len(&self) -> usize {
        self.windows.iter().count()
    }

    /// When the next held-back change is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.owed.keys().filter_map(|short| self.ends(*short)).min()
    }
}
