//! GGUF: magic, version, numbers of tensors and settings; the settings; the index; the tensors.

use std::io::Read;

use super::{DIMENSIONS_MAX, NAME_BYTES_MAX, TENSORS_MAX, Tensor, bytes_of};
use crate::access::ReadAt;
use crate::codec::Section;
use crate::tensors::element::Element;

/// Most settings; models have some dozens.
const SETTINGS_MAX: u64 = 1 << 16;
/// Most lists within lists.
const DEPTH_MAX: u32 = 4;
const ALIGNMENT: &[u8] = b"general.alignment";
const ALIGNMENT_DEFAULT: u64 = 32;
const ALIGNMENT_MAX: u64 = 1 << 20;

pub(super) fn find(file: &dyn ReadAt) -> Option<Vec<Tensor>> {
    let mut section = Section::new(file, 4..file.size()).ok()?;
    let version = u32(&mut section)?;
    if !(2..=3).contains(&version) {
        return None;
    }
    let count = usize::try_from(u64(&mut section)?).ok().filter(|count| *count <= TENSORS_MAX)?;
    let settings = Some(u64(&mut section)?).filter(|settings| *settings <= SETTINGS_MAX)?;
    let mut alignment = ALIGNMENT_DEFAULT;
    for _ in 0..settings {
        let name = name(&mut section)?;
        let kind = u32(&mut section)?;
        if name == ALIGNMENT && kind == 4 {
            alignment = u32(&mut section)?.into();
        } else {
            pass_value(&mut section, kind, DEPTH_MAX)?;
        }
    }
    if !(1..=ALIGNMENT_MAX).contains(&alignment) {
        return None;
    }
    let mut tensors = Vec::new();
    for _ in 0..count {
        tensors.extend(entry(&mut section)?);
    }
    let data_at = section.at().checked_next_multiple_of(alignment)?;
    for tensor in &mut tensors {
        tensor.at = tensor.at.checked_add(data_at)?;
    }
    Some(tensors)
}

/// One tensor, placed from where the data begin; none inside if it is of another type.
fn entry(section: &mut Section<'_>) -> Option<Option<Tensor>> {
    let name = name(section)?;
    let dimensions = usize::try_from(u32(section)?).ok().filter(|count| *count <= DIMENSIONS_MAX)?;
    let mut shape = [1; DIMENSIONS_MAX];
    for dimension in shape.iter_mut().take(dimensions) {
        *dimension = u64(section)?;
    }
    let element = match u32(section)? {
        0 => Some(Element::F32),
        1 => Some(Element::F16),
        24 => Some(Element::I8),
        28 => Some(Element::F64),
        30 => Some(Element::Bf16),
        _ => None,
    };
    let at = u64(section)?;
    let Some(element) = element else { return Some(None) };
    Some(Some(Tensor { at, bytes: bytes_of(&shape, element)?, element, name }))
}

fn pass_value(section: &mut Section<'_>, kind: u32, depth: u32) -> Option<()> {
    match (fixed_bytes(kind), kind) {
        (Some(bytes), _) => section.pass(bytes).ok(),
        (None, 8) => {
            let bytes = u64(section)?;
            section.pass(bytes).ok()
        }
        (None, 9) if depth > 0 => {
            let kind = u32(section)?;
            let count = u64(section)?;
            if let Some(bytes) = fixed_bytes(kind) {
                return section.pass(bytes.checked_mul(count)?).ok();
            }
            // Each takes bytes of the file: no count makes this long.
            (0..count).try_for_each(|_| pass_value(section, kind, depth - 1))
        }
        _ => None,
    }
}

/// The size of a setting's type, if it has one.
fn fixed_bytes(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn name(section: &mut Section<'_>) -> Option<Vec<u8>> {
    let length = usize::try_from(u64(section)?).ok().filter(|length| *length <= NAME_BYTES_MAX)?;
    let mut name = vec![0; length];
    section.read_exact(&mut name).ok()?;
    Some(name)
}

fn u32(section: &mut Section<'_>) -> Option<u32> {
    section.array().ok().map(u32::from_le_bytes)
}

fn u64(section: &mut Section<'_>) -> Option<u64> {
    section.array().ok().map(u64::from_le_bytes)
}
