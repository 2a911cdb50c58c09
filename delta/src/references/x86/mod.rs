//! References in x86-64 code: calls, jumps, data named relative to the program counter and, in files that are not
//! position-independent, addresses in immediates and displacements.

mod decode;
mod lanes;
mod opcodes;
mod quick;

use std::io;
use std::ops::Range;

use super::elf::Section;
use super::find::File;
use super::kind::{Kind, signed};
use super::store::Writer;
use super::tables::Tables;
use decode::{
    BRANCH, DISPLACEMENT, ENTERS, IMMEDIATE, INSTRUCTION_BYTES_MAX, Instruction, LEAVES, LOADS, MOVES,
    OWN_SEGMENT, PUSHES, RELATIVE, SHORT_BRANCH, SLOT, STACK,
};
use lanes::{Found, Lanes, STRETCH_BYTES};

pub(super) fn find(
    file: &File<'_>,
    section: &Section,
    tables: &mut Tables,
    out: &mut Writer,
) -> io::Result<()> {
    let stretch = file.visible(section);
    let mut scan = Scan {
        bounds: file.bounds.clone(),
        high: file.is_high().then_some(if file.is_kernel() {
            Kind::SignedPointer
        } else {
            Kind::ShortPointer
        }),
        own: file.section(b".data..percpu").map_or(0, |section| section.bytes),
        relocations: relocations_of(file, section),
        constants: constants_of(file),
        tables,
    };
    let mut lanes = Lanes::new();
    file.source.pieces(stretch, INSTRUCTION_BYTES_MAX, |at, bytes, last| {
        let until = if last { bytes.len() } else { bytes.len().saturating_sub(INSTRUCTION_BYTES_MAX) };
        let Some(place) = file.place(at) else { return bytes.len() };
        let address = section.address.wrapping_add(at - section.at);
        let mut done = 0;
        while done < until {
            let (place, address) = (place.saturating_add(short(done)), address.wrapping_add(done as u64));
            let code = bytes.get(done..).unwrap_or_default();
            done += scan.stretch(place, address, code, (until - done).min(STRETCH_BYTES), &mut lanes, out);
        }
        done
    })
}

/// Stubs to functions of other libraries push the number of their relocation.
fn relocations_of(file: &File<'_>, section: &Section) -> Option<u32> {
    if section.name() == b".plt" { file.place_of(file.section(b".rela.plt")) } else { None }
}

/// What of the window is neither code nor written to.
fn constants_of(file: &File<'_>) -> Vec<(Range<u64>, u32)> {
    let sections = file.sections.iter();
    let constants =
        sections.filter(|section| section.is_loaded() && !section.is_code() && !section.is_writable());
    let ranges = constants.filter_map(|section| {
        let visible = file.visible(section);
        let address = |at: u64| section.address.wrapping_add(at - section.at);
        Some((address(visible.start)..address(visible.end), file.place(visible.start)?))
    });
    ranges.collect()
}

/// Where in a structure something may be, if it takes four bytes to say so.
const MEMBERS: Range<u32> = 128..65_536;
/// What may be the number of a line.
const NUMBERS: Range<u32> = 16..100_000;

struct Scan<'a> {
    bounds: Range<u64>,
    /// How addresses stand in immediates, if they do.
    high: Option<Kind>,
    /// A processor's own data, whose addresses begin at zero.
    own: u64,
    relocations: Option<u32>,
    /// Where constants are in memory, and in the window.
    constants: Vec<(Range<u64>, u32)>,
    tables: &'a mut Tables,
}

