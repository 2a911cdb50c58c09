//! What was written, and its digest; copying through a bounded buffer.

use std::io::{self, Read, Write};

use blake3::{Hash, Hasher};

use crate::limits::BUFFER_BYTES;

/// Hashes and counts all that passes through to a writer.
pub(crate) struct Witness<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Witness<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::new(), bytes: 0 }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn digest(&self) -> Hash {
        self.hasher.finalize()
    }

    pub(crate) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Witness<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(buffer.get(..written).unwrap_or(buffer));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Which side of a copy failed.
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies exactly so many bytes; a shorter source is an error of reading.
pub(crate) fn copy_exact(from: &mut impl Read, to: &mut impl Write, bytes: u64) -> Result<(), CopyError> {
    let mut buffer = vec![0; usize::try_from(bytes).map_or(BUFFER_BYTES, |n| n.min(BUFFER_BYTES))];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(buffer.len(), |n| n.min(buffer.len()));
        let part = buffer.get_mut(..length).unwrap_or_default();
        from.read_exact(part).map_err(CopyError::Read)?;
        to.write_all(part).map_err(CopyError::Write)?;
        left -= length as u64;
    }
    Ok(())
}

/// Whether a stream is at its end.
pub(crate) fn at_end(from: &mut impl Read) -> io::Result<bool> {
    loop {
        match from.read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done.map(|read| read == 0),
        }
    }
}

/// Reads a stream to its end: its size and digest.
pub(crate) fn witness(mut from: impl Read) -> io::Result<(u64, Hash)> {
    let mut witness = Witness::new(io::sink());
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((witness.bytes(), witness.digest())),
            Ok(read) => witness.write_all(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
