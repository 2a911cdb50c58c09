//! Zip archives whose members are stored as they are: PyTorch's checkpoints, NumPy's .npz.
//!
//! A checkpoint's tensors are the members `NAME/data/NUMBER`; what their elements are, its pickle says, and is only
//! looked at for the type that it names most. Of archives beyond 4 GiB nothing is found.

use super::{TENSORS_MAX, Tensor, numpy};
use crate::access::{ReadAt, load};
use crate::tensors::element::Element;

const END_BYTES: u64 = 22;
const COMMENT_BYTES_MAX: u64 = 1 << 16;
const DIRECTORY_BYTES_MAX: u64 = 16 << 20;
const PICKLE_BYTES_MAX: u64 = 4 << 20;

/// A stored member.
struct Member<'a> {
    name: &'a [u8],
    at: u64,
    bytes: u64,
}

pub(super) fn find(file: &dyn ReadAt) -> Option<Vec<Tensor>> {
    let directory = directory(file)?;
    let members = members(file, &directory)?;
    let pickle = members.iter().find(|member| member.name.ends_with(b"/data.pkl"));
    if let Some(pickle) = pickle {
        let prefix = &pickle.name[..pickle.name.len() - b".pkl".len()];
        let element = pickled_element(file, pickle)?;
        return Some(checkpoint(&members, prefix, element));
    }
    let arrays = members.iter().filter(|member| member.name.ends_with(b".npy"));
    let arrays = arrays.filter_map(|member| {
        let tensor = numpy::find(file, member.at..member.at + member.bytes)?;
        Some(Tensor { name: member.name.to_vec(), ..tensor })
    });
    Some(arrays.collect())
}

/// The members in the folder of tensors.
fn checkpoint(members: &[Member<'_>], folder: &[u8], element: Element) -> Vec<Tensor> {
    let tensors = members.iter().filter_map(|member| {
        let number = member.name.strip_prefix(folder)?.strip_prefix(b"/")?;
        let whole =
            number.iter().all(u8::is_ascii_digit) && member.bytes.is_multiple_of(element.bytes() as u64);
        // The checkpoint's own name is in the folder's: it may change.
        whole.then(|| Tensor { at: member.at, bytes: member.bytes, element, name: number.to_vec() })
    });
    tensors.collect()
}

fn pickled_element(file: &dyn ReadAt, pickle: &Member<'_>) -> Option<Element> {
    if pickle.bytes > PICKLE_BYTES_MAX {
        return None;
    }
    let pickle = load(file, pickle.at..pickle.at + pickle.bytes).ok()?;
    let names: [(&[u8], Element); 4] = [
        (b"\nBFloat16Storage\n", Element::Bf16),
        (b"\nHalfStorage\n", Element::F16),
        (b"\nFloatStorage\n", Element::F32),
        (b"\nDoubleStorage\n", Element::F64),
    ];
    // A type is named once, and by a number afterwards: the one that is named first is the one of the weights.
    let place = |name: &[u8]| pickle.windows(name.len()).position(|part| part == name);
    let placed = names.into_iter().filter_map(|(name, element)| Some((place(name)?, element)));
    placed.min_by_key(|(place, _)| *place).map(|(_, element)| element)
}

/// Loads the directory that the archive ends with.
fn directory(file: &dyn ReadAt) -> Option<Vec<u8>> {
    let from = file.size().saturating_sub(END_BYTES + COMMENT_BYTES_MAX);
    let tail = load(file, from..file.size()).ok()?;
    let last = tail.len().checked_sub(usize::try_from(END_BYTES).ok()?)?;
    let end = (0..=last).rev().find(|at| tail[*at..].starts_with(b"PK\x05\x06"))?;
    let bytes = u64::from(u32(&tail, end + 12)?);
    let at = u64::from(u32(&tail, end + 16)?);
    let ends = at.checked_add(bytes).filter(|ends| *ends <= file.size())?;
    (bytes <= DIRECTORY_BYTES_MAX).then_some(())?;
    load(file, at..ends).ok()
}

/// The members that are stored; the order is the directory's.
fn members<'a>(file: &dyn ReadAt, directory: &'a [u8]) -> Option<Vec<Member<'a>>> {
    let mut members = Vec::new();
    let mut rest = directory;
    while rest.starts_with(b"PK\x01\x02") {
        let lengths = [u16(rest, 28)?, u16(rest, 30)?, u16(rest, 32)?].map(usize::from);
        let head = rest.get(46..)?;
        let name = head.get(..lengths[0])?;
        let (packed_bytes, bytes) = (u32(rest, 20)?, u32(rest, 24)?);
        if u16(rest, 10)? == 0 && packed_bytes == bytes {
            let at = data_at(file, u32(rest, 42)?.into())?;
            let ends = at.checked_add(bytes.into()).filter(|ends| *ends <= file.size())?;
            members.push(Member { name, at, bytes: ends - at });
        }
        if members.len() > TENSORS_MAX {
            return None;
        }
        rest = head.get(lengths.iter().sum()..)?;
    }
    Some(members)
}

/// Where a member's bytes begin, behind a head whose size may differ from what the directory says.
fn data_at(file: &dyn ReadAt, head_at: u64) -> Option<u64> {
    let mut head = [0; 30];
    file.read_exact_at(&mut head, head_at).ok()?;
    let lengths = u64::from(u16(&head, 26)?) + u64::from(u16(&head, 28)?);
    head.starts_with(b"PK\x03\x04").then_some(head_at + 30 + lengths)
}

fn u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
