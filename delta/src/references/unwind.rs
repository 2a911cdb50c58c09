//! Unwind tables: for each function where it begins, how long it is, and where what it catches is described.

use std::io;

use super::dynamic::entries;
use super::elf::Section;
use super::find::File;
use super::kind::{Kind, signed};
use super::store::Writer;

/// Four bytes with a sign, counted from where they are; the highest bit says that there the address is found.
const RELATIVE: u8 = 0x1b;
const INDIRECT: u8 = 0x80;
const NOTHING: u8 = 0xff;

/// What a common entry says of those that name it.
#[derive(Clone, Copy)]
struct Common {
    at: u64,
    /// How addresses of functions are written.
    functions: u8,
    /// How the addresses of what they catch are written.
    catches: u8,
    /// Whether a length and more stand behind the range of a function.
    augmented: bool,
    /// Where the address of the routine for exceptions is, if it has one.
    routine: Option<u64>,
}

pub(super) fn find_frames(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    let end = file.visible(section).end;
    let mut at = section.at;
    let mut common = None;
    while at.checked_add(8).is_some_and(|next| next <= end) {
        let Some(bytes) = file.source.u32(at)?.filter(|bytes| !matches!(*bytes, 0 | u32::MAX)) else { break };
        let Some(next) = at.checked_add(4 + u64::from(bytes)).filter(|next| *next <= end) else { break };
        let id = file.source.u32(at + 4)?.unwrap_or(0);
        if id == 0 {
            common = read_common(file, at, next)?;
            if let Some(place) = common.and_then(|common| common.routine).and_then(|at| file.place(at)) {
                out.push(place, Kind::Here, 0);
            }
        } else {
            let named = (at + 4).wrapping_sub(u64::from(id));
            if common.is_none_or(|common| common.at != named) {
                common = read_common(file, named, end)?;
            }
            if let Some(common) = common.filter(|_| bytes >= 12) {
                find_frame(file, at, &common, out)?;
            }
        }
        at = next;
    }
    Ok(())
}

fn find_frame(file: &File<'_>, at: u64, common: &Common, out: &mut Writer) -> io::Result<()> {
    let Some(place) = file.place(at) else { return Ok(()) };
    out.push(place + 4, Kind::Back, 0);
    if common.functions != RELATIVE {
        return Ok(());
    }
    out.push(place + 8, Kind::Here, 0);
    out.push(place + 12, Kind::Length, 0);
    let length = file.source.u8(at + 16)?.unwrap_or(0);
    if common.augmented && common.catches == RELATIVE && (4..0x80).contains(&length) {
        let catches = file.source.u32(at + 17)?.unwrap_or(0);
        if catches > 0 {
            out.push(place + 17, Kind::Here, 0);
        }
    }
    Ok(())
}

/// Reads the common entry at a place.
fn read_common(file: &File<'_>, at: u64, end: u64) -> io::Result<Option<Common>> {
    const LETTERS_MAX: usize = 8;
    let mut common = Common { at, functions: 0, catches: NOTHING, augmented: false, routine: None };
    let (Some(id), Some(version)) =
        (file.source.u32(at.wrapping_add(4))?, file.source.u8(at.wrapping_add(8))?)
    else {
        return Ok(None);
    };
    if id != 0 || !matches!(version, 1 | 3 | 4) {
        return Ok(None);
    }
    let mut cursor = at + 9;
    let mut letters = Vec::new();
    while let Some(letter) = file.source.u8(cursor)?.filter(|letter| *letter != 0) {
        letters.push(letter);
        cursor += 1;
        if letters.len() > LETTERS_MAX || cursor >= end {
            return Ok(None);
        }
    }
    cursor += 1;
    // Alignments of code and data, the return address's register.
    for _ in 0..3 {
        cursor = skip_number(file, cursor)?;
    }
    for letter in letters {
        let encoding = file.source.u8(cursor)?.unwrap_or(0);
        match letter {
            b'z' => {
                common.augmented = true;
                cursor = skip_number(file, cursor)?;
            }
            b'R' => {
                common.functions = encoding;
                cursor += 1;
            }
            b'L' => {
                common.catches = encoding;
                cursor += 1;
            }
            b'P' if encoding & !INDIRECT == RELATIVE => {
                common.routine = Some(cursor + 1);
                cursor += 5;
            }
            b'S' | b'B' => {}
            _ => break,
        }
    }
    Ok(Some(common))
}

fn skip_number(file: &File<'_>, mut at: u64) -> io::Result<u64> {
    for _ in 0..10 {
        let byte = file.source.u8(at)?.unwrap_or(0);
        at = at.saturating_add(1);
        if byte < 0x80 {
            break;
        }
    }
    Ok(at)
}

/// The index: where the frames are, then pairs of function and frame, counted from the index's beginning.
pub(super) fn find_frame_index(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    const HEADER_BYTES: u64 = 12;
    const ENCODINGS: u32 = u32::from_le_bytes([1, RELATIVE, 3, 0x3b]);
    let Some(base) = file.place_of(Some(section)) else { return Ok(()) };
    if file.source.u32(section.at)? != Some(ENCODINGS) {
        return Ok(());
    }
    out.push(base + 4, Kind::Here, 0);
    let at = section.at.saturating_add(HEADER_BYTES);
    let part = Section { at, bytes: section.bytes.saturating_sub(HEADER_BYTES), ..*section };
    entries::<4>(file, &part, |_, place, _| {
        out.push(place, Kind::Based, base);
        Ok(())
    })
}

/// What functions catch: among much that moves with them, the distances to descriptions of types.
pub(super) fn find_exception_types(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    let writable = file.sections.iter().filter(|other| other.is_loaded() && other.is_writable());
    let writable: Vec<_> = writable
        .filter(|other| other.address > 0)
        .map(|other| other.address..other.address.saturating_add(other.bytes))
        .collect();
    let shift = section.at.wrapping_sub(section.address);
    let at = section.at + section.address.wrapping_neg() % 4;
    let part = Section { at, bytes: section.bytes.saturating_sub(at - section.at), ..*section };
    entries::<4>(file, &part, |at, place, entry| {
        let distance = u64::from(u32::from_le_bytes(*entry));
        let target = at.wrapping_sub(shift).wrapping_add(signed(distance));
        if writable.iter().any(|range| range.contains(&target)) {
            out.push(place, Kind::Here, 0);
        }
        Ok(())
    })
}
