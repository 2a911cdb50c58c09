//! Crashes at one exact point of a machine's work.

use super::super::World;
use crate::scenario::CrashPoint;

/// A machine's power goes when it comes to a point.
#[derive(Clone, Copy)]
pub(super) struct Trap {
    /// The step that set it.
    pub(super) step: usize,
    pub(super) point: CrashPoint,
    /// The machine must come there so many times more.
    pub(super) left: u32,
    pub(super) back_after: u64,
}

impl World {
    /// A machine comes to a point of its work. True: its power is gone.
    pub(in crate::world) fn trips(&mut self, node: u32, point: CrashPoint) -> bool {
        if self.faults.traps.is_empty() {
            return false;
        }
        let Some(traps) = self.faults.traps.get_mut(&node) else { return false };
        let mut sprung = None;
        traps.retain_mut(|trap| {
            if trap.point == point && sprung.is_none() {
                trap.left -= 1;
                if trap.left == 0 {
                    sprung = Some(trap.back_after);
                    return false;
                }
            }
            true
        });
        if traps.is_empty() {
            self.faults.traps.remove(&node);
        }
        if let Some(back_after) = sprung {
            self.crash(node, Some(back_after));
        }
        sprung.is_some()
    }

    /// The time is over in which a step's traps may spring.
    pub(super) fn spring_no_more(&mut self, step: usize) {
        self.faults.traps.retain(|_, traps| {
            traps.retain(|trap| trap.step != step);
            !traps.is_empty()
        });
    }
}
