//! When a juror last heard from whom, and which open members it should have heard from since.

use super::{Scene, Seen, View};
use crate::bounds::{INQUIRY_RANKS_MAX, MISSED_PERIODS};
use crate::facts::{Failure, VoteState};
use crate::time::{Span, Time};

impl View {
    /// When the juror of a seat was last heard from.
    pub fn juror_heard(&self, seat: usize) -> Option<Time> {
        self.jurors.last(seat)
    }

    /// When the member of a rank was last heard from.
    pub fn member_heard(&self, rank: usize) -> Option<Time> {
        self.heard.get(rank).copied().flatten()
    }

    /// Of `count` open ranks from `first` on, and from the first one again, those that will soon count as silent, the
    /// own one aside: at most `INQUIRY_RANKS_MAX`. And the rank to go on from.
    pub fn missed(&self, scene: &Scene<'_>, first: u32, count: u32) -> (Vec<u32>, u32) {
        let open = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
        let first = if first < open { first } else { 0 };
        let (on_trial, quiet) = (scene.member_period(), scene.quiet_period());
        let mut missed = Vec::new();
        let mut next = first;
        for step in 0..count.min(open) {
            let rank = first.wrapping_add(step) % open;
            if missed.len() >= INQUIRY_RANKS_MAX {
                break;
            }
            next = rank.wrapping_add(1) % open;
            if self.is_missed(scene, rank, on_trial, quiet) {
                missed.push(rank);
            }
        }
        missed.sort_unstable();
        (missed, next)
    }

    fn is_missed(&self, scene: &Scene<'_>, rank: u32, on_trial: Span, quiet: Span) -> bool {
        let place = rank as usize;
        let Some(seen) = self.seen.get(place).and_then(Option::as_ref) else { return false };
        if scene.roster.members.get(place) == Some(&scene.me) || is_final(seen) {
            return false;
        }
        let silence = if seen.is_on_trial() { on_trial } else { quiet }.times(MISSED_PERIODS);
        let heard = self.member_heard(place);
        // Before it was opened, or began, it spoke rarely or not at all.
        self.clock >= Span(seen.since.0.saturating_add(silence.0))
            && heard.is_none_or(|at| scene.now >= at + silence)
    }
}

/// Nothing that its author says later changes as what it is counted.
fn is_final(seen: &Seen) -> bool {
    matches!(seen.what, Some((_, VoteState::Failed(Failure::Recovered))))
}
