//! The runtime's clock as the protocol's time.

use groundswell_protocol::time::Time;
use tokio::time::{Duration, Instant};

/// Counts milliseconds from its making.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Time {
        Time(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The first instant at which `now` is at least `time`; a far one is capped at a day.
    pub(super) fn instant(&self, time: Time) -> Instant {
        let ahead = time.since(self.now()).0.min(86_400_000);
        Instant::now() + Duration::from_millis(ahead)
    }
}
