//! AArch64 code: every instruction is a word, of which some bits name an address.
//!
//! An address in data takes two instructions: ADRP loads its page, and an ADD, a load or a store adds where in the page it
//! is. Both name the same target, so the second is sought right after the first.

use std::io;

use super::elf::Section;
use super::find::File;
use super::kind::{Kind, bits, signed};
use super::store::Writer;
use super::tables::Tables;
use super::target::{in_page, split_immediate};

const PAGE_SHIFT: u32 = 12;
const WORD_BYTES: usize = 4;
/// So many words after ADRP the other one is sought.
const PAIR_WORDS_MAX: usize = 12;
const REGISTERS: usize = 32;
/// Jumps on conditions and literals reach less far.
const NEAR_BYTES: u32 = 64 << 10;

pub(super) fn find(file: &File<'_>, section: &Section, _: &mut Tables, out: &mut Writer) -> io::Result<()> {
    let stretch = file.visible(section);
    let first = stretch.start + (stretch.start - section.at).wrapping_neg() % 4;
    let beyond = PAIR_WORDS_MAX * WORD_BYTES;
    let mut pages = [None; REGISTERS];
    file.source.pieces(first..stretch.end, beyond, |at, bytes, last| {
        let Some(place) = file.place(at) else { return bytes.len() };
        let address = section.address.wrapping_add(at - section.at);
        let (words, _) = bytes.as_chunks::<WORD_BYTES>();
        let count = if last { words.len() } else { words.len().saturating_sub(PAIR_WORDS_MAX) };
        for (index, step) in (0..count).zip((0_u32..).step_by(WORD_BYTES)) {
            let scan = Scan { file, words: &words[index..] };
            scan.word(place.wrapping_add(step), address.wrapping_add(u64::from(step)), &mut pages, out);
        }
        count * WORD_BYTES
    })
}

struct Scan<'a> {
    file: &'a File<'a>,
    words: &'a [[u8; WORD_BYTES]],
}

impl Scan<'_> {
    fn at(&self, index: usize) -> Option<u32> {
        self.words.get(index).map(|word| u32::from_le_bytes(*word))
    }

    fn word(&self, place: u32, address: u64, pages: &mut [Option<u64>; REGISTERS], out: &mut Writer) {
        let Some(word) = self.at(0) else { return };
        let (to, from) = (word as usize & 31, word as usize >> 5 & 31);
        let long = u64::from(word);
        if is_branch(word) {
            let target = address.wrapping_add(signed(bits(long, 0, 26).into()));
            if self.file.bounds.contains(&target) {
                out.push(place, Kind::Branch26, 0);
            }
        } else if is_short_branch(word) {
            if is_near(bits(long, 5, 19)) {
                out.push(place, Kind::Branch19, 0);
            }
        } else if is_bit_branch(word) {
            out.push(place, Kind::Branch14, 0);
        } else if is_address(word) {
            if is_near(low(split_immediate(long))) {
                out.push(place, Kind::Near, 0);
            }
        } else if is_page(word) {
            let distance = split_immediate(u64::from(word)) << PAGE_SHIFT;
            let page = (address >> PAGE_SHIFT << PAGE_SHIFT).wrapping_add(distance);
            pages[to] = self.file.bounds.contains(&page).then_some(page);
            if let (Some(_), Some(within)) = (pages[to], self.pair(to)) {
                out.push(place, Kind::Page, within);
            }
        } else if is_in_page(word) {
            let first = self.file.bounds.start >> PAGE_SHIFT;
            if let Some(page) = pages[from].and_then(|page| u32::try_from((page >> PAGE_SHIFT) - first).ok())
            {
                out.push(place, Kind::InPage, page);
            }
            // What is loaded or added up replaces the page.
            if word & 0x3f40_0000 != 0x3900_0000 {
                pages[to] = None;
            }
        }
    }

    /// What the first instruction that takes a page from a register adds to it.
    fn pair(&self, register: usize) -> Option<u32> {
        let words = (1..PAIR_WORDS_MAX).map_while(|index| self.at(index));
        let using = |word: &u32| is_in_page(*word) && *word as usize >> 5 & 31 == register;
        let word =
            words.take_while(|word| !(is_page(*word) && *word as usize & 31 == register)).find(using)?;
        u32::try_from(in_page(u64::from(word))).ok()
    }
}

/// Functions are not that large: what names something further away is data between them.
fn is_near(distance: u32) -> bool {
    distance.cast_signed().unsigned_abs() < NEAR_BYTES
}

fn low(long: u64) -> u32 {
    let [a, b, c, d, ..] = long.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// B and BL.
fn is_branch(word: u32) -> bool {
    word & 0x7c00_0000 == 0x1400_0000
}

/// B.cond, CBZ and CBNZ, and loads relative to the program counter.
fn is_short_branch(word: u32) -> bool {
    word & 0xff00_0000 == 0x5400_0000
        || word & 0x7e00_0000 == 0x3400_0000
        || word & 0x3b00_0000 == 0x1800_0000
}

/// TBZ and TBNZ.
fn is_bit_branch(word: u32) -> bool {
    word & 0x7e00_0000 == 0x3600_0000
}

fn is_address(word: u32) -> bool {
    word & 0x9f00_0000 == 0x1000_0000
}

fn is_page(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

/// ADD of an immediate without a shift, and loads and stores with an offset.
fn is_in_page(word: u32) -> bool {
    word & 0xffc0_0000 == 0x9100_0000 || word & 0x3b00_0000 == 0x3900_0000
}
