//! BTF: how a kernel and its modules describe their types. Types name each other by number and have names by offset. A
//! module's types go on counting where the kernel's end, and so do its names; where that is, it does not say.

use std::io;
use std::ops::Range;

use super::elf::Section;
use super::find::File;
use super::kind::Kind;
use super::store::Writer;

const MAGIC: [u8; 4] = [0x9f, 0xeb, 1, 0];
const HEADER_BYTES: u8 = 24;
/// Most types of one section.
const TYPES_MAX: usize = 512 << 10;
/// What a type begins with: its name, its kind and how much follows, its size or the type that it is made of.
const HEAD_BYTES: u64 = 12;

const ARRAY: u8 = 3;
const ENUM: u8 = 6;
const FUNCTION: u8 = 12;
const FUNCTION_TYPE: u8 = 13;
const SECTION: u8 = 15;

/// What follows a type: entries of some size, with names and types at some places in them.
struct Shape {
    /// Whether its third word is a type.
    is_made_of: bool,
    count: u64,
    entry_bytes: u64,
    name: Option<u64>,
    types: &'static [u64],
}

impl Shape {
    /// From a type's second word. None: what it is, is not known.
    fn of(word: u32) -> Option<Self> {
        let [low, high, _, kind] = word.to_le_bytes();
        let count = u64::from(u16::from_le_bytes([low, high]));
        let kind = kind & 0x1f;
        let is_made_of = matches!(kind, 2 | 8..=11 | FUNCTION | FUNCTION_TYPE | 14 | 17 | 18);
        let (count, entry_bytes, name, types): (_, _, _, &[u64]) = match kind {
            2 | 7..=12 | 16 | 18 => (0, 0, None, &[]),
            1 | 14 | 17 => (1, 4, None, &[]),
            ARRAY => (1, 12, None, &[0, 4]),
            4 | 5 => (count, 12, Some(0), &[4]),
            ENUM => (count, 8, Some(0), &[]),
            FUNCTION_TYPE => (count, 8, Some(0), &[4]),
            SECTION => (count, 12, None, &[0]),
            19 => (count, 12, Some(0), &[]),
            _ => return None,
        };
        Some(Self { is_made_of, count, entry_bytes, name, types })
    }

    fn bytes(&self) -> u64 {
        HEAD_BYTES + self.count * self.entry_bytes
    }
}

/// A section of types.
struct Types {
    names: Range<u64>,
    /// Where each type is.
    at: Vec<u64>,
    /// What stands before its own: types, and bytes of names.
    types_before: u32,
    names_before: u32,
}

pub(super) fn find(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    let Some(types) = Types::read(file, section)? else { return Ok(()) };
    let names = file.place(types.names.start).map(|place| place.wrapping_sub(types.names_before));
    for at in &types.at {
        let (Some(name), Some(word)) = (file.source.u32(*at)?, file.source.u32(at + 4)?) else { break };
        let Some(shape) = Shape::of(word) else { break };
        types.push_name(file, *at, name, names, out);
        if shape.is_made_of {
            types.push_type(file, at + 8, out)?;
        }
        for number in 0..shape.count {
            let entry = at + HEAD_BYTES + number * shape.entry_bytes;
            if let Some(name_at) = shape.name {
                let name = file.source.u32(entry + name_at)?.unwrap_or(0);
                types.push_name(file, entry + name_at, name, names, out);
            }
            for type_at in shape.types {
                types.push_type(file, entry + type_at, out)?;
            }
        }
    }
    Ok(())
}

