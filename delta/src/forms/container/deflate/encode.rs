//! Makes a deflate stream again from what it holds, its writer's habits and the notes on it.

use super::bits::BitWriter;
use super::matcher::{AHEAD, BEHIND, Habits, Matcher, Text};
use super::notes::{Notes, NotesReader, Told, ToldCoding};
use super::token::{Codes, DISTANCES, LENGTHS, SYMBOL_ORDER, Token, distance_code, fixed_codes, length_code};
use super::trees::{self, Counts, run_bits};
use crate::error::Reason;

/// Takes the plain bytes part by part, and gives the stream as far as it is decided by them.
pub(crate) struct Encoder {
    matcher: Matcher,
    notes: NotesReader,
    block_tokens: usize,
    /// Plain bytes around the next token, and the place of the first.
    window: Vec<u8>,
    start: u32,
    /// The place of the next token, and of the end.
    place: u32,
    end: u32,
    block: Option<Told>,
    tokens: Vec<Token>,
    writer: BitWriter,
    is_done: bool,
}

impl Encoder {
    /// For a stream that holds so many bytes.
    pub(crate) fn new(habits: Habits, notes: Notes, plain_bytes: u32) -> Result<Self, Reason> {
        Ok(Self {
            matcher: Matcher::new(habits),
            notes: NotesReader::new(notes)?,
            block_tokens: habits.block_tokens(),
            window: Vec::new(),
            start: 0,
            place: 0,
            end: plain_bytes,
            block: None,
            tokens: Vec::new(),
            writer: BitWriter::default(),
            is_done: false,
        })
    }

    /// Takes more plain bytes; together they are as many as were announced.
    pub(crate) fn feed(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        self.window.extend_from_slice(plain);
        self.advance(out)?;
        let passed = (self.place - self.start) as usize;
        if passed > 4 * BEHIND {
            self.window.drain(..passed - BEHIND);
            self.start = self.place - BEHIND as u32;
        }
        Ok(())
    }

