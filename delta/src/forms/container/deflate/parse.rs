//! Reads a deflate stream token by token, as strictly as its writers are.

use super::bits::BitReader;
use super::token::{Block, Codes, Coding, DISTANCES, LENGTHS, SYMBOL_ORDER, Token, fixed_codes};

/// Why a stream was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no deflate stream, or one that no known writer would make.
    Malformed,
    /// It holds more than was allowed.
    TooLarge,
}

/// Takes what a stream is made of.
pub(super) trait Sink {
    /// A literal or a copy.
    fn token(&mut self, token: Token);
    /// A block has ended.
    fn block(&mut self, block: Block);
}

/// Takes nothing.
impl Sink for () {
    fn token(&mut self, _: Token) {}
    fn block(&mut self, _: Block) {}
}

/// Reads the stream at the start of some bytes: what it holds is added to `plain`, which may grow up to `limit`
/// bytes. Gives the stream's size.
pub(super) fn parse(
    bytes: &[u8],
    plain: &mut Vec<u8>,
    limit: usize,
    sink: &mut impl Sink,
) -> Result<usize, Refused> {
    let mut bits = BitReader::new(bytes);
    let start = plain.len();
    loop {
        let last = bits.take(1) == 1;
        let kind = bits.take(2);
        let (coding, tokens) = match kind {
            0 => (stored(&mut bits, plain, limit)?, 0),
            1 => {
                let (literals, distances) = fixed_codes();
                let tables = (Table::new(&literals), Table::new(&distances));
                (Coding::Fixed, compressed(&mut bits, &tables, start, plain, limit, sink)?)
            }
            2 => {
                let codes = read_codes(&mut bits).ok_or(Refused::Malformed)?;
                let tables = (Table::new(&codes.literals), Table::new(&codes.distances));
                let tokens = compressed(&mut bits, &tables, start, plain, limit, sink)?;
                (Coding::Dynamic(Box::new(codes)), tokens)
            }
            _ => return Err(Refused::Malformed),
        };
        if bits.overrun() {
            return Err(Refused::Malformed);
        }
        sink.block(Block { coding, tokens, last });
        if last {
            bits.align().ok_or(Refused::Malformed)?;
            return Ok(bits.position());
        }
    }
}

fn stored(bits: &mut BitReader<'_>, plain: &mut Vec<u8>, limit: usize) -> Result<Coding, Refused> {
    bits.align().ok_or(Refused::Malformed)?;
    let size = bits.take(16);
    let inverse = bits.take(16);
    if size != !inverse & 0xffff {
        return Err(Refused::Malformed);
    }
    let part = bits.bytes(size as usize).ok_or(Refused::Malformed)?;
    if part.len() > limit.saturating_sub(plain.len()) {
        return Err(Refused::TooLarge);
    }
    plain.extend_from_slice(part);
    Ok(Coding::Stored(u16::try_from(size).map_err(|_| Refused::Malformed)?))
}

fn compressed(
    bits: &mut BitReader<'_>,
    tables: &(Table, Table),
    start: usize,
    plain: &mut Vec<u8>,
    limit: usize,
    sink: &mut impl Sink,
) -> Result<usize, Refused> {
    let mut tokens = 0;
    loop {
        bits.refill();
        let symbol = tables.0.symbol(bits).ok_or(Refused::Malformed)?;
        if symbol == 256 {
            return Ok(tokens);
        }
        // Asked for each token, since the zeros beyond the end may go on for ever.
        if bits.overrun() {
            return Err(Refused::Malformed);
        }
        tokens += 1;
        if let Ok(byte) = u8::try_from(symbol) {
            if plain.len() >= limit {
                return Err(Refused::TooLarge);
            }
            plain.push(byte);
            sink.token(Token::literal(byte));
            continue;
        }
        let (base, extra) = *LENGTHS.get(usize::from(symbol) - 257).ok_or(Refused::Malformed)?;
        let more = bits.take(u32::from(extra));
        // The longest copy has a code of its own; the other way to say it is never used.
        if symbol == 284 && more == 31 {
            return Err(Refused::Malformed);
        }
        let length = u32::from(base) + more;
        let code = tables.1.symbol(bits).ok_or(Refused::Malformed)?;
        let (base, extra) = *DISTANCES.get(usize::from(code)).ok_or(Refused::Malformed)?;
        let distance = u32::from(base) + bits.take(u32::from(extra));
        if distance as usize > plain.len() - start {
            return Err(Refused::Malformed);
        }
        if length as usize > limit.saturating_sub(plain.len()) {
            return Err(Refused::TooLarge);
        }
        copy(plain, distance as usize, length as usize);
        sink.token(Token::copy(length, distance));
    }
}

