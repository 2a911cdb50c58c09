//! What the dynamic linker reads: relocations, symbols and the tables to find them by.

use std::io;

use super::elf::{KIND_DYNAMIC_SYMBOLS, KIND_RELOCATIONS, KIND_SYMBOLS, Section};
use super::find::File;
use super::kind::Kind;
use super::store::Writer;

pub(super) const RELOCATION_BYTES: usize = 24;
pub(super) const SYMBOL_BYTES: usize = 24;

/// Calls back for each entry of a table that is in the window, with its place.
pub(super) fn entries<const N: usize>(
    file: &File<'_>,
    section: &Section,
    mut visit: impl FnMut(u64, u32, &[u8; N]) -> io::Result<()>,
) -> io::Result<()> {
    let visible = file.visible(section);
    let skipped = (visible.start - section.at).div_ceil(N as u64);
    let mut at = section.at.saturating_add(skipped * N as u64);
    while at.checked_add(N as u64).is_some_and(|end| end <= visible.end) {
        if let (Some(place), Some(entry)) = (file.place(at), file.source.get::<N>(at)?) {
            visit(at, place, &entry)?;
        }
        at += N as u64;
    }
    Ok(())
}

pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |long| u64::from_le_bytes(*long))
}

pub(super) fn short(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |short| u32::from_le_bytes(*short))
}

/// Relocations with addends: where, by which symbol, what to add.
pub(super) fn find_relocations(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    /// Types whose addend is an address: RELATIVE and IRELATIVE of both machines.
    const ADDRESS_TYPES: [u32; 4] = [8, 37, 1027, 1032];
    let symbols = file.sections.get(section.link as usize);
    let symbols = file.place_of(symbols.filter(|symbols| is_symbols(symbols)));
    entries::<RELOCATION_BYTES>(file, section, |_, place, entry| {
        if file.bounds.contains(&long(entry, 0)) {
            out.push(place, Kind::Pointer, 0);
        }
        if let Some(symbols) = symbols.filter(|_| short(entry, 12) > 0) {
            out.push(place + 12, Kind::Symbol, symbols);
        }
        if ADDRESS_TYPES.contains(&short(entry, 8)) && file.bounds.contains(&long(entry, 16)) {
            out.push(place + 16, Kind::Pointer, 0);
        }
        Ok(())
    })
}

/// Whether data that is relocated holds its addresses, too. Some linkers leave zeros, since the relocations have them; then what
/// looks like an address is a number.
pub(super) fn holds_addresses(file: &File<'_>) -> io::Result<bool> {
    const RELATIVE_TYPES: [u32; 2] = [8, 1027];
    const SAMPLES: u64 = 64;
    let is_relocations = |section: &&Section| section.kind == KIND_RELOCATIONS && section.is_loaded();
    let Some(section) = file.sections.iter().find(is_relocations) else { return Ok(true) };
    let count = section.bytes / RELOCATION_BYTES as u64;
    let (mut held, mut all) = (0, 0);
    for sample in 0..SAMPLES.min(count) {
        let at = section.at.saturating_add(count * sample / SAMPLES * RELOCATION_BYTES as u64);
        let Some(entry) = file.source.get::<RELOCATION_BYTES>(at)? else { break };
        let place = file.file_at(long(&entry, 0)).filter(|_| RELATIVE_TYPES.contains(&short(&entry, 8)));
        if let Some(place) = place {
            all += 1;
            held += u64::from(file.source.u64(place)? == Some(long(&entry, 16)));
        }
    }
    Ok(2 * held >= all)
}

/// Relocations as addresses and, after each, bits for the words that follow.
pub(super) fn find_packed_relocations(
    file: &File<'_>,
    section: &Section,
    out: &mut Writer,
) -> io::Result<()> {
    entries::<8>(file, section, |_, place, entry| {
        let value = u64::from_le_bytes(*entry);
        if value & 1 == 0 && file.bounds.contains(&value) {
            out.push(place, Kind::Pointer, 0);
        }
        Ok(())
    })
}

fn is_symbols(section: &Section) -> bool {
    matches!(section.kind, KIND_SYMBOLS | KIND_DYNAMIC_SYMBOLS)
}

/// Symbols: name, address and size.
pub(super) fn find_symbols(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    const THREAD_LOCAL: u8 = 6;
    let names = file.place_of(file.sections.get(section.link as usize));
    entries::<SYMBOL_BYTES>(file, section, |_, place, entry| {
        if let Some(names) = names.filter(|_| short(entry, 0) > 0) {
            out.push(place, Kind::Based, names);
        }
        let [kind, _, low, high] = short(entry, 4).to_le_bytes();
        let defined = (low, high) != (0, 0) && high != 0xff && kind & 15 != THREAD_LOCAL;
        if defined && file.bounds.contains(&long(entry, 8)) {
            out.push(place + 8, Kind::Pointer, 0);
            if long(entry, 16) > 0 {
                out.push(place + 16, Kind::LongLength, 0);
            }
        }
        Ok(())
    })
}

/// GNU's hash table: its buckets are numbers of symbols.
pub(super) fn find_gnu_hash(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    const HEADER_BYTES: usize = 16;
    let Some(symbols) = file.place_of(file.sections.get(section.link as usize)) else { return Ok(()) };
    let Some(header) = file.source.get::<HEADER_BYTES>(section.at)? else { return Ok(()) };
    let (buckets, filter) = (u64::from(short(&header, 0)), u64::from(short(&header, 8)));
    let start = HEADER_BYTES as u64 + filter * 8;
    let end = start + buckets * 4;
    if end > section.bytes {
        return Ok(());
    }
    let part = Section { at: section.at.saturating_add(start), bytes: end - start, ..*section };
    find_numbers(file, &part, symbols, out)
}

/// The older hash table: all but its two counts are numbers of symbols.
pub(super) fn find_hash(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    const HEADER_BYTES: u64 = 8;
    let Some(symbols) = file.place_of(file.sections.get(section.link as usize)) else { return Ok(()) };
    let at = section.at.saturating_add(HEADER_BYTES);
    let part = Section { at, bytes: section.bytes.saturating_sub(HEADER_BYTES), ..*section };
    find_numbers(file, &part, symbols, out)
}

fn find_numbers(file: &File<'_>, section: &Section, symbols: u32, out: &mut Writer) -> io::Result<()> {
    entries::<4>(file, section, |_, place, entry| {
        if u32::from_le_bytes(*entry) > 0 {
            out.push(place, Kind::Symbol, symbols);
        }
        Ok(())
    })
}

/// Tags and what they stand for.
pub(super) fn find_dynamic(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    /// Tags whose value is an address.
    const ADDRESSES: [u64; 16] =
        [3, 4, 5, 6, 7, 12, 13, 23, 25, 26, 32, 36, 0x6fff_fef5, 0x6fff_fff0, 0x6fff_fffc, 0x6fff_fffe];
    entries::<16>(file, section, |_, place, entry| {
        if ADDRESSES.contains(&long(entry, 0)) && file.bounds.contains(&long(entry, 8)) {
            out.push(place + 8, Kind::Pointer, 0);
        }
        Ok(())
    })
}
