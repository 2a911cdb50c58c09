//! The headers of ELF files, as far as they say where things are. Nothing in them is trusted: what does not fit reads
//! as nothing.

use std::io;
use std::ops::Range;

use super::source::Source;

/// How every ELF file of 64 bits in little-endian order begins.
pub(super) const MAGIC: [u8; 6] = *b"\x7fELF\x02\x01";
/// Most sections of one file.
const SECTIONS_MAX: u16 = 8192;
/// Most segments of one file that are loaded.
pub(super) const SEGMENTS_MAX: usize = 32;

const HEADER_BYTES: usize = 64;
pub(super) const SECTION_HEADER_BYTES: u16 = 64;
const SEGMENT_HEADER_BYTES: usize = 56;
const NAME_BYTES_MAX: usize = 24;

/// The kind of processor that its code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    X86,
    Aarch64,
}

/// The header of an ELF file that begins at some place of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) at: u64,
    pub(super) machine: Machine,
    /// An object to be linked, as kernel modules are: its sections have no addresses.
    pub(super) relocatable: bool,
    segments_at: u64,
    segments: u16,
    pub(super) sections_at: u64,
    pub(super) sections: u16,
    names: u16,
}

/// A segment that is loaded. Places count from the beginning of the ELF file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) at: u64,
    pub(super) address: u64,
    pub(super) file_bytes: u64,
    pub(super) memory_bytes: u64,
}

/// A section. Places count from the beginning of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) name: [u8; NAME_BYTES_MAX],
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) address: u64,
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) link: u32,
    pub(super) info: u32,
}

pub(super) const KIND_SYMBOLS: u32 = 2;
pub(super) const KIND_RELOCATIONS: u32 = 4;
pub(super) const KIND_HASH: u32 = 5;
pub(super) const KIND_DYNAMIC: u32 = 6;
pub(super) const KIND_NOTHING: u32 = 8;
pub(super) const KIND_DYNAMIC_SYMBOLS: u32 = 11;
pub(super) const KIND_PACKED_RELOCATIONS: u32 = 19;
pub(super) const KIND_GNU_HASH: u32 = 0x6fff_fff6;

const FLAG_WRITABLE: u64 = 1;
const FLAG_LOADED: u64 = 2;
const FLAG_CODE: u64 = 4;

impl Section {
    /// Its name, at least how it begins.
    pub(super) fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        self.name.get(..end).unwrap_or_default()
    }

    /// Where its bytes are in the window; nowhere if it has none.
    pub(super) fn range(&self) -> Range<u64> {
        if matches!(self.kind, 0 | KIND_NOTHING) {
            return 0..0;
        }
        self.at..self.at.saturating_add(self.bytes)
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.flags & FLAG_LOADED != 0
    }

    pub(super) fn is_writable(&self) -> bool {
        self.flags & FLAG_WRITABLE != 0
    }

    pub(super) fn is_code(&self) -> bool {
        self.flags & FLAG_CODE != 0
    }
}

impl Header {
    /// Reads the header that begins at a place. None if there is no such file that fits into the window.
    pub(super) fn read(source: &Source<'_>, at: u64) -> io::Result<Option<Self>> {
        let Some(bytes) = source.get::<HEADER_BYTES>(at)? else { return Ok(None) };
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| bytes[at..].first_chunk().map_or(0, |long| u64::from_le_bytes(*long));
        let machine = match short(18) {
            62 => Machine::X86,
            183 => Machine::Aarch64,
            _ => return Ok(None),
        };
        let header = Self {
            at,
            machine,
            relocatable: short(16) == 1,
            segments_at: long(32),
            segments: short(56),
            sections_at: long(40),
            sections: short(60),
            names: short(62),
        };
        let known = bytes.starts_with(&MAGIC) && matches!(short(16), 1..=3);
        let sizes = short(52) == 64 && (header.segments == 0 || short(54) == 56);
        let sections = header.sections == 0 || short(58) == 64;
        let bounded = header.sections <= SECTIONS_MAX && header.segments < 1024;
        Ok((known && sizes && sections && bounded).then_some(header))
    }

