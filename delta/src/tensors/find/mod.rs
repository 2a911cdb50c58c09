//! Where the tensors of a file are.
//!
//! A file that breaks a rule of its format has no tensors here: nothing is guessed, and nothing depends on a file's name.
//! Only makers of deltas search. A delta says where its tensors are, so that an applier parses no model.

mod gguf;
mod numpy;
mod onnx;
mod safetensors;
#[cfg(test)]
mod tests;
mod zip;

use super::element::Element;
use crate::access::ReadAt;

/// Most tensors of a file; of one that has more, none are found.
pub(crate) const TENSORS_MAX: usize = 1 << 16;
/// Most bytes of a tensor's name.
const NAME_BYTES_MAX: usize = 1 << 10;
/// Most dimensions of a tensor.
const DIMENSIONS_MAX: usize = 16;

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    pub(crate) element: Element,
    /// Empty if it has none.
    pub(crate) name: Vec<u8>,
}

/// The tensors of a file, in its order and without overlap; none if it is of no known format, or not wholly so.
pub(crate) fn find(file: &dyn ReadAt) -> Vec<Tensor> {
    let mut start = [0; 8];
    if file.read_exact_at(&mut start, 0).is_err() {
        return Vec::new();
    }
    let found = match &start {
        [b'G', b'G', b'U', b'F', ..] => gguf::find(file),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
            numpy::find(file, 0..file.size()).map(|tensor| vec![tensor])
        }
        [b'P', b'K', 3, 4, ..] => zip::find(file),
        [onnx::FIRST_BYTE, ..] => onnx::find(file).or_else(|| safetensors::find(file)),
        _ => safetensors::find(file),
    };
    found.and_then(|tensors| in_order(tensors, file.size())).unwrap_or_default()
}

/// Puts tensors in order, if all are whole and within the file and none overlap.
fn in_order(mut tensors: Vec<Tensor>, file_bytes: u64) -> Option<Vec<Tensor>> {
    tensors.retain(|tensor| tensor.bytes > 0);
    tensors.sort_by_key(|tensor| tensor.at);
    let mut end = 0;
    for tensor in &tensors {
        if tensor.at < end || !tensor.bytes.is_multiple_of(tensor.element.bytes() as u64) {
            return None;
        }
        end = tensor.at.checked_add(tensor.bytes)?;
    }
    (end <= file_bytes && tensors.len() <= TENSORS_MAX).then_some(tensors)
}

/// Bytes that so many elements take.
fn bytes_of(shape: &[u64], element: Element) -> Option<u64> {
    shape.iter().try_fold(element.bytes() as u64, |bytes, dimension| bytes.checked_mul(*dimension))
}
