//! Gossip that could not leave yet, because no linked peer listens to the topic. Bounded; the oldest
//! goes first, and what is too old goes unsaid: sync brings it.

use std::collections::VecDeque;
use std::time::Instant;

use super::settings::{UNPUBLISHED_FOR, UNPUBLISHED_MAX};

/// The frames that wait, oldest first.
#[derive(Default)]
pub(super) struct Unpublished {
    frames: VecDeque<(Instant, Vec<u8>)>,
}

impl Unpublished {
    /// Adds a frame; says how many others were dropped for it.
    pub(super) fn push(&mut self, frame: Vec<u8>, now: Instant) -> usize {
        let surplus = (self.frames.len() + 1).saturating_sub(UNPUBLISHED_MAX);
        self.frames.drain(..surplus);
        self.frames.push_back((now, frame));
        surplus
    }

    /// Tries each frame again with `publish`, until one still cannot leave; says how many were dropped
    /// because they had become too old.
    pub(super) fn retry(&mut self, now: Instant, mut publish: impl FnMut(&[u8]) -> bool) -> usize {
        let before = self.frames.len();
        self.frames.retain(|(since, _)| now.duration_since(*since) < UNPUBLISHED_FOR);
        let expired = before - self.frames.len();
        while let Some((_, frame)) = self.frames.front() {
            if !publish(frame) {
                break;
            }
            self.frames.pop_front();
        }
        expired
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_frames_stay_and_leave_in_order() {
        let now = Instant::now();
        let mut waiting = Unpublished::default();
        let dropped: usize = (0..300u32).map(|number| waiting.push(number.to_be_bytes().to_vec(), now)).sum();
        assert_eq!(dropped, 300 - UNPUBLISHED_MAX);
        let mut left = Vec::new();
        assert_eq!(waiting.retry(now, |_| false), 0);
        waiting.retry(now, |frame| {
            left.push(u32::from_be_bytes(frame.try_into().unwrap()));
            true
        });
        assert_eq!(left, (44..300).collect::<Vec<_>>());
        assert!(waiting.is_empty());
    }

    #[test]
    fn what_is_too_old_goes_unsaid() {
        let now = Instant::now();
        let mut waiting = Unpublished::default();
        waiting.push(vec![1], now);
        assert_eq!(waiting.retry(now + UNPUBLISHED_FOR, |_| panic!("it is too old")), 1);
    }
}
