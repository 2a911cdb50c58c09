//! A program's description of itself: where its tables begin.

use std::io;

use super::functions::Table;
use crate::references::dynamic::long;
use crate::references::elf::Section;
use crate::references::find::File;

/// Words of it, by their number.
const FUNCTION_BUCKETS: usize = 19;
const TEXT: usize = 22;
const TYPES: usize = 37;
const TYPES_END: usize = 38;
const FUNCTION_DATA: usize = 40;
/// In versions before 1.20 two words are not there yet.
const LATER_WORDS: usize = 2;
const WORDS: usize = 41;

/// Addresses of beginnings.
pub(super) struct Module {
    pub(super) text: u64,
    pub(super) types: u64,
    pub(super) types_end: u64,
    /// What functions have beside code.
    pub(super) function_data: u64,
    /// For each 4096 bytes of code, the first function.
    pub(super) function_buckets: u64,
}

impl Module {
    /// It begins with the address of the table of functions, and then that of the names in it.
    pub(super) fn find(file: &File<'_>, table: &Table) -> io::Result<Option<Self>> {
        const SECTIONS: [&[u8]; 3] = [b".go.module", b".noptrdata", b".data"];
        let begins = [table.address, table.address.wrapping_add(table.names)];
        for name in SECTIONS {
            let Some(section) = file.section(name) else { continue };
            if let Some(at) = find_pair(file, section, begins)? {
                return Self::read(file, table, at);
            }
        }
        Ok(None)
    }

    fn read(file: &File<'_>, table: &Table, at: u64) -> io::Result<Option<Self>> {
        let mut words = [0; WORDS];
        for (number, word) in (0..).zip(&mut words) {
            let Some(value) = file.source.u64(at + 8 * number)? else { return Ok(None) };
            *word = value;
        }
        let word = |number: usize| {
            let number = if number > TEXT && !table.is_recent() { number - LATER_WORDS } else { number };
            words[number]
        };
        let module = Self {
            text: word(TEXT),
            types: word(TYPES),
            types_end: word(TYPES_END),
            function_data: word(FUNCTION_DATA),
            function_buckets: word(FUNCTION_BUCKETS),
        };
        let sane = file.bounds.contains(&module.text) && file.bounds.contains(&module.types);
        Ok((sane && module.types <= module.types_end).then_some(module))
    }
}

/// Where two words stand next to each other in a section.
fn find_pair(file: &File<'_>, section: &Section, pair: [u64; 2]) -> io::Result<Option<u64>> {
    let mut found = None;
    file.source.pieces(file.visible(section), 16, |at, bytes, last| {
        let until = if last { bytes.len().saturating_sub(15) } else { bytes.len().saturating_sub(16) };
        if found.is_none() {
            let within = (0..until).step_by(8).find(|within| {
                let rest = bytes.get(*within..).unwrap_or_default();
                long(rest, 0) == pair[0] && long(rest, 8) == pair[1]
            });
            found = within.map(|within| at + within as u64);
        }
        until.next_multiple_of(8).min(bytes.len())
    })?;
    Ok(found)
}
