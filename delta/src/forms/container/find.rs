//! Finds what is packed in a file, by its first bytes and by unpacking it.
//!
//! Nothing is believed: a stretch counts only when it unpacks to its end and its check is right, where it has one.

use std::io::Read;
use std::ops::Range;

use super::deflate::{self, Habits, Refused};
use super::headers;
use super::method::{Check, Lzma, Method};
use super::packer::Sum;
use super::{DEPTH_MAX, SHELLS_MAX};

/// A packed stretch, and what it holds.
pub(crate) struct Found {
    /// The packed bytes.
    pub(crate) packed: Range<usize>,
    /// How they are packed, as far as unpacking must know.
    pub(crate) method: Method,
    /// What they hold.
    pub(crate) plain: Vec<u8>,
    /// Packed stretches in that.
    pub(crate) inner: Vec<Found>,
    /// Names the packed bytes.
    pub(crate) digest: blake3::Hash,
}

impl Found {
    /// Where the bytes end that the method makes.
    pub(crate) fn end(&self) -> usize {
        self.packed.end + super::shells::check_bytes(self.method)
    }
}

/// Smaller stretches are left as they are.
const PACKED_BYTES_MIN: usize = 32;
/// What holds more than so many times its packed size, and more than is harmless, is left as it is.
const EXPANSION_MAX: usize = 250;
const HARMLESS_BYTES: usize = 16 << 20;

/// What may still be spent on one file.
pub(crate) struct Budget {
    /// Bytes of plain form.
    plain: usize,
    /// Bytes unpacked in vain.
    waste: usize,
    /// Shells.
    shells: usize,
}

impl Budget {
    pub(crate) fn new(file: &[u8], plain_bytes_max: u64) -> Self {
        let plain = usize::try_from(plain_bytes_max).unwrap_or(usize::MAX);
        Self { plain, waste: 4 * file.len() + HARMLESS_BYTES, shells: SHELLS_MAX }
    }
}

/// Finds all packed stretches in some bytes, and in what they hold, down to a depth.
pub(crate) fn find(bytes: &[u8], depth: usize, budget: &mut Budget) -> Vec<Found> {
    let mut all = Vec::new();
    let mut at = 0;
    while at + PACKED_BYTES_MIN <= bytes.len() && budget.shells > 0 {
        if !STARTS[usize::from(bytes[at])] {
            at += 1;
            continue;
        }
        if let Some(size) = headers::elf(&bytes[at..]) {
            at += size;
            continue;
        }
        let found = candidates(bytes, at, budget);
        at += 1;
        for mut found in found {
            at = at.max(found.end());
            budget.shells = budget.shells.saturating_sub(1);
            budget.plain -= found.plain.len().min(budget.plain);
            if depth + 1 < DEPTH_MAX {
                found.inner = find(&found.plain, depth + 1, budget);
            }
            all.push(found);
        }
    }
    all
}

/// The first bytes of what can be unpacked, and of what must stay as it is.
const STARTS: [bool; 256] = {
    let mut starts = [false; 256];
    let mut at = 0;
    let firsts = [b'P', 0x1f, 0x78, 0xfd, b'B', 0x28, 0x5d, 0x7f];
    while at < firsts.len() {
        starts[firsts[at] as usize] = true;
        at += 1;
    }
    starts
};

/// What begins at a place: nothing, one packed stretch, or as many as an xz file has blocks.
fn candidates(bytes: &[u8], at: usize, budget: &mut Budget) -> Vec<Found> {
    let rest = &bytes[at..];
    let one = match rest[0] {
        b'P' => headers::zip(rest).and_then(|head| deflated(bytes, at + head, Check::None, budget)),
        0x1f => headers::gzip(rest).and_then(|head| deflated(bytes, at + head, Check::Crc, budget)),
        0x78 => headers::zlib(rest).and_then(|head| deflated(bytes, at + head, Check::Adler, budget)),
        b'B' => headers::bzip2(rest).and_then(|level| other(bytes, at, Method::Bzip2(level), budget)),
        0x28 => headers::zstd(rest).and_then(|method| other(bytes, at, method, budget)),
        0x5d => headers::lzma_alone(rest).and_then(|(head, method)| other(bytes, at + head, method, budget)),
        0xfd => return blocks(bytes, at, budget),
        _ => None,
    };
    one.into_iter().collect()
}

fn deflated(bytes: &[u8], start: usize, check: Check, budget: &mut Budget) -> Option<Found> {
    if budget.waste == 0 {
        return None;
    }
    let rest = bytes.get(start..)?;
    let mut plain = Vec::new();
    let unpacked = deflate::unpack(rest, &mut plain, budget.plain.min(u32::MAX as usize / 2));
    let packed = unpacked.and_then(|packed| {
        let end = rest.get(packed..packed + check.bytes()).ok_or(Refused::Malformed)?;
        if Sum::of(check, &plain) == end { Ok(packed) } else { Err(Refused::Malformed) }
    });
    let habits = Habits { level: 6, memory: 8, by_four: false };
    found(bytes, start, packed.ok(), plain, Method::Deflate { habits, check }, budget)
}

/// The blocks of an xz file.
fn blocks(bytes: &[u8], at: usize, budget: &mut Budget) -> Vec<Found> {
    let Some((mut start, check_bytes)) = headers::xz(&bytes[at..]).map(|(head, check)| (at + head, check))
    else {
        return Vec::new();
    };
    let mut all = Vec::new();
    while let Some((head, method)) = headers::xz_block(&bytes[start..]) {
        let Some(found) = other(bytes, start + head, method, budget) else { break };
        start += (found.packed.end - start).next_multiple_of(4) + check_bytes;
        all.push(found);
        if start > bytes.len() {
            break;
        }
    }
    all
}

/// What is packed otherwise than by deflate.
fn other(bytes: &[u8], start: usize, method: Method, budget: &mut Budget) -> Option<Found> {
    if budget.waste == 0 {
        return None;
    }
    let mut rest = bytes.get(start..)?;
    let before = rest.len();
    let mut plain = Vec::new();
    let limit = budget.plain as u64;
    let mut unpacked = method.unpacked(&mut rest).ok()?.take(limit.saturating_add(1));
    let is_whole = unpacked.read_to_end(&mut plain).is_ok() && plain.len() as u64 <= limit;
    drop(unpacked);
    let packed = before - rest.len();
    found(bytes, start, is_whole.then_some(packed), plain, method, budget)
}

fn found(
    bytes: &[u8],
    start: usize,
    packed: Option<usize>,
    plain: Vec<u8>,
    method: Method,
    budget: &mut Budget,
) -> Option<Found> {
    let fits = |packed: &usize| {
        *packed >= PACKED_BYTES_MIN
            && (plain.len() <= HARMLESS_BYTES || plain.len() / EXPANSION_MAX <= *packed)
            && plain.len() <= budget.plain
    };
    let Some(packed) = packed.filter(fits) else {
        budget.waste = budget.waste.saturating_sub(plain.len() + 256);
        return None;
    };
    let packed = start..start + packed;
    let digest = blake3::hash(&bytes[packed.clone()]);
    Some(Found { packed, method, plain, inner: Vec::new(), digest })
}

/// LZMA as far as unpacking must know.
pub(crate) fn lzma(dictionary: u8, properties: u8) -> Lzma {
    Lzma { dictionary, properties, preset: 6 }
}
