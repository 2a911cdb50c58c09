//! How much is asked for at once, by what comes in.
//!
//! A line that many peers fill carries no more than one could. What is asked for beyond that waits in it, comes late, is
//! asked of others and comes in a second time. So no more is under way than lately came, and a little, which finds out
//! whether more would come: where a round trip is short that grows several times over in half a second.

use std::collections::VecDeque;

use crate::time::{Span, Time};

/// As many pieces may be under way as came within this time, and a few.
const WITHIN: Span = Span::milliseconds(750);

/// So many that came in that time are noted, at most. A line so wide holds nothing up.
const NOTED_MAX: usize = 256;

/// When pieces came.
#[derive(Default)]
pub(super) struct Intake {
    came: VecDeque<Time>,
}

impl Intake {
    /// A piece came.
    pub(super) fn came(&mut self, now: Time) {
        if self.came.len() == NOTED_MAX {
            self.came.pop_front();
        }
        self.came.push_back(now);
    }

    /// Pieces that may be under way: as many as lately came, and `beyond` (at least 1, or nothing would ever begin).
    pub(super) fn room(&self, now: Time, beyond: usize) -> usize {
        let lately = self.came.iter().rev().take_while(|at| now.since(**at) <= WITHIN).count();
        if lately == NOTED_MAX { usize::MAX } else { lately + beyond }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_asked_for_as_comes_in_and_a_little() {
        let mut intake = Intake::default();
        assert_eq!(intake.room(Time(0), 2), 2);
        (0..10).for_each(|piece| intake.came(Time(piece * 100)));
        assert_eq!(intake.room(Time(900), 2), 2 + 8);
        assert_eq!(intake.room(Time(1200), 2), 2 + 5);
        assert_eq!(intake.room(Time(10_000), 2), 2, "whatever stood still is found out anew");
        (0..1000).for_each(|_| intake.came(Time(20_000)));
        assert_eq!(intake.room(Time(20_000), 2), usize::MAX);
    }

    #[test]
    fn what_may_be_under_way_grows_until_the_line_is_full_and_no_further() {
        for (round_trip, pieces_per_second, expected) in [(10, 50, 36..43), (100, 50, 36..43), (200, 4, 3..7)]
        {
            let mut intake = Intake::default();
            let (mut under_way, mut line_free_at) = (VecDeque::new(), 0);
            for now in 0..5000 {
                while under_way.front().is_some_and(|at| *at <= now) {
                    under_way.pop_front();
                    intake.came(Time(now));
                }
                while under_way.len() < intake.room(Time(now), 2) {
                    line_free_at = (now + round_trip).max(line_free_at + 1000 / pieces_per_second);
                    under_way.push_back(line_free_at);
                }
            }
            assert!(expected.contains(&under_way.len()), "{round_trip} ms: {}", under_way.len());
        }
    }
}
