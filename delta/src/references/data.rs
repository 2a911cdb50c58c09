//! Data that is not described elsewhere: pointers where addresses are told from numbers, and jump tables.

use std::io;

use super::elf::Section;
use super::find::File;
use super::kind::{Kind, signed};
use super::store::Writer;
use super::tables::Tables;

/// Numbers below are hardly ever addresses.
const SMALLEST_ADDRESS: u64 = 0x1000;
/// Fewer words than this are no jump table.
const TABLE_WORDS_MIN: usize = 3;

pub(super) fn find(file: &File<'_>, section: &Section, tables: &Tables, out: &mut Writer) -> io::Result<()> {
    let stretch = file.visible(section);
    let first = stretch.start + (section.address.wrapping_sub(stretch.start - section.at) & 3);
    let code: Vec<_> = file
        .sections
        .iter()
        .filter(|section| section.is_code() && section.is_loaded())
        .map(|section| section.address..section.address.saturating_add(section.bytes))
        .collect();
    let mut scan = Scan {
        pointers: (section.is_writable() || file.is_high())
            && (file.holds_addresses || section.name().starts_with(b".got")),
        smallest: file.bounds.start.max(SMALLEST_ADDRESS),
        end: file.bounds.end,
        code: &code,
        table: None,
    };
    file.source.pieces(first..stretch.end, 8, |at, bytes, last| {
        let until = if last { bytes.len() } else { bytes.len().saturating_sub(8) };
        let (Some(place), true) = (file.place(at), until >= 4) else { return bytes.len() };
        scan.piece(place, section.address.wrapping_add(at - section.at), bytes, until, tables, out)
    })
}

struct Scan<'a> {
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
            if tables.may_begin(here) {
                self.table = Some(Table { place: here, address, words: 0 });
            }
            if self.table_word(word, out) {
                done += 4;
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
