//! ONNX: one message of protocol buffers, tensors deep inside.
//!
//! Followed are the fields that lead to tensors; others are passed over, whatever they are.

use std::io::Read;

use super::{NAME_BYTES_MAX, TENSORS_MAX, Tensor};
use crate::access::ReadAt;
use crate::codec::Section;
use crate::tensors::element::Element;

/// The tag of the first field, the format's version.
pub(super) const FIRST_BYTE: u8 = 0x08;
/// Most messages within each other; graphs within graphs are rare.
const DEPTH_MAX: usize = 64;
/// The highest field of the outermost message. Other files soon have a higher one.
const MODEL_FIELDS: u64 = 31;

/// The messages that lead to tensors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

impl Message {
    /// What message a field of this one is.
    fn field(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Graph, 1) => Some(Self::Node),
            (Self::Node, 5) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Some(Self::Tensor),
            _ => None,
        }
    }
}

/// What is known so far of the tensor being read.
#[derive(Default)]
struct Found {
    element: Option<Element>,
    /// Where its data are, and how many bytes; in raw bytes, or as packed floats.
    raw: Option<(u64, u64)>,
    floats: Option<(u64, u64)>,
    name: Vec<u8>,
}

pub(super) fn find(file: &dyn ReadAt) -> Option<Vec<Tensor>> {
    let mut section = Section::new(file, 0..file.size()).ok()?;
    let mut within = vec![(Message::Model, file.size())];
    let mut found = Found::default();
    let mut tensors = Vec::new();
    while let Some((message, end)) = within.last().copied() {
        if section.at() >= end {
            if message == Message::Tensor {
                tensors.extend(std::mem::take(&mut found).tensor());
            }
            within.pop();
            continue;
        }
        if let Some(inner) = field(&mut section, message, end, &mut found)? {
            within.push(inner);
        }
        if within.len() > DEPTH_MAX || tensors.len() > TENSORS_MAX || section.at() > end {
            return None;
        }
    }
    Some(tensors)
}

/// Reads one field, or only its head if a message follows that is of interest: that message and its end.
fn field(
    section: &mut Section<'_>,
    message: Message,
    end: u64,
    found: &mut Found,
) -> Option<Option<(Message, u64)>> {
    let tag = section.number().ok()?;
    let number = tag >> 3;
    if number == 0 || (message == Message::Model && number > MODEL_FIELDS) {
        return None;
    }
    match tag & 7 {
        0 => {
            let value = section.number().ok()?;
            if (message, number) == (Message::Tensor, 2) {
                found.element = element(value);
            }
        }
        1 => section.pass(8).ok()?,
        5 => section.pass(4).ok()?,
        2 => {
            let bytes = section.number().ok()?;
            let at = section.at();
            let inner_end = at.checked_add(bytes).filter(|inner_end| *inner_end <= end)?;
            if let Some(inner) = message.field(number) {
                return Some(Some((inner, inner_end)));
            }
            match (message, number) {
                (Message::Tensor, 4) => found.floats = Some((at, bytes)),
                (Message::Tensor, 9) => found.raw = Some((at, bytes)),
                (Message::Tensor, 8) => {
                    let length = usize::try_from(bytes).ok().filter(|length| *length <= NAME_BYTES_MAX)?;
                    found.name = vec![0; length];
                    section.read_exact(&mut found.name).ok()?;
                    return Some(None);
                }
                _ => {}
            }
            section.pass(bytes).ok()?;
        }
        _ => return None,
    }
    Some(None)
}

impl Found {
    /// The tensor, if its elements are of a type of interest and of a whole number.
    fn tensor(self) -> Option<Tensor> {
        let element = self.element?;
        let floats = self.floats.filter(|_| element == Element::F32);
        let (at, bytes) = self.raw.or(floats)?;
        bytes.is_multiple_of(element.bytes() as u64).then_some(Tensor { at, bytes, element, name: self.name })
    }
}

fn element(data_type: u64) -> Option<Element> {
    match data_type {
        1 => Some(Element::F32),
        2 | 3 => Some(Element::I8),
        10 => Some(Element::F16),
        11 => Some(Element::F64),
        16 => Some(Element::Bf16),
        _ => None,
    }
}
