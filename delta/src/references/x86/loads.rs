//! Which constants code loads the addresses of: where jump tables may begin. That has to be known before the tables are
//! met, and they come before the code, so it is sought by pattern: decoding everything would take ten times as long.

use std::io;
use std::ops::Range;

use crate::references::elf::Section;
use crate::references::find::File;
use crate::references::kind::signed;
use crate::references::tables::Tables;

/// LEA with REX.W, its ModRM byte and four bytes of distance.
const BYTES: usize = 7;

/// Marks what the code of a section loads the address of.
pub(in crate::references) fn mark(file: &File<'_>, section: &Section, tables: &mut Tables) -> io::Result<()> {
    let constants = constants_of(file);
    if constants.is_empty() {
        return Ok(());
    }
    file.source.pieces(file.visible(section), BYTES - 1, |at, bytes, last| {
        let until = if last { bytes.len() } else { bytes.len().saturating_sub(BYTES - 1) };
        let address = section.address.wrapping_add(at - section.at);
        each_load(bytes, |at, distance| {
            let target = address.wrapping_add((at + BYTES) as u64).wrapping_add(signed(distance.into()));
            for (range, place) in constants.iter().filter(|(range, _)| range.contains(&target)) {
                let within = u32::try_from(target - range.start).unwrap_or(u32::MAX);
                tables.mark(place.saturating_add(within));
            }
        });
        until
    })
}

/// What of the window is neither code nor written to: addresses, and where they are in the window.
fn constants_of(file: &File<'_>) -> Vec<(Range<u64>, u32)> {
    let sections = file.sections.iter();
    let constants =
        sections.filter(|section| section.is_loaded() && !section.is_code() && !section.is_writable());
    let ranges = constants.filter_map(|section| {
        let visible = file.visible(section);
        let address = |at: u64| section.address.wrapping_add(at - section.at);
        Some((address(visible.start)..address(visible.end), file.place(visible.start)?))
    });
    ranges.collect()
}

/// Visits what looks like `lea register, [rip + distance]`.
fn each_load(code: &[u8], mut visit: impl FnMut(usize, u32)) {
    const STRIDE: usize = 32;
    let looks_like =
        |rex: u8, opcode: u8, modrm: u8| (rex & 0xf8 == 0x48) & (opcode == 0x8d) & (modrm & 0xc7 == 5);
    let mut at = 0;
    while let Some(window) = code.get(at..at + STRIDE + 2) {
        let triples = window.iter().zip(&window[1..]).zip(&window[2..]);
        // Nearly all strides have none, and to say so takes a few instructions for all of its bytes.
        let any = triples.fold(false, |any, ((rex, opcode), modrm)| any | looks_like(*rex, *opcode, *modrm));
        if any {
            visit_triples(code, at..at + STRIDE, looks_like, &mut visit);
        }
        at += STRIDE;
    }
    visit_triples(code, at..code.len(), looks_like, &mut visit);
}

fn visit_triples(
    code: &[u8],
    range: Range<usize>,
    looks_like: impl Fn(u8, u8, u8) -> bool,
    visit: &mut impl FnMut(usize, u32),
) {
    for at in range {
        if let Some([rex, opcode, modrm, distance @ ..]) =
            code.get(at..).and_then(<[u8]>::first_chunk::<BYTES>)
            && looks_like(*rex, *opcode, *modrm)
        {
            visit(at, u32::from_le_bytes(*distance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn loads_are_found_wherever_they_are(
            mut code in proptest::collection::vec(any::<u8>(), 0..200),
            places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u32>()), 0..4),
        ) {
            for (place, distance) in places {
                if code.len() >= BYTES {
                    let at = place.index(code.len() - BYTES + 1);
                    code[at..at + 3].copy_from_slice(&[0x4c, 0x8d, 0x2d]);
                    code[at + 3..at + BYTES].copy_from_slice(&distance.to_le_bytes());
                }
            }
            let mut found = Vec::new();
            each_load(&code, |at, distance| found.push((at, distance)));
            let expected: Vec<_> = code.windows(BYTES).enumerate().filter_map(|(at, bytes)| match *bytes {
                [0x48..=0x4f, 0x8d, modrm, a, b, c, d] if modrm & 0xc7 == 5 => {
                    Some((at, u32::from_le_bytes([a, b, c, d])))
                }
                _ => None,
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
