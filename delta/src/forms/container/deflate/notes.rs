//! Notes on where a deflate stream is not as foretold, in bytes.
//!
//! Two streams of LEB128 numbers. On tokens, again and again:
//!
//! | number | what |
//! |---|---|
//! | run | so many tokens are as foretold; then one is not |
//! | kind | 0: a literal; else a copy of two more bytes than this |
//! | distance | of a copy: 0 as foretold, else the distance |
//!
//! On blocks, again and again:
//!
//! | number | what |
//! |---|---|
//! | run | so many blocks are as foretold; then one is not |
//! | flags | bits 0-1: 0 stored, 1 fixed codes, 2 own codes; 2: it is the last; and what follows: 3: the number of tokens, 4: code lengths, 5: their runs, 6: the code of the runs |
//! | size | stored: bytes |
//! | tokens | bit 3 |
//! | literals, distances, changes, then (gap, length) each | bit 4: how many lengths, and those that differ |
//! | runs, then (symbol, extra) each | bit 5 |
//! | symbols, then each length | bit 6 |
//!
//! Where the notes end, all the rest is as foretold.

use super::token::{Block, Codes, Coding, Token};
use super::trees::{self, Counts, run_bits};
use crate::error::Reason;
use crate::numbers;

/// Most tokens of one block: it is held in memory until its codes can be written.
pub(super) const TOKENS_MAX: usize = 1 << 20;

/// What is written down of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// On tokens.
    pub(crate) tokens: Vec<u8>,
    /// On blocks.
    pub(crate) blocks: Vec<u8>,
}

impl Notes {
    pub(crate) fn bytes(&self) -> usize {
        self.tokens.len() + self.blocks.len()
    }
}

/// Writes notes.
#[derive(Default)]
pub(super) struct NotesWriter {
    notes: Notes,
    token_run: u64,
    block_run: u64,
}

impl NotesWriter {
    #[inline]
    pub(super) fn token(&mut self, foretold: Token, real: Token) {
        if foretold == real {
            self.token_run += 1;
            return;
        }
        let out = &mut self.notes.tokens;
        numbers::put(out, std::mem::take(&mut self.token_run));
        let Some(distance) = real.distance() else {
            out.push(0);
            return;
        };
        numbers::put(out, u64::from(real.length() - 2));
        let same = foretold.distance() == Some(distance);
        numbers::put(out, if same { 0 } else { u64::from(distance) });
    }

    /// Notes a block that holds these tokens; `ends`: with it the plain bytes end.
    pub(super) fn block(&mut self, block: &Block, tokens: &[Token], block_tokens: usize, ends: bool) {
        let counts = Counts::of(tokens);
        let foretold_count = tokens.len() == block_tokens || tokens.len() < block_tokens && ends;
        let foretold_codes = || match &block.coding {
            Coding::Stored(_) => false,
            Coding::Fixed => trees::choose(&counts).is_none(),
            Coding::Dynamic(codes) => trees::choose(&counts).as_ref() == Some(codes),
        };
        if block.last == ends && foretold_count && foretold_codes() {
            self.block_run += 1;
            return;
        }
        let out = &mut self.notes.blocks;
        numbers::put(out, std::mem::take(&mut self.block_run));
        put_block(out, block, &counts, (!foretold_count).then_some(tokens.len()));
    }

    pub(super) fn finish(self) -> Notes {
        self.notes
    }

    pub(super) fn bytes(&self) -> usize {
        self.notes.bytes()
    }
}

