//! An adaptive binary range coder: each bit costs what its chance says, and its chance learns from it.
//!
//! Bits without a pattern do not go through the coder but beside it, as they are: that is several times faster.

use std::io::Read;

use crate::codec::Section;
use crate::error::Reason;

/// How likely a bit is to be zero, of 65,536. The mean of two guesses: one that learns fast, one that remembers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    fast: u16,
    slow: u16,
}

const FAST: u32 = 5;
const SLOW: u32 = 7;

impl Chance {
    pub(super) const EVEN: Self = Self { fast: 1 << 15, slow: 1 << 15 };

    /// Never 0, never 65,536: both guesses stay away from either end by what they would move.
    #[inline(always)]
    fn of_zero(self) -> u64 {
        (u64::from(self.fast) + u64::from(self.slow)) >> 1
    }

    #[inline(always)]
    fn learn(&mut self, bit: bool) {
        if bit {
            self.fast -= self.fast >> FAST;
            self.slow -= self.slow >> SLOW;
        } else {
            self.fast += (u16::MAX - self.fast) >> FAST;
            self.slow += (u16::MAX - self.slow) >> SLOW;
        }
    }
}

/// One side of the coder. The walk over the elements is written once, for both sides: writing, it gives each bit; reading,
/// what it gives is ignored and what it gets back counts.
pub(super) trait Coder {
    /// A bit that has a chance.
    fn bit(&mut self, chance: &mut Chance, bit: bool) -> bool;
    /// At most 32 bits that have none, lowest first.
    fn plain(&mut self, count: u32, bits: u64) -> u64;
}

/// The writing side; all of it is in memory.
pub(super) struct Writer {
    low: u64,
    range: u64,
    pub(super) chosen: Vec<u8>,
    /// Bits that do not fill a byte yet.
    waiting: u64,
    waiting_count: u32,
    pub(super) plain: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { low: 0, range: u64::MAX, chosen: Vec::new(), waiting: 0, waiting_count: 0, plain: Vec::new() }
    }

    /// A sum that no longer fits in 64 bits adds one to what was written.
    fn carry(&mut self) {
        for byte in self.chosen.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return;
            }
        }
    }

    /// Ends both streams: first the coder's, then the plain bits.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<u8>) {
        self.chosen.extend_from_slice(&self.low.to_be_bytes());
        let bytes = self.waiting_count.div_ceil(8) as usize;
        self.plain.extend_from_slice(&self.waiting.to_le_bytes()[..bytes]);
        (self.chosen, self.plain)
    }
}

impl Coder for Writer {
    #[inline(always)]
    fn bit(&mut self, chance: &mut Chance, bit: bool) -> bool {
        let zero = (self.range >> 16) * chance.of_zero();
        if bit {
            let (low, carry) = self.low.overflowing_add(zero);
            self.low = low;
            self.range -= zero;
            if carry {
                self.carry();
            }
        } else {
            self.range = zero;
        }
        chance.learn(bit);
        if self.range >> 32 == 0 {
            self.chosen.extend_from_slice(&self.low.to_be_bytes()[..4]);
            self.low <<= 32;
            self.range <<= 32;
        }
        bit
    }

    #[inline(always)]
    fn plain(&mut self, count: u32, bits: u64) -> u64 {
        let bits = bits & ((1 << count) - 1);
        self.waiting |= bits << self.waiting_count;
        self.waiting_count += count;
        if self.waiting_count >= 32 {
            self.plain.extend_from_slice(&self.waiting.to_le_bytes()[..4]);
            self.waiting >>= 32;
            self.waiting_count -= 32;
        }
        bits
    }
}

