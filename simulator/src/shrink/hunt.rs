//! Looks through candidates on several cores for the first that breaks the rule.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use super::{Breaks, Failing};

pub(super) struct Hunt<'a> {
    breaks: &'a Breaks<'a>,
    threads: usize,
    /// When the time is up; `None` if that is never.
    until: Option<Instant>,
    played: AtomicU64,
}

impl<'a> Hunt<'a> {
    pub(super) fn new(breaks: &'a Breaks<'a>, threads: usize, until: Option<Instant>) -> Self {
        Self { breaks, threads: threads.max(1), until, played: AtomicU64::new(0) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// How many stories were played.
    pub(super) fn played(&self) -> u64 {
        self.played.load(Ordering::Relaxed)
    }

    /// The place of the first story that breaks the rule. Later ones are played ahead, and do not count
    /// if an earlier one breaks it too: the answer does not depend on who was quicker.
    pub(super) fn first(&self, stories: &[&Failing]) -> Option<usize> {
        let (next, found) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(stories.len()) {
                scope.spawn(|| {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(story) = stories.get(place) else { return };
                        if place > found.load(Ordering::Relaxed) || self.is_over() {
                            return;
                        }
                        self.played.fetch_add(1, Ordering::Relaxed);
                        if (self.breaks)(story) {
                            found.fetch_min(place, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        Some(found.into_inner()).filter(|place| *place < stories.len())
    }
}
