//! Measuring code at four places at once.
//!
//! Where an instruction begins is known only once the one before it was measured, and a processor spends most of that time
//! waiting. So a piece of code is parted in lanes that are measured in turns. A lane begins at any place: by decoding what is
//! before it, it is almost always in step. Nothing is done here about what an instruction names but to put it down: to act on
//! it at once would make the processor guess, and guess wrongly.

use std::ops::Range;

use super::decode::{FIELDS, INSTRUCTION_BYTES_MAX, decode};
use super::steps::{Names, Steps};

/// How many are measured in turns.
const LANES: usize = 4;
const PARTS: u32 = 4;
const _: () = assert!(PARTS as usize == LANES);
/// Smaller pieces are measured in one lane.
const PARTED_BYTES: u32 = 1 << 10;
/// So much of the code before a place is decoded, to be in step there. Most code is in step after two or three instructions.
pub(super) const LEAD_BYTES: usize = 64;
/// Most bytes that are measured in one go.
const CODE_BYTES_MAX: u32 = 1 << 24;
/// No step is longer.
const STEP_BYTES_MAX: u32 = 16;
const _: () = assert!(STEP_BYTES_MAX as usize >= INSTRUCTION_BYTES_MAX);
/// Short branches reach no further, from their first byte.
const SHORT_REACH_BYTES: u32 = 136;

/// What of a piece of code is of interest.
#[derive(Clone, Debug)]
pub(super) struct Interest {
    /// A bit for each number of [`Names`], but for short branches.
    names: u32,
    /// Where short branches are not, because they lead to what moves together with them.
    inside: Range<u32>,
}

impl Interest {
    /// Takes a bit for each number of [`Names`], and which part of the code moves together.
    pub(super) fn new(names: u32, together: Range<u32>) -> Self {
        let start = together.start.saturating_add(SHORT_REACH_BYTES);
        let end = together.end.saturating_sub(SHORT_REACH_BYTES).max(start);
        Self { names: names & !(1 << Names::ShortBranch as u8), inside: start..end }
    }

    #[inline(always)]
    fn has(&self, names: u8, at: u32) -> bool {
        let outside = u32::from(at.wrapping_sub(self.inside.start) >= self.inside.end - self.inside.start);
        (self.names | outside << Names::ShortBranch as u8) >> (names & 0xf) & 1 == 1
    }
}

/// An instruction that may name something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) at: u32,
    pub(super) bytes: u32,
    pub(super) names: Names,
}

/// The same in a word: the place in the upper 24 bits, then the size, then the number of the names.
#[derive(Clone, Copy, Debug, Default)]
struct Packed(u32);

impl Packed {
    #[inline(always)]
    fn new(at: u32, bytes: u32, names: u8) -> Self {
        Self(at << 8 | (bytes & 0xf) << 4 | u32::from(names & 0xf))
    }

    #[inline(always)]
    fn found(self) -> Found {
        let names = Names::ALL.get((self.0 & 0xf) as usize).copied().unwrap_or(Names::Other);
        Found { at: self.0 >> 8, bytes: self.0 >> 4 & 0xf, names }
    }
}

/// What was found in each lane.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    found: [Vec<Packed>; LANES],
}

/// A lane in work.
#[derive(Clone, Copy, Default)]
struct Lane {
    at: u32,
    end: u32,
    found: usize,
}

impl Lanes {
    /// Measures code from an instruction on. Returns the instructions that may name something of interest, in order but for a few
    /// where a lane was not in step. Of those that name [`Names::Other`] the size is not told.
    pub(super) fn measure<'a>(
        &'a mut self,
        code: &[u8],
        from: u32,
        interest: &Interest,
    ) -> impl Iterator<Item = Found> + use<'a> {
        let bytes = u32::try_from(code.len()).unwrap_or(u32::MAX).min(CODE_BYTES_MAX);
        let mut lanes = part(code, from.min(bytes)..bytes);
        for (lane, found) in lanes.iter().zip(&mut self.found) {
            // One more than there can be: each one measured is put down, and counts only if it is of interest.
            found.resize((lane.end - lane.at) as usize + 1, Packed::default());
        }
        let steps = Steps::new();
        let [mut first, mut second, mut third, mut fourth] = lanes;
        let [of_first, of_second, of_third, of_fourth] = self.found.each_mut().map(Vec::as_mut_slice);
        loop {
            // So many steps of each lane are in it for sure.
            let left = [&first, &second, &third, &fourth].map(|lane| lane.end.saturating_sub(lane.at));
            let sure = left.into_iter().min().unwrap_or_default() / STEP_BYTES_MAX;
            if sure == 0 {
                break;
            }
            for _ in 0..sure {
                first = step(first, code, steps, interest, of_first);
                second = step(second, code, steps, interest, of_second);
                third = step(third, code, steps, interest, of_third);
                fourth = step(fourth, code, steps, interest, of_fourth);
            }
        }
        lanes = [first, second, third, fourth];
        for (lane, found) in lanes.iter_mut().zip(&mut self.found) {
            while lane.at < lane.end {
                *lane = step(*lane, code, steps, interest, found);
            }
        }
        let found = self.found.iter().zip(lanes);
        found.flat_map(|(found, lane)| found.iter().take(lane.found)).map(|packed| packed.found())
    }
}

