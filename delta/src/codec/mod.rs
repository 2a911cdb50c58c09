//! Packed streams: bytes compressed by whichever method makes them smallest.
//!
//! A stream of a delta:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | method: 0 stored, 1 zstd, 2 LZMA |
//! | number | size unpacked |
//! | number | size packed (not if stored) |
//! | … | stored: the bytes; zstd: one frame without checksum; LZMA: two bytes (literal and position bits; dictionary's size as a power of two), then the range coder's bytes |
//!
//! A stream may lean on a *primer*: bytes that both sides have and that resemble what is packed. Unpacking takes at most
//! the window that [`Strength::window_log`] allows, whatever a delta says.

mod lzma;
mod section;
mod zstandard;

use std::io::{self, Read};

use crate::access::{ReadAt, load};
use crate::error::Reason;
use crate::numbers;

use lzma::LzmaUnpacker;
pub(crate) use section::Section;
use zstandard::ZstdUnpacker;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strength {
    /// One quick method.
    Fast,
    /// All methods, at their strongest.
    Best,
}

/// How bytes were made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Stored,
    Zstd,
    Lzma,
}

impl Method {
    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Zstd => "zstd",
            Self::Lzma => "lzma",
        }
    }
}

/// A stream as it stands in a delta.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    method: Method,
    raw_bytes: u64,
    bytes: Vec<u8>,
}

impl Packed {
    /// Its size with its head.
    pub(crate) fn size(&self) -> usize {
        let mut head = Vec::new();
        self.write_head(&mut head);
        head.len() + self.bytes.len()
    }

    /// Appends it to a delta.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.write_head(out);
        out.extend_from_slice(&self.bytes);
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        out.push(match self.method {
            Method::Stored => 0,
            Method::Zstd => 1,
            Method::Lzma => 2,
        });
        numbers::put(out, self.raw_bytes);
        if self.method != Method::Stored {
            numbers::put(out, self.bytes.len() as u64);
        }
    }
}

/// Packs bytes in the smallest way found. The window is that of `window_log`, at most; see [`Stream::unpack`].
pub(crate) fn pack(raw: &[u8], primer: &[u8], window_log: u32, strength: Strength) -> io::Result<Packed> {
    let raw_bytes = raw.len() as u64;
    let mut best = Packed { method: Method::Stored, raw_bytes, bytes: raw.to_vec() };
    if raw.is_empty() {
        return Ok(best);
    }
    let mut consider = |method, bytes: Vec<u8>| {
        let found = Packed { method, raw_bytes, bytes };
        if found.size() < best.size() {
            best = found;
        }
    };
    consider(Method::Zstd, zstandard::pack(raw, primer, window_log, strength)?);
    if strength == Strength::Best {
        for bytes in lzma::pack(raw, primer, window_log)? {
            consider(Method::Lzma, bytes);
        }
    }
    Ok(best)
}

/// Packs all that can be read as `zstd -19` does, or smaller: what a delta must not exceed.
pub(crate) fn pack_whole(source: &dyn ReadAt, window_log: u32) -> io::Result<Packed> {
    let bytes = zstandard::pack_source(source, zstandard::LEVEL_BEST, window_log)?;
    let raw_bytes = source.size();
    if bytes.len() as u64 >= raw_bytes {
        let bytes = load(source, 0..raw_bytes)?;
        return Ok(Packed { method: Method::Stored, raw_bytes, bytes });
    }
    Ok(Packed { method: Method::Zstd, raw_bytes, bytes })
}

/// About how large packed bytes are: the strongest packing leaves more than a third of it.
pub(crate) fn estimate(source: &dyn ReadAt) -> io::Result<usize> {
    Ok(zstandard::pack_source(source, zstandard::LEVEL_ESTIMATE, u32::MAX)?.len())
}

/// About how large the strongest packing leaves bytes that hardly pack: each part packed by itself, which takes a few MiB of
/// memory however large the tables for all of them would be.
pub(crate) fn estimate_in_parts(source: &dyn ReadAt) -> io::Result<usize> {
    const PART_BYTES: u64 = 256 << 10;
    let mut bytes = 0;
    let mut at = 0;
    while at < source.size() {
        let end = (at + PART_BYTES).min(source.size());
        let part = load(source, at..end)?;
        bytes += zstandard::pack_source(&part, zstandard::LEVEL_BEST, u32::MAX)?.len();
        at = end;
    }
    Ok(bytes)
}

/// Where a packed stream is in a delta, and what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) method: Method,
    pub(crate) raw_bytes: u64,
    pub(crate) packed_bytes: u64,
    /// Where its packed bytes begin in the delta.
    at: u64,
}

