//! The heads of containers: what must be known to unpack what follows them.

use super::find::lzma;
use super::method::{Method, WINDOW_LOG_MAX, is_filter};

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at + 2)?;
    Some(usize::from(two[0]) | usize::from(two[1]) << 8)
}

/// A local file header of a zip archive whose entry is deflated; gives its size.
pub(super) fn zip(bytes: &[u8]) -> Option<usize> {
    let deflated = bytes.starts_with(b"PK\x03\x04") && u16_at(bytes, 8)? == 8;
    // Bit 0: encrypted.
    (deflated && u16_at(bytes, 6)? & 1 == 0).then_some(30 + u16_at(bytes, 26)? + u16_at(bytes, 28)?)
}

/// The head of a gzip member; gives its size.
pub(super) fn gzip(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.get(3)?;
    if !bytes.starts_with(&[0x1f, 0x8b, 8]) || flags & 0xe0 != 0 {
        return None;
    }
    let mut size = 10;
    if flags & 4 != 0 {
        size += 2 + u16_at(bytes, size)?;
    }
    for text in [8, 16] {
        if flags & text != 0 {
            size += bytes.get(size..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    Some(size + if flags & 2 != 0 { 2 } else { 0 })
}

/// The head of a zlib stream with a window of 32 KiB and no dictionary; gives its size.
pub(super) fn zlib(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.get(1)?;
    (bytes[0] == 0x78 && (0x7800 + u16::from(flags)) % 31 == 0 && flags & 0x20 == 0).then_some(2)
}

/// The level of a bzip2 stream.
pub(super) fn bzip2(bytes: &[u8]) -> Option<u8> {
    let level = bytes.get(3)?.checked_sub(b'0').filter(|level| (1..=9).contains(level))?;
    let is_bzip2 = bytes.starts_with(b"BZh") && bytes.get(4..10)? == [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
    is_bzip2.then_some(level)
}

/// The method of a zstd frame without a dictionary.
pub(super) fn zstd(bytes: &[u8]) -> Option<Method> {
    let flags = *bytes.get(4)?;
    if !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || flags & 0b1011 != 0 {
        return None;
    }
    let is_single = flags >> 5 & 1 == 1;
    let window = if is_single {
        let bytes = bytes.get(5..13)?;
        let (count, more) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(flags >> 6)];
        bytes[..count].iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte)).checked_add(more)?
    } else {
        // The upper five bits are a power of two, the lower three eighths of it.
        let window = *bytes.get(5)?;
        (8 | u64::from(window & 7)) << (window >> 3) << 7
    };
    let window = (10..=WINDOW_LOG_MAX).find(|log| window <= 1 << log)?;
    Some(Method::Zstd {
        level: 3,
        checksum: flags >> 2 & 1 == 1,
        sized: is_single || flags >> 6 != 0,
        window,
    })
}

/// The head of a `.lzma` file that does not tell its size; gives its own size and the method.
pub(super) fn lzma_alone(bytes: &[u8]) -> Option<(usize, Method)> {
    let dictionary = u32::from_le_bytes(bytes.get(1..5)?.try_into().ok()?);
    let properties = *bytes.first()?;
    if bytes.get(5..13)? != [0xff; 8] || bytes.get(13)? != &0 || properties >= 225 {
        return None;
    }
    Some((13, Method::Lzma(lzma(power_of_two(dictionary.into())?, properties))))
}

fn power_of_two(dictionary: u64) -> Option<u8> {
    (12..=WINDOW_LOG_MAX).find(|log| dictionary <= 1 << log)
}

/// The head of an xz stream; gives its size and that of the check after each block.
pub(super) fn xz(bytes: &[u8]) -> Option<(usize, usize)> {
    let check = usize::from(*bytes.get(7)?);
    if !bytes.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0, 0]) || check > 15 {
        return None;
    }
    Some((12, [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64][check]))
}

/// The head of a block of an xz stream; gives its size and the method. None too for the index, which follows the last
/// block.
pub(super) fn xz_block(bytes: &[u8]) -> Option<(usize, Method)> {
    let size = usize::from(*bytes.first().filter(|size| **size > 0)?) * 4 + 4;
    let head = bytes.get(..size)?;
    let flags = head[1];
    let mut at = 2;
    for told in [0x40, 0x80] {
        if flags & told != 0 {
            at += head.get(at..)?.iter().position(|byte| byte & 0x80 == 0)? + 1;
        }
    }
    let mut filter = 0;
    if flags & 3 == 1 {
        // A filter that begins at the block's start, and so has no properties.
        filter = *head.get(at)?;
        if filter == 0 || !is_filter(filter) || head.get(at + 1)? != &0 {
            return None;
        }
        at += 2;
    }
    let dictionary = *head.get(at + 2)?;
    if flags & 3 > 1 || head.get(at..at + 2)? != [0x21, 1] || dictionary > 40 {
        return None;
    }
    let bytes_of_dictionary = (2 | u64::from(dictionary & 1)) << (dictionary / 2 + 11);
    let properties = lzma2_properties(bytes.get(size..)?)?;
    Some((size, Method::Lzma2 { filter, lzma: lzma(power_of_two(bytes_of_dictionary)?, properties) }))
}

/// The properties in the first LZMA chunk of LZMA2 data; usual ones when there is none.
fn lzma2_properties(bytes: &[u8]) -> Option<u8> {
    let mut at = 0;
    loop {
        let size = |place: usize| {
            Some((usize::from(*bytes.get(place)?) << 8 | usize::from(*bytes.get(place + 1)?)) + 1)
        };
        match *bytes.get(at)? {
            0 => return Some(0x5d),
            1 | 2 => at += 3 + size(at + 1)?,
            0xe0.. => return bytes.get(at + 5).copied().filter(|properties| *properties < 225),
            _ => return None,
        }
    }
}

/// The size of the ELF file of 64 bits that begins here, up to the end of its section headers. Nothing in an executable is
/// opened: its addresses say where things are in it as it is.
pub(super) fn elf(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let sections_at = u64::from_le_bytes(*bytes.get(40..48)?.first_chunk()?);
    let section = u16::from_le_bytes(*bytes.get(58..60)?.first_chunk()?);
    let sections = u16::from_le_bytes(*bytes.get(60..62)?.first_chunk()?);
    let end = sections_at.checked_add(u64::from(section) * u64::from(sections))?;
    usize::try_from(end).ok().filter(|end| (64..=bytes.len()).contains(end))
}
