//! Decoding code at four places at once.
//!
//! Where an instruction begins is known only once the one before it was decoded, and a processor spends most of that time
//! waiting. So a stretch of code is parted in four lanes that are decoded in turns. Lanes begin where a function seems to,
//! so that hardly any begins within an instruction; one that does is in step again after a few.

use super::decode::{FIELDS, INSTRUCTION_BYTES_MAX, Instruction, decode};

/// How many are decoded in turns.
const LANES: usize = 4;
/// The size of a lane.
const LANE_BYTES: usize = 32 << 10;
/// Smaller stretches are decoded in one lane.
const PARTED_BYTES: usize = 4 << 10;
/// How far the beginning of a function is sought.
const SOUGHT_BYTES: usize = 512;
/// Compilers begin functions at multiples of this.
const ALIGNMENT: usize = 16;
/// No instruction of fewer bytes has a field.
const BYTES_MIN: usize = 2;

/// Most bytes that are decoded in one go.
pub(super) const STRETCH_BYTES: usize = LANES * LANE_BYTES;

/// An instruction that may name something, and where it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) at: u32,
    pub(super) instruction: Instruction,
}

/// What was found in each lane.
pub(super) struct Lanes {
    found: [Vec<Found>; LANES],
}

/// A lane in work.
#[derive(Clone, Copy, Default)]
struct Lane {
    at: usize,
    end: usize,
    found: usize,
}

impl Lanes {
    pub(super) fn new() -> Self {
        // One more than there can be: each one decoded is put down, and counts only if it may name something.
        const ROOM: usize = (LANE_BYTES + SOUGHT_BYTES) / BYTES_MIN + 2;
        Self { found: std::array::from_fn(|_| vec![Found::default(); ROOM]) }
    }

    /// Decodes a stretch of code of at most [`STRETCH_BYTES`], beginning at an instruction. `address` is that of its first
    /// byte; what follows the stretch is there to decode its last instruction. Returns how many bytes were decoded, and what
    /// was found in order.
    pub(super) fn decode<'a>(
        &'a mut self,
        code: &[u8],
        bytes: usize,
        address: u64,
    ) -> (usize, impl Iterator<Item = &'a Found> + use<'a>) {
        let mut lanes = part(code, bytes.min(STRETCH_BYTES), address);
        while lanes.iter().all(|lane| lane.at < lane.end) {
            for (lane, found) in lanes.iter_mut().zip(&mut self.found) {
                step(lane, code, found);
            }
        }
        for (lane, found) in lanes.iter_mut().zip(&mut self.found) {
            while lane.at < lane.end {
                step(lane, code, found);
            }
        }
        let done = lanes[LANES - 1].at;
        let found = self.found.iter().zip(lanes).flat_map(|(found, lane)| found.iter().take(lane.found));
        (done, found)
    }
}

#[inline(always)]
fn step(lane: &mut Lane, code: &[u8], found: &mut [Found]) {
    let instruction = decode(code.get(lane.at..).unwrap_or_default());
    if let Some(place) = found.get_mut(lane.found) {
        *place = Found { at: u32::try_from(lane.at).unwrap_or(u32::MAX), instruction };
        lane.found += usize::from(instruction.facts & FIELDS != 0);
    }
    lane.at += usize::from(instruction.bytes);
}

/// Parts a stretch.
fn part(code: &[u8], bytes: usize, address: u64) -> [Lane; LANES] {
    let mut lanes = [Lane { at: bytes, end: bytes, found: 0 }; LANES];
    if bytes < PARTED_BYTES {
        // The last lane says where decoding ended.
        lanes[LANES - 1].at = 0;
        return lanes;
    }
    let mut at = 0;
    for (number, lane) in lanes.iter_mut().enumerate() {
        let end = bytes * (number + 1) / LANES;
        let end = if number + 1 < LANES { beginning(code, end, address) } else { bytes };
        *lane = Lane { at, end, found: 0 };
        at = end;
    }
    lanes
}

/// Where the next function seems to begin after a place; if nowhere near, that place.
fn beginning(code: &[u8], place: usize, address: u64) -> usize {
    let within = usize::try_from(address.wrapping_add(place as u64) % ALIGNMENT as u64).unwrap_or_default();
    let first = place + (ALIGNMENT - within) % ALIGNMENT;
    let candidates = (first..place + SOUGHT_BYTES).step_by(ALIGNMENT);
    let before = |at: usize| code.get(at.saturating_sub(INSTRUCTION_BYTES_MAX)..at).unwrap_or_default();
    candidates.filter(|at| *at < code.len()).find(|at| ends_function(before(*at))).unwrap_or(place)
}

/// Whether code ends with a return or with what fills the space between functions.
fn ends_function(code: &[u8]) -> bool {
    const RETURN: u8 = 0xc3;
    const TRAP: u8 = 0xcc;
    const PASS: u8 = 0x90;
    /// Instructions of three to nine bytes that do nothing, but for their prefixes.
    const LONG_PASSES: [&[u8]; 5] = [
        &[0x0f, 0x1f, 0],
        &[0x0f, 0x1f, 0x40, 0],
        &[0x0f, 0x1f, 0x44, 0, 0],
        &[0x0f, 0x1f, 0x80, 0, 0, 0, 0],
        &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
    ];
    matches!(code.last(), Some(&(RETURN | TRAP | PASS)))
        || LONG_PASSES.iter().any(|pass| code.ends_with(pass))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn lanes_find_in_order_what_is_within_the_stretch(
            seed: u64,
            bytes in 0..STRETCH_BYTES,
            address in 0_u64..1 << 40,
        ) {
            let mut state = seed | 1;
            let code: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                state.to_be_bytes()[0]
            }).take(bytes + INSTRUCTION_BYTES_MAX).collect();
            let mut lanes = Lanes::new();
            let (done, found) = lanes.decode(&code, bytes, address);
            prop_assert!(done >= bytes && done < bytes + INSTRUCTION_BYTES_MAX);
            let mut before = None;
            for found in found {
                prop_assert!(before < Some(found.at) && (found.at as usize) < bytes);
                prop_assert_eq!(found.instruction, decode(&code[found.at as usize..]));
                before = Some(found.at);
            }
        }
    }

    #[test]
    fn functions_in_many_lanes_are_decoded_as_in_one() {
        // call; mov [rsp + 8], rax; ret, and traps up to the next function.
        let function = [0xe8, 1, 2, 3, 4, 0x48, 0x89, 0x44, 0x24, 8, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc];
        let code = function.repeat(STRETCH_BYTES / function.len());
        let mut lanes = Lanes::new();
        let (done, found) = lanes.decode(&code, code.len(), 0x1000);
        let places: Vec<_> = found.map(|found| found.at).collect();
        let expected: Vec<_> =
            (0_u32..).step_by(function.len()).flat_map(|at| [at, at + 5]).take(places.len()).collect();
        assert_eq!(places.len(), 2 * STRETCH_BYTES / function.len());
        assert_eq!((done, places), (code.len(), expected));
    }
}