    /// Ends the stream, when all plain bytes were fed.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Reason> {
        self.advance(out)?;
        if self.is_done { Ok(()) } else { Err(Reason::Malformed("a deflate stream has no end")) }
    }

    fn ready(&self) -> usize {
        self.window.len() - (self.place - self.start) as usize
    }

    /// Goes as far as the bytes at hand decide.
    fn advance(&mut self, out: &mut Vec<u8>) -> Result<(), Reason> {
        while !self.is_done {
            let told = match self.block.take() {
                Some(told) => told,
                None => self.notes.block()?,
            };
            let complete = match told.coding {
                ToldCoding::Stored(size) => self.is_ready(usize::from(size)),
                _ => self.take_tokens(told.tokens.unwrap_or(self.block_tokens))?,
            };
            if !complete {
                self.block = Some(told);
                return Ok(());
            }
            self.write_block(told, out)?;
        }
        if self.place < self.end {
            return Err(Reason::Malformed("a deflate stream ends too early"));
        }
        Ok(())
    }

    /// Whether so many bytes after the next token are at hand, or all that there are.
    fn is_ready(&self, count: usize) -> bool {
        self.ready() >= count.min((self.end - self.place) as usize)
    }

    /// Decides tokens until there are so many or the plain bytes end. False when more bytes are needed.
    fn take_tokens(&mut self, count: usize) -> Result<bool, Reason> {
        while self.tokens.len() < count && self.place < self.end {
            if !self.is_ready(AHEAD) {
                return Ok(false);
            }
            let text = Text { bytes: &self.window, start: self.start };
            let foretold = self.matcher.foretell(text, self.place);
            let literal = self.window[(self.place - self.start) as usize];
            let token = self.notes.token(foretold, literal, self.end - self.place)?;
            self.matcher.learn(text, self.place, token, token == foretold);
            self.place += token.length();
            self.tokens.push(token);
        }
        Ok(true)
    }

    fn write_block(&mut self, told: Told, out: &mut Vec<u8>) -> Result<(), Reason> {
        let counts = Counts::of(&self.tokens);
        let own = match told.coding {
            ToldCoding::Stored(size) => return self.write_stored(size, told.last == Some(true), out),
            ToldCoding::Foretold => trees::choose(&counts),
            ToldCoding::Fixed => None,
            ToldCoding::Own(changes) => Some(changes.codes(&counts)),
        };
        let last = told.last.unwrap_or(self.place == self.end);
        self.is_done = last;
        self.writer.put(u32::from(last), 1, out);
        if let Some(codes) = own {
            self.writer.put(2, 2, out);
            self.write_head(&codes, out);
            self.write_tokens(&codes.literals, &codes.distances, out);
        } else {
            self.writer.put(1, 2, out);
            let (literals, distances) = fixed_codes();
            self.write_tokens(&literals, &distances, out);
        }
        if last {
            self.writer.align(out);
        }
        self.tokens.clear();
        Ok(())
    }

    fn write_stored(&mut self, size: u16, last: bool, out: &mut Vec<u8>) -> Result<(), Reason> {
        let count = u32::from(size);
        if count > self.end - self.place {
            return Err(Reason::Malformed("a stored block in a deflate stream"));
        }
        self.is_done = last;
        self.writer.put(u32::from(last), 3, out);
        self.writer.align(out);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&(!size).to_le_bytes());
        let from = (self.place - self.start) as usize;
        out.extend_from_slice(&self.window[from..from + usize::from(size)]);
        self.matcher.pass(Text { bytes: &self.window, start: self.start }, self.place, count);
        self.place += count;
        Ok(())
    }

    fn write_head(&mut self, codes: &Codes, out: &mut Vec<u8>) {
        self.writer.put((codes.literals.len() as u32).wrapping_sub(257) & 31, 5, out);
        self.writer.put((codes.distances.len() as u32).wrapping_sub(1) & 31, 5, out);
        self.writer.put((codes.symbols.len() as u32).wrapping_sub(4) & 15, 4, out);
        let mut lengths = [0; 19];
        for (place, length) in SYMBOL_ORDER.iter().zip(&codes.symbols) {
            self.writer.put(u32::from(*length), 3, out);
            lengths[*place] = *length;
        }
        let table = codes_of(&lengths);
        for (symbol, extra) in &codes.runs {
            let (code, bits) = table[usize::from(*symbol)];
            self.writer.put(code.into(), bits.into(), out);
            self.writer.put(u32::from(*extra), u32::from(run_bits(*symbol)), out);
        }
    }

    fn write_tokens(&mut self, literals: &[u8], distances: &[u8], out: &mut Vec<u8>) {
        let mut literals = codes_of(literals);
        let mut distances = codes_of(distances);
        // Codes that were told may lack symbols that are used.
        literals.resize(288, (0, 0));
        distances.resize(30, (0, 0));
        for token in &self.tokens {
            let Some(distance) = token.distance() else {
                let (code, bits) = literals[token.byte()];
                self.writer.put(code.into(), bits.into(), out);
                continue;
            };
            let symbol = length_code(token.length());
            let (code, bits) = literals[257 + symbol];
            let (base, extra) = LENGTHS[symbol];
            let more = token.length() - u32::from(base);
            self.writer.put(u32::from(code) | more << bits, u32::from(bits + extra), out);
            let symbol = distance_code(distance);
            let (code, bits) = distances[symbol];
            let (base, extra) = DISTANCES[symbol];
            let more = distance - u32::from(base);
            self.writer.put(u32::from(code) | more << bits, u32::from(bits + extra), out);
        }
        let (code, bits) = literals[256];
        self.writer.put(code.into(), bits.into(), out);
    }
}

/// The code of each symbol, its first bit lowest, and the number of its bits.
fn codes_of(lengths: &[u8]) -> Vec<(u16, u8)> {
    let mut counts = [0u32; 16];
    for length in lengths {
        counts[usize::from(length & 15)] += 1;
    }
    counts[0] = 0;
    let mut next = [0u32; 16];
    for bits in 1..16 {
        next[bits] = (next[bits - 1] + counts[bits - 1]) << 1;
    }
    let code = |length: &u8| {
        let bits = length & 15;
        if bits == 0 {
            return (0, 0);
        }
        let code = next[usize::from(bits)];
        next[usize::from(bits)] += 1;
        // Lengths that were told may give more codes than there are: what is beyond is cut.
        ((code as u16).reverse_bits() >> (16 - bits), bits)
    };
    lengths.iter().map(code).collect()
}
