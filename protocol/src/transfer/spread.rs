//! What became of first copies: whether those who got them give them to others.
//!
//! Who holds a blob whole hands each piece out once and counts on its receiver to spread it. Receivers say what came
//! to them, from anybody; so the holder sees which of its first copies others have by now, and who never passes
//! one on. Such a receiver gets few first copies: what it alone holds, the others would wait for.
//!
//! What receivers say is not proven. One that lies gets more, or lets another get less, of what all get in the end.

use std::collections::{BTreeMap, VecDeque};

use super::upload::PieceName;
use crate::identity::{NodeId, PublicKey};
use crate::time::{Span, Time};

/// First copies that one receiver may have and nobody else, before it is known to pass any on.
const UNSPREAD_MIN: usize = 4;
/// First copies on their way to others that keep the line busy: with fewer, nobody is refused.
const UNDER_WAY_MIN: usize = 4;
/// How long a copy counts as on its way, if its receiver does not say that it came.
const UNDER_WAY_MAX: Span = Span::seconds(2);
/// What a receiver passed on within this time, it may be given in advance.
const MEMORY: Span = Span::seconds(1);

/// Copies on their way at which the line is taken to be full, before it is known.
const LINE_MIN: usize = 16;
/// The same, however quickly they come.
const LINE_MAX: usize = 256;
/// Copies that come within this time show that the line carries more at once; twice as late, that it does not.
const LINE_QUICK: Span = Span::milliseconds(30);
/// For so long after a piece was given it may be given to others too, if earlier ones come so soon.
const SOON: Span = Span::milliseconds(15);

/// Whether one copy more of a small blob may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// The line carries it now.
    Now,
    /// It may do so in a moment.
    Soon,
    /// Others are quicker.
    None,
}

/// A first copy that nobody but its receiver is known to have.
struct Copy {
    to: NodeId,
    /// Its number, to tell it from an earlier copy of the piece.
    number: u64,
    /// It has come, or too much time has passed.
    came: bool,
}

#[derive(Default)]
struct Receiver {
    unspread: usize,
    under_way: usize,
    /// When its copies came to others, of late.
    spread: VecDeque<Time>,
}

/// First copies and their receivers.
#[derive(Default)]
pub(super) struct Spread {
    copies: BTreeMap<PieceName, Copy>,
    receivers: BTreeMap<NodeId, Receiver>,
    under_way: VecDeque<(Time, PieceName, u64)>,
    under_way_count: usize,
    numbers: u64,
    /// Copies of small blobs on their way, since when; at most [`LINE_MAX`].
    hasty: BTreeMap<(PieceName, NodeId), Time>,
    /// Copies that the line carries at once beyond [`LINE_MIN`].
    line: usize,
}

impl Spread {
    /// A copy goes to `peer`, in place of an earlier one.
    pub(super) fn given(&mut self, now: Time, peer: NodeId, piece: PieceName) {
        self.expire(now);
        self.forget(piece);
        self.numbers += 1;
        self.copies.insert(piece, Copy { to: peer, number: self.numbers, came: false });
        let receiver = self.receivers.entry(peer).or_default();
        receiver.unspread += 1;
        receiver.under_way += 1;
        self.under_way_count += 1;
        self.under_way.push_back((now, piece, self.numbers));
    }

    /// `peer` says that it has `piece`.
    pub(super) fn has(&mut self, now: Time, peer: NodeId, piece: PieceName) {
        if let Some(at) = self.hasty.remove(&(piece, peer)) {
            let took = now.since(at);
            if took <= LINE_QUICK {
                self.line = (self.line + 1).min(LINE_MAX - LINE_MIN);
            } else if took > LINE_QUICK.times(2) {
                self.line = 0;
            }
        }
        let Some(copy) = self.copies.get_mut(&piece) else { return };
        if copy.to == peer {
            return self.came(piece);
        }
        let to = copy.to;
        self.forget(piece);
        if let Some(receiver) = self.receivers.get_mut(&to) {
            receiver.spread.push_back(now);
        }
    }

    /// Whether one more copy of a piece of a small blob may go out, whoever has one already.
    pub(super) fn haste(&mut self, now: Time, piece: PieceName) -> Haste {
        self.hasty.retain(|_, at| now.since(*at) <= UNDER_WAY_MAX);
        if self.hasty.len() < LINE_MIN + self.line {
            return Haste::Now;
        }
        let copies = self.hasty.range((piece, PublicKey([0; 32]))..=(piece, PublicKey([255; 32])));
        let newest = copies.map(|(_, at)| *at).max();
        if newest.is_some_and(|at| now.since(at) < SOON) { Haste::Soon } else { Haste::None }
    }

    /// Such a copy goes to `peer`.
    pub(super) fn given_in_haste(&mut self, now: Time, peer: NodeId, piece: PieceName) {
        self.hasty.insert((piece, peer), now);
    }

