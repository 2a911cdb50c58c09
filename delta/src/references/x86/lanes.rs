//! Measuring code at four places at once.
//!
//! Where an instruction begins is known only once the one before it was measured, and a processor spends most of that time
//! waiting. So a piece of code is parted in lanes that are measured in turns. A lane begins at any place: by decoding what is
//! before it, it is almost always in step. Nothing is done here about what an instruction names but to put it down: to act on
//! it at once would make the processor guess, and guess wrongly.

use std::ops::Range;

use super::decode::{FIELDS, INSTRUCTION_BYTES_MAX, decode};
use super::steps::{Counting, Names, Steps};

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
/// So many steps of each lane are made in a row, at most.
const ROW: usize = 32;
const ROW_STEPS: u32 = 32;
const _: () = assert!(ROW_STEPS as usize == ROW);
const ROW_BYTES_MAX: u32 = ROW_STEPS * STEP_BYTES_MAX;
/// Short branches reach no further, from their first byte.
const SHORT_REACH_BYTES: u32 = 136;

/// What of a piece of code is of interest: all but short branches that lead to what moves together with them.
#[derive(Clone, Debug)]
pub(super) struct Interest {
    /// What addresses are in code is looked at.
    addresses: bool,
    /// Where short branches are not.
    inside: Range<u32>,
}

impl Interest {
    /// Takes whether there may be addresses, and which part of the code moves together.
    pub(super) fn new(addresses: bool, together: Range<u32>) -> Self {
        let start = together.start.saturating_add(SHORT_REACH_BYTES);
        let end = together.end.saturating_sub(SHORT_REACH_BYTES).max(start);
        Self { addresses, inside: start..end }
    }

