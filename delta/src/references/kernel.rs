//! What only Linux kernels have: tables of distances to code, and relocations after the end of the file.

use std::io;
use std::ops::Range;

use super::elf::Section;
use super::find::File;
use super::kind::{Kind, signed};
use super::store::{Dialect, Writer};

/// Sections that are such tables, even if little of them leads to code.
const TABLES: [&[u8]; 6] =
    [b"__ksymtab", b"__ex_table", b".altinstructions", b".smp_locks", b"__bug_table", b".orc_unwind_ip"];
/// Distances that are shorter are numbers.
const SHORTEST_DISTANCE: i64 = 256;

/// Whether a section is a table of words that are distances from themselves: many lead to code.
pub(super) fn is_table(file: &File<'_>, section: &Section) -> io::Result<bool> {
    if TABLES.iter().any(|name| section.name().starts_with(name)) {
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
    words(file, section, |place, address, word| {
        let distance = signed(u64::from(word));
        let target = address.wrapping_add(distance);
        if distance.cast_signed().abs() > SHORTEST_DISTANCE && file.bounds.contains(&target) {
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
