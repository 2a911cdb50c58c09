//! A cap on bytes per second: a bucket that fills with time and may be overdrawn by one piece.

use crate::time::{Span, Time};

/// What the bucket holds at most, as a time of filling: a short pause earns a short burst.
const BURST: Span = Span::milliseconds(100);

/// A rate of bytes, spent as it comes in.
#[derive(Clone, Debug)]
pub struct Allowance {
    bytes_per_second: u64,
    /// In thousandths of a byte, so that milliseconds fill it without rounding. Negative when overdrawn.
    level: i64,
    filled: Time,
}

impl Allowance {
    /// `bytes_per_second`, at least 1, from `now` on, with a full bucket.
    pub fn new(bytes_per_second: u64, now: Time) -> Self {
        let bytes_per_second = bytes_per_second.clamp(1, 1 << 40);
        let mut allowance = Self { bytes_per_second, level: 0, filled: now };
        allowance.level = allowance.capacity();
        allowance
    }

    /// Changes the rate from `now` on.
    pub fn set_rate(&mut self, now: Time, bytes_per_second: u64) {
        self.fill(now);
        self.bytes_per_second = bytes_per_second.clamp(1, 1 << 40);
        self.level = self.level.min(self.capacity());
    }

    /// Whether something may be sent at `now`, however large: what is overdrawn is waited for afterwards.
    pub fn is_open(&mut self, now: Time) -> bool {
        self.fill(now);
        self.level > 0
    }

    /// Takes `bytes` out.
    pub fn spend(&mut self, now: Time, bytes: u64) {
        self.fill(now);
        let cost = i64::try_from(bytes.saturating_mul(1000)).unwrap_or(i64::MAX);
        self.level = self.level.saturating_sub(cost);
    }

    /// When something may be sent again, as of the last call that named a time.
    pub fn opens_at(&self) -> Time {
        let missing = u64::try_from(1_i64.saturating_sub(self.level)).unwrap_or(0);
        self.filled + Span(missing.div_ceil(self.bytes_per_second))
    }

    fn capacity(&self) -> i64 {
        i64::try_from(self.bytes_per_second.saturating_mul(BURST.0)).unwrap_or(i64::MAX)
    }

    fn fill(&mut self, now: Time) {
        let gained = self.bytes_per_second.saturating_mul(now.since(self.filled).0);
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(gained).min(self.capacity());
        self.filled = self.filled.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn over_any_time_no_more_passes_than_the_rate_a_burst_and_one_piece(
            rate in 1_u64..10_000_000, sizes in prop::collection::vec(1_u64..65_536, 1..100),
        ) {
            let mut now = Time(5);
            let mut allowance = Allowance::new(rate, now);
            let (mut passed, mut last) = (0, 0);
            for bytes in sizes {
                if !allowance.is_open(now) {
                    now = allowance.opens_at();
                    prop_assert!(allowance.is_open(now), "opens when it says");
                }
                allowance.spend(now, bytes);
                passed += bytes;
                last = bytes;
            }
            let allowed = rate * (now.since(Time(5)).0 + BURST.0) / 1000;
            prop_assert!(passed <= allowed + last + 1, "{} passed, {} allowed", passed, allowed);
        }
    }

    #[test]
    fn time_that_stands_or_goes_back_fills_nothing() {
        let mut allowance = Allowance::new(1000, Time(1000));
        allowance.spend(Time(1000), 1_000_000);
        assert!(!allowance.is_open(Time(1000)) && !allowance.is_open(Time(0)));
        assert_eq!(allowance.opens_at(), Time(1000) + Span(999_901));
    }
}
