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

const _: () = assert!(READ_BYTES.is_multiple_of(8 * GROUP_ELEMENTS as usize));

/// Writes what makes the new tensors of the old ones, pair by pair in the order given. The result is in memory.
///
/// # Errors
/// When bytes cannot be read, or are not there.
pub(crate) fn encode(old: &dyn ReadAt, new: &dyn ReadAt, pairs: &[Pair]) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new();
    for pair in pairs {
        let mut done = 0;
        while done < pair.bytes {
            let room = encoder.room(pair.element);
            let bytes = usize::try_from(pair.bytes - done).map_or(room, |left| left.min(room));
            let (old_block, new_block) = encoder.more(bytes);
            old.read_exact_at(old_block, pair.old_at + done)?;
            new.read_exact_at(new_block, pair.new_at + done)?;
            done += bytes as u64;
        }
    }
    Ok(encoder.finish())
}

struct Encoder {
    writer: Writer,
    models: [Option<Box<Model>>; ELEMENTS.len()],
    /// Elements of one type that wait to be written: the way of a group depends on all of it, wherever pairs end.
    element: Element,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Encoder {
    fn new() -> Self {
        Self {
            writer: Writer::new(),
            models: [const { None }; ELEMENTS.len()],
            element: Element::Bf16,
            old: Vec::new(),
            new: Vec::new(),
        }
    }

    /// How many bytes can wait beside those that do.
    fn room(&mut self, element: Element) -> usize {
        if self.element != element || self.old.len() >= READ_BYTES {
            self.write();
        }
        if self.element != element {
            self.element = element;
            if let Some(model) = &mut self.models[element.index()] {
                model.end_group();
            }
        }
        READ_BYTES - self.old.len()
    }

    /// Places for so many more bytes, old and new.
    fn more(&mut self, bytes: usize) -> (&mut [u8], &mut [u8]) {
        let from = self.old.len();
        self.old.resize(from + bytes, 0);
        self.new.resize(from + bytes, 0);
        (&mut self.old[from..], &mut self.new[from..])
    }

    /// Writes what waits.
    fn write(&mut self) {
        let Self { writer, models, element, old, new } = self;
        let model = models[element.index()].get_or_insert_with(|| Box::new(Model::new(*element)));
        match element {
            Element::I8 => follow::<1>(model, writer, old, new),
            Element::Bf16 | Element::F16 => follow::<2>(model, writer, old, new),
            Element::F32 => follow::<4>(model, writer, old, new),
            Element::F64 => follow::<8>(model, writer, old, new),
        }
        old.clear();
        new.clear();
    }

    fn finish(mut self) -> Vec<u8> {
        self.write();
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
            let way = model.best_way(ahead);
            model.begin_group(writer, way);
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