/// The reading side. Past the end it reads zeros and remembers that it did, so that the many steps need not each be
/// checked.
pub(super) struct Reader<'a> {
    code: u64,
    range: u64,
    chosen: Bytes<'a>,
    waiting: u64,
    waiting_count: u32,
    plain: Bytes<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(chosen: Section<'a>, plain: Section<'a>) -> Self {
        let mut reader = Self {
            code: 0,
            range: u64::MAX,
            chosen: Bytes::new(chosen),
            waiting: 0,
            waiting_count: 0,
            plain: Bytes::new(plain),
        };
        reader.code = u64::from(u32::from_be_bytes(reader.chosen.next())) << 32;
        reader.code |= u64::from(u32::from_be_bytes(reader.chosen.next()));
        reader
    }

    /// Whether all that was read so far was there.
    pub(super) fn check(&mut self) -> Result<(), Reason> {
        self.chosen.check(0)?;
        // The last bits were written without the bytes that would fill four.
        self.plain.check(self.waiting_count as usize / 8)
    }

    /// Ends both streams: nothing may be left.
    pub(super) fn end(mut self) -> Result<(), Reason> {
        self.check()?;
        if self.chosen.is_at_end() && self.plain.is_at_end() && self.waiting == 0 {
            return Ok(());
        }
        Err(Reason::Malformed("the tensors' streams hold more than is used"))
    }
}

impl Coder for Reader<'_> {
    #[inline(always)]
    fn bit(&mut self, chance: &mut Chance, _: bool) -> bool {
        let zero = (self.range >> 16) * chance.of_zero();
        let bit = self.code >= zero;
        if bit {
            self.code -= zero;
            self.range -= zero;
        } else {
            self.range = zero;
        }
        chance.learn(bit);
        if self.range >> 32 == 0 {
            self.code = (self.code << 32) | u64::from(u32::from_be_bytes(self.chosen.next()));
            self.range <<= 32;
        }
        bit
    }

    #[inline(always)]
    fn plain(&mut self, count: u32, _: u64) -> u64 {
        if self.waiting_count < count {
            self.waiting |= u64::from(u32::from_le_bytes(self.plain.next())) << self.waiting_count;
            self.waiting_count += 32;
        }
        let bits = self.waiting & ((1 << count) - 1);
        self.waiting >>= count;
        self.waiting_count -= count;
        bits
    }
}

/// Four bytes at a time from a stretch of the delta.
struct Bytes<'a> {
    section: Section<'a>,
    buffer: Vec<u8>,
    used: usize,
    /// How many bytes were asked for that were not there.
    missing: usize,
    failed: Option<Reason>,
}

const BUFFER_BYTES: usize = 16 << 10;

impl<'a> Bytes<'a> {
    fn new(section: Section<'a>) -> Self {
        Self { section, buffer: Vec::new(), used: 0, missing: 0, failed: None }
    }

    #[inline(always)]
    fn next(&mut self) -> [u8; 4] {
        if let Some(four) = self.buffer.get(self.used..).and_then(|rest| rest.first_chunk()) {
            self.used += 4;
            return *four;
        }
        self.next_of_more()
    }

    #[cold]
    fn next_of_more(&mut self) -> [u8; 4] {
        self.buffer.drain(..self.used);
        self.used = 0;
        let kept = self.buffer.len();
        let more = (&mut self.section).take((BUFFER_BYTES - kept) as u64).read_to_end(&mut self.buffer);
        if let Err(error) = more {
            self.failed.get_or_insert(Reason::from_delta(error));
        }
        let mut four = [0; 4];
        let there = self.buffer.len().min(four.len());
        four[..there].copy_from_slice(&self.buffer[..there]);
        self.used = there;
        self.missing = self.missing.saturating_add(four.len() - there);
        four
    }

    fn check(&mut self, missing_allowed: usize) -> Result<(), Reason> {
        match self.failed.take() {
            Some(reason) => Err(reason),
            None if self.missing > missing_allowed => Err(Reason::Truncated),
            None => Ok(()),
        }
    }

    fn is_at_end(&self) -> bool {
        self.used == self.buffer.len() && self.section.is_at_end()
    }
}
