//! Safetensors: a size in eight bytes, an index in JSON, the tensors.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Tensor, bytes_of};
use crate::access::{ReadAt, load};
use crate::tensors::element::Element;

/// Most bytes of the index. The format allows 100 MB; the largest models have some 100 kB.
const INDEX_BYTES_MAX: u64 = 16 << 20;

/// An entry of the index. `__metadata__` has none of these fields.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    dtype: Option<String>,
    #[serde(default)]
    shape: Vec<u64>,
    #[serde(default)]
    data_offsets: Option<(u64, u64)>,
}

pub(super) fn find(file: &dyn ReadAt) -> Option<Vec<Tensor>> {
    let mut start = [0; 9];
    file.read_exact_at(&mut start, 0).ok()?;
    let (size, first) = start.split_first_chunk()?;
    let data_at = u64::from_le_bytes(*size).checked_add(8)?;
    if first != b"{" || data_at > file.size().min(INDEX_BYTES_MAX) {
        return None;
    }
    let index = load(file, 8..data_at).ok()?;
    let index: BTreeMap<String, Entry> = serde_json::from_slice(&index).ok()?;
    let mut tensors = Vec::new();
    for (name, entry) in index {
        let (Some(dtype), Some((start, end))) = (entry.dtype, entry.data_offsets) else { continue };
        let Some(element) = element(&dtype) else { continue };
        let bytes = end.checked_sub(start)?;
        if bytes_of(&entry.shape, element)? != bytes {
            return None;
        }
        tensors.push(Tensor { at: data_at.checked_add(start)?, bytes, element, name: name.into_bytes() });
    }
    Some(tensors)
}

fn element(dtype: &str) -> Option<Element> {
    match dtype {
        "BF16" => Some(Element::Bf16),
        "F16" => Some(Element::F16),
        "F32" => Some(Element::F32),
        "F64" => Some(Element::F64),
        "I8" | "U8" => Some(Element::I8),
        _ => None,
    }
}
