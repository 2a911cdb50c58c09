//! References, about a byte each.
//!
//! A file of 200 MB has some 20 million of them, and an applier keeps them all. They are written one after another:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | bits 5 to 7: the kind, as a number in the stretch's dialect, or 7 for any other; bits 0 to 4: the distance from the end of the reference before, or 31 for more |
//! | number | if 31: the distance, less 31 |
//! | 1 | if 7: the kind; 128 is added if it has another base than the last of its kind |
//! | number | if 128 was added: the difference to that base |
//!
//! In every block of the file the writing begins anew, so that reading can begin there.

use std::ops::Range;

use super::kind::{Kind, Reference};
use crate::limits::REFERENCES_BYTES_MAX;

const BLOCK_BYTES: u32 = 512;
/// Most bytes of the references of a block: each has at least a byte of it.
const BLOCK_REFERENCES_BYTES: usize = 12 * BLOCK_BYTES as usize;
const ANY_KIND: u8 = 7;
const FAR: u32 = 31;
const NEW_BASE: u8 = 0x80;

/// Which kinds have short numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    X86,
    Aarch64,
    Data,
    /// Objects to be linked.
    Object,
}

impl Dialect {
    fn kinds(self) -> [Kind; ANY_KIND as usize] {
        use Kind::*;
        match self {
            Self::X86 => [Ahead, Slot, LongSlot, Short, FrameSlot, Number, Ahead1],
            Self::Aarch64 => [Branch26, Branch19, Branch14, Near, Page, InPage, Pointer],
            Self::Data => [Pointer, Based, Here, Length, LongLength, Symbol, Back],
            Self::Object => [LongBased, Symbol, Based, LongLength, Name, ForeignType, ForeignName],
        }
    }
}

/// A part of the window whose references were found in order.
#[derive(Debug)]
pub(super) struct Stretch {
    range: Range<u32>,
    dialect: Dialect,
    /// For each block from the one that the range begins in on, where in the bytes it begins.
    blocks: Vec<u32>,
    bytes: Vec<u8>,
    count: u32,
}

impl Stretch {
    /// From its first reference, or before, to the end of its last.
    pub(super) fn range(&self) -> &Range<u32> {
        &self.range
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// What it takes in memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 4 * self.blocks.len() + size_of::<Self>()
    }

    /// Visits those that lie wholly within a part of the window, in order.
    #[inline]
    pub(super) fn visit(&self, range: &Range<u32>, visit: &mut impl FnMut(Reference)) {
        for reference in self.from(range.start) {
            if reference.at >= range.end {
                break;
            }
            if reference.at >= range.start && range.end - reference.at >= u32::from(reference.bytes()) {
                visit(reference);
            }
        }
    }

    /// Its references from some place before the given one on.
    pub(super) fn from(&self, at: u32) -> Reader<'_> {
        let first = self.range.start / BLOCK_BYTES;
        let block = (at / BLOCK_BYTES).saturating_sub(first);
        let start = self.blocks.get(block as usize).map_or(self.bytes.len(), |start| *start as usize);
        let mut reader = Reader {
            rest: self.bytes.get(start..).unwrap_or_default(),
            next_block: 0,
            blocks: self.blocks.get(block as usize + 1..).unwrap_or_default(),
            bytes: self.bytes.len(),
            block: first + block,
            end: 0,
            bases: [0; Kind::COUNT],
            based: false,
            kinds: self.dialect.kinds(),
        };
        reader.begin_block();
        reader
    }
}

/// Writes the references of a stretch.
pub(super) struct Writer {
    stretch: Stretch,
    limit: u32,
    end: u32,
    bases: [Option<u32>; Kind::COUNT],
    /// Whether any of them is known.
    based: bool,
    short: [u8; Kind::COUNT],
}

impl Writer {
    /// References are added from `start` on, up to the end of the window.
    pub(super) fn new(start: u32, window_bytes: u32, dialect: Dialect) -> Self {
        let mut short = [ANY_KIND; Kind::COUNT];
        for (number, kind) in (0..).zip(dialect.kinds()) {
            short[usize::from(kind.number())] = number;
        }
        let stretch = Stretch { range: start..start, dialect, blocks: vec![0], bytes: Vec::new(), count: 0 };
        let end = block_start(start / BLOCK_BYTES);
        Self { stretch, limit: window_bytes, end, bases: [None; Kind::COUNT], based: false, short }
    }

    /// Adds a reference, unless it begins before the end of the last one or reaches past the window.
    #[inline]
    pub(super) fn push(&mut self, at: u32, kind: Kind, base: u32) {
        let Some(end) = at.checked_add(u32::from(kind.bytes())) else { return };
        if at < self.stretch.range.end || end > self.limit {
            return;
        }
        if self.stretch.bytes.len() >= REFERENCES_BYTES_MAX {
            return;
        }
        self.enter_block(at / BLOCK_BYTES);
        let distance = at.saturating_sub(self.end);
        let number = usize::from(kind.number());
        let new_base = kind.has_base() && self.bases[number] != Some(base);
        let short = if new_base { ANY_KIND } else { self.short[number] };
        let bytes = &mut self.stretch.bytes;
        bytes.push(short << 5 | distance.min(FAR).to_le_bytes()[0]);
        if distance >= FAR {
            put(bytes, distance - FAR);
        }
        if short == ANY_KIND {
            bytes.push(if new_base { kind.number() | NEW_BASE } else { kind.number() });
        }
        if new_base {
            let difference = base.wrapping_sub(self.bases[number].unwrap_or(0)).cast_signed();
            put(bytes, ((difference << 1) ^ (difference >> 31)).cast_unsigned());
            self.bases[number] = Some(base);
            self.based = true;
        }
        self.stretch.count += 1;
        self.stretch.range.end = end;
        self.end = end;
    }

