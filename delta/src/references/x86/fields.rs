//! Which fields of an instruction name something.

use std::ops::Range;

use super::decode::{
    BRANCH, DISPLACEMENT, ENTERS, IMMEDIATE, Instruction, LEAVES, MOVES, OWN_SEGMENT, PUSHES, RELATIVE,
    SHORT_BRANCH, SLOT, STACK,
};
use super::lanes::Interest;
use crate::references::find::File;
use crate::references::kind::{Kind, Reference, signed};

/// Where in a structure something may be, if it takes four bytes to say so.
const MEMBERS: Range<u32> = 128..65_536;
/// What may be the number of a line.
const NUMBERS: Range<u32> = 16..100_000;

/// What is known of a file that code is in.
#[derive(Debug)]
pub(in crate::references) struct Surroundings {
    bounds: Range<u64>,
    /// How addresses stand in immediates, if they do.
    high: Option<Kind>,
    /// A processor's own data, whose addresses begin at zero.
    own: u64,
}

impl Surroundings {
    pub(in crate::references) fn new(file: &File<'_>) -> Self {
        let kind = if file.is_kernel() { Kind::SignedPointer } else { Kind::ShortPointer };
        Self {
            bounds: file.bounds.clone(),
            high: file.is_high().then_some(kind),
            own: file.section(b".data..percpu").map_or(0, |section| section.bytes),
        }
    }

    /// What is of interest in code of which a part moves together.
    pub(super) fn interest(&self, together: Range<u32>) -> Interest {
        Interest::new(self.high.is_some(), together)
    }

    /// How an address stands in four bytes, if it is one.
    #[inline]
    fn kind_of_address(&self, value: u32) -> Option<Kind> {
        let kind = self.high?;
        let value = u64::from(value);
        let address = if kind == Kind::SignedPointer { signed(value) } else { value };
        self.bounds.contains(&address).then_some(kind)
    }

    fn is_own(&self, found: &Instruction, address: u64) -> bool {
        found.facts & OWN_SEGMENT != 0 && address < self.own
    }
}

/// Takes the fields of instructions, in order.
pub(super) struct Fields<'a, Visit> {
    surroundings: &'a Surroundings,
    relocations: Option<u32>,
    /// The code that moves together: distances within it stay.
    region: Range<u32>,
    /// Fields lie within these places.
    start: u32,
    end: u32,
    visit: &'a mut Visit,
}

impl<'a, Visit: FnMut(Reference)> Fields<'a, Visit> {
    pub(super) fn new(
        surroundings: &'a Surroundings,
        relocations: Option<u32>,
        region: Range<u32>,
        end: u32,
        visit: &'a mut Visit,
    ) -> Self {
        Self { surroundings, relocations, region, start: 0, end, visit }
    }

    /// The same, but for fields before a place.
    pub(super) fn from(&mut self, start: u32) -> &mut Self {
        self.start = start;
        self
    }

    /// Takes the fields of an instruction, given its place and its address.
    #[inline]
    pub(super) fn of(&mut self, place: u32, address: u64, code: &[u8], found: &Instruction) {
        let end = found.before_immediate;
        if found.facts & SLOT != 0 {
            self.slot(place, found);
        } else if found.facts & RELATIVE != 0 {
            self.relative(place, address, code, found, end - 4);
        } else if found.facts & DISPLACEMENT != 0 {
            self.displacement(place, code, found);
        }
        if found.facts & BRANCH != 0 {
            self.relative(place, address, code, found, end);
        } else if found.facts & SHORT_BRANCH != 0 {
            let distance = code.get(usize::from(end)).copied().unwrap_or_default();
            self.short_ahead(place.wrapping_add(found.bytes.into()), distance);
        } else if found.facts & (IMMEDIATE | ENTERS | LEAVES) != 0 {
            self.immediate(place, code, found);
        }
    }

    #[inline]
    pub(super) fn push(&mut self, at: u32, kind: Kind, base: u32) {
        if at >= self.start && at < self.end && self.end - at >= u32::from(kind.bytes()) {
            (self.visit)(Reference { at, kind, base });
            self.start = at + u32::from(kind.bytes());
        }
    }

    #[inline]
    fn moves_together(&self, place: u32) -> bool {
        self.region.contains(&place)
    }

    /// A distance in the last byte of an instruction, given the place of its end.
    #[inline]
    pub(super) fn short_ahead(&mut self, end: u32, distance: u8) {
        if !self.moves_together(end.wrapping_add_signed(distance.cast_signed().into())) {
            self.push(end.wrapping_sub(1), Kind::Short, 0);
        }
    }

