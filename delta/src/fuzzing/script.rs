//! What a fuzzer's bytes are read as: samples to begin with, and changes to them.

use std::sync::OnceLock;

use super::pairs::{KINDS, Pair, pair};
use crate::{Effort, Options, ScratchMemory, apply, diff};

/// Samples of each kind of pair.
const VARIANTS: usize = 2;

/// A pair and the patch between.
pub(super) struct Sample {
    pub(super) pair: Pair,
    pub(super) patch: Vec<u8>,
}

/// One of a few samples; all kinds of pairs are among them.
pub(super) fn sample(which: u8) -> &'static Sample {
    static SAMPLES: [OnceLock<Sample>; VARIANTS * KINDS.len()] =
        [const { OnceLock::new() }; VARIANTS * KINDS.len()];
    let which = usize::from(which) % SAMPLES.len();
    SAMPLES[which].get_or_init(|| {
        let pair = pair(&choices(which));
        let patch = patch(&pair.old, &pair.new, Effort::Best);
        Sample { pair, patch }
    })
}

/// Choices of which the first is the kind of pair.
pub(super) fn choices(which: usize) -> Vec<u8> {
    let mut choices = vec![0; 400];
    blake3::Hasher::new().update(&which.to_le_bytes()).finalize_xof().fill(&mut choices);
    choices[0] = u8::try_from(which % KINDS.len()).expect("BUG: more kinds than a byte can name");
    choices
}

pub(super) fn patch(old: &[u8], new: &[u8], effort: Effort) -> Vec<u8> {
    let mut patch = Vec::new();
    let options = Options { effort, ..Options::default() };
    diff(&old, &new, &options, &mut |_| {}, &mut patch).expect("memory can be read and written");
    patch
}

/// The file that a patch makes, if it makes one.
pub(super) fn applied(old: &[u8], patch: &[u8]) -> Option<Vec<u8>> {
    let mut new = Vec::new();
    let limits = crate::Limits { new_bytes: NEW_BYTES_MAX, ..crate::Limits::default() };
    apply(&old, &patch, &mut new, &ScratchMemory, &limits).is_ok().then_some(new)
}

/// No new file is larger: a fuzzer should not wait for gigabytes of zeros.
pub(super) const NEW_BYTES_MAX: u64 = 1 << 20;

/// Takes the first byte, or zero.
pub(super) fn take(data: &mut &[u8]) -> u8 {
    let Some((byte, rest)) = data.split_first() else { return 0 };
    *data = rest;
    *byte
}

/// Takes a stretch whose length comes first.
pub(super) fn take_part<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let length = u16::from_le_bytes([take(data), take(data)]);
    let (part, rest) = data.split_at(usize::from(length).min(data.len()));
    *data = rest;
    part
}

/// Bytes per step of a script.
const STEP_BYTES: usize = 4;

/// Changes bytes as a script says: each step is a place (two bytes), what to do there, and a value.
pub(super) fn edit(bytes: &mut Vec<u8>, script: &[u8]) {
    for step in script.chunks_exact(STEP_BYTES) {
        let (what, value) = (step[2], step[3]);
        let at = usize::from(u16::from_le_bytes([step[0], step[1]])) % (bytes.len() + 1);
        let rest = &mut bytes[at..];
        match what % 8 {
            0 => rest.iter_mut().take(1).for_each(|byte| *byte = value),
            1 => rest.iter_mut().take(1).for_each(|byte| *byte ^= 1 << (value % 8)),
            2 => rest.iter_mut().take(1).for_each(|byte| *byte = byte.wrapping_add(value)),
            3 => rest.iter_mut().take(4).for_each(|byte| *byte = value),
            4 => rest.iter_mut().take(8).for_each(|byte| *byte = 0xff),
            5 => bytes.truncate(at),
            6 => drop(bytes.drain(at..(at + usize::from(value)).min(bytes.len()))),
            _ => drop(bytes.splice(at..at, std::iter::repeat_n(value, usize::from(what >> 3)))),
        }
    }
}
