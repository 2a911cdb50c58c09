//! How long something usually takes, and how much that differs.

use crate::time::Span;

/// Mean and deviation of how long requests take (RFC 6298, with integers), queueing included.
#[derive(Default)]
pub(super) struct RoundTrip {
    /// Eight times the mean, in milliseconds; zero before the first sample.
    mean_8: u64,
    /// Four times the deviation.
    deviation_4: u64,
    samples: u32,
}

/// What is usual of those inside this node's site, and of those outside, who are not to be held against each other.
#[derive(Default)]
pub(super) struct Usual {
    inside: Habits,
    outside: Habits,
}

impl Usual {
    pub(super) fn of(&self, is_outside: bool) -> &Habits {
        if is_outside { &self.outside } else { &self.inside }
    }

    pub(super) fn of_mut(&mut self, is_outside: bool) -> &mut Habits {
        if is_outside { &mut self.outside } else { &mut self.inside }
    }
}

/// How long those take who are about as far away, whoever it is.
#[derive(Default)]
pub(super) struct Habits {
    /// A request, until it is answered.
    pub(super) request: RoundTrip,
    /// From one piece of a peer to its next.
    pub(super) pause: RoundTrip,
}

/// Samples from which on an estimate is more than a guess.
const SAMPLES_MIN: u32 = 4;

impl RoundTrip {
    pub(super) fn sample(&mut self, took: Span) {
        let took = took.0.max(1);
        self.samples = self.samples.saturating_add(1);
        if self.mean_8 == 0 {
            self.mean_8 = took * 8;
            self.deviation_4 = took * 2;
            return;
        }
        let error = took.abs_diff(self.mean_8 / 8);
        self.deviation_4 = self.deviation_4 - self.deviation_4 / 4 + error;
        self.mean_8 = self.mean_8 - self.mean_8 / 8 + took;
    }

    pub(super) fn mean(&self) -> Span {
        Span(self.mean_8 / 8)
    }

    /// The estimate once it is more than a guess.
    pub(super) fn settled(&self) -> Option<Span> {
        self.estimate().filter(|_| self.samples >= SAMPLES_MIN)
    }

    pub(super) fn estimate(&self) -> Option<Span> {
        (self.mean_8 > 0).then(|| Span(self.mean_8 / 8 + self.deviation_4))
    }
}
