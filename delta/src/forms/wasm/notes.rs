//! Where the fields of a wide form are, noted while it is made: about a byte each, so that it need not be taken apart again.
//!
//! The notes of a block of the form stand in a row:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | bits 5 to 7: the kind, as a number of `COMMON`, or 7 for what is rare; bits 0 to 4: the distance from the end of the field before, or of the block's beginning, or 31 for more |
//! | number | if 31: the distance, less 31 |
//! | 1 | if 7: 0 a local in two bytes, 1 a number after a global that was taken before the block, 2 the body's number follows: no field |
//!
//! Words of data are not noted: which of them are fields is known only when a patch says so. A block with any has no notes,
//! and one that finds no room has none either: both are taken apart again.

use super::index::Reference;
use super::tape::Kind;

/// Kinds with a number of their own; the first is a local in one byte, all others have four.
const COMMON: [Kind; 7] =
    [Kind::Local, Kind::Constant, Kind::Offset, Kind::Function, Kind::Global, Kind::Type, Kind::Relative];
const RARE: u8 = 7;
const FAR: u32 = 31;
const LONG_LOCAL: u8 = 0;
const CARRIED: u8 = 1;
const BODY: u8 = 2;

/// The notes of all blocks, as they are taken.
#[derive(Debug, Default)]
pub(super) struct Notes {
    bytes: Vec<u8>,
    /// Where the notes of the block in work begin.
    start: usize,
    /// Where the last field of the block ends, or the block begins.
    end: u64,
    /// The body that its last local is in.
    body: Option<u32>,
    /// Whether the block has what cannot be noted.
    spoiled: bool,
    /// Most bytes of notes.
    room: usize,
}

/// What is to be noted of a field: as it will be found by who takes the form apart again.
#[derive(Clone, Copy)]
pub(super) struct Note {
    pub(super) at: u64,
    pub(super) bytes: u8,
    pub(super) kind: Kind,
    pub(super) body: u32,
    /// It is [`Kind::Relative`] because of an instruction before the block.
    pub(super) carried: bool,
}

/// How far notes were taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    bytes: usize,
    end: u64,
    body: Option<u32>,
    spoiled: bool,
}

impl Notes {
    /// With room for so many bytes.
    pub(super) fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    /// Notes a field.
    #[inline]
    pub(super) fn take(&mut self, note: Note) {
        let Note { at, bytes, kind, body, carried } = note;
        if kind == Kind::Local && self.body != Some(body) {
            self.body = Some(body);
            self.bytes.extend_from_slice(&[RARE << 5, BODY]);
            self.put(body);
        }
        let rare = match (kind, bytes) {
            (Kind::Local, 2) => Some(LONG_LOCAL),
            (Kind::Relative, _) if carried => Some(CARRIED),
            _ => None,
        };
        let number = match kind {
            _ if rare.is_some() => RARE,
            Kind::Local => 0,
            Kind::Constant => 1,
            Kind::Offset => 2,
            Kind::Function => 3,
            Kind::Global => 4,
            Kind::Type => 5,
            Kind::Relative => 6,
            Kind::Word | Kind::Plain => return self.spoil(),
        };
        let distance = u32::try_from(at.saturating_sub(self.end)).unwrap_or(u32::MAX);
        self.bytes.push(number << 5 | distance.min(FAR).to_le_bytes()[0]);
        if distance >= FAR {
            self.put(distance - FAR);
        }
        if let Some(rare) = rare {
            self.bytes.push(rare);
        }
        self.end = at + u64::from(bytes);
    }

    /// What cannot be noted is in the block.
    pub(super) fn spoil(&mut self) {
        self.spoiled = true;
    }

    fn put(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }

    /// Ends the block in work. Returns whether it has notes.
    pub(super) fn end_block(&mut self) -> bool {
        let is_noted = !self.spoiled && self.bytes.len() <= self.room;
        if !is_noted {
            self.bytes.truncate(self.start);
        }
        is_noted
    }

    /// Begins a block at a place. Returns where its notes begin.
    pub(super) fn begin_block(&mut self, at: u64) -> usize {
        // Grown by a quarter and not to twice the size: what is reserved is held, too.
        const MORE_BYTES: usize = 64 << 10;
        if self.bytes.capacity() - self.bytes.len() < MORE_BYTES {
            self.bytes.reserve_exact(MORE_BYTES.max(self.bytes.len() / 4));
        }
        (self.start, self.end, self.body, self.spoiled) = (self.bytes.len(), at, None, false);
        self.start
    }

    /// Goes on with a block that was ended.
    pub(super) fn reopen_block(&mut self, start: usize, is_noted: bool) {
        self.start = start;
        self.spoiled |= !is_noted;
    }

    /// How far they were taken.
    pub(super) fn taken(&self) -> Taken {
        Taken { bytes: self.bytes.len(), end: self.end, body: self.body, spoiled: self.spoiled }
    }

    /// Gives up what was taken since.
    pub(super) fn give_up(&mut self, taken: Taken) {
        self.bytes.truncate(taken.bytes);
        (self.end, self.body, self.spoiled) = (taken.end, taken.body, taken.spoiled);
    }

    /// The notes of a block, given where they begin and where those of the next one do.
    pub(super) fn of_block(&self, start: usize, next: Option<usize>) -> &[u8] {
        self.bytes.get(start..next.unwrap_or(self.bytes.len())).unwrap_or_default()
    }
}

/// Appends the fields that the notes of a block tell of, from the block's beginning on. `goes_on` says whether the block before was
/// read last.
pub(super) fn read(mut notes: &[u8], mut at: u64, goes_on: bool, found: &mut Vec<Reference>) {
    let mut body = 0;
    while let Some((first, rest)) = notes.split_first() {
        notes = rest;
        let mut distance = u32::from(*first) & FAR;
        if distance == FAR {
            distance = number(&mut notes).wrapping_add(FAR);
        }
        let (kind, bytes) = match COMMON.get(usize::from(*first >> 5)) {
            Some(Kind::Local) => (Kind::Local, 1),
            Some(kind) => (*kind, 4),
            None => {
                let Some((rare, rest)) = notes.split_first() else { break };
                notes = rest;
                match *rare {
                    LONG_LOCAL => (Kind::Local, 2),
                    CARRIED if goes_on => (Kind::Relative, 4),
                    CARRIED => (Kind::Constant, 4),
                    _ => {
                        body = number(&mut notes);
                        continue;
                    }
                }
            }
        };
        at += u64::from(distance);
        found.push(Reference { at, bytes, kind, body });
        at += u64::from(bytes);
    }
}

#[inline]
fn number(bytes: &mut &[u8]) -> u32 {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let Some((first, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        value |= u32::from(first & 0x7f) << shift;
        if *first < 0x80 {
            break;
        }
    }
    value
}
