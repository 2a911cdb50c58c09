//! Changes of registers that were held back, because so many of the same register were passed on lately (hole H40).

use crate::facts::{Fact, Key, Relayed};
use crate::few::Few;
use crate::marks::mark;
use crate::time::Time;

/// Whose change is owed. Sync carries it too, and sooner to those who ask.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// When the window ends in which it was held back: then it goes out.
    owed: Few<Key, Time>,
}

impl Relays {
    /// Whether a change of the fact's register may be passed on now. If not, it is owed.
    pub(super) fn may_pass(&mut self, fact: &Fact, relayed: &mut Relayed, now: Time) -> bool {
        if relayed.begin(now) {
            self.owed.remove(&fact.key);
        }
        let may = relayed.count(&fact.key);
        if !may {
            mark!(RelayHeldBack);
            self.owed.insert(fact.key.clone(), relayed.ends());
        }
        may
    }

    /// The registers whose held-back change is due now.
    pub(super) fn due(&mut self, now: Time) -> Vec<Key> {
        let ended: Vec<Key> =
            self.owed.iter().filter(|(_, ends)| **ends <= now).map(|(key, _)| key.clone()).collect();
        mark!(RelayOwed if !ended.is_empty());
        for key in &ended {
            self.owed.remove(key);
        }
        ended
    }

    /// How many are owed.
    pub(super) fn len(&self) -> usize {
        self.owed.len()
    }

    /// When the next held-back change is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.owed.values().copied().min()
    }
}
