//! References in x86-64 code: calls, jumps, data named relative to the program counter and, in files that are not
//! position-independent, addresses in immediates and displacements.

mod decode;

use std::io;
use std::ops::Range;

use super::elf::Section;
use super::find::File;
use super::kind::{Kind, signed};
use super::store::Writer;
use super::tables::Tables;
use decode::{INSTRUCTION_BYTES_MAX, Instruction, decode};

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
        relocations: relocations_of(file, section),
        file,
        tables,
    };
    file.source.pieces(stretch, INSTRUCTION_BYTES_MAX, |at, bytes, last| {
        let until = if last { bytes.len() } else { bytes.len().saturating_sub(INSTRUCTION_BYTES_MAX) };
        let Some(place) = file.place(at) else { return bytes.len() };
        scan.piece(place, section.address.wrapping_add(at - section.at), bytes, until, out)
    })
}

/// Stubs to functions of other libraries push the number of their relocation.
fn relocations_of(file: &File<'_>, section: &Section) -> Option<u32> {
    if section.name() == b".plt" { file.place_of(file.section(b".rela.plt")) } else { None }
}

const LOAD_ADDRESS: u8 = 0x8d;
/// The first of eight opcodes, one for each register.
const MOVE_NUMBER: u8 = 0xb8;
/// What may be the number of a line.
const NUMBERS: Range<u32> = 16..100_000;

fn is_short_jump(opcode: u8) -> bool {
    matches!(opcode, 0x70..=0x7f | 0xe0..=0xe3 | 0xeb)
}

/// Whether it moves the stack pointer, at a function's beginning or end.
fn frame_size(found: &Instruction) -> Option<Kind> {
    Some(match (found.opcode, found.modrm) {
        (0x83, 0xec) => Kind::Enter,
        (0x81, 0xec) => Kind::LongEnter,
        (0x83, 0xc4) => Kind::Leave,
        (0x81, 0xc4) => Kind::LongLeave,
        _ => return None,
    })
}

struct Scan<'a, 'b> {
    bounds: Range<u64>,
    /// How addresses stand in immediates, if they do.
    high: Option<Kind>,
    relocations: Option<u32>,
    file: &'a File<'a>,
    tables: &'b mut Tables,
}

impl Scan<'_, '_> {
    fn piece(&mut self, place: u32, address: u64, bytes: &[u8], until: usize, out: &mut Writer) -> usize {
        let mut at = 0_u32;
        while (at as usize) < until {
            let code = bytes.get(at as usize..).unwrap_or_default();
            let found = decode(code);
            let here = place.wrapping_add(at);
            if found.slot > 0 {
                self.slot(here, &found, out);
            } else if found.relative > 0 {
                self.relative(here, address.wrapping_add(u64::from(at)), code, &found, out);
            } else if found.displacement | found.immediate > 0 {
                self.absolute(here, code, &found, out);
            } else if found.bytes == 2 && is_short_jump(found.opcode) {
                out.push(here.wrapping_add(1), Kind::Short, 0);
            } else if let Some(kind) = frame_size(&found) {
                out.push(here.wrapping_add(u32::from(found.bytes) - u32::from(kind.bytes())), kind, 0);
            }
            at += u32::from(found.bytes);
        }
        at as usize
    }

    #[inline]
    fn relative(&mut self, place: u32, address: u64, code: &[u8], found: &Instruction, out: &mut Writer) {
        let end = address.wrapping_add(u64::from(found.bytes));
        let target = end.wrapping_add(signed(u64::from(field(code, found.relative))));
        let kind = match found.bytes - found.relative {
            4 => Kind::Ahead,
            5 => Kind::Ahead1,
            6 => Kind::Ahead2,
            8 => Kind::Ahead4,
            _ => return,
        };
        if !self.bounds.contains(&target) {
            return;
        }
        out.push(place + u32::from(found.relative), kind, 0);
        if found.opcode == LOAD_ADDRESS {
            self.mark(target);
        }
        if found.immediate > 0 {
            self.address_in(place, code, found.immediate, out);
        }
    }

    fn mark(&mut self, address: u64) {
        let sections = self.file.sections.iter();
        let data =
            sections.filter(|section| section.is_loaded() && !section.is_code() && !section.is_writable());
        for section in data {
            let distance = address.wrapping_sub(section.address);
            if distance < section.bytes
                && let Some(place) = self.file.place(section.at.wrapping_add(distance))
            {
                self.tables.mark(place);
            }
        }
    }

    fn absolute(&mut self, place: u32, code: &[u8], found: &Instruction, out: &mut Writer) {
        const PUSH: u8 = 0x68;
        if let Some(relocations) = self.relocations.filter(|_| code.first() == Some(&PUSH)) {
            out.push(place + 1, Kind::Symbol, relocations);
            return;
        }
        for at in [found.displacement, found.immediate] {
            if at > 0 && self.address_in(place, code, at, out) {
                return;
            }
        }
        if let Some(kind) = frame_size(found) {
            out.push(place + u32::from(found.immediate), kind, 0);
        } else if found.opcode & 0xf8 == MOVE_NUMBER && found.immediate > 0 {
            let number = field(code, found.immediate);
            if NUMBERS.contains(&number) {
                out.push(place + u32::from(found.immediate), Kind::Number, 0);
            }
        }
    }

    fn slot(&self, place: u32, found: &Instruction, out: &mut Writer) {
        let long = found.displacement > 0;
        let kind = match (found.modrm & 7 == 4, long) {
            (true, false) => Kind::Slot,
            (true, true) => Kind::LongSlot,
            (false, false) => Kind::FrameSlot,
            (false, true) => Kind::LongFrameSlot,
        };
        out.push(place + u32::from(found.slot), kind, 0);
    }

    /// Whether there is an address.
    fn address_in(&mut self, place: u32, code: &[u8], at: u8, out: &mut Writer) -> bool {
        let Some(kind) = self.high else { return false };
        let value = u64::from(field(code, at));
        let address = if kind == Kind::SignedPointer { signed(value) } else { value };
        let is_address = self.bounds.contains(&address);
        if is_address {
            out.push(place + u32::from(at), kind, 0);
        }
        is_address
    }
}

fn field(code: &[u8], at: u8) -> u32 {
    code.get(usize::from(at)..).and_then(<[u8]>::first_chunk).map_or(0, |field| u32::from_le_bytes(*field))
}
