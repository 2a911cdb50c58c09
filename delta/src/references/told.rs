//! What an applier is told of the new file's layout: how its ELF files' segments differ from old ones'.
//!
//! Numbers as in `numbers.rs`; those with a sign say by how much something differs from the old file that is named:
//!
//! | bytes | what |
//! |---|---|
//! | number | how many ELF files with segments |
//! | column of signed | which old one each is compared with, less the one expected |
//! | column of signed | where each begins, from the beginning of the one before |
//! | column of numbers | how many segments |
//! | column of signed | where each segment is |
//! | column of signed | its address, less the difference before |
//! | column of signed | its size in the file |
//! | column of signed | its size in memory, less the difference before |
//!
//! If all is as before, nothing is told. Objects to be linked are not told of: their fields are predicted without it.

use std::ops::Range;

use super::elf::{Machine, SEGMENTS_MAX, Segment};
use super::layout::{ALL_SEGMENTS_MAX, ELEMENTS_MAX, Element, Layout};
use crate::error::Reason;
use crate::numbers;

/// How far from the one expected another old file is considered.
const NEARBY: usize = 12;

impl Layout {
    /// What must be told of this layout to someone who has the old one.
    pub(crate) fn encode(&self, old: &Self) -> Vec<u8> {
        let olds = linked(old);
        let news = linked(self);
        let mut columns = Columns::default();
        let mut expected = 0;
        let mut before = (old.window.start, self.window.start);
        let mut same = olds.len() == news.len();
        for new in &news {
            let (number, old) = choose(&olds, expected, new);
            same &= number == expected && (old.at, &old.segments) == (new.at, &new.segments);
            columns.put(number, expected, &old, new, &mut before);
            expected = number + 1;
        }
        if same {
            return Vec::new();
        }
        let mut out = Vec::new();
        numbers::put(&mut out, news.len() as u64);
        out.extend(columns.0.into_iter().flatten());
        out
    }

    /// The new layout of a window, as far as it was told. Predictions on both sides lean on nothing else.
    pub(crate) fn decode(mut bytes: &[u8], old: &Self, window: Range<u64>) -> Result<Self, Reason> {
        let olds = linked(old);
        if bytes.is_empty() {
            let likes = (0..).zip(&olds).map(|(like, _)| like).collect();
            return Ok(Self::told(window, olds.into_iter().cloned().collect(), likes));
        }
        let bytes = &mut bytes;
        let count = numbers::take_at_most(bytes, ELEMENTS_MAX as u64, "ELF files")?;
        let mut expected = 0_u64;
        let likes = column(count, || {
            let like = expected.wrapping_add_signed(numbers::take_signed(bytes)?);
            expected = like.wrapping_add(1);
            Ok(usize::try_from(like).unwrap_or(usize::MAX))
        })?;
        let mut before = (old.window.start, window.start);
        let mut starts = likes.iter().map(|like| {
            let old = olds.get(*like).map_or(before.0, |old| old.at);
            let moved = numbers::take_signed(bytes)?;
            let at = before.1.wrapping_add(old.wrapping_sub(before.0)).wrapping_add_signed(moved);
            before = (old, at);
            Ok(at)
        });
        let starts = starts.by_ref().collect::<Result<Vec<_>, Reason>>()?;
        let mut all = 0;
        let counts = column(count, || {
            let count = numbers::take_at_most(bytes, SEGMENTS_MAX as u64, "segments")?;
            all += count;
            if all > ALL_SEGMENTS_MAX as u64 {
                return Err(Reason::Malformed("too many segments"));
            }
            Ok(usize::try_from(count).unwrap_or_default())
        })?;
        let mut signed = || column(all, || numbers::take_signed(bytes));
        let (ats, addresses, files, memories) = (signed()?, signed()?, signed()?, signed()?);
        if !bytes.is_empty() {
            return Err(Reason::Malformed("bytes follow the layout"));
        }
        let mut differences = ats.into_iter().zip(addresses).zip(files.into_iter().zip(memories));
        let mut elements = Vec::new();
        for ((like, at), count) in likes.iter().zip(starts).zip(counts) {
            let old = olds.get(*like);
            let mut segments = Vec::new();
            for number in 0..count {
                let Some(((at, address), (file, memory))) = differences.next() else { break };
                let old = old.and_then(|old| old.segments.get(number)).copied().unwrap_or_default();
                let segment = Segment {
                    at: old.at.wrapping_add_signed(at),
                    address: old.address.wrapping_add_signed(address.wrapping_add(at)),
                    file_bytes: old.file_bytes.wrapping_add_signed(file),
                    memory_bytes: old.memory_bytes.wrapping_add_signed(memory.wrapping_add(file)),
                };
                if !segment.is_sane() {
                    return Err(Reason::Malformed("a segment is not sane"));
                }
                segments.push(segment);
            }
            if at > 1 << 60 || segments.is_empty() {
                return Err(Reason::Malformed("an ELF file is not sane"));
            }
            elements.push(Element::new(at, old.map_or(Machine::X86, |old| old.machine), segments));
        }
        if !elements.is_sorted_by_key(|element| element.at) {
            return Err(Reason::Malformed("ELF files are not in order"));
        }
        Ok(Self::told(window, elements, likes))
    }

