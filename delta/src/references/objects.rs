//! Objects to be linked, such as kernel modules: what their relocations and symbols count from is the beginning of a
//! section.

use std::io;

use super::btf;
use super::dynamic::{SYMBOL_BYTES, entries, long, short};
use super::elf::{KIND_RELOCATIONS, KIND_SYMBOLS, Section};
use super::find::{File, push_headers};
use super::kind::Kind;
use super::store::{Dialect, Stretch, Writer};

/// A checksum, and the name of the symbol that is checked.
const VERSION_BYTES: usize = 64;

pub(super) fn find(file: &File<'_>) -> io::Result<Option<Stretch>> {
    let mut order: Vec<&Section> = file.sections.iter().collect();
    order.sort_by_key(|section| section.at);
    let start = file.header.at.max(file.layout.window.start);
    let Some(mut writer) = file.writer(start, Dialect::Object) else { return Ok(None) };
    let mut headers_done = false;
    for section in order {
        if section.at > file.header.section_at(0) && !headers_done {
            push_headers(file, &mut writer);
            headers_done = true;
        }
        match section.kind {
            KIND_RELOCATIONS => find_relocations(file, section, &mut writer)?,
            KIND_SYMBOLS => find_symbols(file, section, &mut writer)?,
            _ => match section.name() {
                b".BTF" => btf::find(file, section, &mut writer)?,
                b"__versions" => find_checksums::<VERSION_BYTES>(file, section, &mut writer)?,
                b"__kcrctab" | b"__kcrctab_gpl" => find_checksums::<4>(file, section, &mut writer)?,
                _ => {}
            },
        }
    }
    if !headers_done {
        push_headers(file, &mut writer);
    }
    Ok(Some(writer.finish()))
}

fn find_relocations(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    const SECTION_SYMBOL: u8 = 3;
    let target = file.place_of(file.sections.get(section.info as usize));
    let symbols = file.sections.get(section.link as usize).filter(|other| other.kind == KIND_SYMBOLS);
    let Some((symbols, first)) = symbols.zip(file.place_of(symbols)) else { return Ok(()) };
    entries::<24>(file, section, |_, place, entry| {
        if let Some(target) = target {
            out.push(place, Kind::LongBased, target);
        }
        out.push(place + 12, Kind::Symbol, first);
        let at = symbols.at.saturating_add(u64::from(short(entry, 12)) * SYMBOL_BYTES as u64);
        let Some(symbol) = file.source.get::<8>(at)? else { return Ok(()) };
        let [kind, _, low, high] = short(&symbol, 4).to_le_bytes();
        if kind & 15 == SECTION_SYMBOL {
            let named = file.sections.get(usize::from(u16::from_le_bytes([low, high])));
            if let Some(named) = file.place_of(named) {
                out.push(place + 16, Kind::LongBased, named);
            }
        }
        Ok(())
    })
}

fn find_symbols(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    let names = file.place_of(file.sections.get(section.link as usize));
    entries::<SYMBOL_BYTES>(file, section, |_, place, entry| {
        if let Some(names) = names.filter(|_| short(entry, 0) > 0) {
            out.push(place, Kind::Based, names);
        }
        let [_, _, low, high] = short(entry, 4).to_le_bytes();
        let home = file.sections.get(usize::from(u16::from_le_bytes([low, high])));
        if let Some(home) = file.place_of(home) {
            out.push(place + 8, Kind::LongBased, home);
            if long(entry, 16) > 0 {
                out.push(place + 16, Kind::LongLength, 0);
            }
        }
        Ok(())
    })
}

/// Checksums of symbols, at the beginning of each entry.
fn find_checksums<const N: usize>(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    entries::<N>(file, section, |_, place, _| {
        out.push(place, Kind::Checksum, 0);
        Ok(())
    })
}
