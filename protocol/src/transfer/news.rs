//! What came and was not told of yet.
//!
//! Every message wakes two processes and fills a packet, and a node has something to tell to most of those that it
//! knows for every piece that comes. So news waits for [`NEWS_EVERY`], and goes to each peer in one message.

use std::collections::BTreeMap;

use super::wire::{Answer, PIECES_NAMED_MAX};
use crate::digest::Digest;
use crate::time::Span;

/// News is told at most this often.
pub const NEWS_EVERY: Span = Span::milliseconds(40);

/// Pieces of one blob that came here, and of which some came. Its size is bounded by the blob's number of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Whether all of each came.
    pieces: BTreeMap<u32, bool>,
}

impl News {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// A piece is here.
    pub fn gained(&mut self, piece: u32) {
        self.pieces.insert(piece, true);
    }

    /// Some of a piece is here, or some more.
    pub fn begun(&mut self, piece: u32) {
        self.pieces.entry(piece).or_insert(false);
    }

    /// What to tell of it to a peer of which is known that it has those pieces for which `has` is true.
    pub fn answers(&self, blob: Digest, has: impl Fn(u32) -> bool) -> Vec<Answer> {
        let lacking: Vec<(u32, bool)> = self
            .pieces
            .iter()
            .map(|(piece, whole)| (*piece, *whole))
            .filter(|(piece, _)| !has(*piece))
            .collect();
        let those = |told: &[(u32, bool)], whole| {
            told.iter().filter(|(_, is_whole)| *is_whole == whole).map(|(piece, _)| *piece).collect()
        };
        let answer = |told| Answer::News { blob, gained: those(told, true), begun: those(told, false) };
        lacking.chunks(PIECES_NAMED_MAX).map(answer).collect()
    }
}

/// Pieces of which some is here.
impl FromIterator<u32> for News {
    fn from_iter<I: IntoIterator<Item = u32>>(begun: I) -> Self {
        Self { pieces: begun.into_iter().map(|piece| (piece, false)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::transfer::wire::Message;

    const BLOB: Digest = Digest([7; 32]);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn each_piece_that_a_peer_lacks_is_told_of_once_as_it_stands(
            came in prop::collection::vec((0_u32..900, any::<bool>()), 0..900), has: BTreeSet<u16>,
        ) {
            let mut news = News::default();
            let (mut gained, mut begun) = (BTreeSet::new(), BTreeSet::new());
            for (piece, is_whole) in came {
                if is_whole { news.gained(piece) } else { news.begun(piece) }
                if is_whole { gained.insert(piece) } else { begun.insert(piece) };
            }
            let has = |piece| u16::try_from(piece).is_ok_and(|piece| has.contains(&(piece * 70)));
            let expected: Vec<u32> = gained.iter().copied().filter(|piece| !has(*piece)).collect();
            let only_begun: Vec<u32> = begun.difference(&gained).copied().filter(|piece| !has(*piece)).collect();
            let mut told = (Vec::new(), Vec::new());
            for answer in news.answers(BLOB, has) {
                prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer.clone()), "within its bounds");
                let Answer::News { blob: BLOB, gained, begun } = answer else { panic!("not of that blob: {answer:?}") };
                told.0.extend(gained);
                told.1.extend(begun);
            }
            prop_assert_eq!(told, (expected, only_begun));
        }
    }
}
