//! From a wide form back to the module.

use std::io::{self, Read};

use super::buffered::{self, Buffered};
use super::leb;
use super::module::{BODY_BYTES_MAX, Module};
use super::reading::{Found, Listener, Reading};
use super::tape;

/// Made in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;

/// The module that a wide form stands for, made as it is read. Holds one body at a time.
pub(crate) struct Narrowed<R> {
    module: Module,
    reading: Reading<R, Narrowing>,
    /// How much of what was made is given away.
    given: usize,
}

impl<R: Read> Narrowed<R> {
    /// The wide form is all that can be read.
    pub(crate) fn new(wide: R) -> Self {
        let narrowing = Narrowing { out: Vec::with_capacity(2 * PIECE_BYTES), body: None };
        let reading = Reading::new(Buffered::new(wide, 0, buffered::PIECE_BYTES), narrowing);
        Self { module: Module::new(), reading, given: 0 }
    }

    fn make(&mut self) -> io::Result<()> {
        self.given = 0;
        self.reading.listener.out.clear();
        let is_made = |out: &Narrowing| out.out.len() >= PIECE_BYTES && out.body.is_none();
        while !self.module.is_at_end() && !is_made(&self.reading.listener) {
            let step = self.module.step(&mut self.reading);
            if let Some(error) = self.reading.source.take_failure() {
                return Err(error);
            }
            if step.is_none() || self.reading.listener.is_too_long() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no wide form of a module"));
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Narrowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.reading.listener.out.len() {
            self.make()?;
        }
        let read = self.reading.listener.out.get(self.given..).unwrap_or_default().read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

/// Writes the module.
struct Narrowing {
    out: Vec<u8>,
    /// Where the body in work begins, after room for its size, and what is kept of that.
    body: Option<(usize, u8)>,
}

impl Narrowing {
    fn is_too_long(&self) -> bool {
        self.body.is_some_and(|(begin, _)| self.out.len() - begin > BODY_BYTES_MAX)
    }
}

impl Listener for Narrowing {
    #[inline]
    fn copied(&mut self, bytes: &[u8]) {
        if let [byte] = bytes {
            self.out.push(*byte);
        } else {
            self.out.extend_from_slice(bytes);
        }
    }

    #[inline]
    fn number(&mut self, value: i64, bytes: usize) {
        let (encoded, bytes) = leb::encode(value, bytes);
        self.out.extend_from_slice(encoded.get(..bytes).unwrap_or_default());
    }

    #[inline]
    fn field(&mut self, _: Found) {}

    fn data(&mut self, _: u64, _: u32, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn begin_body(&mut self, kept: u8) {
        self.out.extend_from_slice(&[0; leb::SHORT_BYTES_MAX]);
        self.body = Some((self.out.len(), kept));
    }

    fn end_body(&mut self) -> Option<()> {
        let (begin, kept) = self.body.take()?;
        let bytes = self.out.len() - begin;
        let value = u32::try_from(bytes).ok().filter(|_| bytes <= BODY_BYTES_MAX)?;
        let (encoded, size) = leb::encode(i64::from(value), tape::size_of(value, kept)?);
        let room = begin - leb::SHORT_BYTES_MAX;
        self.out.get_mut(room..room + size)?.copy_from_slice(encoded.get(..size)?);
        self.out.copy_within(begin.., room + size);
        self.out.truncate(room + size + bytes);
        Some(())
    }
}
