//! A machine's two clocks: the monotonic one, which the core is driven by, and the one on the wall.
//!
//! The monotonic clock begins anywhere, may gain or lose time and may leap forward (a machine that was
//! suspended); it never goes back, as the kernel promises. The one on the wall may show anything.

use crate::fleet::WALL_START;
use crate::world::queue::Moment;

/// Parts in a million.
const MILLION: u64 = 1_000_000;

/// A machine's clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The monotonic clock showed `shown` milliseconds at this moment.
    anchor: Moment,
    shown: u64,
    /// Microseconds that it counts in a second of virtual time.
    rate: u64,
    /// How far the clock on the wall is ahead, in milliseconds.
    wall_ahead: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { anchor: Moment::default(), shown: 0, rate: MILLION, wall_ahead: 0 }
    }
}

impl Clock {
    /// The machine starts: the monotonic clock begins so many milliseconds from nought.
    pub fn restart(&mut self, origin: u64) {
        self.anchor = Moment::default();
        self.shown = origin;
    }

    /// What the monotonic clock shows, in milliseconds.
    pub fn shows(&self, now: Moment) -> u64 {
        let micros = u128::from(now.0.saturating_sub(self.anchor.0)) * u128::from(self.rate);
        let milliseconds = u64::try_from(micros / u128::from(MILLION * 1000)).unwrap_or(u64::MAX);
        self.shown.saturating_add(milliseconds)
    }

    /// The first moment at which the monotonic clock shows so many milliseconds.
    pub fn reaches(&self, milliseconds: u64) -> Moment {
        let missing = u128::from(milliseconds.saturating_sub(self.shown)) * u128::from(MILLION * 1000);
        let micros = u64::try_from(missing.div_ceil(u128::from(self.rate))).unwrap_or(u64::MAX);
        self.anchor.after_micros(micros)
    }

    /// The monotonic clock gains so many microseconds a second from now on, or loses them.
    pub fn drift(&mut self, now: Moment, gained: i32) {
        self.shown = self.shows(now);
        self.anchor = now;
        self.rate = MILLION.saturating_add_signed(i64::from(gained)).max(1);
    }

    /// The monotonic clock leaps forward.
    pub fn leap(&mut self, milliseconds: u64) {
        self.shown = self.shown.saturating_add(milliseconds);
    }

    /// Sets the clock on the wall so many milliseconds ahead of what is right, or behind.
    pub fn set_wall(&mut self, ahead: i64) {
        self.wall_ahead = ahead;
    }

    /// What the clock on the wall shows, in seconds since 1970.
    pub fn wall(&self, now: Moment) -> u64 {
        let right = (WALL_START * 1000).saturating_add(now.as_milliseconds());
        right.saturating_add_signed(self.wall_ahead) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reaches_what_it_shows_and_never_goes_back() {
        let mut clock = Clock::default();
        clock.restart(1_000);
        assert_eq!(clock.shows(Moment::seconds(5)), 6_000);
        assert_eq!(clock.reaches(6_000), Moment::seconds(5));
        let mut last = 0;
        for (second, drift) in [(10, 50_000), (20, -50_000), (30, 333), (40, -100_000), (50, 0)] {
            let now = Moment(second * 1_000_000 + 777);
            clock.drift(now, drift);
            for ahead in [0, 1, 999, 1_000, 123_457, 9_000_000] {
                let shows = clock.shows(now.after_micros(ahead));
                assert!(shows >= last);
                let at = clock.reaches(shows + 3);
                assert!(clock.shows(at) >= shows + 3 && clock.shows(Moment(at.0 - 1)) < shows + 3);
            }
            last = clock.shows(now.after_micros(9_000_000));
        }
        clock.leap(3_600_000);
        assert!(clock.shows(Moment::seconds(60)) >= last + 3_600_000);
    }

    #[test]
    fn a_drift_is_what_it_says() {
        let mut clock = Clock::default();
        clock.drift(Moment::default(), 100);
        assert_eq!(clock.shows(Moment::seconds(10_000)), 10_001_000);
        clock.drift(Moment::seconds(10_000), -100);
        assert_eq!(clock.shows(Moment::seconds(20_000)), 20_000_000);
    }

    #[test]
    fn the_wall_shows_what_it_was_set_to() {
        let mut clock = Clock::default();
        clock.set_wall(-3_000);
        assert_eq!(clock.wall(Moment::seconds(10)), WALL_START + 7);
        clock.set_wall(0);
        assert_eq!(clock.wall(Moment::seconds(10)), WALL_START + 10);
    }
}
