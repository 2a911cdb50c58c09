//! A part of a delta, read from its beginning to its end.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use crate::access::ReadAt;
use crate::error::Reason;
use crate::numbers::NUMBER_BYTES_MAX;

const BUFFER_BYTES: u64 = 16 << 10;

/// Reads a stretch of a delta through a small buffer; nothing beyond it is seen.
pub(crate) struct Section<'a> {
    delta: &'a dyn ReadAt,
    /// Where the buffer's unread part ends in the delta.
    next: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl<'a> Section<'a> {
    /// The stretch must lie within the delta.
    pub(crate) fn new(delta: &'a dyn ReadAt, range: Range<u64>) -> Result<Self, Reason> {
        if range.start > range.end || range.end > delta.size() {
            return Err(Reason::Truncated);
        }
        Ok(Self { delta, next: range.start, end: range.end, buffer: Vec::new(), used: 0 })
    }

    /// Where in the delta the next byte is.
    pub(crate) fn at(&self) -> u64 {
        self.next - (self.buffer.len() - self.used) as u64
    }

    /// Whether nothing is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at() == self.end
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Reason> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes).map_err(Reason::from_delta)?;
        Ok(bytes)
    }

    /// A number of [`numbers`](crate::numbers).
    pub(crate) fn number(&mut self) -> Result<u64, Reason> {
        let mut bytes = [0; NUMBER_BYTES_MAX];
        for length in 1..=NUMBER_BYTES_MAX {
            let byte = self.byte()?;
            bytes[length - 1] = byte;
            if byte & 0x80 == 0 {
                return crate::numbers::take(&mut &bytes[..length]);
            }
        }
        Err(Reason::Malformed("a number is too long"))
    }

    pub(crate) fn number_at_most(&mut self, limit: u64, what: &'static str) -> Result<u64, Reason> {
        let found = self.number()?;
        if found > limit {
            return Err(Reason::Limit { what, found, limit });
        }
        Ok(found)
    }

    /// Passes over bytes without reading them.
    pub(crate) fn pass(&mut self, bytes: u64) -> Result<(), Reason> {
        let to = self.at().checked_add(bytes).filter(|to| *to <= self.end).ok_or(Reason::Truncated)?;
        let buffered = (self.buffer.len() - self.used) as u64;
        if bytes <= buffered {
            self.used += usize::try_from(bytes).unwrap_or_default();
        } else {
            self.buffer.clear();
            self.used = 0;
            self.next = to;
        }
        Ok(())
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let read = available.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Section<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.buffer.len() {
            let bytes = (self.end - self.next).min(BUFFER_BYTES);
            self.buffer.resize(usize::try_from(bytes).unwrap_or_default(), 0);
            self.used = 0;
            // Nothing counts as read before it was.
            if let Err(error) = self.delta.read_exact_at(&mut self.buffer, self.next) {
                self.buffer.clear();
                return Err(error);
            }
            self.next += bytes;
        }
        Ok(self.buffer.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.used = (self.used + bytes).min(self.buffer.len());
    }
}