impl Scan<'_> {
    /// Adds the references of a stretch of code. Returns how much of it is done: it may be a little more.
    fn stretch(
        &mut self,
        place: u32,
        address: u64,
        code: &[u8],
        bytes: usize,
        lanes: &mut Lanes,
        out: &mut Writer,
    ) -> usize {
        let (done, found) = lanes.decode(code, bytes, address);
        for Found { at, instruction } in found {
            let code = code.get(*at as usize..).unwrap_or_default();
            let (place, address) = (place.wrapping_add(*at), address.wrapping_add(u64::from(*at)));
            self.fields(place, address, code, instruction, out);
        }
        done
    }

    #[inline]
    fn fields(&mut self, place: u32, address: u64, code: &[u8], found: &Instruction, out: &mut Writer) {
        let end = found.before_immediate;
        if found.facts & SLOT != 0 {
            slot(place, found, out);
        } else if found.facts & RELATIVE != 0 {
            self.relative(place, address, code, found, end - 4, out);
        } else if found.facts & DISPLACEMENT != 0 {
            self.displacement(place, code, found, out);
        }
        if found.facts & BRANCH != 0 {
            self.relative(place, address, code, found, end, out);
        } else if found.facts & SHORT_BRANCH != 0 {
            out.push(place + u32::from(end), Kind::Short, 0);
        } else if found.facts & (IMMEDIATE | ENTERS | LEAVES) != 0 {
            self.immediate(place, code, found, out);
        }
    }

    /// A distance from the instruction's end to something in this file.
    #[inline]
    fn relative(
        &mut self,
        place: u32,
        address: u64,
        code: &[u8],
        found: &Instruction,
        at: u8,
        out: &mut Writer,
    ) {
        let target =
            address.wrapping_add(u64::from(found.bytes)).wrapping_add(signed(u64::from(field(code, at))));
        let kind = match found.bytes - at {
            4 => Kind::Ahead,
            5 => Kind::Ahead1,
            6 => Kind::Ahead2,
            8 => Kind::Ahead4,
            _ => return,
        };
        if self.bounds.contains(&target) || self.is_own(found, target) {
            out.push(place + u32::from(at), kind, 0);
            if found.facts & LOADS != 0 {
                self.mark(target);
            }
        }
    }

    fn is_own(&self, found: &Instruction, address: u64) -> bool {
        found.facts & OWN_SEGMENT != 0 && address < self.own
    }

    fn mark(&mut self, address: u64) {
        for (range, place) in self.constants.iter().filter(|(range, _)| range.contains(&address)) {
            let within = u32::try_from(address - range.start).unwrap_or(u32::MAX);
            self.tables.mark(place.saturating_add(within));
        }
    }

    /// An address that something is added to. A processor's own data has small addresses.
    fn displacement(&mut self, place: u32, code: &[u8], found: &Instruction, out: &mut Writer) {
        let at = found.before_immediate - 4;
        let value = field(code, at);
        if self.is_own(found, value.into()) {
            out.push(place + u32::from(at), Kind::ShortPointer, 0);
        } else if let Some(kind) = self.kind_of_address(value) {
            out.push(place + u32::from(at), kind, 0);
        } else if MEMBERS.contains(&field(code, at)) {
            out.push(place + u32::from(at), Kind::Member, 0);
        }
    }

    /// An address, the number of a relocation or of a line, or how much a function takes of the stack.
    #[inline]
    fn immediate(&mut self, place: u32, code: &[u8], found: &Instruction, out: &mut Writer) {
        let at = place + u32::from(found.before_immediate);
        if found.facts & (ENTERS | LEAVES) != 0 {
            out.push(at, frame_size(found.facts), 0);
            return;
        }
        let number = field(code, found.before_immediate);
        if let Some(kind) = self.kind_of_address(number) {
            out.push(at, kind, 0);
        } else if let Some(relocations) = self.relocations.filter(|_| found.facts & PUSHES != 0) {
            out.push(at, Kind::Symbol, relocations);
        } else if found.facts & MOVES != 0 && NUMBERS.contains(&number) {
            out.push(at, Kind::Number, 0);
        }
    }

    /// How an address stands in four bytes, if it is one.
    #[inline]
    fn kind_of_address(&self, value: u32) -> Option<Kind> {
        let kind = self.high?;
        let value = u64::from(value);
        let address = if kind == Kind::SignedPointer { signed(value) } else { value };
        self.bounds.contains(&address).then_some(kind)
    }
}

fn slot(place: u32, found: &Instruction, out: &mut Writer) {
    let long = found.facts & DISPLACEMENT != 0;
    let (kind, bytes) = match (found.facts & STACK != 0, long) {
        (true, false) => (Kind::Slot, 1),
        (true, true) => (Kind::LongSlot, 4),
        (false, false) => (Kind::FrameSlot, 1),
        (false, true) => (Kind::LongFrameSlot, 4),
    };
    out.push(place + u32::from(found.before_immediate) - bytes, kind, 0);
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

fn short(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn field(code: &[u8], at: u8) -> u32 {
    code.get(usize::from(at)..).and_then(<[u8]>::first_chunk).map_or(0, |field| u32::from_le_bytes(*field))
}
