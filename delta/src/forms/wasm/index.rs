//! Where the fields of a wide form are, a block at a time: as noted when it was made, or found by reading it again.

use std::io::{self, Read};
use std::ops::Range;

use super::buffered::Buffered;
use super::module::Module;
use super::notes::{self, Notes};
use super::reading::{Found, Listener, Reading};
use super::tape::Kind;
use crate::access::ReadAt;
use crate::limits::NOTES_BYTES_MAX;

/// A block has at least so many bytes.
const BLOCK_BYTES: u64 = 2 << 10;
/// A form has about so many blocks at most; those of larger forms are larger.
const BLOCKS: u64 = 1 << 16;
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
#[derive(Clone, Copy, Debug)]
struct Beginning {
    at: u64,
    module: Module,
    /// The opcode before it.
    before: u8,
    /// Where the notes of the block begin.
    notes: usize,
    /// Whether its fields are noted.
    is_noted: bool,
}

/// The places of a wide form where reading can begin, found while it is made.
#[derive(Debug)]
pub(crate) struct Map {
    beginnings: Vec<Beginning>,
    notes: Notes,
    stride: u64,
    end: u64,
    data_end: u64,
}

impl Map {
    /// For a module of so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self::with_stride(BLOCK_BYTES.max(bytes / BLOCKS), NOTES_BYTES_MAX)
    }

    /// With blocks of at least so many bytes, and room for notes of so many.
    pub(super) fn with_stride(stride: u64, notes_bytes: usize) -> Self {
        let first = Beginning { at: 0, module: Module::new(), before: 0, notes: 0, is_noted: false };
        Self { beginnings: vec![first], notes: Notes::new(notes_bytes), stride, end: 0, data_end: 0 }
    }

    /// What is noted of the block in work.
    #[inline]
    pub(super) fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }

    /// The form was written up to some place, and the last instruction had this opcode. Returns whether a block begins there.
    #[inline]
    pub(super) fn pass(&mut self, at: u64, module: &Module, before: u8) -> bool {
        let is_due = self.beginnings.last().is_none_or(|last| at >= last.at + self.stride);
        if is_due {
            self.end_block();
            let notes = self.notes.begin_block(at);
            self.beginnings.push(Beginning { at, module: *module, before, notes, is_noted: false });
        }
        is_due
    }

    fn end_block(&mut self) {
        let is_noted = self.notes.end_block();
        if let Some(last) = self.beginnings.last_mut() {
            last.is_noted = is_noted;
        }
    }

    /// What was written after some place was taken back, and so are the notes of it.
    pub(super) fn roll_back(&mut self, at: u64, taken: notes::Taken) {
        let ended = self.beginnings.len();
        while self.beginnings.len() > 1 && self.beginnings.last().is_some_and(|last| last.at > at) {
            self.beginnings.pop();
        }
        self.notes.give_up(taken);
        if let Some(last) = self.beginnings.last().filter(|_| self.beginnings.len() < ended) {
            self.notes.reopen_block(last.notes, last.is_noted);
        }
    }

    /// The form ends. The data ends in memory at some address, or before.
    pub(super) fn end(&mut self, at: u64, data_end: u64) {
        self.end_block();
        (self.end, self.data_end) = (at, data_end);
    }

    /// The same without notes.
    #[cfg(test)]
    pub(super) fn without_notes(mut self) -> Self {
        self.beginnings.iter_mut().for_each(|beginning| beginning.is_noted = false);
        self
    }
}

/// A wide form whose fields can be found.
pub(crate) struct Index<'a> {
    wide: &'a dyn ReadAt,
    map: &'a Map,
    reading: Reading<From<'a>, Finding>,
    /// Which block was read last.
    block: usize,
    /// How many bytes may still be read.
    budget: u64,
}

impl<'a> Index<'a> {
    /// The form must be the one that the map is of.
    pub(crate) fn new(wide: &'a dyn ReadAt, map: &'a Map) -> Self {
        let source = Buffered::new(From { wide, at: 0 }, 0, PIECE_BYTES);
        let reading = Reading::new(source, Finding::default());
        Self { wide, map, reading, block: usize::MAX, budget: u64::MAX }
    }

    /// Where the data ends in memory, or more than that.
    pub(super) fn data_end(&self) -> u64 {
        self.map.data_end
    }

    /// From now on, reads no more than some multiple of the form; regions that leap about without end find nothing then.
    pub(super) fn limit_reading(&mut self) {
        const TIMES: u64 = 16;
        const BYTES: u64 = 64 << 20;
        self.budget = self.map.end.saturating_mul(TIMES).saturating_add(BYTES);
    }

    /// Words of data are only of interest if their value is in this range.
    pub(super) fn set_words(&mut self, words: Range<u32>) {
        self.reading.listener.words = words;
        self.block = usize::MAX;
    }

    /// Visits the references that lie wholly within a stretch, in order.
    pub(super) fn visit(&mut self, stretch: Range<u64>, mut visit: impl FnMut(&Reference)) -> io::Result<()> {
        let mut block =
            self.map.beginnings.partition_point(|begin| begin.at <= stretch.start).saturating_sub(1);
        while self.map.beginnings.get(block).is_some_and(|begin| begin.at < stretch.end) {
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
        let Some(Beginning { at, mut module, before, notes, is_noted }) =
            self.map.beginnings.get(block).copied()
        else {
            return Ok(false);
        };
        let next = self.map.beginnings.get(block + 1);
        let end = next.map_or(self.map.end, |next| next.at);
        let Some(budget) = self.budget.checked_sub(end.saturating_sub(at)) else { return Ok(false) };
        self.budget = budget;
        let goes_on = self.block.wrapping_add(1) == block;
        self.reading.listener.found.clear();
        if is_noted {
            let notes = self.map.notes.of_block(notes, next.map(|next| next.notes));
            notes::read(notes, at, goes_on, &mut self.reading.listener.found);
            self.block = block;
            return Ok(true);
        }
        if !goes_on || self.reading.source.position() != at {
            let before = if goes_on { before } else { 0 };
            self.reading.restart(From { wide: self.wide, at }, at, before);
        }
        self.block = usize::MAX;
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