    /// What counts from some place on, in a row of steps. Some that is not of interest may count as well.
    #[inline]
    fn counting(&self, at: u32) -> Counting {
        let inside = self.inside.start <= at && at.saturating_add(ROW_BYTES_MAX) <= self.inside.end;
        Counting::new(self.addresses, !inside)
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
    fn new(at: u32, low: u8) -> Self {
        Self(at << 8 | u32::from(low))
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
}

/// What a lane finds in a row of steps.
struct Row {
    found: [Packed; ROW],
    count: usize,
    counting: Counting,
}

impl Row {
    /// From some place on.
    fn new(at: u32, interest: &Interest) -> Self {
        Self { found: [Packed::default(); ROW], count: 0, counting: interest.counting(at) }
    }

    fn found(&self) -> &[Packed] {
        self.found.get(..self.count).unwrap_or(&self.found)
    }
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
        self.found.iter_mut().for_each(Vec::clear);
        let steps = Steps::new();
        let mut rows = lanes.map(|lane| Row::new(lane.at, interest));
        loop {
            // So many steps of each lane are in it for sure.
            let left = lanes.map(|lane| lane.end.saturating_sub(lane.at));
            let sure = left.into_iter().min().unwrap_or_default() / STEP_BYTES_MAX;
            if sure == 0 {
                break;
            }
            for (row, lane) in rows.iter_mut().zip(&lanes) {
                (row.count, row.counting) = (0, interest.counting(lane.at));
            }
            let [mut first, mut second, mut third, mut fourth] = lanes.map(|lane| lane.at);
            let [of_first, of_second, of_third, of_fourth] = &mut rows;
            for _ in 0..sure.min(ROW_STEPS) {
                first = step(first, code, steps, of_first);
                second = step(second, code, steps, of_second);
                third = step(third, code, steps, of_third);
                fourth = step(fourth, code, steps, of_fourth);
            }
            for (lane, at) in lanes.iter_mut().zip([first, second, third, fourth]) {
                lane.at = at;
            }
            for (found, row) in self.found.iter_mut().zip(&rows) {
                found.extend_from_slice(row.found());
            }
        }
        for ((lane, found), row) in lanes.iter().zip(&mut self.found).zip(&mut rows) {
            let mut at = lane.at;
            while at < lane.end {
                (row.count, row.counting) = (0, interest.counting(at));
                for _ in 0..ROW {
                    if at >= lane.end {
                        break;
                    }
                    at = step(at, code, steps, row);
                }
                found.extend_from_slice(row.found());
            }
        }
        self.found.iter().flatten().map(|packed| packed.found())
    }
}

/// Makes a step from some place on. Returns where it leads. One that counts is put down; others are, too, until the next one.
#[inline(always)]
fn step(at: u32, code: &[u8], steps: Steps, row: &mut Row) -> u32 {
    let start = at as usize;
    let rest = code.get(start..start + INSTRUCTION_BYTES_MAX);
    let (low, counts) = match rest.and_then(<[u8]>::first_chunk) {
        Some(word) => {
            let step = steps.step(u64::from_le_bytes(*word), row.counting);
            if step.is_known() { (step.low(), step.counts()) } else { slow_step(code, at, row.counting) }
        }
        None => slow_step(code, at, row.counting),
    };
    row.found[row.count % ROW] = Packed::new(at, low);
    row.count += counts;
    at + u32::from(low >> 4)
}

#[cold]
#[inline(never)]
fn slow_step(code: &[u8], at: u32, counting: Counting) -> (u8, usize) {
    let instruction = decode(code.get(at as usize..).unwrap_or_default());
    let names = if instruction.facts & FIELDS == 0 { Names::Nothing } else { Names::Other };
    (instruction.bytes << 4 | names as u8, usize::from(counting.has(names)))
}

/// Parts code. The last lane measures all of a small piece.
fn part(code: &[u8], range: Range<u32>) -> [Lane; LANES] {
    let mut lanes = [Lane::default(); LANES];
    let bytes = range.end - range.start;
    if bytes < PARTED_BYTES {
        lanes[LANES - 1] = Lane { at: range.start, end: range.end };
        return lanes;
    }
    let mut at = range.start;
    for (lane, part) in lanes.iter_mut().zip(1..=PARTS) {
        let end = if part < PARTS { in_step(code, range.start + bytes / PARTS * part) } else { range.end };
        *lane = Lane { at, end };
        at = end;
    }
    lanes
}

/// Where the first instruction from a place on begins.
fn in_step(code: &[u8], place: u32) -> u32 {
    let mut at = place.saturating_sub(u32::try_from(LEAD_BYTES).unwrap_or_default());
    let steps = Steps::new();
    while at < place {
        at += u32::from(size_at(code, at as usize, steps));
    }
    at
}

/// The size of the instruction at a place, for who wants to know no more.
#[inline]
pub(super) fn size_at(code: &[u8], at: usize, steps: Steps) -> u8 {
    let rest = code.get(at..at + INSTRUCTION_BYTES_MAX);
    if let Some(word) = rest.and_then(<[u8]>::first_chunk) {
        let step = steps.step(u64::from_le_bytes(*word), Counting::new(false, false));
        // A prefix is a step, but not an instruction, and none after REX.
        let is_prefix = matches!(word, [0x66 | 0xf2 | 0xf3, ..] | [0x40..=0x4f, 0x66 | 0xf2 | 0xf3, ..]);
        if step.is_known() && !is_prefix {
            return step.low() >> 4;
        }
    }
    decode(code.get(at..).unwrap_or_default()).bytes
}

#[cfg(test)]
mod tests {
    use super::super::decode::Instruction;
    use super::*;
    use proptest::prelude::*;

    fn found(code: &[u8], from: u32) -> Vec<Found> {
        Lanes::default().measure(code, from, &Interest::new(true, 0..0)).collect()
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn sizes_are_as_the_decoder_says(
            mut code: [u8; INSTRUCTION_BYTES_MAX + 1],
            bytes in 0..=INSTRUCTION_BYTES_MAX + 1,
            prefix in proptest::sample::subsequence(vec![0x66, 0xf3, 0x48, 0x0f], 0..=4),
        ) {
            code[..prefix.len()].copy_from_slice(&prefix);
            let code = &code[..bytes];
            prop_assert_eq!(size_at(code, 0, Steps::new()), decode(code).bytes);
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
        let interest = Interest::new(false, 0..bytes);
        let places: Vec<_> = lanes.measure(&code, 0, &interest).map(|found| found.at).collect();
        let outside = [0, 64, 128, bytes - 128, bytes - 64];
        assert!(outside.iter().all(|place| places.contains(place)), "{places:?}");
        // There may be more, but not further than a row.
        let near = |place: &u32| *place < 192 || *place >= bytes - 192 - ROW_BYTES_MAX;
        assert!(places.iter().all(near), "{places:?}");
    }
}
