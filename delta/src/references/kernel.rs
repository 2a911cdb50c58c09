//! What only Linux kernels have: tables of distances to code, and relocations after the end of the file.

use std::io;
use std::ops::Range;

use super::elf::Section;
use super::find::File;
use super::kind::{Kind, signed};
use super::store::{Dialect, Writer};

/// Sections that are such tables, though little in them leads to code: how many words an entry has, and which of them are
/// distances (a bit for each).
const TABLES: [(&[u8], usize, u8); 8] = [
    (b"__ksymtab", 3, 0b111),
    (b"__ksymtab_gpl", 3, 0b111),
    (b"__ex_table", 3, 0b011),
    (b"__bug_table", 3, 0b011),
    (b".altinstructions", 3, 0b011),
    (b".pci_fixup", 4, 0b1000),
    (b".smp_locks", 1, 1),
    (b".orc_unwind_ip", 1, 1),
];
/// Distances that are shorter are numbers.
const SHORTEST_DISTANCE: i64 = 256;

/// Whether a section is a table of words that are distances from themselves: many lead to code.
pub(super) fn is_table(file: &File<'_>, section: &Section) -> io::Result<bool> {
    if TABLES.iter().any(|(name, ..)| section.name() == *name) {
        return Ok(true);
    }
    let code: Vec<Range<u64>> = file
        .sections
        .iter()
        .filter(|section| section.is_code() && section.is_loaded())
        .map(|section| section.address..section.address.saturating_add(section.bytes))
        .collect();
    let (mut all, mut leading) = (0_u64, 0_u64);
    words(file, section, |_, address, word| {
        let target = address.wrapping_add(signed(u64::from(word)));
        all += 1;
        leading += u64::from(word != 0 && code.iter().any(|code| code.contains(&target)));
    })?;
    Ok(all > 8 && leading * 10 > all * 3)
}

pub(super) fn find_table(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    let known = TABLES.iter().find(|(name, ..)| section.name() == *name);
    let (words_each, distances) = known.map_or((1, 1), |(_, words, distances)| (*words, *distances));
    let mut number = 0;
    words(file, section, |place, address, word| {
        let is_distance = distances >> (number % words_each) & 1 == 1;
        number += 1;
        let distance = signed(u64::from(word));
        let target = address.wrapping_add(distance);
        if is_distance && distance.cast_signed().abs() > SHORTEST_DISTANCE && file.bounds.contains(&target) {
            out.push(place, Kind::Here, 0);
        }
    })
}

fn words(file: &File<'_>, section: &Section, mut visit: impl FnMut(u32, u64, u32)) -> io::Result<()> {
    let stretch = file.visible(section);
    let address = section.address.wrapping_add(stretch.start - section.at);
    let first = stretch.start + address.wrapping_neg() % 4;
    file.source.pieces(first..stretch.end, 0, |at, bytes, _| {
        let address = section.address.wrapping_add(at - section.at);
        let places = file.place(at).map_or(0..0, |place| place..u32::MAX).step_by(4);
        let (words, _) = bytes.as_chunks();
        for ((place, word), distance) in places.zip(words).zip((0..).step_by(4)) {
            visit(place, address.wrapping_add(distance), u32::from_le_bytes(*word));
        }
        4 * words.len()
    })
}

/// The relocations that a packed kernel carries after its end: addresses in four bytes with a sign.
pub(super) fn find_relocations(file: &File<'_>) -> io::Result<Option<Writer>> {
    let sections = file.sections.iter().map(|section| section.range().end);
    let headers = file.header.section_at(file.header.sections);
    let start = sections.fold(headers, u64::max).next_multiple_of(4);
    let end = file.layout.window.end.min(file.source.size());
    let alone = start < end && file.layout.elements.len() == 1;
    let Some(mut writer) = file.writer(start, Dialect::X86).filter(|_| alone) else { return Ok(None) };
    file.source.pieces(start..end, 0, |at, bytes, _| {
        let places = file.place(at).map_or(0..0, |place| place..u32::MAX).step_by(4);
        let (words, _) = bytes.as_chunks();
        for (place, word) in places.zip(words) {
            if file.bounds.contains(&signed(u64::from(u32::from_le_bytes(*word)))) {
                writer.push(place, Kind::SignedPointer, 0);
            }
        }
        4 * words.len()
    })?;
    Ok(Some(writer))
}
