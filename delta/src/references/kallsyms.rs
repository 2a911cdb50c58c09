//! A kernel's table of its own symbols: addresses in order, names packed by a table of tokens, and the names in order.
//!
//! Tokens are numbered anew in every build, so nearly all names change, though few symbols do. The tables stand in
//! read-only data without headers. They are found by the address that all others are counted from, and believed
//! when the markers, which say where every 256th name is, agree with the names.

use std::io;

use super::elf::Section;
use super::find::File;
use super::kind::Kind;
use super::prepared::Prepared;

/// How many symbols a kernel has.
const SYMBOLS_MIN: u32 = 1000;
const SYMBOLS_MAX: u32 = 2_000_000;
/// A marker for every so many names.
const MARKED: u32 = 256;
pub(super) const TOKENS: usize = 256;
const TOKEN_BYTES_MAX: u64 = 64;
/// Places where the address is found that are tried.
const CANDIDATES_MAX: usize = 16;
const RANK_BYTES: u64 = 3;

/// Where the tables are in the file.
struct Tables {
    count: u32,
    offsets: u64,
    names: u64,
    markers: u64,
    tokens: u64,
    ranks: Option<u64>,
}

pub(super) fn prepare(file: &File<'_>, out: &mut Prepared) -> io::Result<()> {
    if !file.is_kernel() {
        return Ok(());
    }
    let (Some(data), Some(text)) = (file.section(b".rodata"), file.section(b".text")) else { return Ok(()) };
    for at in find_address(file, data, text.address)? {
        let tables = match Tables::before_names(file, at)? {
            None => Tables::after_names(file, data, at)?,
            found => found,
        };
        if let Some(tables) = tables {
            return tables.prepare(file, text, out);
        }
    }
    Ok(())
}

/// The places in a section where an address stands.
fn find_address(file: &File<'_>, section: &Section, address: u64) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    let range = file.visible(section);
    file.source.pieces(range.start.next_multiple_of(8)..range.end, 0, |at, bytes, _| {
        let (words, _) = bytes.as_chunks();
        for (place, word) in (at..).step_by(8).zip(words) {
            if u64::from_le_bytes(*word) == address && found.len() < CANDIDATES_MAX {
                found.push(place);
            }
        }
        8 * words.len()
    })?;
    Ok(found)
}

impl Tables {
    /// The order until 6.3: offsets, the address, the number of symbols, names, markers, perhaps ranks, tokens.
    fn before_names(file: &File<'_>, address_at: u64) -> io::Result<Option<Self>> {
        let count = file.source.u32(address_at + 8)?.unwrap_or(0);
        if !(SYMBOLS_MIN..SYMBOLS_MAX).contains(&count) {
            return Ok(None);
        }
        let offsets = address_at.checked_sub((4 * u64::from(count)).next_multiple_of(8));
        let names = address_at + 16;
        let (Some(offsets), Some(markers)) = (offsets, markers_after(file, names, count)?) else {
            return Ok(None);
        };
        let end = markers + 4 * u64::from(count.div_ceil(MARKED));
        let ranks = end.next_multiple_of(8);
        let after_ranks = (ranks + RANK_BYTES * u64::from(count)).next_multiple_of(8);
        for (tokens, ranks) in [(ranks, None), (after_ranks, Some(ranks))] {
            if token_index_after(file, tokens)?.is_some() {
                return Ok(Some(Self { count, offsets, names, markers, tokens, ranks }));
            }
        }
        Ok(None)
    }

    /// The order since then: the number of symbols, names, markers, tokens, offsets, the address, ranks.
    fn after_names(file: &File<'_>, data: &Section, address_at: u64) -> io::Result<Option<Self>> {
        let range = file.visible(data);
        let mut offsets = address_at.saturating_sub(4 * u64::from(SYMBOLS_MIN)) & !7;
        let floor = address_at.saturating_sub(4 * u64::from(SYMBOLS_MAX)).max(range.start + 1024);
        while offsets > floor {
            if let Some(tokens) = tokens_before(file, offsets)? {
                let most = u32::try_from((address_at - offsets) / 4).unwrap_or(0);
                for count in [most, most.saturating_sub(1)] {
                    if let Some((names, markers)) = names_before(file, tokens, count)? {
                        let ranks = Some(address_at + 8);
                        return Ok(Some(Self { count, offsets, names, markers, tokens, ranks }));
                    }
                }
                return Ok(None);
            }
            offsets -= 8;
        }
        Ok(None)
    }

