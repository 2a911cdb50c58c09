//! Unwind tables: for each function where it begins, how long it is, and where what it catches is described.

use std::io;
use std::ops::Range;

use super::dynamic::entries;
use super::elf::Section;
use super::find::File;
use super::kind::{Kind, signed};
use super::store::Writer;

/// Four bytes with a sign, counted from where they are; the highest bit says that there the address is found.
const RELATIVE: u8 = 0x1b;
const INDIRECT: u8 = 0x80;
const NOTHING: u8 = 0xff;

/// Most descriptions of what functions catch in one file.
const CATCHES_MAX: usize = 768 << 10;

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

/// Finds the frames of functions, and appends where in the file what they catch is described.
pub(super) fn find_frames(
    file: &File<'_>,
    section: &Section,
    catches: &mut Vec<u64>,
    out: &mut Writer,
) -> io::Result<()> {
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
                let found = find_frame(file, section, at, &common, out)?;
                catches.extend(found.filter(|_| catches.len() < CATCHES_MAX));
            }
        }
        at = next;
    }
    Ok(())
}

/// Finds what a function's entry names. Returns where in the file what it catches is described.
fn find_frame(
    file: &File<'_>,
    section: &Section,
    at: u64,
    common: &Common,
    out: &mut Writer,
) -> io::Result<Option<u64>> {
    let Some(place) = file.place(at) else { return Ok(None) };
    out.push(place + 4, Kind::Back, 0);
    if common.functions != RELATIVE {
        return Ok(None);
    }
    out.push(place + 8, Kind::Here, 0);
    out.push(place + 12, Kind::Length, 0);
    let length = file.source.u8(at + 16)?.unwrap_or(0);
    if common.augmented && common.catches == RELATIVE && (4..0x80).contains(&length) {
        let catches = file.source.u32(at + 17)?.unwrap_or(0);
        if catches > 0 {
            out.push(place + 17, Kind::Here, 0);
            let address = section.address.wrapping_add(at + 17 - section.at);
            return Ok(file.file_at(address.wrapping_add(signed(u64::from(catches)))));
        }
    }
    Ok(None)
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
        (_, cursor) = read_number(file, cursor)?;
    }
    for letter in letters {
        let encoding = file.source.u8(cursor)?.unwrap_or(0);
        match letter {
            b'z' => {
                common.augmented = true;
                (_, cursor) = read_number(file, cursor)?;
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

/// What functions catch: descriptions that move with them, at whose ends may be distances to descriptions of types.
pub(super) fn find_catches(
    file: &File<'_>,
    section: &Section,
    catches: &mut Vec<u64>,
    out: &mut Writer,
) -> io::Result<()> {
    let range = file.visible(section);
    catches.retain(|at| range.contains(at));
    catches.sort_unstable();
    catches.dedup();
    let writable = file.sections.iter().filter(|other| other.is_loaded() && other.is_writable());
    let writable: Vec<_> = writable
        .filter(|other| !other.range().is_empty())
        .map(|other| other.address..other.address.saturating_add(other.bytes))
        .collect();
    for (index, at) in catches.iter().enumerate() {
        let Some(types) = read_types(file, *at)? else { continue };
        let next = catches.get(index + 1).copied().unwrap_or(range.end);
        let end = types.end.min(next);
        let mut first = end;
        // They are numbered from the end back.
        while let Some(before) = first.checked_sub(4).filter(|before| *before >= types.start) {
            let Some(distance) = file.source.u32(before)? else { break };
            let address = section.address.wrapping_add(before - section.at);
            let target = address.wrapping_add(signed(u64::from(distance)));
            let is_type = distance == 0 || writable.iter().any(|range| range.contains(&target));
            if !is_type || end - before > TYPES_BYTES_MAX {
                break;
            }
            first = before;
        }
        for at in (first..end).step_by(4) {
            if let (Some(place), Some(1..)) = (file.place(at), file.source.u32(at)?) {
                out.push(place, Kind::Here, 0);
            }
        }
    }
    Ok(())
}

/// No function catches so many types.
const TYPES_BYTES_MAX: u64 = 4096;

/// Where the distances to types are within a description, at most.
fn read_types(file: &File<'_>, at: u64) -> io::Result<Option<Range<u64>>> {
    let Some([landing, types]) = file.source.get::<2>(at)? else { return Ok(None) };
    if landing != NOTHING || types & !INDIRECT != RELATIVE {
        return Ok(None);
    }
    let (distance, at) = read_number(file, at + 2)?;
    let end = at.saturating_add(distance);
    let (calls, at) = read_number(file, at + 1)?;
    let start = at.saturating_add(calls);
    Ok((start < end).then_some(start..end))
}

/// Reads a number of seven bits a byte. Returns it and where it ends.
fn read_number(file: &File<'_>, mut at: u64) -> io::Result<(u64, u64)> {
    let mut number = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = file.source.u8(at)?.unwrap_or(0);
        at = at.saturating_add(1);
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Ok((number, at))
}