    /// For each old element, which new one was compared with it.
    pub(super) fn successors(&self, old: &Self) -> Vec<u32> {
        let mut successors = vec![u32::MAX; old.elements.len()];
        let indices = (0..).zip(&old.elements).filter(|(_, element)| !element.is_relocatable());
        let indices: Vec<usize> = indices.map(|(index, _)| index).collect();
        for (new, like) in (0..).zip(&self.likes) {
            let successor = indices.get(*like).and_then(|index| successors.get_mut(*index));
            if let Some(successor) = successor.filter(|successor| **successor == u32::MAX) {
                *successor = new;
            }
        }
        successors
    }
}

fn linked(layout: &Layout) -> Vec<&Element> {
    layout.elements.iter().filter(|element| !element.is_relocatable()).collect()
}

/// The old file that is most like a new one, among those around the one expected.
fn choose(olds: &[&Element], expected: usize, new: &Element) -> (usize, Element) {
    let around = expected.saturating_sub(NEARBY)..(expected + NEARBY).min(olds.len());
    let unlike = |old: &Element| {
        let pairs = old.segments.iter().zip(&new.segments);
        let parts = pairs.map(|(old, new)| {
            usize::from(old.at != new.at)
                + usize::from(old.address != new.address)
                + usize::from(old.file_bytes != new.file_bytes)
                + usize::from(old.memory_bytes != new.memory_bytes)
        });
        parts.sum::<usize>() + 4 * old.segments.len().abs_diff(new.segments.len())
    };
    around
        .map(|number| (number, olds[number]))
        .min_by_key(|(number, old)| (unlike(old), number.abs_diff(expected)))
        .map_or_else(
            || (expected, Element::new(0, new.machine, Vec::new())),
            |(number, old)| (number, old.clone()),
        )
}

fn column<T>(count: u64, mut next: impl FnMut() -> Result<T, Reason>) -> Result<Vec<T>, Reason> {
    (0..count).map(|_| next()).collect()
}

#[derive(Default)]
struct Columns([Vec<u8>; 7]);

impl Columns {
    fn put(&mut self, number: usize, expected: usize, old: &Element, new: &Element, before: &mut (u64, u64)) {
        let [likes, starts, counts, ats, addresses, files, memories] = &mut self.0;
        let difference = |new: u64, old: u64| new.wrapping_sub(old).cast_signed();
        numbers::put_signed(likes, difference(number as u64, expected as u64));
        let old_at = if old.segments.is_empty() { before.0 } else { old.at };
        let start = before.1.wrapping_add(old_at.wrapping_sub(before.0));
        numbers::put_signed(starts, difference(new.at, start));
        *before = (old_at, new.at);
        numbers::put(counts, new.segments.len() as u64);
        for (number, new) in new.segments.iter().enumerate() {
            let old = old.segments.get(number).copied().unwrap_or_default();
            let at = difference(new.at, old.at);
            let file = difference(new.file_bytes, old.file_bytes);
            numbers::put_signed(ats, at);
            numbers::put_signed(addresses, difference(new.address, old.address).wrapping_sub(at));
            numbers::put_signed(files, file);
            numbers::put_signed(memories, difference(new.memory_bytes, old.memory_bytes).wrapping_sub(file));
        }
    }
}