fn put_block(out: &mut Vec<u8>, block: &Block, counts: &Counts, count: Option<usize>) {
    let last = u8::from(block.last) << 2;
    let codes = match &block.coding {
        Coding::Stored(size) => {
            out.push(last);
            numbers::put(out, u64::from(*size));
            return;
        }
        Coding::Fixed => None,
        Coding::Dynamic(codes) => Some(codes),
    };
    let count_told = u8::from(count.is_some()) << 3;
    let Some(codes) = codes else {
        out.push(1 | last | count_told);
        count.iter().for_each(|count| numbers::put(out, *count as u64));
        return;
    };
    let (literals, distances) = counts.code_lengths();
    let lengths_told = literals != codes.literals || distances != codes.distances;
    let like_zlib = trees::complete(codes.literals.clone(), codes.distances.clone());
    let runs_told = like_zlib.runs != codes.runs;
    let symbols_told = trees::tell_symbols(&codes.runs) != codes.symbols;
    out.push(
        2 | last
            | count_told
            | u8::from(lengths_told) << 4
            | u8::from(runs_told) << 5
            | u8::from(symbols_told) << 6,
    );
    count.iter().for_each(|count| numbers::put(out, *count as u64));
    if lengths_told {
        put_changes(out, codes, literals, distances);
    }
    if runs_told {
        numbers::put(out, codes.runs.len() as u64);
        codes.runs.iter().for_each(|(symbol, extra)| out.extend([*symbol, *extra]));
    }
    if symbols_told {
        out.push(codes.symbols.len() as u8);
        out.extend_from_slice(&codes.symbols);
    }
}

fn put_changes(out: &mut Vec<u8>, codes: &Codes, mut literals: Vec<u8>, mut distances: Vec<u8>) {
    literals.resize(codes.literals.len(), 0);
    distances.resize(codes.distances.len(), 0);
    let foretold = literals.iter().chain(&distances);
    let real = codes.literals.iter().chain(&codes.distances);
    let changes: Vec<(usize, u8)> = foretold
        .zip(real)
        .enumerate()
        .filter(|(_, (foretold, real))| foretold != real)
        .map(|(place, (_, real))| (place, *real))
        .collect();
    numbers::put(out, literals.len() as u64);
    numbers::put(out, distances.len() as u64);
    numbers::put(out, changes.len() as u64);
    let mut after = 0;
    for (place, length) in changes {
        numbers::put(out, (place - after) as u64);
        out.push(length);
        after = place + 1;
    }
}

/// What the notes say of a block before its tokens are known.
#[derive(Default)]
pub(super) struct Told {
    pub(super) coding: ToldCoding,
    /// Whether it is the last; as foretold when not told.
    pub(super) last: Option<bool>,
    /// How many tokens it holds; as foretold when not told.
    pub(super) tokens: Option<usize>,
}

#[derive(Default)]
pub(super) enum ToldCoding {
    /// Whatever zlib would choose.
    #[default]
    Foretold,
    Stored(u16),
    Fixed,
    Own(Changes),
}

/// How code lengths differ from what zlib would choose.
struct Lengths {
    literals: usize,
    distances: usize,
    /// Where, counted over both, and the real lengths.
    changes: Vec<(usize, u8)>,
}

/// How a block's own codes differ from what zlib would choose.
#[derive(Default)]
pub(super) struct Changes {
    lengths: Option<Lengths>,
    runs: Option<Vec<(u8, u8)>>,
    symbols: Option<Vec<u8>>,
}

impl Changes {
    /// The codes of a block.
    pub(super) fn codes(self, counts: &Counts) -> Codes {
        let (mut literals, mut distances) = counts.code_lengths();
        if let Some(told) = self.lengths {
            literals.resize(told.literals, 0);
            distances.resize(told.distances, 0);
            for (place, length) in told.changes {
                if let Some(place) = literals.iter_mut().chain(&mut distances).nth(place) {
                    *place = length;
                }
            }
        }
        let mut codes = trees::complete(literals, distances);
        if let Some(runs) = self.runs {
            codes.symbols = trees::tell_symbols(&runs);
            codes.runs = runs;
        }
        if let Some(symbols) = self.symbols {
            codes.symbols = symbols;
        }
        codes
    }
}

/// Reads notes, which may hold anything.
pub(super) struct NotesReader {
    tokens: Cursor,
    blocks: Cursor,
}

/// Some notes, and how many things are as foretold before the next one; none: all the rest.
struct Cursor {
    bytes: Vec<u8>,
    at: usize,
    run: Option<u64>,
}

impl Cursor {
    fn new(bytes: Vec<u8>) -> Result<Self, Reason> {
        let mut cursor = Self { bytes, at: 0, run: None };
        cursor.next_run()?;
        Ok(cursor)
    }

    fn next_run(&mut self) -> Result<(), Reason> {
        self.run = if self.at < self.bytes.len() { Some(self.number(u64::MAX)?) } else { None };
        Ok(())
    }

