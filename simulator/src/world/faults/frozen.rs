//! Machines that stand still: what comes to them waits, and they take it in at once when they go on.

use std::collections::BTreeMap;

use super::super::{Happening, World};

/// What waits for one machine at most, as in the buffers of its kernel; more is lost.
const HELD_MAX: usize = 65_536;

/// The machines that stand still.
#[derive(Default)]
pub(super) struct Frozen {
    held: BTreeMap<u32, Held>,
}

#[derive(Default)]
struct Held {
    /// Faults that keep it still: it goes on when the last one ends.
    faults: u32,
    waiting: Vec<Happening>,
}

impl Frozen {
    pub(super) fn holds(&self, node: u32) -> bool {
        self.held.contains_key(&node)
    }

    pub(super) fn freeze(&mut self, node: u32) {
        self.held.entry(node).or_default().faults += 1;
    }
}

/// The machine that something happens to.
fn addressee(what: &Happening) -> Option<u32> {
    match what {
        Happening::PowerOn { node }
        | Happening::Wake { node, .. }
        | Happening::Link { node, .. }
        | Happening::Links { node, .. }
        | Happening::Commit { node, .. }
        | Happening::Seek { node, .. }
        | Happening::Part { node, .. }
        | Happening::Fetched { node, .. }
        | Happening::Built { node, .. }
        | Happening::Switched { node, .. }
        | Happening::Probe { node, .. }
        | Happening::HostDies { node, .. }
        | Happening::WallClock { node, .. }
        | Happening::Lie { node } => Some(*node),
        Happening::Direct { to, .. } | Happening::Gossip { to, .. } | Happening::Damaged { to, .. } => {
            Some(*to)
        }
        Happening::Heartbeat
        | Happening::Flow { .. }
        | Happening::Step { .. }
        | Happening::Look
        | Happening::FaultEnds { .. }
        | Happening::FaultTurn { .. } => None,
    }
}

impl World {
    /// Takes what happens to a machine that stands still; gives back everything else.
    pub(in crate::world) fn unless_frozen(&mut self, what: Happening) -> Option<Happening> {
        let frozen = &mut self.faults.frozen.held;
        if frozen.is_empty() {
            return Some(what);
        }
        let Some(held) = addressee(&what).and_then(|node| frozen.get_mut(&node)) else { return Some(what) };
        if held.waiting.len() < HELD_MAX {
            held.waiting.push(what);
        }
        None
    }

    /// A machine goes on, if nothing else keeps it still.
    pub(super) fn thaw(&mut self, node: u32) {
        let frozen = &mut self.faults.frozen.held;
        let Some(held) = frozen.get_mut(&node) else { return };
        held.faults -= 1;
        if held.faults > 0 {
            return;
        }
        for what in frozen.remove(&node).map(|held| held.waiting).unwrap_or_default() {
            self.happen(what);
        }
    }

    /// A machine that stands still loses its power: what waited for it is gone, but for its power's return.
    pub(in crate::world) fn forget_what_waits(&mut self, node: u32) {
        if let Some(held) = self.faults.frozen.held.get_mut(&node) {
            held.waiting.retain(|what| matches!(what, Happening::PowerOn { .. }));
        }
    }
}