    /// A distance in the last four bytes of an instruction, given the place and the address of its end.
    #[inline]
    pub(super) fn ahead(&mut self, end: u32, address: u64, distance: u32) {
        if !self.moves_together(end.wrapping_add(distance))
            && self.surroundings.bounds.contains(&address.wrapping_add(signed(distance.into())))
        {
            self.push(end.wrapping_sub(4), Kind::Ahead, 0);
        }
    }

    /// A distance from the instruction's end to something in this file.
    #[inline]
    fn relative(&mut self, place: u32, address: u64, code: &[u8], found: &Instruction, at: u8) {
        let distance = field(code, at);
        let next = place.wrapping_add(u32::from(found.bytes));
        if self.moves_together(next.wrapping_add(distance)) {
            return;
        }
        let target = address.wrapping_add(u64::from(found.bytes)).wrapping_add(signed(u64::from(distance)));
        let kind = match found.bytes - at {
            4 => Kind::Ahead,
            5 => Kind::Ahead1,
            6 => Kind::Ahead2,
            8 => Kind::Ahead4,
            _ => return,
        };
        if self.surroundings.bounds.contains(&target) || self.surroundings.is_own(found, target) {
            self.push(place + u32::from(at), kind, 0);
        }
    }

    /// An address that something is added to. A processor's own data has small addresses.
    fn displacement(&mut self, place: u32, code: &[u8], found: &Instruction) {
        let at = found.before_immediate - 4;
        let value = field(code, at);
        let place = place + u32::from(at);
        if self.surroundings.is_own(found, value.into()) {
            self.push(place, Kind::ShortPointer, 0);
        } else {
            self.displaced(place, value);
        }
    }

    /// The same at a place, but for a processor's own data.
    #[inline]
    pub(super) fn displaced(&mut self, place: u32, value: u32) {
        if let Some(kind) = self.surroundings.kind_of_address(value) {
            self.push(place, kind, 0);
        } else if MEMBERS.contains(&value) {
            self.push(place, Kind::Member, 0);
        }
    }

    /// A number that is moved to a register: an address, or that of a line.
    #[inline]
    pub(super) fn number(&mut self, place: u32, number: u32) {
        if let Some(kind) = self.surroundings.kind_of_address(number) {
            self.push(place, kind, 0);
        } else if NUMBERS.contains(&number) {
            self.push(place, Kind::Number, 0);
        }
    }

    /// An address, the number of a relocation or of a line, or how much a function takes of the stack.
    #[inline]
    fn immediate(&mut self, place: u32, code: &[u8], found: &Instruction) {
        let at = place + u32::from(found.before_immediate);
        if found.facts & (ENTERS | LEAVES) != 0 {
            self.push(at, frame_size(found.facts), 0);
            return;
        }
        let number = field(code, found.before_immediate);
        if let Some(kind) = self.surroundings.kind_of_address(number) {
            self.push(at, kind, 0);
        } else if let Some(relocations) = self.relocations.filter(|_| found.facts & PUSHES != 0) {
            self.push(at, Kind::Symbol, relocations);
        } else if found.facts & MOVES != 0 && NUMBERS.contains(&number) {
            self.push(at, Kind::Number, 0);
        }
    }

    #[inline]
    fn slot(&mut self, place: u32, found: &Instruction) {
        let long = found.facts & DISPLACEMENT != 0;
        let (kind, bytes) = match (found.facts & STACK != 0, long) {
            (true, false) => (Kind::Slot, 1),
            (true, true) => (Kind::LongSlot, 4),
            (false, false) => (Kind::FrameSlot, 1),
            (false, true) => (Kind::LongFrameSlot, 4),
        };
        self.push(place + u32::from(found.before_immediate) - bytes, kind, 0);
    }
}

/// Subtracting from and adding to the stack pointer, at a function's beginning and end.
fn frame_size(facts: u16) -> Kind {
    match (facts & ENTERS != 0, facts & IMMEDIATE != 0) {
        (true, false) => Kind::Enter,
        (true, true) => Kind::LongEnter,
        (false, false) => Kind::Leave,
        (false, true) => Kind::LongLeave,
    }
}

fn field(code: &[u8], at: u8) -> u32 {
    code.get(usize::from(at)..).and_then(<[u8]>::first_chunk).map_or(0, |field| u32::from_le_bytes(*field))
}
