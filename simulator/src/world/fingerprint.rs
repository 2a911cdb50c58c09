//! The rolling fingerprint of a run: what tells two runs apart, and where they part.
//!
//! Everything that happens is mixed in, as numbers and never as text. Now and then a checkpoint is kept;
//! within a window that was asked for, each event is described.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use super::queue::Moment;
use crate::generator::mix;
use crate::machine::notary::Notary;

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a run remembers for those who compare it with another.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// A checkpoint after every so many events; 0: none.
    pub every: u64,
    /// The events that are described one by one, by number.
    pub describe: Range<u64>,
    /// The run goes on to this virtual second, also if all is settled before.
    pub until_seconds: u64,
    /// Where it finds signatures that another run of the same story made, and leaves its own.
    pub notary: Option<Arc<Notary>>,
    /// A difference that tests plant in this event.
    #[cfg(test)]
    pub planted: Option<u64>,
}

/// Where a run stood after so many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// So many.
    pub event: u64,
    /// Virtual time, in microseconds.
    pub micros: u64,
    /// The fingerprint.
    pub fingerprint: u64,
}

/// One event of a window that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Where the run stood after it.
    pub after: Checkpoint,
    /// What happened.
    pub what: String,
}

/// The fingerprint, and what is kept of its way.
#[derive(Clone, Debug, Default)]
pub struct Fingerprint {
    value: u64,
    events: u64,
    keep: Keep,
    what: String,
    /// Where it stood, every so many events.
    pub checkpoints: Vec<Checkpoint>,
    /// The events of the window.
    pub described: Vec<Described>,
}

impl Fingerprint {
    /// A fingerprint of nothing.
    pub fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    /// The fingerprint so far.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Mixes a number in.
    pub(super) fn mix(&mut self, number: u64) {
        self.value = mix(self.value ^ number).wrapping_add(GAMMA);
    }

    /// The virtual second to which the run goes on at least.
    pub(super) fn until_seconds(&self) -> u64 {
        self.keep.until_seconds
    }

    /// Whether a test has planted a difference in the present event.
    #[cfg(test)]
    pub(super) fn is_planted(&self) -> bool {
        self.keep.planted == Some(self.events)
    }

    /// An event begins. `describe` is asked only within the window.
    pub(super) fn begin(&mut self, now: Moment, tag: u64, describe: impl FnOnce() -> String) {
        self.mix(now.0);
        self.mix(tag);
        if self.keep.describe.contains(&self.events) {
            self.what = describe();
        }
    }

    /// The event ended: all that followed at once is mixed in.
    pub(super) fn end(&mut self, now: Moment) {
        let after = Checkpoint { event: self.events, micros: now.0, fingerprint: self.value };
        if self.keep.describe.contains(&self.events) {
            self.described.push(Described { after, what: std::mem::take(&mut self.what) });
        }
        self.events += 1;
        if self.keep.every > 0 && self.events.is_multiple_of(self.keep.every) {
            self.checkpoints.push(after);
        }
    }
}
