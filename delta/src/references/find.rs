//! Finds the references of a window: element by element, section by section, each by what it is.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use super::elf::{self, Header, Machine, Section};
use super::found::{Part, References};
use super::kind::Kind;
use super::layout::Layout;
use super::prepared::Prepared;
use super::source::Source;
use super::store::{Dialect, Writer};
use super::tables::Tables;
use super::{aarch64, btf, data, dynamic, go, kallsyms, kernel, objects, unwind, x86};
use crate::access::ReadAt;

impl References {
    /// Finds the references in a window whose layout was read.
    pub(crate) fn find(layout: &Layout, bytes: &dyn ReadAt) -> io::Result<Self> {
        Self::find_all(layout, bytes, true)
    }

    /// The same, but leaves those of x86-64 code to be found when they are asked for.
    pub(crate) fn find_but_code(layout: &Layout, bytes: &dyn ReadAt) -> io::Result<Self> {
        Self::find_all(layout, bytes, false)
    }

    fn find_all(layout: &Layout, bytes: &dyn ReadAt, code_too: bool) -> io::Result<Self> {
        let source = Source::new(bytes, 0..bytes.size());
        let mut parts = Vec::new();
        for (index, element) in (0..).zip(&layout.elements) {
            let Some(header) = Header::read(&source, element.at)? else { continue };
            let mut sections = header.sections(&source)?;
            elf::part(&mut sections);
            if !element.is_relocatable() {
                sections.truncate(LINKED_SECTIONS_MAX);
            }
            let bounds = layout.bounds(index);
            let mut file = File { source: &source, layout, header, sections, bounds, holds_addresses: true };
            if element.is_relocatable() {
                parts.extend(objects::find(&file)?.into_iter().map(Part::Kept));
            } else {
                file.holds_addresses = dynamic::holds_addresses(&file)?;
                find_linked(&file, code_too, &mut parts)?;
            }
        }
        Ok(Self::new(parts))
    }
}

/// Most sections of a linked file that are looked at.
const LINKED_SECTIONS_MAX: usize = 256;

/// An ELF file whose references are being found.
pub(super) struct File<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) layout: &'a Layout,
    pub(super) header: Header,
    pub(super) sections: Vec<Section>,
    /// From the first address to the end of the last.
    pub(super) bounds: Range<u64>,
    /// Whether addresses stand in its data.
    pub(super) holds_addresses: bool,
}

impl File<'_> {
    pub(super) fn section(&self, name: &[u8]) -> Option<&Section> {
        self.sections.iter().find(|section| section.name() == name)
    }

    /// The place in the window of a byte of the file.
    pub(super) fn place(&self, file_at: u64) -> Option<u32> {
        self.layout.place_in_window(file_at)
    }

    /// What of a section is in the window: never before the section, not even where it has no bytes.
    pub(super) fn visible(&self, section: &Section) -> Range<u64> {
        let (range, window) = (section.range(), &self.layout.window);
        let start = section.at.max(window.start);
        start..range.end.min(window.end).min(self.source.size()).max(start)
    }

    /// The place of a section's beginning.
    pub(super) fn place_of(&self, section: Option<&Section>) -> Option<u32> {
        self.place(section.filter(|section| !section.range().is_empty())?.at)
    }

    /// Where in the file the byte at an address is.
    pub(super) fn file_at(&self, address: u64) -> Option<u64> {
        let stored =
            self.sections.iter().filter(|section| section.is_loaded() && !section.range().is_empty());
        let mut distances = stored.map(|section| (section, address.wrapping_sub(section.address)));
        let (section, distance) = distances.find(|(section, distance)| *distance < section.bytes)?;
        section.at.checked_add(distance)
    }

    /// Whether addresses are so large that small numbers are not taken for them.
    pub(super) fn is_high(&self) -> bool {
        const HIGH: u64 = 1 << 20;
        let loaded = self.sections.iter().filter(|section| section.is_loaded() && section.address > 0);
        loaded.map(|section| section.address).min().is_some_and(|lowest| lowest >= HIGH)
    }

    /// Whether it is a kernel, which lives at the end of all addresses.
    pub(super) fn is_kernel(&self) -> bool {
        self.bounds.end >> 63 == 1
    }

    /// A writer of references from some byte of the file on.
    pub(super) fn writer(&self, file_at: u64, dialect: Dialect) -> Option<Writer> {
        Some(Writer::new(self.place(file_at)?, self.layout.window_bytes(), dialect))
    }
}

