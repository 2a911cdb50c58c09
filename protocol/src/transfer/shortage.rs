//! Which pieces of a blob nobody who can be reached has, said after a fair time.
//!
//! What a node holds itself and what the peers that answer hold is looked at together: a piece in none of
//! them can come from nowhere now. Peers come back and gain pieces, so a shortage is said only when it has
//! lasted for a fair time, usually [`FAIR_TIME`].

use serde::{Deserialize, Serialize};

use super::download::Download;
use super::piece_range;
use crate::time::{Span, Time};

/// How long pieces are out of reach before that is said: twice the pause after which a peer that failed, or
/// had nothing, is asked again at the latest.
pub const FAIR_TIME: Span = Span::seconds(30);

/// Ranges that are named; of more, the first.
pub const RANGES_MAX: usize = 16;

/// Pieces that nobody who can be reached has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// How many.
    pub pieces: u32,
    /// Of how many that the blob has.
    pub of: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Their numbers as ranges, first and last, rising; at most [`RANGES_MAX`].
    pub ranges: Vec<(u32, u32)>,
    /// For how long, in milliseconds.
    pub lasts_ms: u64,
}

/// Watches one download for a shortage.
#[derive(Clone, Debug)]
pub struct ShortageWatch {
    fair: Span,
    since: Option<Time>,
}

impl ShortageWatch {
    /// That says a shortage when it has lasted for `fair`.
    pub fn new(fair: Span) -> Self {
        Self { fair, since: None }
    }

    /// Looks at the download, which is to be done every few seconds. `None` if all can come from somewhere,
    /// or could a moment ago.
    pub fn look(&mut self, now: Time, download: &Download) -> Option<Shortage> {
        let mut out_of_reach = download.out_of_reach().peekable();
        if out_of_reach.peek().is_none() {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let lasts = now.since(since);
        if lasts < self.fair {
            return None;
        }
        let of = download.held().pieces();
        let mut shortage = Shortage { pieces: 0, of, bytes: 0, ranges: Vec::new(), lasts_ms: lasts.0 };
        let mut range = None;
        for piece in out_of_reach {
            shortage.pieces += 1;
            shortage.bytes += piece_range(download.bytes(), piece).map_or(0, |(_, length)| u64::from(length));
            range = match range {
                Some((first, last)) if last + 1 == piece => Some((first, piece)),
                earlier => {
                    shortage.name(earlier);
                    Some((piece, piece))
                }
            };
        }
        shortage.name(range);
        Some(shortage)
    }
}

impl Shortage {
    fn name(&mut self, range: Option<(u32, u32)>) {
        if self.ranges.len() < RANGES_MAX {
            self.ranges.extend(range);
        }
    }

    /// The ranges in words: `0 to 3, 9 and more`.
    pub fn words(&self) -> String {
        let range = |(first, last): &(u32, u32)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        };
        let named: u64 = self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum();
        let more = if named < u64::from(self.pieces) { " and more" } else { "" };
        format!("{}{more}", self.ranges.iter().map(range).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::identity::{NodeId, PublicKey};
    use crate::transfer::PIECE_BYTES;
    use crate::transfer::PieceSet;
    use crate::transfer::download::Event;
    use crate::transfer::wire::{Answer, Have};

    const BLOB: Digest = Digest([3; 32]);
    const PIECES: u32 = 200;

    fn bytes() -> u64 {
        u64::from(PIECES) * u64::from(PIECE_BYTES) - 36
    }

    fn set(pieces: impl Iterator<Item = u32>) -> PieceSet {
        let mut set = PieceSet::none(PIECES);
        pieces.for_each(|piece| assert!(set.insert(piece)));
        set
    }

    fn tell(download: &mut Download, now: Time, peer: NodeId, event: impl Fn(NodeId) -> Event) {
        download.handle(now, Event::Found { peer, hinted: true }, &mut Vec::new());
        download.handle(now, event(peer), &mut Vec::new());
    }

    fn has(pieces: &PieceSet) -> impl Fn(NodeId) -> Event + '_ {
        move |peer| {
            let have = Have::new(BLOB, bytes(), pieces, Vec::new());
            Event::Answered { peer, answer: Answer::Have(have) }
        }
    }

    #[test]
    fn what_no_reachable_peer_has_is_named_after_a_fair_time_until_somebody_brings_it() {
        let held = set(0..10);
        let mut download = Download::new(PublicKey([1; 32]), BLOB, bytes(), held, None, 7);
        let mut watch = ShortageWatch::new(FAIR_TIME);
        let (one, other) = (PublicKey([2; 32]), PublicKey([3; 32]));
        tell(&mut download, Time(0), one, has(&set((10..100).chain(103..199))));
        assert_eq!(watch.look(Time(0), &download), None, "not at once");
        let shortage = watch.look(Time(0) + FAIR_TIME, &download).unwrap();
        assert_eq!((shortage.pieces, shortage.of, shortage.lasts_ms), (4, PIECES, FAIR_TIME.0));
        assert_eq!(shortage.ranges, [(100, 102), (199, 199)]);
        assert_eq!(shortage.bytes, 4 * u64::from(PIECE_BYTES) - 36);
        assert_eq!(shortage.words(), "100 to 102, 199");

        tell(&mut download, Time(31_000), other, has(&set(10..200)));
        assert_eq!(watch.look(Time(31_000), &download), None);
        tell(&mut download, Time(32_000), other, |peer| Event::Lost { peer });
        assert_eq!(watch.look(Time(32_000), &download), None, "it counts anew");
        assert!(watch.look(Time(32_000) + FAIR_TIME, &download).is_some());
    }

    #[test]
    fn the_ranges_that_are_named_are_bounded_and_the_rest_is_counted() {
        let held = set((0..PIECES).filter(|piece| piece % 2 == 0));
        let download = Download::new(PublicKey([1; 32]), BLOB, bytes(), held, None, 7);
        let mut watch = ShortageWatch::new(FAIR_TIME);
        watch.look(Time(0), &download);
        let shortage = watch.look(Time(60_000), &download).unwrap();
        assert_eq!((shortage.pieces, shortage.ranges.len()), (PIECES / 2, RANGES_MAX));
        assert!(shortage.words().ends_with("31 and more"), "{}", shortage.words());
    }
}
