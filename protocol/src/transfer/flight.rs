//! Pieces on their way, by what their receivers say came: whether the line has room for one copy more.
//!
//! Streams take in whatever they are given, so what has left this node may still wait for the line. Receivers tell each
//! sender at once what came. Who says nothing only makes this node look busier than it is, and not for long.

use std::collections::{BTreeMap, VecDeque};

use super::upload::PieceName;
use crate::digest::Digest;
use crate::identity::NodeId;
use crate::time::{Span, Time};

/// The line has room if fewer pieces are under way than came within this time,
const ROOM: Span = Span::milliseconds(250);
/// or fewer than these: before it is known, and where lines are slow.
const ROOM_MIN: usize = 8;
/// It has none, however quick it is, with more than these.
const ROOM_MAX: usize = 64;
/// For so long a piece counts as on its way, if nobody says that it came.
const UNDER_WAY_MAX: Span = Span::seconds(2);

/// Pieces of a blob that are under way at once before any is known to have come; with each that came two more. A line
/// that is shared by all of the first pieces brings all of them late, and until they are there nobody can pass any on.
const FIRST: usize = 8;
/// From so many on that came the line is shared by as many as there are.
const BEGUN: usize = 64;
/// Blobs of which it is known how many pieces came, at most.
const BLOBS_MAX: usize = 256;

/// A line on which copies take so long to come is slow: what is sent over it is passed on before it is whole.
const SLOW: Span = Span::milliseconds(150);
/// A copy more weighs as one in so many.
const WEIGHT: u64 = 8;

/// Pieces under way that are noted, at most: more than any line has room for.
const NOTED_MAX: usize = 1024;

/// What left and is not known to have come.
#[derive(Default)]
pub(super) struct Flight {
    pieces: BTreeMap<(NodeId, PieceName), Time>,
    /// When the last pieces came, at most [`ROOM_MAX`].
    came: VecDeque<Time>,
    /// How many pieces of a blob came, up to [`BEGUN`].
    begun: BTreeMap<Digest, usize>,
    /// How long copies take to come, in units of 1/[`WEIGHT`] ms; none before the first came.
    takes: Option<u64>,
}

impl Flight {
    /// A piece leaves.
    pub(super) fn left(&mut self, now: Time, peer: NodeId, piece: PieceName) {
        if self.pieces.len() >= NOTED_MAX {
            self.pieces.retain(|_, left| now.since(*left) < UNDER_WAY_MAX);
        }
        if self.pieces.len() < NOTED_MAX {
            self.pieces.insert((peer, piece), now);
        }
    }

    /// `peer` says that a piece came.
    pub(super) fn came(&mut self, now: Time, peer: NodeId, piece: PieceName) {
        if let Some(left) = self.pieces.remove(&(peer, piece)) {
            let took = now.since(left).0;
            self.takes =
                Some(self.takes.map_or(took * WEIGHT, |takes| takes - takes.div_ceil(WEIGHT) + took));
            self.note_begun(piece.0, 1);
            self.came.push_back(now);
            if self.came.len() > ROOM_MAX {
                self.came.pop_front();
            }
        }
    }

    fn note_begun(&mut self, blob: Digest, pieces: usize) {
        if self.begun.len() >= BLOBS_MAX && !self.begun.contains_key(&blob) {
            self.begun.pop_first();
        }
        let begun = self.begun.entry(blob).or_default();
        *begun = (*begun + pieces).min(BEGUN);
    }

    /// All of `blob` may be under way at once.
    pub(super) fn hurries(&mut self, blob: Digest) {
        self.note_begun(blob, BEGUN);
    }

    /// Until when no piece of `blob` more may leave, if nothing is heard; none if one may leave now.
    pub(super) fn waits(&self, now: Time, blob: Digest) -> Option<Time> {
        let begun = self.begun.get(&blob).copied().unwrap_or(0);
        if begun >= BEGUN {
            return None;
        }
        let of_it = self.pieces.iter().filter(|((_, (other, _)), _)| *other == blob);
        let until = of_it.map(|(_, left)| *left + UNDER_WAY_MAX).filter(|until| *until > now);
        let under_way: Vec<Time> = until.collect();
        under_way.iter().min().copied().filter(|_| under_way.len() >= FIRST + 2 * begun)
    }

    /// Whether copies are known to take long to come.
    pub(super) fn is_slow(&self) -> bool {
        self.takes.is_some_and(|takes| takes / WEIGHT > SLOW.0)
    }

