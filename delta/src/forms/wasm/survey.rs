//! How the numbers of each space moved, found from the regions in which two wide forms resemble each other. Only the
//! maker of a patch does this; what it finds travels.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;

use super::hints::{Hints, PIECES_MAX};
use super::index::Index;
use super::spaces::{Moves, Piece, SPACES, mask_of, space_of};
use super::tape::Kind;
use crate::matching::Region;

/// What a piece costs in a patch, in numbers mispredicted once. Measured on modules made by Go and by C compilers.
const PIECE_COST: i64 = 4;

/// What a number became, as far as most of its references say.
#[derive(Clone, Copy)]
struct Vote {
    is: u32,
    count: i32,
}

/// What became of every number.
pub(crate) struct Survey {
    data_end: u64,
    votes: [BTreeMap<u32, Vote>; SPACES],
}

impl Survey {
    /// Compares the references of all regions. The bytes are those of the two windows, of which the old one begins at some
    /// place of its form.
    pub(crate) fn new(
        index: &mut Index<'_>,
        window_at: u64,
        old: &[u8],
        new: &[u8],
        regions: &[Region],
    ) -> io::Result<Self> {
        let mut votes: [BTreeMap<u32, Vote>; SPACES] = Default::default();
        for region in regions {
            let old_at = window_at + u64::from(region.old);
            index.visit(old_at..old_at + u64::from(region.bytes), |reference| {
                let Some(space) = space_of(reference.kind) else { return };
                let word = |form: &[u8], at: u64| {
                    let bytes = usize::try_from(at).ok().and_then(|at| form.get(at..)?.first_chunk());
                    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes)) & mask_of(reference.kind)
                };
                let was = word(old, reference.at - window_at);
                let is = word(new, reference.at - old_at + u64::from(region.new));
                let vote = votes[space].entry(was).or_insert(Vote { is, count: 0 });
                if vote.is == is {
                    vote.count += 1;
                } else if vote.count > 0 {
                    vote.count -= 1;
                } else {
                    *vote = Vote { is, count: 1 };
                }
            })?;
        }
        Ok(Self { data_end: index.data_end(), votes })
    }

    /// What travels of it: the cheapest pieces that tell most.
    pub(crate) fn hints(&self) -> Hints {
        let mut moves = self.votes.each_ref().map(|votes| Moves { pieces: pieces(votes) });
        for moves in &mut moves {
            moves.pieces.truncate(PIECES_MAX);
        }
        Hints { moves, words: self.words() }
    }

    /// Which values a word of data has if it may be a reference: those that addresses in code have. What lies far
    /// after the data is no address.
    fn words(&self) -> Range<u32> {
        let most = 2 * self.data_end + (1 << 20);
        let [.., addresses, _, _] = &self.votes;
        let moved = |(was, vote): &(&u32, &Vote)| **was != vote.is && u64::from(**was) < most;
        let first = addresses.iter().find(moved).map_or(0, |(was, _)| *was);
        let last = addresses.iter().rev().find(moved).map_or(0, |(was, _)| *was);
        first..last.max(first)
    }

    /// Rewrites the references of the old form to what most of them became.
    pub(crate) fn project(&self, index: &mut Index<'_>, window_at: u64, old: &[u8]) -> io::Result<Vec<u8>> {
        let hints = self.hints();
        let mut image = old.to_vec();
        index.set_words(hints.words.clone());
        index.visit(window_at..window_at + old.len() as u64, |reference| {
            // Words are mostly no references; those that are name the same as numbers in code.
            let kind = if reference.kind == Kind::Word { Kind::Constant } else { reference.kind };
            let Some(space) = space_of(kind) else { return };
            let mask = mask_of(reference.kind);
            let at = usize::try_from(reference.at - window_at).unwrap_or(usize::MAX);
            let Some(field) = image.get_mut(at..).and_then(<[u8]>::first_chunk_mut) else { return };
            let was = u32::from_le_bytes(*field);
            let vote = self.votes[space].get(&(was & mask));
            let is = vote.map_or_else(|| hints.moves[space].apply(was & mask), |vote| vote.is);
            *field = ((is & mask) | (was & !mask)).to_le_bytes();
        })?;
        Ok(image)
    }
}

/// A way to tell the moves up to some number, ending with some shift: a list of where pieces begin, newest first.
struct Way {
    cost: i64,
    from: u32,
    before: Option<usize>,
}

/// Finds the cheapest list of pieces, where each number that a piece tells wrongly costs one.
fn pieces(votes: &BTreeMap<u32, Vote>) -> Vec<Piece> {
    // Nodes of all lists: where a piece begins, its shift, the node before it.
    let mut nodes: Vec<(u32, u32, Option<usize>)> = Vec::new();
    let mut ways: HashMap<u32, Way> = HashMap::new();
    // Every way's true cost is `base` more than it says.
    let mut base = 0;
    ways.insert(0, Way { cost: 0, from: 0, before: None });
    let mut best_shift = 0;
    for (was, vote) in votes {
        let shift = vote.is.wrapping_sub(*was);
        let best = &ways[&best_shift];
        let (best_cost, best_node) = (best.cost, (best.from, best_shift, best.before));
        base += 1;
        let turn = best_cost + PIECE_COST;
        if ways.get(&shift).is_none_or(|way| way.cost > turn) {
            nodes.push(best_node);
            ways.insert(shift, Way { cost: turn, from: *was, before: Some(nodes.len() - 1) });
        }
        if let Some(way) = ways.get_mut(&shift) {
            way.cost -= 1;
            if way.cost < ways[&best_shift].cost {
                best_shift = shift;
            }
        }
    }
    let _ = base;
    let best = &ways[&best_shift];
    let mut pieces = vec![Piece { from: best.from, shift: best_shift }];
    let mut before = best.before;
    while let Some(node) = before {
        let (from, shift, next) = nodes[node];
        pieces.push(Piece { from, shift });
        before = next;
    }
    pieces.reverse();
    if pieces.first().is_some_and(|first| first.shift == 0) {
        pieces.remove(0);
    }
    pieces
}
