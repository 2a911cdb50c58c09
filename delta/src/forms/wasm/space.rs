//! One space of numbers while a patch is made or followed: what was seen of it, and what that lets expect.

use super::seen::Seen;
use super::spaces::{Moves, Sorted};

/// References kept to compare with.
const RECENT: usize = 8;
/// How far apart two numbers can be, as classes of distances.
const DISTANCES: usize = 9;
const WAYS: usize = 3 + DISTANCES;
const SEEN: usize = 0;
const MOVED: usize = 1;
const SAME: usize = 2;
const RECENTLY: usize = 3;
/// How much one success or failure counts, as a power of two.
const RATE_LOG: u32 = 5;

/// Ways to predict, each with its success so far; the best is taken.
pub(super) struct Space {
    moves: Sorted,
    seen: Seen,
    /// The last numbers and by how much they moved.
    recent: [(u32, u32); RECENT],
    next: usize,
    /// How often each way was right of late.
    rates: [u16; WAYS],
    /// What the ways said of the number that was predicted last, if they said anything.
    said: [(usize, u32); 4],
}

impl Space {
    pub(super) fn new(moves: Moves) -> Self {
        let mut rates = [0x8000; WAYS];
        rates[SEEN] = 0xf000;
        rates[MOVED] = 0xc000;
        let said = [(SAME, 0); 4];
        Self { moves: Sorted::new(moves), seen: Seen::new(), recent: [(0, 0); RECENT], next: 0, rates, said }
    }

    /// What a number becomes.
    #[inline]
    pub(super) fn predict(&mut self, was: u32) -> u32 {
        let moved = self.moves.apply(was);
        let seen = self.seen.get(was);
        let (distance, shift) = self.nearest(was);
        self.said = [
            (SEEN, seen.unwrap_or(moved)),
            (MOVED, moved),
            (RECENTLY + distance, was.wrapping_add(shift)),
            (SAME, was),
        ];
        if seen.is_none() {
            self.said[0].0 = MOVED;
        }
        let mut best = self.said[0];
        for said in &self.said[1..] {
            if self.rates[said.0] > self.rates[best.0] {
                best = *said;
            }
        }
        best.1
    }

    /// Predicts a number of which it is known that it is as predicted, and learns that.
    #[inline]
    pub(super) fn confirm(&mut self, was: u32, mask: u32) -> u32 {
        let is = self.predict(was) & mask;
        if self.said.iter().all(|(_, said)| *said == is) {
            // All agree: neither which is best nor what was seen is news.
            self.remember(was, is);
        } else {
            self.learn(was, is);
        }
        is
    }

    #[inline]
    fn remember(&mut self, was: u32, is: u32) {
        self.recent[self.next] = (was, is.wrapping_sub(was));
        self.next = (self.next + 1) % RECENT;
    }

    /// The shift of the recent number that is nearest, and the class of its distance.
    fn nearest(&self, was: u32) -> (usize, u32) {
        let mut best = (u32::MAX, 0);
        for number in 0..RECENT {
            let (other, shift) = self.recent[(self.next + RECENT - 1 - number) % RECENT];
            let distance = other.abs_diff(was);
            if distance < best.0 {
                best = (distance, shift);
            }
        }
        let class = (32 - best.0.leading_zeros()).div_ceil(4) as usize;
        (class.min(DISTANCES - 1), best.1)
    }

    /// What the number that was predicted last became.
    #[inline]
    pub(super) fn learn(&mut self, was: u32, is: u32) {
        // Where all agree, nothing is learned of which is best.
        let agreed = self.said.iter().all(|(_, said)| *said == self.said[0].1);
        for (way, said) in self.said.into_iter().filter(|_| !agreed) {
            let rate = &mut self.rates[way];
            if said == is {
                *rate += (u16::MAX - *rate) >> RATE_LOG;
            } else {
                *rate -= *rate >> RATE_LOG;
            }
        }
        self.seen.learn(was, is, self.said[1].1);
        self.remember(was, is);
    }
}

#[cfg(test)]
mod tests {
    use super::super::spaces::Piece;
    use super::*;

    #[test]
    fn what_was_seen_counts_more_than_what_was_told() {
        let moves = Moves { pieces: vec![Piece { from: 100, shift: 8 }, Piece { from: 200, shift: 0 }] };
        let mut space = Space::new(moves);
        assert_eq!([99, 100, 199, 200].map(|was| space.predict(was)), [99, 108, 207, 200]);
        space.predict(150);
        space.learn(150, 151);
        assert_eq!(space.predict(150), 151);
    }

    #[test]
    fn numbers_that_were_told_wrongly_come_to_move_like_their_neighbours() {
        let mut space = Space::new(Moves::default());
        let mut wrong = 0;
        for was in (1_u32 << 20..).step_by(4).take(1000) {
            wrong += usize::from(space.predict(was) != was + 12);
            space.learn(was, was + 12);
        }
        assert!(wrong < 40, "{wrong}");
    }
}
