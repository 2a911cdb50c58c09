//! Writing the differences of tensors.

use std::io;

use super::element::{ELEMENTS, Element};
use super::model::{GROUP_ELEMENTS, Model};
use super::pair::Pair;
use super::range::Writer;
use crate::access::ReadAt;
use crate::numbers;

/// How much is read at one time: whole groups of any type.
const READ_BYTES: usize = 64 << 10;

/// Writes what makes the new tensors of the old ones, pair by pair in the order given. The result is in memory.
///
/// # Errors
/// When bytes cannot be read, or are not there.
pub(crate) fn encode(old: &dyn ReadAt, new: &dyn ReadAt, pairs: &[Pair]) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new();
    let mut buffers = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    for pair in pairs {
        let mut done = 0;
        while done < pair.bytes {
            let bytes = usize::try_from(pair.bytes - done).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let (old_block, new_block) = (&mut buffers.0[..bytes], &mut buffers.1[..bytes]);
            old.read_exact_at(old_block, pair.old_at + done)?;
            new.read_exact_at(new_block, pair.new_at + done)?;
            encoder.block(pair.element, old_block, new_block);
            done += bytes as u64;
        }
    }
    Ok(encoder.finish())
}

struct Encoder {
    writer: Writer,
    models: [Option<Box<Model>>; ELEMENTS.len()],
}

impl Encoder {
    fn new() -> Self {
        Self { writer: Writer::new(), models: [const { None }; ELEMENTS.len()] }
    }

    fn block(&mut self, element: Element, old: &[u8], new: &[u8]) {
        let model = self.models[element.index()].get_or_insert_with(|| Box::new(Model::new(element)));
        match element {
            Element::I8 => follow::<1>(model, &mut self.writer, old, new),
            Element::Bf16 | Element::F16 => follow::<2>(model, &mut self.writer, old, new),
            Element::F32 => follow::<4>(model, &mut self.writer, old, new),
            Element::F64 => follow::<8>(model, &mut self.writer, old, new),
        }
    }

    fn finish(self) -> Vec<u8> {
        let (chosen, plain) = self.writer.finish();
        let mut out = Vec::with_capacity(2 * numbers::NUMBER_BYTES_MAX + chosen.len() + plain.len());
        numbers::put(&mut out, chosen.len() as u64);
        numbers::put(&mut out, plain.len() as u64);
        out.extend_from_slice(&chosen);
        out.extend_from_slice(&plain);
        out
    }
}

fn follow<const N: usize>(model: &mut Model, writer: &mut Writer, old: &[u8], new: &[u8]) {
    let mut elements =
        old.as_chunks::<N>().0.iter().zip(new.as_chunks::<N>().0).map(|(old, new)| (raw(*old), raw(*new)));
    loop {
        if model.group_left() == 0 {
            let ahead = elements.clone().take(GROUP_ELEMENTS as usize);
            if ahead.len() == 0 {
                return;
            }
            let alone = model.is_better_alone(ahead);
            model.begin_group(writer, alone);
        }
        let Some((old, new)) = elements.next() else { return };
        model.element(writer, old, new);
    }
}

/// An element's bits.
#[inline(always)]
pub(super) fn raw<const N: usize>(bytes: [u8; N]) -> u64 {
    let mut raw = [0; 8];
    raw[..N].copy_from_slice(&bytes);
    u64::from_le_bytes(raw)
}
