//! How long to wait before a service that ended by itself is started again.

use std::time::Duration;

/// First pause: what systemd waits (`RestartSec=`).
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause, reached at the tenth end in a row.
const LONGEST: Duration = Duration::from_secs(30);
/// A process that ran this long was not failing to start: the next pause is the first again.
const STEADY: Duration = Duration::from_secs(60);

/// Doubles the pause with every early end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// No end seen yet.
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The pause after a process ended that had run for `lived`.
    pub(super) fn after(&mut self, lived: Duration) -> Duration {
        if lived >= STEADY {
            self.next = FIRST;
        }
        let pause = self.next;
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_limit_and_forgets_after_a_steady_run() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..12).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]);
        assert_eq!(backoff.after(STEADY), FIRST);
        assert_eq!(backoff.after(Duration::ZERO), FIRST * 2);
    }
}
