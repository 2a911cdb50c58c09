//! NumPy's .npy: magic, version, a head that is a Python dictionary, the elements.

use std::ops::Range;

use super::{Tensor, bytes_of};
use crate::access::{ReadAt, load};
use crate::tensors::element::Element;

/// Most bytes of the head; those of arrays of numbers have 118.
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// The array in a stretch of the file.
pub(super) fn find(file: &dyn ReadAt, range: Range<u64>) -> Option<Tensor> {
    let mut start = [0; 12];
    file.read_exact_at(&mut start, range.start).ok()?;
    let [0x93, b'N', b'U', b'M', b'P', b'Y', major, _, length @ ..] = start else { return None };
    let (head_at, length) = match major {
        1 => (10, u64::from(u16::from_le_bytes([length[0], length[1]]))),
        2 | 3 => (12, u64::from(u32::from_le_bytes(length))),
        _ => return None,
    };
    let head_at = range.start.checked_add(head_at)?;
    let at = head_at.checked_add(length)?;
    if length > HEAD_BYTES_MAX || at > range.end {
        return None;
    }
    let head = load(file, head_at..at).ok()?;
    let head = str::from_utf8(&head).ok()?;
    let element = match value(head, "'descr':")?.strip_prefix('\'')?.split_once('\'')?.0 {
        "<f2" => Element::F16,
        "<f4" => Element::F32,
        "<f8" => Element::F64,
        "|i1" | "|u1" => Element::I8,
        _ => return None,
    };
    let shape = value(head, "'shape':")?.strip_prefix('(')?.split_once(')')?.0;
    let shape = shape.split(',').map(str::trim).filter(|dimension| !dimension.is_empty());
    let shape: Vec<u64> = shape.map(|dimension| dimension.parse().ok()).collect::<Option<_>>()?;
    let bytes = bytes_of(&shape, element)?;
    (at.checked_add(bytes)? == range.end).then_some(Tensor { at, bytes, element, name: Vec::new() })
}

/// What follows a key.
fn value<'a>(head: &'a str, key: &str) -> Option<&'a str> {
    head.split_once(key).map(|(_, value)| value.trim_start())
}