    fn number(&mut self, most: u64) -> Result<u64, Reason> {
        let mut rest = &self.bytes[self.at..];
        let number = numbers::take_at_most(&mut rest, most, "units in a note on a deflate stream")?;
        self.at = self.bytes.len() - rest.len();
        Ok(number)
    }

    fn size(&mut self, most: usize) -> Result<usize, Reason> {
        self.number(most as u64).map(|number| number as usize)
    }

    fn byte(&mut self, most: u8) -> Result<u8, Reason> {
        let byte = self.bytes.get(self.at).filter(|byte| **byte <= most);
        self.at += 1;
        byte.copied().ok_or(Reason::Malformed("a note on a deflate stream"))
    }

    /// Whether the next thing is as foretold.
    #[inline]
    fn is_foretold(&mut self) -> bool {
        match &mut self.run {
            None => true,
            Some(0) => false,
            Some(run) => {
                *run -= 1;
                true
            }
        }
    }
}

impl NotesReader {
    pub(super) fn new(notes: Notes) -> Result<Self, Reason> {
        Ok(Self { tokens: Cursor::new(notes.tokens)?, blocks: Cursor::new(notes.blocks)? })
    }

    /// The real token where one was foretold and at least one and at most so many bytes are left.
    #[inline]
    pub(super) fn token(&mut self, foretold: Token, literal: u8, left: u32) -> Result<Token, Reason> {
        if self.tokens.is_foretold() {
            return Ok(foretold);
        }
        let real = match self.tokens.number(256)? as u32 {
            0 => Token::literal(literal),
            kind if kind + 2 > left => return Err(Reason::Malformed("a copy in a deflate stream")),
            kind => {
                let told = self.tokens.number(32768)? as u32;
                let distance = if told == 0 { foretold.distance() } else { Some(told) };
                Token::copy(kind + 2, distance.ok_or(Reason::Malformed("a copy in a deflate stream"))?)
            }
        };
        self.tokens.next_run()?;
        Ok(real)
    }

    /// What is known of the next block.
    pub(super) fn block(&mut self) -> Result<Told, Reason> {
        let notes = &mut self.blocks;
        if notes.is_foretold() {
            return Ok(Told::default());
        }
        let flags = notes.byte(0x7f)?;
        let is = |bit: u8| flags >> bit & 1 == 1;
        let stored = if flags & 3 == 0 { Some(notes.number(0xffff)? as u16) } else { None };
        let tokens = if is(3) { Some(notes.size(TOKENS_MAX)?) } else { None };
        let lengths = if is(4) { Some(read_changes(notes)?) } else { None };
        let runs = if is(5) { Some(read_runs(notes)?) } else { None };
        let symbols = if is(6) { Some(read_symbols(notes)?) } else { None };
        let coding = match (flags & 3, stored) {
            (_, Some(size)) => ToldCoding::Stored(size),
            (1, _) => ToldCoding::Fixed,
            (2, _) => ToldCoding::Own(Changes { lengths, runs, symbols }),
            _ => return Err(Reason::Malformed("a note on a block of a deflate stream")),
        };
        notes.next_run()?;
        Ok(Told { coding, last: Some(is(2)), tokens })
    }
}

fn read_changes(notes: &mut Cursor) -> Result<Lengths, Reason> {
    let literals = notes.size(286)?;
    let distances = notes.size(30)?;
    let count = notes.size(literals + distances)?;
    let mut changes = Vec::with_capacity(count);
    let mut after = 0;
    for _ in 0..count {
        let place = after + notes.size(literals + distances)?;
        changes.push((place, notes.byte(15)?));
        after = place + 1;
    }
    Ok(Lengths { literals, distances, changes })
}

fn read_runs(notes: &mut Cursor) -> Result<Vec<(u8, u8)>, Reason> {
    let count = notes.size(286 + 30)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let symbol = notes.byte(18)?;
        runs.push((symbol, notes.byte((1 << run_bits(symbol)) - 1)?));
    }
    Ok(runs)
}

fn read_symbols(notes: &mut Cursor) -> Result<Vec<u8>, Reason> {
    let count = notes.byte(19)?;
    (0..count).map(|_| notes.byte(7)).collect()
}