    fn prepare(&self, file: &File<'_>, text: &Section, out: &mut Prepared) -> io::Result<()> {
        let place = |at| file.place(at);
        let (Some(text), Some(offsets)) = (file.place_of(Some(text)), place(self.offsets)) else {
            return Ok(());
        };
        let (Some(names), Some(tokens)) = (place(self.names), place(self.tokens)) else { return Ok(()) };
        for number in 0..u64::from(self.count) {
            let at = self.offsets + 4 * number;
            let (Some(offset), Some(place)) = (file.source.u32(at)?, place(at)) else { break };
            // Those of a processor's own data are addresses; the others count down from just below the first.
            let kind = if offset.cast_signed() < 0 { Kind::Down } else { Kind::ShortPointer };
            out.add(place, kind, text);
        }
        let mut at = self.names;
        for _ in 0..self.count {
            let Some(name) = Name::read(file, at)? else { break };
            for (kind, size) in [(Kind::Tokens8, 8), (Kind::Tokens4, 4), (Kind::Token, 1)] {
                while name.end - at.max(name.start) >= size {
                    at = at.max(name.start);
                    let Some(place) = place(at) else { return Ok(()) };
                    out.add(place, kind, tokens);
                    at += size;
                }
            }
            at = name.end;
        }
        for number in 0..u64::from(self.count.div_ceil(MARKED)) {
            if let Some(place) = place(self.markers + 4 * number) {
                out.add(place, Kind::Based, names);
            }
        }
        for (number, ranks) in (0..u64::from(self.count)).zip(self.ranks.into_iter().cycle()) {
            if let Some(place) = place(ranks + RANK_BYTES * number) {
                out.add(place, Kind::Rank, offsets);
            }
        }
        Ok(())
    }
}

/// A packed name: where its tokens are.
struct Name {
    start: u64,
    end: u64,
}

impl Name {
    /// Its length stands before it, in two bytes if it is large.
    fn read(file: &File<'_>, at: u64) -> io::Result<Option<Self>> {
        let Some(first) = file.source.u8(at)?.filter(|first| *first > 0) else { return Ok(None) };
        if first < 0x80 {
            return Ok(Some(Self { start: at + 1, end: at + 1 + u64::from(first) }));
        }
        let second = u64::from(file.source.u8(at + 1)?.unwrap_or(0));
        let length = u64::from(first & 0x7f) | second << 7;
        Ok(Some(Self { start: at + 2, end: at + 2 + length }))
    }
}

/// Where the markers are that follow so many names, if they are right.
fn markers_after(file: &File<'_>, names: u64, count: u32) -> io::Result<Option<u64>> {
    let mut at = names;
    let mut marked = Vec::new();
    for number in 0..count {
        if number % MARKED == 0 {
            marked.push(at - names);
        }
        let Some(name) = Name::read(file, at)? else { return Ok(None) };
        at = name.end;
    }
    let markers = at.next_multiple_of(8);
    for (number, offset) in (0..).zip(marked) {
        if file.source.u32(markers + 4 * number)?.map(u64::from) != Some(offset) {
            return Ok(None);
        }
    }
    Ok(Some(markers))
}

/// Where the index of a table of tokens is, if one begins here.
fn token_index_after(file: &File<'_>, tokens: u64) -> io::Result<Option<u64>> {
    let mut starts = Vec::new();
    let mut at = tokens;
    for _ in 0..TOKENS {
        starts.push(at - tokens);
        let limit = at + TOKEN_BYTES_MAX;
        while file.source.u8(at)?.is_some_and(|byte| byte != 0) && at < limit {
            at += 1;
        }
        at += 1;
    }
    let index = at.next_multiple_of(8);
    for (number, start) in (0..).zip(starts) {
        let found = file.source.get::<2>(index + 2 * number)?.map(u16::from_le_bytes);
        if found.map(u64::from) != Some(start) {
            return Ok(None);
        }
    }
    Ok(Some(index))
}

/// Where the table of tokens begins whose index ends at a place.
fn tokens_before(file: &File<'_>, end: u64) -> io::Result<Option<u64>> {
    const INDEX_BYTES: u64 = 2 * TOKENS as u64;
    let index = end.saturating_sub(INDEX_BYTES);
    let Some([0, 0, 1..=32, 0]) = file.source.get::<4>(index)? else { return Ok(None) };
    let last = file.source.get::<2>(end - 2)?.map_or(0, u16::from_le_bytes);
    let latest = index.saturating_sub(u64::from(last)) & !7;
    for back in (0..=TOKEN_BYTES_MAX).step_by(8) {
        let tokens = latest.saturating_sub(back);
        if token_index_after(file, tokens)? == Some(index) {
            return Ok(Some(tokens));
        }
    }
    Ok(None)
}

/// Where so many names and their markers are, which end at a place.
fn names_before(file: &File<'_>, end: u64, count: u32) -> io::Result<Option<(u64, u64)>> {
    /// The last marked names take no more.
    const REST_BYTES: u64 = 64 << 10;
    const TRIED_MAX: usize = 4;
    if !(SYMBOLS_MIN..SYMBOLS_MAX).contains(&count) {
        return Ok(None);
    }
    let markers = end.saturating_sub((4 * u64::from(count.div_ceil(MARKED))).next_multiple_of(8));
    let last = file.source.u32(markers + 4 * u64::from((count - 1) / MARKED))?.map_or(0, u64::from);
    let latest = markers.saturating_sub(last) & !7;
    let mut tried = 0;
    for back in (0..REST_BYTES).step_by(8) {
        let names = latest.saturating_sub(back);
        if file.source.u32(names.saturating_sub(8))? != Some(count) {
            continue;
        }
        if markers_after(file, names, count)? == Some(markers) {
            return Ok(Some((names, markers)));
        }
        tried += 1;
        if tried == TRIED_MAX {
            break;
        }
    }
    Ok(None)
}
