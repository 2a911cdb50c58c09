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
            if found.relative > 0 {
                self.relative(here, address.wrapping_add(u64::from(at)), code, &found, out);
            } else if found.displacement | found.immediate > 0 {
                self.absolute(here, code, &found, out);
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
        if found.loads_address {
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
            if at > 0 {
                self.address_in(place, code, at, out);
            }
        }
    }

    fn address_in(&mut self, place: u32, code: &[u8], at: u8, out: &mut Writer) {
        let Some(kind) = self.high else { return };
        let value = u64::from(field(code, at));
        let address = if kind == Kind::SignedPointer { signed(value) } else { value };
        if self.bounds.contains(&address) {
            out.push(place + u32::from(at), kind, 0);
        }
    }
}

fn field(code: &[u8], at: u8) -> u32 {
    code.get(usize::from(at)..).and_then(<[u8]>::first_chunk).map_or(0, |field| u32::from_le_bytes(*field))
}
