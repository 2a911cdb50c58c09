//! Which old tensor became which new one.
//!
//! How pairs stand in a delta, in the new file's order:
//!
//! | bytes | what |
//! |---|---|
//! | number | how many, then each: |
//! | 1 | type of the elements: 0 bf16, 1 f16, 2 f32, 3 f64, 4 i8 |
//! | number | new bytes since the pair before |
//! | number, may be negative | old bytes since the pair before |
//! | number | elements |

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::element::{ELEMENTS, Element};
use super::find::{TENSORS_MAX, Tensor};
use crate::error::Reason;
use crate::numbers;

/// A new tensor and the old one that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) old_at: u64,
    pub(crate) new_at: u64,
    pub(crate) bytes: u64,
    pub(crate) element: Element,
}

impl Pair {
    /// Where the old tensor is.
    pub(crate) fn old_range(&self) -> Range<u64> {
        self.old_at..self.old_at + self.bytes
    }

    /// Where the new tensor is.
    pub(crate) fn new_range(&self) -> Range<u64> {
        self.new_at..self.new_at + self.bytes
    }
}

/// Pairs of old and new tensors, in the new file's order: by name and type, else the next one in turn of the same type
/// and size. A name may be there twice, in graphs within graphs; then they pair in turn. Of two that have one name and not one size, the first part is a pair: tables of words grow at their end.
pub(crate) fn pairs(old: &[Tensor], new: &[Tensor]) -> Vec<Pair> {
    let mut by_name: BTreeMap<(&[u8], usize), VecDeque<&Tensor>> = BTreeMap::new();
    for tensor in old.iter().filter(|tensor| !tensor.name.is_empty()) {
        by_name.entry((&tensor.name, tensor.element.index())).or_default().push_back(tensor);
    }
    let named: Vec<Option<&Tensor>> = new
        .iter()
        .map(|tensor| by_name.get_mut(&(&tensor.name[..], tensor.element.index()))?.pop_front())
        .collect();

    let mut taken: Vec<u64> = named.iter().flatten().map(|tensor| tensor.at).collect();
    taken.sort_unstable();
    let mut by_size: BTreeMap<(u64, usize), VecDeque<&Tensor>> = BTreeMap::new();
    for tensor in old.iter().filter(|tensor| taken.binary_search(&tensor.at).is_err()) {
        by_size.entry((tensor.bytes, tensor.element.index())).or_default().push_back(tensor);
    }
    let mut found = Vec::new();
    for (tensor, named) in new.iter().zip(named) {
        let in_turn = || by_size.get_mut(&(tensor.bytes, tensor.element.index()))?.pop_front();
        if let Some(old) = named.or_else(in_turn) {
            let bytes = tensor.bytes.min(old.bytes);
            found.push(Pair { old_at: old.at, new_at: tensor.at, bytes, element: tensor.element });
        }
    }
    found
}

/// Appends pairs to a delta. They are in the new file's order and do not overlap there.
pub(crate) fn write_pairs(pairs: &[Pair], out: &mut Vec<u8>) {
    numbers::put(out, pairs.len() as u64);
    let (mut old_end, mut new_end) = (0, 0);
    for pair in pairs {
        out.push(u8::try_from(pair.element.index()).expect("BUG: more types than numbers for them"));
        numbers::put(out, pair.new_at - new_end);
        numbers::put_signed(out, pair.old_at.wrapping_sub(old_end).cast_signed());
        numbers::put(out, pair.bytes / pair.element.bytes() as u64);
        (old_end, new_end) = (pair.old_at + pair.bytes, pair.new_at + pair.bytes);
    }
}

