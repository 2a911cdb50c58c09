//! Foretells the next token of a deflate stream, as zlib at some level would choose it.
//!
//! What zlib does is known from its source; every writer that works alike is foretold well. The foretelling is told
//! what the stream really holds after each token, so that a writer that differs now and then costs only that.

use super::token::Token;

/// Copies are never longer.
const LENGTH_MAX: usize = 258;
/// zlib copies from no further back.
const DISTANCE_MAX: u32 = 32768 - 262;
/// Three bytes from further back are not worth a copy to zlib.
const SHORT_DISTANCE_MAX: u32 = 4096;
const RING: usize = 32768;
/// How much must lie before a token that may be copied from, and after one that is foretold.
pub(super) const BEHIND: usize = 32768;
pub(super) const AHEAD: usize = LENGTH_MAX + 6;

/// How hard zlib searches at one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Effort {
    /// A copy this long makes the search for a longer one shorter.
    good: u32,
    /// A copy this long is taken at once. When not lazy: one longer is not entered in the table.
    lazy: u32,
    /// A copy this long ends the search.
    nice: usize,
    /// So many earlier places are looked at.
    chain: u32,
    /// Whether the next place is looked at before a copy is taken.
    is_lazy: bool,
}

const fn effort(good: u32, lazy: u32, nice: usize, chain: u32, is_lazy: bool) -> Effort {
    Effort { good, lazy, nice, chain, is_lazy }
}

/// zlib's table of levels; level 0 looks for no copies.
const EFFORTS: [Effort; 10] = [
    effort(0, 0, 0, 0, false),
    effort(4, 4, 8, 4, false),
    effort(4, 5, 16, 8, false),
    effort(4, 6, 32, 32, false),
    effort(4, 4, 16, 16, true),
    effort(8, 16, 32, 32, true),
    effort(8, 16, 128, 128, true),
    effort(8, 32, 128, 256, true),
    effort(32, 128, 258, 1024, true),
    effort(32, 258, 258, 4096, true),
];

/// What is known of a stream's writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Habits {
    /// zlib's level, 0 to 9.
    pub(crate) level: u8,
    /// zlib's memory level, 1 to 9: how many tokens fill a block, and how large the table is.
    pub(crate) memory: u8,
    /// Whether it looks up four bytes, as Chromium's zlib, which is also Node's, and not three.
    pub(crate) by_four: bool,
}

impl Habits {
    /// From numbers that may be anything.
    pub(crate) fn checked(level: u8, memory: u8, by_four: bool) -> Option<Self> {
        (level <= 9 && (1..=9).contains(&memory)).then_some(Self { level, memory, by_four })
    }

    /// How many tokens fill a block.
    pub(super) fn block_tokens(self) -> usize {
        (1 << (self.memory + 6)) - 1
    }

    fn hash_bits(self) -> u32 {
        let bits = u32::from(self.memory) + 7;
        if self.by_four { bits.max(15) } else { bits }
    }
}

/// Foretells tokens. Places are counted from the start of the stream; `text` is some stretch around the next one.
pub(super) struct Matcher {
    effort: Effort,
    by_four: bool,
    shift: u32,
    mask: u32,
    /// The last place entered for each hash; 0 stands for none, as in zlib.
    heads: Vec<u32>,
    /// The place before, with the same hash, for each of the last 32,768.
    earlier: Vec<u32>,
    /// Places before this are entered, or were passed over.
    entered: u32,
    /// The copy found at the next place while the one before was looked at.
    pending: Option<(usize, u32)>,
}

/// A stretch of the stream and the place where it begins.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) start: u32,
}

impl<'a> Text<'a> {
    #[inline]
    fn from(&self, place: u32) -> &'a [u8] {
        &self.bytes[(place - self.start) as usize..]
    }
}

impl Matcher {
    pub(super) fn new(habits: Habits) -> Self {
        let bits = habits.hash_bits();
        let effort = EFFORTS[usize::from(habits.level.min(9))];
        let (heads, ring) = if effort.chain == 0 { (0, 0) } else { (1 << bits, RING) };
        Self {
            effort,
            by_four: habits.by_four,
            shift: bits.div_ceil(3),
            mask: (1 << bits) - 1,
            heads: vec![0; heads],
            earlier: vec![0; ring],
            entered: 0,
            pending: None,
        }
    }