    fn enter_block(&mut self, block: u32) {
        let first = self.stretch.range.start / BLOCK_BYTES;
        let entered = (block - first) as usize + 1;
        if self.stretch.blocks.len() < entered {
            let start = u32::try_from(self.stretch.bytes.len()).unwrap_or(u32::MAX);
            self.stretch.blocks.resize(entered, start);
            self.end = block_start(block);
            if self.based {
                self.bases = [None; Kind::COUNT];
                self.based = false;
            }
            // Grown by a quarter and not to twice the size: what is reserved is held, too.
            let bytes = &mut self.stretch.bytes;
            if bytes.capacity() - bytes.len() < BLOCK_REFERENCES_BYTES {
                bytes.reserve_exact(BLOCK_REFERENCES_BYTES.max(bytes.len() / 4));
            }
        }
    }

    /// Where the last reference ends.
    pub(super) fn end(&self) -> u32 {
        self.stretch.range.end
    }

    /// The stretch, in no more memory than it takes: a window may have tens of thousands.
    pub(super) fn finish(mut self) -> Stretch {
        self.stretch.bytes.shrink_to_fit();
        self.stretch.blocks.shrink_to_fit();
        self.stretch
    }
}

fn block_start(block: u32) -> u32 {
    block.saturating_mul(BLOCK_BYTES)
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// How much is left when the next block begins.
    next_block: usize,
    blocks: &'a [u32],
    bytes: usize,
    block: u32,
    end: u32,
    bases: [u32; Kind::COUNT],
    /// Whether any of them is not zero.
    based: bool,
    kinds: [Kind; ANY_KIND as usize],
}

impl Reader<'_> {
    fn begin_block(&mut self) {
        if self.based {
            self.bases = [0; Kind::COUNT];
            self.based = false;
        }
        self.end = block_start(self.block);
        self.next_block = self.blocks.first().map_or(0, |start| self.bytes - *start as usize);
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Some(value)
    }
}

impl Iterator for Reader<'_> {
    type Item = Reference;

    #[inline]
    fn next(&mut self) -> Option<Reference> {
        while self.rest.len() == self.next_block && !self.blocks.is_empty() {
            self.blocks = self.blocks.get(1..).unwrap_or_default();
            self.block += 1;
            self.begin_block();
        }
        let first = self.byte()?;
        let mut distance = u32::from(first) & FAR;
        if distance == FAR {
            distance = self.number()?.wrapping_add(FAR);
        }
        let kind = match self.kinds.get(usize::from(first >> 5)) {
            Some(kind) => *kind,
            None => {
                let number = self.byte()?;
                let kind = Kind::from_number(number & !NEW_BASE)?;
                if number & NEW_BASE != 0 {
                    let zigzag = self.number()?;
                    let difference = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
                    let base = &mut self.bases[usize::from(kind.number())];
                    *base = base.wrapping_add(difference);
                    self.based = true;
                }
                kind
            }
        };
        let at = self.end.wrapping_add(distance);
        self.end = at.wrapping_add(u32::from(kind.bytes()));
        let base = if kind.has_base() { self.bases[usize::from(kind.number())] } else { 0 };
        Some(Reference { at, kind, base })
    }
}

fn put(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(gaps: &[(u32, u8, u32)], start: u32, dialect: Dialect) -> (Stretch, Vec<Reference>) {
        let mut writer = Writer::new(start, u32::MAX, dialect);
        let mut expected = Vec::new();
        for (gap, kind, base) in gaps {
            let kind = Kind::from_number(kind % Kind::Number.number()).unwrap();
            let at = writer.end() + gap;
            let base = if kind.has_base() { *base } else { 0 };
            writer.push(at, kind, base);
            expected.push(Reference { at, kind, base });
        }
        (writer.finish(), expected)
    }

    proptest! {
        #[test]
        fn references_read_back_from_any_place(
            gaps in proptest::collection::vec((0_u32..9000, any::<u8>(), any::<u32>()), 0..60),
            start in 0_u32..20_000,
            ask in (0_u32..300_000, 0_u32..20_000),
        ) {
            let (stretch, expected) = written(&gaps, start, Dialect::Data);
            prop_assert_eq!(stretch.count() as usize, expected.len());
            let range = ask.0..ask.0 + ask.1;
            let mut found = Vec::new();
            stretch.visit(&range, &mut |reference| found.push(reference));
            let inside = |r: &&Reference| r.at >= range.start && r.at + u32::from(r.bytes()) <= range.end;
            let expected: Vec<_> = expected.iter().filter(inside).copied().collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_common_reference_takes_one_byte() {
        let gaps = vec![(7, Kind::Ahead.number(), 0); 1000];
        let (stretch, _) = written(&gaps, 0, Dialect::X86);
        assert_eq!(stretch.bytes.len(), 1000);
    }
}
