//! Where the fields of a wide form are: found by reading it again, a block at a time.

use std::io::{self, Read};
use std::ops::Range;

use super::buffered::Buffered;
use super::module::Module;
use super::reading::{Found, Listener, Reading};
use super::tape::Kind;
use crate::access::ReadAt;

/// A block has at least so many bytes.
const BLOCK_BYTES: u64 = 2 << 10;
/// A form has at most so many blocks; those of larger forms are larger.
const BLOCKS_MAX: u64 = 1 << 17;
const PIECE_BYTES: usize = 16 << 10;

/// A field, and the body that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) at: u64,
    pub(super) bytes: u8,
    pub(super) kind: Kind,
    /// A number that no other body has.
    pub(super) body: u32,
}

/// Where reading can begin.
#[derive(Clone, Copy)]
struct Beginning {
    at: u64,
    module: Module,
}

/// A wide form with the places where reading can begin.
pub(crate) struct Index<'a> {
    wide: &'a dyn ReadAt,
    beginnings: Vec<Beginning>,
    end: u64,
    reading: Reading<From<'a>, Finding>,
    /// Which block was read last.
    block: usize,
    data_end: u64,
    /// How many bytes may still be read.
    budget: u64,
}

impl<'a> Index<'a> {
    /// Reads a wide form once. None if it is none.
    pub(crate) fn new(wide: &'a dyn ReadAt) -> io::Result<Option<Self>> {
        let stride = BLOCK_BYTES.max(wide.size() / BLOCKS_MAX);
        let mut reading =
            Reading::new(Buffered::new(From { wide, at: 0 }, 0, PIECE_BYTES), Measuring::default());
        let mut module = Module::new();
        let mut beginnings = vec![Beginning { at: 0, module }];
        let mut next = stride;
        while !module.is_at_end() {
            let step = module.step(&mut reading);
            if let Some(error) = reading.source.take_failure() {
                return Err(error);
            }
            if step.is_none() {
                return Ok(None);
            }
            let at = reading.source.position();
            if at >= next {
                beginnings.push(Beginning { at, module });
                next = at + stride;
            }
        }
        let end = reading.source.position();
        let data_end = reading.listener.data_end;
        let source = Buffered::new(From { wide, at: 0 }, 0, PIECE_BYTES);
        let reading = Reading::new(source, Finding::default());
        Ok(Some(Self { wide, beginnings, end, reading, block: usize::MAX, data_end, budget: u64::MAX }))
    }

    /// Where the data ends in memory, or more than that.
    pub(super) fn data_end(&self) -> u64 {
        self.data_end
    }

    /// From now on, reads no more than some multiple of the form; regions that leap about without end find nothing then.
    pub(super) fn limit_reading(&mut self) {
        const TIMES: u64 = 16;
        const BYTES: u64 = 64 << 20;
        self.budget = self.end.saturating_mul(TIMES).saturating_add(BYTES);
    }

    /// Words of data are only of interest if their value is in this range.
    pub(super) fn set_words(&mut self, words: Range<u32>) {
        self.reading.listener.words = words;
        self.block = usize::MAX;
    }

    /// Visits the references that lie wholly within a stretch, in order.
    pub(super) fn visit(&mut self, stretch: Range<u64>, mut visit: impl FnMut(&Reference)) -> io::Result<()> {
        let mut block = self.beginnings.partition_point(|begin| begin.at <= stretch.start).saturating_sub(1);
        while self.beginnings.get(block).is_some_and(|begin| begin.at < stretch.end) {
            if !self.read(block)? {
                return Ok(());
            }
            let found = &self.reading.listener.found;
            let first = found.partition_point(|found| found.at < stretch.start);
            for reference in found.get(first..).unwrap_or_default() {
                if reference.at + u64::from(reference.bytes) > stretch.end {
                    return Ok(());
                }
                visit(reference);
            }
            block += 1;
        }
        Ok(())
    }

    /// Reads a block; false if it is one too many.
    fn read(&mut self, block: usize) -> io::Result<bool> {
        if self.block == block {
            return Ok(true);
        }
        let Some(Beginning { at, mut module }) = self.beginnings.get(block).copied() else {
            return Ok(false);
        };
        let end = self.beginnings.get(block + 1).map_or(self.end, |next| next.at);
        let Some(budget) = self.budget.checked_sub(end - at) else { return Ok(false) };
        self.budget = budget;
        if self.block.wrapping_add(1) != block || self.reading.source.position() != at {
            self.reading.restart(From { wide: self.wide, at }, at);
        }
        self.block = usize::MAX;
        self.reading.listener.found.clear();
        while self.reading.source.position() < end {
            self.reading.listener.body = module.body();
            let step = module.step(&mut self.reading);
            if let Some(error) = self.reading.source.take_failure() {
                return Err(error);
            }
            if step.is_none() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a wide form changed while it was read",
                ));
            }
        }
        self.block = block;
        Ok(true)
    }
}

/// What can be read, from some place on.
struct From<'a> {
    wide: &'a dyn ReadAt,
    at: u64,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.wide.size().saturating_sub(self.at);
        let bytes = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.wide.read_exact_at(buffer.get_mut(..bytes).unwrap_or_default(), self.at)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}

/// Measures the data.
#[derive(Default)]
struct Measuring {
    /// The highest address after any data, or the size of all data.
    data_end: u64,
    data_bytes: u64,
}

impl Listener for Measuring {
    #[inline]
    fn copied(&mut self, _: &[u8]) {}

    #[inline]
    fn number(&mut self, _: i64, _: usize) {}

    #[inline]
    fn field(&mut self, _: Found) {}

    fn data(&mut self, _: u64, address: u32, bytes: &[u8]) {
        self.data_bytes += bytes.len() as u64;
        self.data_end = self.data_end.max(u64::from(address) + bytes.len() as u64).max(self.data_bytes);
    }

    fn begin_body(&mut self, _: u8) {}

    fn end_body(&mut self) -> Option<()> {
        Some(())
    }
}

/// Collects references.
#[derive(Default)]
struct Finding {
    found: Vec<Reference>,
    body: u32,
    words: Range<u32>,
}

impl Listener for Finding {
    #[inline]
    fn copied(&mut self, _: &[u8]) {}

    #[inline]
    fn number(&mut self, _: i64, _: usize) {}

    #[inline]
    fn field(&mut self, found: Found) {
        let Found { at, bytes, kind } = found;
        if kind != Kind::Plain {
            self.found.push(Reference { at, bytes, kind, body: self.body });
        }
    }

    fn data(&mut self, at: u64, address: u32, bytes: &[u8]) {
        let lead = (address.wrapping_neg() % 4) as usize;
        let words = bytes.get(lead..).unwrap_or_default().as_chunks::<4>().0;
        for (number, word) in words.iter().enumerate() {
            if self.words.contains(&u32::from_le_bytes(*word)) {
                let at = at + (lead + 4 * number) as u64;
                self.found.push(Reference { at, bytes: 4, kind: Kind::Word, body: 0 });
            }
        }
    }

    fn begin_body(&mut self, _: u8) {}

    fn end_body(&mut self) -> Option<()> {
        Some(())
    }
}
