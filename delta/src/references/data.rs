//! Data that is not described elsewhere: pointers where addresses are told from numbers, and jump tables.

use std::io;

use super::elf::Section;
use super::find::File;
use super::kind::{Kind, Reference, signed};
use super::prepared::Prepared;
use super::store::Writer;
use super::tables::Tables;

/// So many bytes are looked at from a word on.
const BEYOND_BYTES: usize = 20;
/// Numbers below are hardly ever addresses.
const SMALLEST_ADDRESS: u64 = 0x1000;
/// Fewer words than this are no jump table.
const TABLE_WORDS_MIN: usize = 3;

pub(super) fn find(
    file: &File<'_>,
    section: &Section,
    tables: &Tables,
    prepared: &Prepared,
    out: &mut Writer,
) -> io::Result<()> {
    let stretch = file.visible(section);
    let first = stretch.start + (section.address.wrapping_sub(stretch.start - section.at) & 3);
    let code: Vec<_> = file
        .sections
        .iter()
        .filter(|section| section.is_code() && section.is_loaded())
        .map(|section| section.address..section.address.saturating_add(section.bytes))
        .collect();
    let places = file
        .place(stretch.start)
        .map_or(0..0, |start| start..file.place(stretch.end - 1).map_or(start, |last| last + 1));
    let mut scan = Scan {
        prepared: prepared.within(places),
        pointers: (section.is_writable() || file.is_high())
            && (file.holds_addresses || section.name().starts_with(b".got")),
        pairs: file.is_kernel(),
        smallest: file.bounds.start.max(SMALLEST_ADDRESS),
        end: file.bounds.end,
        code: &code,
        table: None,
    };
    file.source.pieces(first..stretch.end, BEYOND_BYTES, |at, bytes, last| {
        let until = if last { bytes.len() } else { bytes.len().saturating_sub(BEYOND_BYTES) };
        let (Some(place), true) = (file.place(at), until >= 4) else { return bytes.len() };
        scan.piece(place, section.address.wrapping_add(at - section.at), bytes, until, tables, out)
    })
}

struct Scan<'a> {
    pairs: bool,
    /// What is known of this section already.
    prepared: &'a [Reference],
    pointers: bool,
    smallest: u64,
    end: u64,
    code: &'a [std::ops::Range<u64>],
    table: Option<Table>,
}

/// A jump table, as far as it was read.
struct Table {
    place: u32,
    address: u64,
    words: usize,
}

impl Scan<'_> {
    fn piece(
        &mut self,
        place: u32,
        address: u64,
        bytes: &[u8],
        until: usize,
        tables: &Tables,
        out: &mut Writer,
    ) -> usize {
        let mut done = 0;
        while done < until {
            let Some(word) = bytes.get(done..).and_then(<[u8]>::first_chunk) else { break };
            let word = u32::from_le_bytes(*word);
            let Some(here) = u32::try_from(done).ok().and_then(|done| place.checked_add(done)) else { break };
            let address = address.wrapping_add(done as u64);
            self.write_prepared(here, out);
            if !self.pointers && !self.pairs && self.table.is_none() && self.prepared.is_empty() {
                // Nothing but tables can be here.
                let none = tables.none_for(here);
                if none > 0 {
                    done = done.saturating_add(none.saturating_mul(4)).min(until.next_multiple_of(4));
                    continue;
                }
            }
            let next = self.prepared.first().map_or(u32::MAX, |next| next.at);
            if out.end() > here || next < here.saturating_add(8) {
                // This is known, or what is known begins in it.
                done += 4;
                continue;
            }
            if tables.may_begin(here) {
                self.table = Some(Table { place: here, address, words: 0 });
            }
            if self.table_word(word, out) {
                done += 4;
                continue;
            }
            if self.pairs && self.pair(here, address, bytes.get(done..).unwrap_or_default(), out) {
                done += 8;
                continue;
            }
            if self.pointers
                && address.is_multiple_of(8)
                && let Some(value) = bytes.get(done..).and_then(<[u8]>::first_chunk)
                && (self.smallest..self.end).contains(&u64::from_le_bytes(*value))
            {
                out.push(here, Kind::Pointer, 0);
                done += 8;
                continue;
            }
            done += 4;
        }
        done
    }

    /// Adds what is known of a place already, and of those before.
    fn write_prepared(&mut self, here: u32, out: &mut Writer) {
        while let Some((next, rest)) = self.prepared.split_first().filter(|(next, _)| next.at <= here) {
            out.push(next.at, next.kind, next.base);
            self.prepared = rest;
        }
    }

    /// Takes two words for distances from themselves, if the first leads into code and the next entry's does, too. A kernel has
    /// many such tables, for code that is patched: where it is, where else to go on or what it asks; sometimes then, in
    /// eight bytes, how far the switch is.
    fn pair(&self, place: u32, address: u64, bytes: &[u8], out: &mut Writer) -> bool {
        let word = |at: usize| {
            let word = bytes.get(at..).and_then(<[u8]>::first_chunk)?;
            Some(signed(u64::from(u32::from_le_bytes(*word)))).filter(|distance| *distance != 0)
        };
        let target = |at: usize| Some(address.wrapping_add(at as u64).wrapping_add(word(at)?));
        let leads = |at: usize| target(at).is_some_and(|target| self.is_code(target));
        let names = |at: usize| target(at).is_some_and(|target| (self.smallest..self.end).contains(&target));
        let is_pair = leads(0) && names(4) && (leads(8) || leads(16));
        if is_pair {
            out.push(place, Kind::Here, 0);
            out.push(place + 4, Kind::Here, 0);
            if leads(16) && !leads(8) && names(8) && word(12).is_none() {
                out.push(place + 8, Kind::Here, 0);
            }
        }
        is_pair
    }

    fn is_code(&self, address: u64) -> bool {
        self.code.iter().any(|code| code.contains(&address))
    }

    /// Takes a word for the next entry of a jump table, if it leads into code.
    fn table_word(&mut self, word: u32, out: &mut Writer) -> bool {
        let Some(table) = &mut self.table else { return false };
        let target = table.address.wrapping_add(signed(u64::from(word)));
        if !self.code.iter().any(|code| code.contains(&target)) {
            self.table = None;
            return false;
        }
        table.words += 1;
        // The first ones are added once there are enough of them.
        let first = if table.words == TABLE_WORDS_MIN { 0 } else { table.words - 1 };
        if table.words >= TABLE_WORDS_MIN {
            for index in first..table.words {
                let place = u32::try_from(4 * index).ok().and_then(|more| table.place.checked_add(more));
                if let Some(place) = place {
                    out.push(place, Kind::Based, table.place);
                }
            }
        }
        true
    }
}
