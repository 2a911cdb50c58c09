//! Bytes that can be read from any place, read in order.

use std::io::{self, Read, Seek, SeekFrom};

use crate::access::ReadAt;

/// A reader of what can be read from any place, from its first byte on.
#[derive(Debug)]
pub struct Reading<T> {
    from: T,
    at: u64,
}

impl<T: ReadAt> Reading<T> {
    /// Begins at the first byte.
    pub fn new(from: T) -> Self {
        Self { from, at: 0 }
    }
}

impl<T: ReadAt> Read for Reading<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.from.size().saturating_sub(self.at);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let part = buffer.get_mut(..length).unwrap_or_default();
        if part.is_empty() {
            return Ok(0);
        }
        self.from.read_exact_at(part, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl<T: ReadAt> Seek for Reading<T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.from.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A stretch of what can be read from any place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<T> {
    of: T,
    start: u64,
    bytes: u64,
}

impl<T: ReadAt> Part<T> {
    /// The `bytes` from `start` on; `None` if they do not exist.
    pub(crate) fn new(of: T, start: u64, bytes: u64) -> Option<Self> {
        let exists = start.checked_add(bytes).is_some_and(|end| end <= of.size());
        exists.then_some(Self { of, start, bytes })
    }
}

impl<T: ReadAt> ReadAt for Part<T> {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inside = offset.checked_add(buffer.len() as u64).is_some_and(|end| end <= self.bytes);
        if !inside {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.of.read_exact_at(buffer, self.start + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_gives_the_bytes_in_order_and_from_where_it_was_put() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut reading = Reading::new(&bytes);
        let mut read = Vec::new();
        reading.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        assert_eq!(reading.seek(SeekFrom::End(-3)).unwrap(), 197);
        read.clear();
        reading.read_to_end(&mut read).unwrap();
        assert_eq!(read, [197, 198, 199]);
        reading.seek(SeekFrom::Start(999)).unwrap();
        assert_eq!(reading.read(&mut [0]).unwrap(), 0);
        assert!(reading.seek(SeekFrom::Current(-1000)).is_err());
    }

    #[test]
    fn a_part_ends_where_it_should() {
        let bytes: Vec<u8> = (0..200).collect();
        let part = Part::new(&bytes, 10, 5).unwrap();
        let mut buffer = [0; 5];
        part.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(buffer, [10, 11, 12, 13, 14]);
        assert!(part.read_exact_at(&mut buffer, 1).is_err());
        assert!(part.read_exact_at(&mut buffer, u64::MAX).is_err());
        assert!(Part::new(&bytes, 196, 5).is_none());
        assert!(Part::new(&bytes, u64::MAX, 5).is_none());
    }
}