/// Takes pairs off the bytes of a delta. All lie within the files, in the new one's order and without overlap.
pub(crate) fn take_pairs(bytes: &mut &[u8], old_bytes: u64, new_bytes: u64) -> Result<Vec<Pair>, Reason> {
    const OUTSIDE: Reason = Reason::Malformed("a tensor is outside its file");
    let count = numbers::take_at_most(bytes, TENSORS_MAX as u64, "tensors")?;
    let (mut old_end, mut new_end) = (0_u64, 0_u64);
    let mut pairs = Vec::new();
    for _ in 0..count {
        let (number, rest) = bytes.split_first().ok_or(Reason::Truncated)?;
        *bytes = rest;
        let element = ELEMENTS.get(usize::from(*number)).copied();
        let element = element.ok_or(Reason::Malformed("a tensor has elements of an unknown type"))?;
        let new_at = new_end.checked_add(numbers::take(bytes)?).ok_or(OUTSIDE)?;
        let old_at = old_end.checked_add_signed(numbers::take_signed(bytes)?).ok_or(OUTSIDE)?;
        let bytes = numbers::take(bytes)?.checked_mul(element.bytes() as u64).ok_or(OUTSIDE)?;
        new_end = new_at.checked_add(bytes).filter(|end| *end <= new_bytes).ok_or(OUTSIDE)?;
        old_end = old_at.checked_add(bytes).filter(|end| *end <= old_bytes).ok_or(OUTSIDE)?;
        pairs.push(Pair { old_at, new_at, bytes, element });
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tensors(described: &[(&str, u64, Element)]) -> Vec<Tensor> {
        let mut at = 100;
        let tensors = described.iter().map(|(name, bytes, element)| {
            at += bytes;
            Tensor { at: at - bytes, bytes: *bytes, element: *element, name: name.as_bytes().to_vec() }
        });
        tensors.collect()
    }

    #[test]
    fn pairs_are_made_by_name_and_else_in_turn() {
        let old = tensors(&[
            ("a", 8, Element::F32),
            ("b", 8, Element::F32),
            ("c", 16, Element::F32),
            ("d", 8, Element::Bf16),
            ("", 8, Element::F32),
            ("twice", 8, Element::I8),
            ("twice", 4, Element::I8),
        ]);
        let new = tensors(&[
            ("c", 24, Element::F32),
            ("a", 8, Element::F32),
            ("renamed", 8, Element::F32),
            ("another", 8, Element::F32),
            ("d", 8, Element::F16),
            ("twice", 8, Element::I8),
            ("twice", 4, Element::I8),
        ]);
        let found: Vec<_> =
            pairs(&old, &new).iter().map(|pair| (pair.old_at, pair.new_at, pair.bytes)).collect();
        assert_eq!(
            found,
            [(116, 100, 16), (100, 124, 8), (108, 132, 8), (140, 140, 8), (148, 156, 8), (156, 164, 4)]
        );
    }

    fn some_pairs() -> impl Strategy<Value = Vec<Pair>> {
        let pair = (0_u64..100, 0_u64..9000, 0_u64..50, proptest::sample::select(&ELEMENTS[..]));
        proptest::collection::vec(pair, 0..20).prop_map(|pairs| {
            let mut new_end = 0;
            let placed = pairs.into_iter().map(|(gap, old_at, count, element)| {
                let bytes = count * element.bytes() as u64;
                let new_at = new_end + gap;
                new_end = new_at + bytes;
                Pair { old_at, new_at, bytes, element }
            });
            placed.collect()
        })
    }

    proptest! {
        #[test]
        fn pairs_read_back_as_written(pairs in some_pairs()) {
            let mut bytes = Vec::new();
            write_pairs(&pairs, &mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(take_pairs(&mut rest, 10_000, 20_000).unwrap(), pairs);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn pairs_that_are_taken_lie_within_the_files(
            pairs in some_pairs(), at in any::<prop::sample::Index>(), byte: u8, old: u16, new: u16,
        ) {
            let mut bytes = Vec::new();
            write_pairs(&pairs, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let mut end = 0;
            for pair in take_pairs(&mut &bytes[..], old.into(), new.into()).unwrap_or_default() {
                prop_assert!(pair.new_at >= end && pair.old_at + pair.bytes <= old.into());
                end = pair.new_at + pair.bytes;
            }
            prop_assert!(end <= new.into());
        }
    }
}
