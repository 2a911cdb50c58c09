//! Whether there is anything to look at after an input.
//!
//! What is due follows from what the node knows and from the time. So after an input that changed nothing of
//! that nothing is due which was not due before, and nearly all inputs of a large fleet are such: what is known
//! already, and signs of life. When in doubt a change counts as one: looking once too often does no harm.

use crate::time::Time;

/// Looks after a change: what the first one brought about may call for another.
const LOOKS: u8 = 2;

/// What is known of the node's rest.
#[derive(Debug)]
pub(super) struct Rest {
    /// Looks that are still called for.
    looks: u8,
    /// Something changed that may be due at another time now.
    stale: bool,
    /// A register rose of which it is not yet read what follows.
    unread: bool,
    deadline: Option<Time>,
    /// Until then time alone makes nothing due.
    until: Time,
}

impl Default for Rest {
    fn default() -> Self {
        Self { looks: LOOKS, stale: true, unread: false, deadline: None, until: Time(0) }
    }
}

impl Rest {
    /// Something changed: what holds now is to be looked at.
    pub(super) fn stir(&mut self) {
        self.looks = LOOKS;
        self.stale = true;
    }

    /// Something changed that makes nothing due by itself, but perhaps sooner.
    pub(super) fn retime(&mut self) {
        self.stale = true;
    }

    /// A register rose: what follows from it is to be read, and stirs this node if it is anything.
    pub(super) fn unread(&mut self) {
        self.unread = true;
    }

    /// Whether there is something to read; once.
    pub(super) fn take_unread(&mut self) -> bool {
        std::mem::take(&mut self.unread)
    }

    /// Whether to look now.
    pub(super) fn is_over(&mut self, now: Time) -> bool {
        if self.looks > 0 {
            self.looks -= 1;
            return true;
        }
        let due = now >= self.until;
        self.looks = u8::from(due);
        due
    }

    /// Whether the times may have changed.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Nothing is due before these times.
    pub(super) fn until(&mut self, deadline: Option<Time>, look: Time) {
        self.stale = false;
        self.deadline = deadline;
        self.until = deadline.map_or(look, |deadline| deadline.min(look));
    }

    /// When the node is to be woken.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadline
    }
}
