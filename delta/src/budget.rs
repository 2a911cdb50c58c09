//! A reader that refuses to give more than was agreed.

use std::io::{self, Read};

/// Reads at most so many bytes; one more is an error, where a cut would look like a truncated delta.
pub(crate) struct Budget<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Budget<R> {
    pub(crate) fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit, limit }
    }
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than the {} bytes allowed here", self.limit),
            )
        })?;
        Ok(read)
    }
}
