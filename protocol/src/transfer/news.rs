//! What came and was not told of yet.
//!
//! Every message wakes two processes and fills a packet, and a node has something to tell to most of those that it
//! knows for every piece that comes. So news waits for [`NEWS_EVERY`], and goes to each peer in one message.

use std::collections::BTreeMap;

use super::groups::{Begun, GroupSet};
use super::wire::{Answer, PIECES_NAMED_MAX};
use crate::digest::Digest;
use crate::time::Span;

/// News is told at most this often.
pub const NEWS_EVERY: Span = Span::milliseconds(40);

/// Pieces of one blob that came here, and of which some came. Its size is bounded by the blob's number of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What of each came, if not all.
    pieces: BTreeMap<u32, Option<GroupSet>>,
}

impl News {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// A piece is here.
    pub fn gained(&mut self, piece: u32) {
        self.pieces.insert(piece, None);
    }

    /// Some of a piece is here, or some more.
    pub fn begun(&mut self, begun: Begun) {
        let known = self.pieces.entry(begun.piece).or_insert(Some(begun.here));
        *known = known.map(|_| begun.here);
    }

    /// What to tell of it to a peer of which is known that it has those pieces for which `has` is true.
    pub fn answers(&self, blob: Digest, has: impl Fn(u32) -> bool) -> Vec<Answer> {
        let lacking: Vec<(u32, Option<GroupSet>)> = self
            .pieces
            .iter()
            .map(|(piece, some)| (*piece, *some))
            .filter(|(piece, _)| !has(*piece))
            .collect();
        let answer = |told: &[(u32, Option<GroupSet>)]| Answer::News {
            blob,
            gained: told.iter().filter(|(_, some)| some.is_none()).map(|(piece, _)| *piece).collect(),
            begun: told
                .iter()
                .filter_map(|(piece, some)| some.map(|here| Begun { piece: *piece, here }))
                .collect(),
        };
        lacking.chunks(PIECES_NAMED_MAX).map(answer).collect()
    }
}

impl FromIterator<Begun> for News {
    fn from_iter<I: IntoIterator<Item = Begun>>(begun: I) -> Self {
        Self { pieces: begun.into_iter().map(|begun| (begun.piece, Some(begun.here))).collect() }
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
            came in prop::collection::vec((0_u32..900, 0_u8..16), 0..900), has: BTreeSet<u16>,
        ) {
            let mut news = News::default();
            let (mut gained, mut begun) = (BTreeSet::new(), BTreeMap::new());
            for (piece, groups) in came {
                let here = GroupSet::from_bits(groups).unwrap();
                if here.is_empty() {
                    news.gained(piece);
                    gained.insert(piece);
                } else {
                    news.begun(Begun { piece, here });
                    begun.insert(piece, here);
                }
            }
            let has = |piece| u16::try_from(piece).is_ok_and(|piece| has.contains(&(piece * 70)));
            let expected: Vec<u32> = gained.iter().copied().filter(|piece| !has(*piece)).collect();
            let lacks = |piece: &u32| !gained.contains(piece) && !has(*piece);
            let begun = begun.into_iter().map(|(piece, here)| Begun { piece, here });
            let begun: Vec<Begun> = begun.filter(|begun| lacks(&begun.piece)).collect();
            let mut told = (Vec::new(), Vec::new());
            for answer in news.answers(BLOB, has) {
                prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer.clone()), "within its bounds");
                let Answer::News { blob: BLOB, gained, begun } = answer else { panic!("not of that blob: {answer:?}") };
                told.0.extend(gained);
                told.1.extend(begun);
            }
            prop_assert_eq!(told, (expected, begun));
        }
    }
}