    /// Whether `peer` may be given one first copy more, now that others want some too.
    pub(super) fn may_have(&mut self, now: Time, peer: NodeId) -> bool {
        self.expire(now);
        let Some(receiver) = self.receivers.get_mut(&peer) else { return true };
        while receiver.spread.front().is_some_and(|at| now.since(*at) > MEMORY) {
            receiver.spread.pop_front();
        }
        let others = self.under_way_count - receiver.under_way;
        receiver.unspread < UNSPREAD_MIN + receiver.spread.len() || others < UNDER_WAY_MIN
    }

    fn expire(&mut self, now: Time) {
        while let Some((at, piece, number)) = self.under_way.front().copied()
            && (now.since(at) > UNDER_WAY_MAX || self.copies.get(&piece).is_none_or(|copy| copy.came))
        {
            self.under_way.pop_front();
            if self.copies.get(&piece).is_some_and(|copy| copy.number == number) {
                self.came(piece);
            }
        }
    }

    /// A copy counts no more.
    pub(super) fn forget(&mut self, piece: PieceName) {
        self.came(piece);
        if let Some(copy) = self.copies.remove(&piece)
            && let Some(receiver) = self.receivers.get_mut(&copy.to)
        {
            receiver.unspread -= 1;
        }
    }

    /// `peer` is gone.
    pub(super) fn lost(&mut self, peer: NodeId) {
        let of_peer = self.copies.iter().filter(|(_, copy)| copy.to == peer);
        let pieces: Vec<PieceName> = of_peer.map(|(piece, _)| *piece).collect();
        pieces.into_iter().for_each(|piece| self.forget(piece));
        self.receivers.remove(&peer);
        self.hasty.retain(|(_, to), _| *to != peer);
    }

    fn came(&mut self, piece: PieceName) {
        let Some(copy) = self.copies.get_mut(&piece).filter(|copy| !copy.came) else { return };
        copy.came = true;
        self.under_way_count -= 1;
        if let Some(receiver) = self.receivers.get_mut(&copy.to) {
            receiver.under_way -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    const BLOB: Digest = Digest([7; 32]);

    fn peer(number: u8) -> NodeId {
        PublicKey([number; 32])
    }

    /// How many of a hundred first copies each of `peers` gets, who ask in turn; peer 1 passes none on.
    fn given(peers: u8) -> Vec<usize> {
        let mut spread = Spread::default();
        let mut counts = vec![0; usize::from(peers) + 1];
        let mut piece = 0;
        for round in 0..1000 {
            for number in (1..=peers).filter(|_| piece < 100).collect::<Vec<_>>() {
                let now = Time(round * 10);
                if piece < 100 && spread.may_have(now, peer(number)) {
                    spread.given(now, peer(number), (BLOB, piece));
                    counts[usize::from(number)] += 1;
                    if number > 1 {
                        (1..=peers).for_each(|other| spread.has(now + Span(5), peer(other), (BLOB, piece)));
                    }
                    piece += 1;
                }
            }
        }
        counts
    }

    #[test]
    fn who_passes_nothing_on_gets_few_first_copies_while_others_want_some() {
        let mut spread = Spread::default();
        for piece in 0..8 {
            spread.given(Time(0), peer(2), (BLOB, piece));
        }
        let granted = (100..200).take_while(|piece| {
            let may = spread.may_have(Time(1), peer(1));
            spread.given(Time(1), peer(1), (BLOB, *piece));
            may
        });
        assert_eq!(granted.count(), UNSPREAD_MIN);
        (0..8).for_each(|piece| spread.has(Time(2), peer(1), (BLOB, piece)));
        assert!(spread.may_have(Time(2), peer(2)), "what it had others have by now");
    }

    #[test]
    fn all_is_given_when_nothing_is_on_its_way_to_others() {
        assert_eq!(given(1), [0, 100]);
        assert_eq!(given(3).iter().sum::<usize>(), 100);
        let mut spread = Spread::default();
        spread.given(Time(0), peer(2), (BLOB, 0));
        for piece in 1..50 {
            assert!(spread.may_have(Time(3000), peer(1)), "what went to 2 has come, or never will");
            spread.given(Time(3000), peer(1), (BLOB, piece));
        }
    }

    #[test]
    fn nothing_is_remembered_of_peers_that_are_gone() {
        let mut spread = Spread::default();
        (0..9).for_each(|piece| spread.given(Time(0), peer(1), (BLOB, piece)));
        spread.lost(peer(1));
        assert!(spread.copies.is_empty() && spread.receivers.is_empty() && spread.under_way_count == 0);
        assert!(spread.may_have(Time(1), peer(1)));
        assert!(spread.under_way.is_empty());
    }
}