#[inline(always)]
fn step(lane: Lane, code: &[u8], steps: Steps, interest: &Interest, found: &mut [Packed]) -> Lane {
    let (bytes, names) =
        match code.get(lane.at as usize..).and_then(<[u8]>::first_chunk::<INSTRUCTION_BYTES_MAX>) {
            Some(rest) => {
                let step = steps.step(rest.first_chunk().map_or(0, |word| u64::from_le_bytes(*word)));
                if step.is_known { (step.bytes, step.names) } else { slow_step(code, lane.at) }
            }
            None => slow_step(code, lane.at),
        };
    if let Some(place) = found.get_mut(lane.found) {
        *place = Packed::new(lane.at, bytes, names);
    }
    let counts = usize::from(interest.has(names, lane.at));
    Lane { at: lane.at + bytes, found: lane.found + counts, end: lane.end }
}

#[cold]
#[inline(never)]
fn slow_step(code: &[u8], at: u32) -> (u32, u8) {
    let instruction = decode(code.get(at as usize..).unwrap_or_default());
    let names = if instruction.facts & FIELDS == 0 { Names::Nothing } else { Names::Other };
    (instruction.bytes.into(), names as u8)
}

/// Parts code. The last lane measures all of a small piece.
fn part(code: &[u8], range: Range<u32>) -> [Lane; LANES] {
    let mut lanes = [Lane::default(); LANES];
    let bytes = range.end - range.start;
    if bytes < PARTED_BYTES {
        lanes[LANES - 1] = Lane { at: range.start, end: range.end, found: 0 };
        return lanes;
    }
    let mut at = range.start;
    for (lane, part) in lanes.iter_mut().zip(1..=PARTS) {
        let end = if part < PARTS { in_step(code, range.start + bytes / PARTS * part) } else { range.end };
        *lane = Lane { at, end, found: 0 };
        at = end;
    }
    lanes
}

/// Where the first instruction from a place on begins.
fn in_step(code: &[u8], place: u32) -> u32 {
    let mut at = place.saturating_sub(u32::try_from(LEAD_BYTES).unwrap_or_default());
    while at < place {
        at += u32::from(decode(code.get(at as usize..).unwrap_or_default()).bytes);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::decode::Instruction;
    use super::*;
    use proptest::prelude::*;

    const ALL: u32 = (1 << Names::ALL.len()) - 1 - (1 << Names::Nothing as u8);

    fn found(code: &[u8], from: u32) -> Vec<Found> {
        Lanes::default().measure(code, from, &Interest::new(ALL, 0..0)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_found_is_as_the_decoder_says(seed: u64, bytes in 0_usize..20_000, from in 0_u32..16) {
            let mut state = seed | 1;
            let code: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                state.to_be_bytes()[0]
            }).take(bytes).collect();
            for found in found(&code, from) {
                prop_assert!(found.at >= from && (found.at as usize) < bytes);
                let Instruction { bytes, facts, .. } = decode(&code[found.at as usize..]);
                prop_assert!(found.names == Names::Other || found.bytes == u32::from(bytes));
                prop_assert!(found.names == Names::Other || facts & FIELDS != 0);
            }
        }
    }

    #[test]
    fn functions_in_many_lanes_are_measured_as_in_one() {
        // call; mov [rsp + 8], rax; ret, and traps up to the next function.
        let function = [0xe8, 1, 2, 3, 4, 0x48, 0x89, 0x44, 0x24, 8, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc];
        let code = function.repeat(600);
        let named: Vec<_> =
            found(&code, 0).into_iter().filter(|found| found.names != Names::Nothing).collect();
        let expected = (0_u32..).step_by(function.len()).flat_map(|at| [at, at + 5]);
        assert_eq!(named.len(), 2 * 600);
        assert!(named.iter().map(|found| found.at).eq(expected.take(2 * 600)));
    }

    #[test]
    fn a_short_branch_is_found_where_it_may_leave_what_moves_together() {
        // jmp short, and room.
        let code = [&[0xeb, 1][..], &[0x90; 62]].concat().repeat(64);
        let bytes = u32::try_from(code.len()).unwrap();
        let mut lanes = Lanes::default();
        let places: Vec<_> =
            lanes.measure(&code, 0, &Interest::new(0, 0..bytes)).map(|found| found.at).collect();
        assert_eq!(places, [0, 64, 128, bytes - 128, bytes - 64]);
    }
}
