//! Making new tensors of old ones.

use std::ops::Range;

use super::element::{ELEMENTS, Element};
use super::encode::raw;
use super::model::{Model, Way};
use super::range::Reader;
use crate::access::ReadAt;
use crate::codec::Section;
use crate::error::Reason;

/// Makes new tensors, block by block, in at most [`TENSORS_MEMORY_BYTES`](super::TENSORS_MEMORY_BYTES).
pub(crate) struct Decoder<'a> {
    reader: Reader<'a>,
    models: [Option<Box<Model>>; ELEMENTS.len()],
    /// The type of the elements before.
    element: Option<Element>,
}

impl<'a> Decoder<'a> {
    /// Begins at what [`encode()`](super::encode()) wrote, which is that stretch of the delta.
    pub(crate) fn new(delta: &'a dyn ReadAt, range: Range<u64>) -> Result<Self, Reason> {
        let mut head = Section::new(delta, range.clone())?;
        let chosen_bytes = head.number()?;
        let plain_bytes = head.number()?;
        let plain_at = head.at().checked_add(chosen_bytes).ok_or(Reason::Truncated)?;
        if plain_at.checked_add(plain_bytes) != Some(range.end) {
            return Err(Reason::Malformed("the tensors' streams are not as long as said"));
        }
        let chosen = Section::new(delta, head.at()..plain_at)?;
        let plain = Section::new(delta, plain_at..range.end)?;
        let models = [const { None }; ELEMENTS.len()];
        Ok(Self { reader: Reader::new(chosen, plain), models, element: None })
    }

    /// Makes the next block, in the order of the pairs. The blocks are equally long, in whole elements; how the pairs
    /// are cut into blocks is free.
    pub(crate) fn decode(&mut self, element: Element, old: &[u8], new: &mut [u8]) -> Result<(), Reason> {
        if old.len() != new.len() || !old.len().is_multiple_of(element.bytes()) {
            return Err(Reason::Malformed("a tensor is cut within an element"));
        }
        if old.is_empty() {
            return Ok(());
        }
        let model = self.models[element.index()].get_or_insert_with(|| Box::new(Model::new(element)));
        if self.element.replace(element) != Some(element) {
            model.end_group();
        }
        match element {
            Element::I8 => follow::<1>(model, &mut self.reader, old, new),
            Element::Bf16 | Element::F16 => follow::<2>(model, &mut self.reader, old, new),
            Element::F32 => follow::<4>(model, &mut self.reader, old, new),
            Element::F64 => follow::<8>(model, &mut self.reader, old, new),
        }
        self.reader.check()
    }

    /// Ends: all of the streams must have been used.
    pub(crate) fn end(self) -> Result<(), Reason> {
        self.reader.end()
    }
}

fn follow<const N: usize>(model: &mut Model, reader: &mut Reader<'_>, old: &[u8], new: &mut [u8]) {
    for (old, new) in old.as_chunks::<N>().0.iter().zip(new.as_chunks_mut::<N>().0) {
        if model.group_left() == 0 {
            model.begin_group(reader, Way::Same);
        }
        let made = model.element(reader, raw(*old), 0).to_le_bytes();
        new.copy_from_slice(&made[..N]);
    }
}