    /// Nothing more is heard of those pieces of `peer`.
    pub(super) fn forget(&mut self, peer: NodeId, pieces: impl Fn(PieceName) -> bool) {
        self.pieces.retain(|(other, piece), _| *other != peer || !pieces(*piece));
    }

    /// Whether one copy more would leave soon, while `waiting` wait here.
    pub(super) fn has_room(&mut self, now: Time, waiting: usize) -> bool {
        while self.came.front().is_some_and(|at| now.since(*at) > ROOM) {
            self.came.pop_front();
        }
        let room = self.came.len().max(ROOM_MIN);
        if self.pieces.len() + waiting >= room {
            self.pieces.retain(|_, left| now.since(*left) < UNDER_WAY_MAX);
        }
        self.pieces.len() + waiting < room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PublicKey;

    fn peer(number: u8) -> NodeId {
        PublicKey([number; 32])
    }

    fn piece(number: u32) -> PieceName {
        (Digest([7; 32]), number)
    }

    /// Copies that leave at once when one in so many milliseconds comes to its receiver.
    fn room(one_in: u64) -> u32 {
        let mut flight = Flight::default();
        for number in 0..100 {
            flight.left(Time(u64::from(number) * one_in), peer(1), piece(number));
            flight.came(Time(u64::from(number) * one_in), peer(1), piece(number));
        }
        let now = Time(100 * one_in);
        let left = (0..1000).take_while(|number| {
            let has_room = flight.has_room(now, 0);
            flight.left(now, peer(2), piece(*number));
            has_room
        });
        u32::try_from(left.count()).unwrap_or(u32::MAX)
    }

    #[test]
    fn the_quicker_a_line_the_more_it_takes_within_bounds() {
        assert_eq!([1000, 16, 1].map(room), [8, 15, 64]);
    }

    #[test]
    fn a_line_is_slow_while_copies_take_long_to_come() {
        let mut flight = Flight::default();
        let mut copies = |took| {
            for number in 0..40 {
                let left = Time(u64::from(number) * 10_000);
                flight.left(left, peer(1), piece(number));
                flight.came(left + Span(took), peer(1), piece(number));
            }
            flight.is_slow()
        };
        assert!(!Flight::default().is_slow());
        assert_eq!([20, 400, 0, 149, 160].map(&mut copies), [false, true, false, false, true]);
    }

    #[test]
    fn what_waits_counts_and_what_is_gone_or_never_said_to_have_come_does_not() {
        let mut flight = Flight::default();
        assert!(flight.has_room(Time(0), 7) && !flight.has_room(Time(0), 8));
        (0..8).for_each(|number| flight.left(Time(0), peer(1), piece(number)));
        assert!(!flight.has_room(Time(1), 0));
        flight.forget(peer(1), |gone| gone == piece(3));
        assert!(flight.has_room(Time(1), 0) && !flight.has_room(Time(1), 1));
        assert!(flight.has_room(Time(0) + UNDER_WAY_MAX, 7));
        (0..5000).for_each(|number| flight.left(Time(0), peer(1), piece(number)));
        assert_eq!(flight.pieces.len(), NOTED_MAX);
        flight.left(Time(0) + UNDER_WAY_MAX, peer(1), piece(0));
        assert_eq!(flight.pieces.len(), 1);
    }

    #[test]
    fn the_first_pieces_of_a_blob_leave_a_few_at_a_time_and_more_the_more_came() {
        let (mut flight, blob) = (Flight::default(), piece(0).0);
        let mut next = 0;
        let mut fill = |flight: &mut Flight, now| {
            let before = next;
            while next < 1000 && flight.waits(now, blob).is_none() {
                flight.left(now, peer(1), piece(next));
                next += 1;
            }
            next - before
        };
        assert_eq!(fill(&mut flight, Time(0)), 8);
        assert_eq!(flight.waits(Time(0), blob), Some(Time(0) + UNDER_WAY_MAX));
        assert_eq!(flight.waits(Time(0), Digest([8; 32])), None, "another blob");
        flight.came(Time(1), peer(1), piece(0));
        assert_eq!(fill(&mut flight, Time(1)), 3);
        assert_eq!(fill(&mut flight, Time(0) + UNDER_WAY_MAX), 7, "nothing more is heard of those");
        (1..64).for_each(|number| {
            flight.left(Time(9), peer(1), piece(number));
            flight.came(Time(9), peer(1), piece(number));
        });
        assert!(fill(&mut flight, Time(9)) > 900);
        for number in 0..=255 {
            flight.hurries(Digest([number; 32]));
        }
        assert!(flight.begun.len() <= BLOBS_MAX && flight.waits(Time(9), Digest([200; 32])).is_none());
    }
}