impl Stream {
    /// Reads a stream's head and passes over its bytes.
    pub(crate) fn locate(section: &mut Section<'_>, raw_bytes_max: u64) -> Result<Self, Reason> {
        let method = match section.byte()? {
            0 => Method::Stored,
            1 => Method::Zstd,
            2 => Method::Lzma,
            _ => return Err(Reason::Malformed("a stream is packed by an unknown method")),
        };
        let raw_bytes = section.number_at_most(raw_bytes_max, "bytes in a stream")?;
        let packed_bytes = match method {
            Method::Stored => raw_bytes,
            Method::Zstd | Method::Lzma => section.number()?,
        };
        let at = section.at();
        section.pass(packed_bytes)?;
        Ok(Self { method, raw_bytes, packed_bytes, at })
    }

    /// Unpacks it, bit by bit.
    pub(crate) fn unpack<'a>(
        &self,
        delta: &'a dyn ReadAt,
        primer: &[u8],
        window_log: u32,
    ) -> Result<Unpacker<'a>, Reason> {
        let section = Section::new(delta, self.at..self.at + self.packed_bytes)?;
        let how = match self.method {
            Method::Stored => How::Stored(section),
            Method::Zstd => How::Zstd(ZstdUnpacker::new(section, primer, window_log)?),
            Method::Lzma => {
                How::Lzma(Box::new(LzmaUnpacker::new(section, self.raw_bytes, primer, window_log)?))
            }
        };
        Ok(Unpacker { how, left: self.raw_bytes, buffer: Vec::new(), used: 0 })
    }

    /// Unpacks all of it at once; its size was bounded when it was located.
    pub(crate) fn unpack_all(
        &self,
        delta: &dyn ReadAt,
        primer: &[u8],
        window_log: u32,
    ) -> Result<Vec<u8>, Reason> {
        let mut unpacker = self.unpack(delta, primer, window_log)?;
        let mut raw = Vec::new();
        let mut part = [0; 16 << 10];
        while unpacker.left() > 0 {
            let bytes = usize::try_from(unpacker.left()).map_or(part.len(), |left| left.min(part.len()));
            let part = part.get_mut(..bytes).unwrap_or_default();
            unpacker.fill(part)?;
            raw.extend_from_slice(part);
        }
        unpacker.end()?;
        Ok(raw)
    }
}

/// A stream being unpacked.
pub(crate) struct Unpacker<'a> {
    how: How<'a>,
    /// Bytes still to come from it.
    left: u64,
    /// Bytes that came and were not asked for yet: most requests are for a few, and methods do better with many.
    buffer: Vec<u8>,
    used: usize,
}

/// How many bytes are unpacked at one time.
const UNPACKED_BYTES: usize = 8 << 10;

enum How<'a> {
    Unpacked(io::Cursor<Vec<u8>>),
    Stored(Section<'a>),
    Zstd(ZstdUnpacker<'a>),
    Lzma(Box<LzmaUnpacker<'a>>),
}

impl Unpacker<'_> {
    /// Bytes that are unpacked already.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        let left = bytes.len() as u64;
        Self { how: How::Unpacked(io::Cursor::new(bytes)), left, buffer: Vec::new(), used: 0 }
    }

    /// How many bytes are left to unpack.
    pub(crate) fn left(&self) -> u64 {
        self.left + (self.buffer.len() - self.used) as u64
    }

    /// Fills a buffer; less is an error.
    #[inline]
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Reason> {
        if let Some(part) = self.buffer.get(self.used..self.used + buffer.len()) {
            buffer.copy_from_slice(part);
            self.used += buffer.len();
            return Ok(());
        }
        self.read_exact(buffer).map_err(Reason::from_delta)
    }

    /// Reads past the buffer, which is empty.
    fn read_unpacked(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let part = buffer.get_mut(..most).unwrap_or_default();
        let read = match &mut self.how {
            How::Unpacked(bytes) => bytes.read(part)?,
            How::Stored(section) => section.read(part)?,
            How::Zstd(unpacker) => unpacker.read(part)?,
            How::Lzma(unpacker) => unpacker.read(part)?,
        };
        self.left -= read as u64;
        Ok(read)
    }

    /// Ends the stream: all of it must have been used, and no more be packed than it said.
    pub(crate) fn end(mut self) -> Result<(), Reason> {
        if self.left() > 0 {
            return Err(Reason::Malformed("a stream holds more than is used"));
        }
        let over = match &mut self.how {
            How::Unpacked(_) | How::Stored(_) => 0,
            How::Zstd(unpacker) => unpacker.read(&mut [0]).map_err(Reason::from_delta)?,
            How::Lzma(unpacker) => unpacker.read(&mut [0]).map_err(Reason::from_delta)?,
        };
        if over > 0 {
            return Err(Reason::Malformed("a packed stream holds more than it says"));
        }
        Ok(())
    }
}

impl Read for Unpacker<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.buffer.len() {
            if buffer.len() >= UNPACKED_BYTES {
                return self.read_unpacked(buffer);
            }
            let mut unpacked = std::mem::take(&mut self.buffer);
            unpacked.resize(UNPACKED_BYTES, 0);
            self.used = 0;
            let read = self.read_unpacked(&mut unpacked)?;
            unpacked.truncate(read);
            self.buffer = unpacked;
        }
        let read = self.buffer.get(self.used..).unwrap_or_default().read(buffer)?;
        self.used += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
