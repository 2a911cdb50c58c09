//! Deflate streams, taken apart into what they hold and a few notes, from which they are made again bit by bit.
//!
//! A stream is a chain of choices: where to copy from, when to end a block, which codes to give it. Nearly all writers
//! choose as zlib does at one of its levels, or almost. So the choices are foretold ([`matcher`], [`trees`]), and only
//! those that are not as foretold are noted ([`notes`]). Streams by zlib itself need no notes at all.
//!
//! There is a library for this, but what it reads may make it take any amount of memory, or panic; and the two sizes
//! that matter, of notes and of memory, are smaller here.

#![expect(
    clippy::cast_possible_truncation,
    reason = "the format bounds every number here far below its type, and the loops are hot"
)]

mod bits;
mod encode;
mod matcher;
mod notes;
mod parse;
#[cfg(test)]
mod tests;
mod token;
mod trees;

pub(crate) use encode::Encoder;
pub(crate) use matcher::Habits;
pub(crate) use notes::Notes;
pub(crate) use parse::Refused;

use matcher::{Matcher, Text};
use notes::{NotesWriter, TOKENS_MAX};
use parse::Sink;
use token::{Block, Coding, Token};

/// What making a stream again takes in memory: the window, the tables, a block's tokens and the notes on it.
pub(crate) const ENCODER_BYTES: u64 = 8 << 20;

/// Writers are told apart by so many tokens.
const SAMPLE_TOKENS: usize = 30_000;
/// Levels in the order in which they are tried: the most used first.
const LEVELS: [u8; 10] = [6, 9, 1, 8, 5, 7, 4, 3, 2, 0];
/// How many levels that the sample cannot tell apart are tried on the whole.
const ROUNDS_MAX: usize = 3;

/// Unpacks the stream at the start of some bytes into `plain`, which may grow up to `limit` bytes; gives the stream's
/// size.
pub(crate) fn unpack(bytes: &[u8], plain: &mut Vec<u8>, limit: usize) -> Result<usize, Refused> {
    parse::parse(bytes, plain, limit, &mut ())
}

/// Finds how to make a stream again. None when that takes more than `notes_max` bytes of notes. `like` is what the
/// last stream's writer did.
pub(crate) fn study(packed: &[u8], notes_max: usize, like: Option<Habits>) -> Option<(Habits, Notes)> {
    let mut parts = Parts::default();
    let mut plain = Vec::new();
    parse::parse(packed, &mut plain, u32::MAX as usize / 2, &mut parts).ok()?;
    if parts.blocks.iter().any(|block| block.tokens > TOKENS_MAX) {
        return None;
    }
    let memory = parts.memory_level().or(like.map(|like| like.memory)).unwrap_or(8);
    let mut tried: Vec<(usize, Habits)> = Vec::new();
    let all = [false, true].into_iter().flat_map(|by_four| LEVELS.map(|level| (level, by_four)));
    for (level, by_four) in like.map(|like| (like.level, like.by_four)).into_iter().chain(all) {
        let habits = Habits { level, memory, by_four };
        if tried.iter().any(|(_, other)| *other == habits) {
            continue;
        }
        let wrong = parts.count_wrong(&plain, habits);
        if wrong == 0
            && let Some(notes) = parts.notes(&plain, habits, notes_max)
            && notes.tokens.is_empty()
        {
            return Some((habits, notes));
        }
        tried.push((wrong, habits));
    }
    // Stable: among equals the earlier stays first.
    tried.sort_by_key(|(wrong, _)| *wrong);
    let least = tried.first()?.0;
    let best = tried.iter().take(ROUNDS_MAX).filter(|(wrong, _)| *wrong == least);
    best.filter_map(|(_, habits)| Some((*habits, parts.notes(&plain, *habits, notes_max)?)))
        .min_by_key(|(_, notes)| notes.bytes())
}

/// All tokens and blocks of a stream.
#[derive(Default)]
struct Parts {
    tokens: Vec<Token>,
    blocks: Vec<Block>,
}

impl Sink for Parts {
    #[inline]
    fn token(&mut self, token: Token) {
        self.tokens.push(token);
    }

    fn block(&mut self, block: Block) {
        self.blocks.push(block);
    }
}

impl Parts {
    /// zlib's memory level, by the tokens of a full block.
    fn memory_level(&self) -> Option<u8> {
        let full = |memory: u8| Habits { level: 0, memory, by_four: false }.block_tokens();
        let most = self.blocks.iter().map(|block| block.tokens).max()?;
        (1..=9).find(|memory| full(*memory) == most)
    }

    /// How many of the first tokens are not as foretold.
    fn count_wrong(&self, plain: &[u8], habits: Habits) -> usize {
        let mut wrong = 0;
        let mut left = SAMPLE_TOKENS;
        self.walk(plain, habits, &mut |foretold, real| {
            wrong += usize::from(foretold != real);
            left -= 1;
            left > 0
        });
        wrong
    }

    /// Goes through the tokens with what is foretold for each, until told to stop.
    fn walk(&self, plain: &[u8], habits: Habits, each: &mut impl FnMut(Token, Token) -> bool) {
        let mut matcher = Matcher::new(habits);
        let text = Text { bytes: plain, start: 0 };
        let mut place = 0;
        let mut tokens = self.tokens.iter();
        for block in &self.blocks {
            if let Coding::Stored(size) = block.coding {
                matcher.pass(text, place, u32::from(size));
                place += u32::from(size);
            }
            for token in tokens.by_ref().take(block.tokens) {
                let foretold = matcher.foretell(text, place);
                matcher.learn(text, place, *token, *token == foretold);
                place += token.length();
                if !each(foretold, *token) {
                    return;
                }
            }
        }
    }

    /// All notes, unless they become longer than `most` bytes.
    fn notes(&self, plain: &[u8], habits: Habits, most: usize) -> Option<Notes> {
        let mut writer = NotesWriter::default();
        self.walk(plain, habits, &mut |foretold, real| {
            writer.token(foretold, real);
            writer.bytes() <= most
        });
        let mut rest = &self.tokens[..];
        let mut place = 0;
        for block in &self.blocks {
            let (tokens, after) = rest.split_at(block.tokens);
            rest = after;
            place += match block.coding {
                Coding::Stored(size) => usize::from(size),
                _ => tokens.iter().map(|token| token.length() as usize).sum(),
            };
            writer.block(block, tokens, habits.block_tokens(), place == plain.len());
        }
        Some(writer.finish()).filter(|notes| notes.bytes() <= most)
    }
}
