//! The wall clock, for dates on documents and screens.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: u64 = 86_400;

/// Seconds since 1970-01-01 UTC; 0 on a machine whose clock is before that.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The moment so many days from now.
pub(super) fn in_days(days: u32) -> u64 {
    now() + u64::from(days) * SECONDS_A_DAY
}