    /// The segments that are loaded, in the order of the file.
    pub(super) fn segments(&self, source: &Source<'_>) -> io::Result<Vec<Segment>> {
        let mut found = Vec::new();
        if self.relocatable {
            return Ok(found);
        }
        for index in 0..u64::from(self.segments) {
            let at =
                self.at.saturating_add(self.segments_at).saturating_add(index * SEGMENT_HEADER_BYTES as u64);
            let Some(bytes) = source.get::<SEGMENT_HEADER_BYTES>(at)? else { break };
            let long = |at: usize| bytes[at..].first_chunk().map_or(0, |long| u64::from_le_bytes(*long));
            let loaded = bytes.starts_with(&[1, 0, 0, 0]);
            let segment =
                Segment { at: long(8), address: long(16), file_bytes: long(32), memory_bytes: long(40) };
            if loaded && segment.is_sane() && found.len() < SEGMENTS_MAX {
                found.push(segment);
            }
        }
        found.sort_by_key(|segment| (segment.at, segment.address));
        Ok(found)
    }

    /// All sections, in the order of their headers: others refer to them by number.
    pub(super) fn sections(&self, source: &Source<'_>) -> io::Result<Vec<Section>> {
        let mut found = Vec::new();
        let Some(names) = self.section(source, self.names, 0)? else { return Ok(found) };
        for index in 0..self.sections {
            let Some(section) = self.section(source, index, names.at)? else { break };
            found.push(section);
        }
        Ok(found)
    }

    /// Where the header of a section is.
    pub(super) fn section_at(&self, index: u16) -> u64 {
        self.at
            .saturating_add(self.sections_at)
            .saturating_add(u64::from(index) * u64::from(SECTION_HEADER_BYTES))
    }

    fn section(&self, source: &Source<'_>, index: u16, names_at: u64) -> io::Result<Option<Section>> {
        if self.sections_at == 0 || index >= self.sections {
            return Ok(None);
        }
        let Some(bytes) = source.get::<{ SECTION_HEADER_BYTES as usize }>(self.section_at(index))? else {
            return Ok(None);
        };
        let short = |at: usize| bytes[at..].first_chunk().map_or(0, |short| u32::from_le_bytes(*short));
        let long = |at: usize| bytes[at..].first_chunk().map_or(0, |long| u64::from_le_bytes(*long));
        let mut name = [0; NAME_BYTES_MAX];
        if names_at > 0 {
            let at = names_at.saturating_add(u64::from(short(0)));
            for (index, byte) in name.iter_mut().enumerate() {
                *byte = source.u8(at.saturating_add(index as u64))?.unwrap_or(0);
                if *byte == 0 {
                    break;
                }
            }
        }
        Ok(Some(Section {
            name,
            kind: short(4),
            flags: long(8),
            address: long(16),
            at: self.at.saturating_add(long(24)),
            bytes: long(32),
            link: short(40),
            info: short(44),
        }))
    }

    /// How many bytes the file has at least.
    pub(super) fn extent(&self, segments: &[Segment], sections: &[Section]) -> u64 {
        let headers =
            self.sections_at.saturating_add(u64::from(self.sections) * u64::from(SECTION_HEADER_BYTES));
        let segments = segments.iter().map(|segment| segment.at.saturating_add(segment.file_bytes));
        let sections = sections.iter().map(|section| section.range().end.saturating_sub(self.at));
        segments.chain(sections).fold(headers.max(HEADER_BYTES as u64), u64::max)
    }
}

impl Segment {
    /// Whether its numbers can be added up, and it is small enough for places to have 32 bits.
    pub(super) fn is_sane(&self) -> bool {
        const BYTES_MAX: u64 = 1 << 32;
        self.file_bytes <= self.memory_bytes
            && self.memory_bytes <= BYTES_MAX
            && self.at <= BYTES_MAX
            && self.address.checked_add(self.memory_bytes).is_some()
    }
}

/// Empties sections that overlap others in the file: what is looked at twice would be looked at without end.
pub(super) fn part(sections: &mut [Section]) {
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|index| sections[*index].range().start);
    let mut end = 0;
    for index in order {
        let range = sections[index].range();
        if range.is_empty() {
            continue;
        }
        if range.start < end {
            sections[index].bytes = 0;
        } else {
            end = range.end;
        }
    }
}
