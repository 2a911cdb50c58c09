//! A reader with some bytes at hand. What is read from it while bytes are at hand cannot fail for any other reason than
//! that they end.

use std::io::{self, Read};

/// So many bytes are at hand after [`Buffered::more`], unless the source ends. No instruction without a list, and no
/// step of a list, is longer.
pub(super) const AT_HAND_BYTES: usize = 64;
/// A good piece to read a long source in.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// A source and the bytes read from it in advance.
pub(super) struct Buffered<R> {
    source: R,
    bytes: Vec<u8>,
    /// How much is read at a time.
    piece: usize,
    /// The next byte.
    at: usize,
    /// Where the bytes end that may be taken.
    end: usize,
    /// Where the bytes end that were read.
    filled: usize,
    /// How many bytes were dropped from the front.
    dropped: u64,
    /// Whether only what is at hand may be taken, and it stays where it is.
    fenced: bool,
    ended: bool,
    failure: Option<io::Error>,
}

impl<R: Read> Buffered<R> {
    /// A source whose first byte has this position, read in pieces of some size.
    pub(super) fn new(source: R, position: u64, piece: usize) -> Self {
        Self {
            source,
            bytes: Vec::new(),
            piece,
            at: 0,
            end: 0,
            filled: 0,
            dropped: position,
            fenced: false,
            ended: false,
            failure: None,
        }
    }

    /// Goes on with another source.
    pub(super) fn restart(&mut self, source: R, position: u64) {
        let bytes = std::mem::take(&mut self.bytes);
        *self = Self { bytes, ..Self::new(source, position, self.piece) };
    }

    /// Where the next byte is in the source.
    pub(super) fn position(&self) -> u64 {
        self.dropped + self.at as u64
    }

    /// Why no more bytes came, if it was not the end.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Reads on, unless enough is at hand.
    #[inline]
    pub(super) fn more(&mut self) {
        if self.filled - self.at < AT_HAND_BYTES && !self.ended && !self.fenced {
            self.fill(AT_HAND_BYTES);
        }
    }

    /// Whether so many bytes are at hand, after reading on if need be.
    pub(super) fn has(&mut self, bytes: usize) -> bool {
        if self.filled - self.at < bytes && !self.ended && !self.fenced {
            self.fill(bytes);
        }
        self.end - self.at >= bytes
    }

    #[cold]
    fn fill(&mut self, bytes: usize) {
        self.bytes.copy_within(self.at..self.filled, 0);
        self.dropped += self.at as u64;
        self.filled -= self.at;
        self.at = 0;
        let size = bytes.max(self.piece);
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
        while self.filled < bytes && !self.ended {
            match self.source.read(self.bytes.get_mut(self.filled..).unwrap_or_default()) {
                Ok(0) => self.ended = true,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.ended = true;
                }
            }
        }
        self.end = self.filled;
    }

    /// Lets no more than the next `bytes` be taken, which must be at hand.
    pub(super) fn fence(&mut self, bytes: usize) {
        self.end = self.filled.min(self.at + bytes);
        self.fenced = true;
    }

    /// Lifts the fence; false if there were bytes left before it.
    pub(super) fn lift_fence(&mut self) -> bool {
        let reached = self.at == self.end;
        self.end = self.filled;
        self.fenced = false;
        reached
    }

    /// Goes back by bytes that were taken since the last time that any were read.
    pub(super) fn back(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
    }

    /// The bytes that may be taken without reading on.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..self.end).unwrap_or_default()
    }

    /// The next byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.rest().first()?;
        self.at += 1;
        Some(byte)
    }

    /// The next few bytes.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let found = *self.rest().first_chunk::<N>()?;
        self.at += N;
        Some(found)
    }

    /// As many of the next bytes as are at hand, but not more than `bytes`; none only at the end.
    pub(super) fn some(&mut self, bytes: usize) -> Option<&[u8]> {
        self.more();
        let taken = bytes.min(self.end - self.at);
        let at = self.at;
        self.at += taken;
        (taken > 0).then(|| self.bytes.get(at..at + taken).unwrap_or_default())
    }

    /// Moves on over bytes seen in [`Self::rest`].
    #[inline]
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = self.end.min(self.at + bytes);
    }
}