#[inline]
fn copy(plain: &mut Vec<u8>, distance: usize, length: usize) {
    let from = plain.len() - distance;
    if distance >= length {
        plain.extend_from_within(from..from + length);
    } else if distance == 1 {
        let byte = plain[from];
        plain.resize(plain.len() + length, byte);
    } else {
        for at in from..from + length {
            plain.push(plain[at]);
        }
    }
}

fn read_codes(bits: &mut BitReader<'_>) -> Option<Codes> {
    let literals = bits.take(5) as usize + 257;
    let distances = bits.take(5) as usize + 1;
    let symbols = bits.take(4) as usize + 4;
    if literals > 286 || distances > 30 {
        return None;
    }
    let mut codes = Codes::default();
    let mut lengths = [0; 19];
    for place in &SYMBOL_ORDER[..symbols] {
        let length = bits.take(3) as u8;
        codes.symbols.push(length);
        lengths[*place] = length;
    }
    if !is_complete(&lengths, false) {
        return None;
    }
    let table = Table::new(&lengths);
    let mut all = Vec::with_capacity(literals + distances);
    while all.len() < literals + distances {
        bits.refill();
        let symbol = table.symbol(bits)?;
        let (value, extra, least) = match symbol {
            0..=15 => (symbol as u8, 0, 1),
            16 => (*all.last()?, 2, 3),
            17 => (0, 3, 3),
            _ => (0, 7, 11),
        };
        let more = bits.take(extra);
        codes.runs.push((symbol as u8, more as u8));
        all.resize(all.len() + more as usize + least, value);
    }
    if all.len() > literals + distances || bits.overrun() {
        return None;
    }
    codes.distances = all.split_off(literals);
    codes.literals = all;
    let ends = codes.literals[256] != 0;
    (ends && is_complete(&codes.literals, true) && is_complete(&codes.distances, true)).then_some(codes)
}

/// Whether code lengths give a code that leaves nothing over. `few`: no code or a single one of one bit will do.
fn is_complete(lengths: &[u8], few: bool) -> bool {
    let used = lengths.iter().filter(|length| **length > 0);
    let sum: u32 = used.clone().map(|length| 1 << (15 - length)).sum();
    sum == 1 << 15 || few && (used.clone().count() == 0 || used.clone().count() == 1 && sum == 1 << 14)
}

const FAST_BITS: u32 = 10;

/// Finds symbols by their code: short ones in a table, long ones by counting.
struct Table {
    /// The symbol, and in the upper bits the length of its code; 0: a longer code, or none.
    fast: Vec<u16>,
    /// How many codes have each length.
    counts: [u16; 16],
    /// Symbols by code.
    symbols: Vec<u16>,
}

impl Table {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0u16; 16];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut next = [0u16; 16];
        for length in 1..15 {
            next[length + 1] = next[length] + counts[length];
        }
        let mut symbols = vec![0; lengths.len()];
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let place = &mut next[usize::from(*length)];
            symbols[usize::from(*place)] = symbol as u16;
            *place += 1;
        }
        let mut table = Self { fast: vec![0; 1 << FAST_BITS], counts, symbols };
        table.fill_fast();
        table
    }

    fn fill_fast(&mut self) {
        let mut code = 0u32;
        let mut place = 0;
        for length in 1..=FAST_BITS {
            for _ in 0..self.counts[length as usize] {
                let mut at = (code.reverse_bits() >> (32 - length)) as usize;
                while let Some(entry) = self.fast.get_mut(at) {
                    *entry = (length as u16) << 12 | self.symbols[place];
                    at += 1 << length;
                }
                code += 1;
                place += 1;
            }
            code <<= 1;
        }
    }

    /// Takes a symbol; at least 15 bits must be ready.
    #[inline]
    fn symbol(&self, bits: &mut BitReader<'_>) -> Option<u16> {
        let entry = self.fast[(bits.peek() & ((1 << FAST_BITS) - 1)) as usize];
        if entry != 0 {
            bits.skip(u32::from(entry >> 12));
            return Some(entry & 0xfff);
        }
        self.symbol_slowly(bits)
    }

    fn symbol_slowly(&self, bits: &mut BitReader<'_>) -> Option<u16> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for length in 1..16 {
            code |= (bits.peek() >> (length - 1) & 1) as u32;
            let count = u32::from(self.counts[length]);
            if code < first + count {
                bits.skip(length as u32);
                return self.symbols.get((index + code - first) as usize).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}