impl Types {
    fn read(file: &File<'_>, section: &Section) -> io::Result<Option<Self>> {
        let range = file.visible(section);
        if range.start != section.at {
            return Ok(None);
        }
        let Some(header) = file.source.get::<{ HEADER_BYTES as usize }>(range.start)? else {
            return Ok(None);
        };
        let word = |at: usize| header[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        if !header.starts_with(&MAGIC) || word(4) != u32::from(HEADER_BYTES) {
            return Ok(None);
        }
        let part = |at: u32, bytes: u32| {
            let start = range.start + u64::from(HEADER_BYTES) + u64::from(at);
            start.min(range.end)..(start + u64::from(bytes)).min(range.end)
        };
        let names = part(word(16), word(20));
        let mut types = Self { names, at: Vec::new(), types_before: 0, names_before: 0 };
        types.walk(file, part(word(8), word(12)))?;
        Ok(Some(types))
    }

    /// Finds the types, and from what they name how many types and names stand before them.
    fn walk(&mut self, file: &File<'_>, range: Range<u64>) -> io::Result<()> {
        let mut last_name = 0;
        let mut votes = Votes::default();
        let mut at = range.start;
        while at + HEAD_BYTES <= range.end && self.at.len() < TYPES_MAX {
            let (Some(name), Some(word)) = (file.source.u32(at)?, file.source.u32(at + 4)?) else { break };
            let Some(shape) = Shape::of(word).filter(|shape| at + shape.bytes() <= range.end) else { break };
            last_name = last_name.max(name);
            if let Some(name_at) = shape.name {
                for number in 0..shape.count {
                    let entry = at + HEAD_BYTES + number * shape.entry_bytes;
                    last_name = last_name.max(file.source.u32(entry + name_at)?.unwrap_or(0));
                }
            }
            if word >> 24 & 0x1f == u32::from(FUNCTION) {
                // The type of a function mostly stands before it.
                let index = u32::try_from(self.at.len()).unwrap_or(0);
                votes.add(file.source.u32(at + 8)?.unwrap_or(0).wrapping_sub(index));
            }
            self.at.push(at);
            at += shape.bytes();
        }
        self.types_before = votes.winner();
        // The last of its own names is named by something.
        let last_own = last_string(file, &self.names)?;
        self.names_before = last_name.saturating_sub(last_own);
        Ok(())
    }

    fn push_name(&self, file: &File<'_>, at: u64, name: u32, names: Option<u32>, out: &mut Writer) {
        let (Some(place), Some(names), true) = (file.place(at), names, name > 0) else { return };
        if name >= self.names_before {
            out.push(place, Kind::Name, names);
        } else {
            out.push(place, Kind::ForeignName, 0);
        }
    }

    fn push_type(&self, file: &File<'_>, at: u64, out: &mut Writer) -> io::Result<()> {
        let (Some(place), Some(number @ 1..)) = (file.place(at), file.source.u32(at)?) else { return Ok(()) };
        let own =
            number.checked_sub(self.types_before).and_then(|own| self.at.get(own.checked_sub(1)? as usize));
        match own.and_then(|own| file.place(*own)) {
            Some(own) => out.push(place, Kind::Type, own),
            None => out.push(place, Kind::ForeignType, 0),
        }
        Ok(())
    }
}

/// Where the last string of a table begins, counted from the table's beginning.
fn last_string(file: &File<'_>, strings: &Range<u64>) -> io::Result<u32> {
    const STRING_BYTES_MAX: u64 = 4096;
    let mut at = strings.end.saturating_sub(1).max(strings.start);
    while at > strings.start && strings.end - at < STRING_BYTES_MAX {
        if file.source.u8(at - 1)? == Some(0) {
            break;
        }
        at -= 1;
    }
    Ok(u32::try_from(at - strings.start).unwrap_or(0))
}

/// The number that was named most, as far as a majority goes.
#[derive(Default)]
struct Votes {
    number: u32,
    lead: u32,
}

impl Votes {
    fn add(&mut self, number: u32) {
        if self.lead == 0 {
            self.number = number;
        }
        if self.number == number {
            self.lead += 1;
        } else {
            self.lead -= 1;
        }
    }

    fn winner(&self) -> u32 {
        self.number
    }
}
