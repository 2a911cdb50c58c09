//! The driver's clocks: monotonic time for the core, and the wall clock for expiry alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use groundswell_protocol::time::{Time, UnixSeconds};
use tokio::time::Instant;

/// Monotonic time since the agent's start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(super) fn now(self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When the core's clock shows `time`. Rounded up, so that a wake never comes a moment early.
    pub(super) fn instant(self, time: Time) -> Instant {
        self.origin + Duration::from_millis(time.0.min(u64::from(u32::MAX) * 1_000))
    }
}

/// The wall clock in seconds; 0 on a clock that stands before 1970.
pub(super) fn wall_clock() -> UnixSeconds {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