fn find_linked(file: &File<'_>, code_too: bool, parts: &mut Vec<Part>) -> io::Result<()> {
    let mut tables = Tables::new(file);
    find_code(file, code_too, &mut tables, parts)?;
    let mut prepared = Prepared::default();
    go::prepare(file, &mut prepared)?;
    kallsyms::prepare(file, &mut prepared)?;
    prepared.sort();
    let mut catches = Vec::new();
    let data = file.sections.iter().filter(|section| !section.is_code());
    // What functions catch is found by their frames.
    let (later, first): (Vec<_>, Vec<_>) = data.partition(|section| section.name() == CATCHES);
    for section in first.into_iter().chain(later) {
        if file.visible(section).is_empty() {
            continue;
        }
        if let Some(mut writer) = file.writer(file.visible(section).start, Dialect::Data) {
            find_data(file, section, &tables, &prepared, &mut catches, &mut writer)?;
            parts.push(Part::Kept(writer.finish()));
        }
    }
    if let Some(writer) = find_headers(file) {
        parts.push(Part::Kept(writer.finish()));
    }
    if file.is_kernel()
        && let Some(writer) = kernel::find_relocations(file)?
    {
        parts.push(Part::Kept(writer.finish()));
    }
    Ok(())
}

fn find_code(file: &File<'_>, code_too: bool, tables: &mut Tables, parts: &mut Vec<Part>) -> io::Result<()> {
    let surroundings = Rc::new(x86::Surroundings::new(file));
    for section in file.sections.iter().filter(|section| section.is_code()) {
        let start = file.visible(section).start;
        match file.header.machine {
            _ if file.visible(section).is_empty() => {}
            Machine::X86 => {
                x86::mark(file, section, tables)?;
                let Some(code) = x86::Code::new(file, section, &surroundings) else { continue };
                if !code_too {
                    parts.push(Part::Code(code));
                } else if let Some(mut writer) = file.writer(start, Dialect::X86) {
                    x86::find(file, &code, &mut writer)?;
                    parts.push(Part::Kept(writer.finish()));
                }
            }
            Machine::Aarch64 => {
                if let Some(mut writer) = file.writer(start, Dialect::Aarch64) {
                    aarch64::find(file, section, tables, &mut writer)?;
                    parts.push(Part::Kept(writer.finish()));
                }
            }
        }
    }
    Ok(())
}

const CATCHES: &[u8] = b".gcc_except_table";

fn find_data(
    file: &File<'_>,
    section: &Section,
    tables: &Tables,
    prepared: &Prepared,
    catches: &mut Vec<u64>,
    out: &mut Writer,
) -> io::Result<()> {
    match (section.kind, section.name()) {
        (elf::KIND_RELOCATIONS, _) => dynamic::find_relocations(file, section, out),
        (elf::KIND_PACKED_RELOCATIONS, _) => dynamic::find_packed_relocations(file, section, out),
        (elf::KIND_SYMBOLS | elf::KIND_DYNAMIC_SYMBOLS, _) => dynamic::find_symbols(file, section, out),
        (elf::KIND_GNU_HASH, _) => dynamic::find_gnu_hash(file, section, out),
        (elf::KIND_HASH, _) => dynamic::find_hash(file, section, out),
        (elf::KIND_DYNAMIC, _) => dynamic::find_dynamic(file, section, out),
        (_, b".eh_frame") => unwind::find_frames(file, section, catches, out),
        (_, b".eh_frame_hdr") => unwind::find_frame_index(file, section, out),
        (_, b".BTF") => btf::find(file, section, out),
        (_, CATCHES) => unwind::find_catches(file, section, catches, out),
        (_, name) if go::SECTIONS.contains(&name) => go::find_function_table(file, prepared, out),
        _ if !section.is_loaded() => Ok(()),
        _ if file.is_kernel() && kernel::is_table(file, section)? => kernel::find_table(file, section, out),
        _ => data::find(file, section, tables, prepared, out),
    }
}

/// The section headers say where sections are.
fn find_headers(file: &File<'_>) -> Option<Writer> {
    let mut writer = file.writer(file.header.section_at(0), Dialect::Object)?;
    push_headers(file, &mut writer);
    Some(writer)
}

pub(super) fn push_headers(file: &File<'_>, out: &mut Writer) {
    let Some(base) = file.place(file.header.at) else { return };
    for (index, section) in (0..).zip(&file.sections) {
        let Some(at) = file.place(file.header.section_at(index)) else { break };
        if section.kind == 0 || at.checked_add(elf::SECTION_HEADER_BYTES.into()).is_none() {
            continue;
        }
        if section.is_loaded() && section.address > 0 {
            out.push(at + 16, Kind::Pointer, 0);
        }
        out.push(at + 24, Kind::Offset, base);
    }
}