    /// Foretells the token at `place`; there must be a byte.
    #[inline]
    pub(super) fn foretell(&mut self, text: Text<'_>, place: u32) -> Token {
        let rest = text.from(place);
        let literal = Token::literal(rest[0]);
        if self.effort.chain == 0 {
            return literal;
        }
        let found = match self.pending.take() {
            Some(found) => Some(found),
            None => self.search(text, place, 2, self.effort.chain),
        };
        let Some((length, distance)) = found else { return literal };
        if self.effort.is_lazy && (length as u32) < self.effort.lazy && rest.len() > length {
            let shorter = length as u32 >= self.effort.good;
            let chain = if shorter { self.effort.chain >> 2 } else { self.effort.chain };
            self.pending = self.search(text, place + 1, length, chain);
            if self.pending.is_some() {
                return literal;
            }
        }
        Token::copy(length as u32, distance)
    }

    /// Learns what the token at `place` really is, and whether it was foretold.
    #[inline]
    pub(super) fn learn(&mut self, text: Text<'_>, place: u32, token: Token, foretold: bool) {
        if !foretold {
            self.pending = None;
        }
        if self.effort.chain == 0 {
            return;
        }
        let after = place + token.length();
        if self.effort.is_lazy || token.length() <= self.effort.lazy {
            self.enter(text, after);
        } else {
            self.enter(text, place + 1);
            self.entered = after;
        }
    }

    /// Learns that bytes were stored.
    pub(super) fn pass(&mut self, text: Text<'_>, place: u32, count: u32) {
        self.pending = None;
        if self.effort.chain != 0 {
            self.enter(text, place + count);
        }
    }

    /// Enters all places before `end` that are not yet.
    #[inline]
    fn enter(&mut self, text: Text<'_>, end: u32) {
        while self.entered < end {
            let Some(hash) = self.hash(text.from(self.entered)) else { break };
            self.earlier[self.entered as usize % RING] = self.heads[hash];
            self.heads[hash] = self.entered;
            self.entered += 1;
        }
    }

    #[inline]
    fn hash(&self, bytes: &[u8]) -> Option<usize> {
        let hash = if self.by_four {
            let four = u32::from_le_bytes(*bytes.first_chunk()?);
            four.wrapping_add(1).wrapping_mul(66521) >> 16
        } else {
            let [first, second, third] = bytes.first_chunk()?.map(u32::from);
            (first << self.shift ^ second) << self.shift ^ third
        };
        Some((hash & self.mask) as usize)
    }

    /// Finds the first of the longest copies at `place` that is longer than `length`.
    #[inline]
    fn search(&mut self, text: Text<'_>, place: u32, length: usize, chain: u32) -> Option<(usize, u32)> {
        self.enter(text, place + 1);
        let rest = text.from(place);
        let rest = &rest[..rest.len().min(LENGTH_MAX)];
        if self.entered <= place || rest.len() < 3 || rest.len() <= length {
            return None;
        }
        let nice = self.effort.nice.min(rest.len());
        let furthest = place.saturating_sub(DISTANCE_MAX);
        let mut at = self.earlier[place as usize % RING];
        if at == 0 || place - at > DISTANCE_MAX {
            return None;
        }
        let mut best = (length, 0);
        let mut end = ends(rest, length);
        for _ in 0..chain {
            let other = text.from(at);
            if ends(other, best.0) == end && other[0] == rest[0] {
                let same = common(rest, other);
                if same > best.0 {
                    best = (same, place - at);
                    if same >= nice {
                        break;
                    }
                    end = ends(rest, same);
                }
            }
            let before = self.earlier[at as usize % RING];
            if before <= furthest || before >= at {
                break;
            }
            at = before;
        }
        let far = best.0 == 3 && best.1 > SHORT_DISTANCE_MAX && self.effort.is_lazy;
        (best.1 > 0 && !far).then_some(best)
    }
}

/// The two bytes that a copy longer than `length` must end with.
#[inline]
fn ends(bytes: &[u8], length: usize) -> [u8; 2] {
    [bytes[length - 1], bytes[length]]
}

/// How many bytes at the start are the same; `other` is no shorter.
#[inline]
fn common(bytes: &[u8], other: &[u8]) -> usize {
    let mut same = 0;
    while let (Some(left), Some(right)) = (bytes[same..].first_chunk::<8>(), other[same..].first_chunk::<8>())
    {
        let differs = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if differs != 0 {
            return same + differs.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + bytes[same..].iter().zip(&other[same..]).take_while(|(left, right)| left == right).count()
}
