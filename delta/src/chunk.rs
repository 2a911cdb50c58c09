//! Content-defined chunks: a stream cut where its content says so.
//!
//! The one door is [`chunks`]. A cut depends on the bytes just before it (FastCDC of 2020, normalisation level 1, no
//! seed), so an insertion moves the cuts around it and no others: equal stretches of two versions have equal
//! chunks, named by BLAKE3. The cuts are the publisher's choice: whoever reads a tree takes its chunks as they are and
//! verifies digests. Deliberately absent: any index or store of chunks.

use std::io::{self, Read};

use blake3::Hash;
use fastcdc::v2020::StreamCDC;

/// No chunk but a file's last is shorter, in bytes.
pub const CHUNK_BYTES_MIN: usize = 16 << 10;
/// The length that chunks have on average, in bytes.
pub const CHUNK_BYTES_AVERAGE: usize = 64 << 10;
/// No chunk is longer, in bytes.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;

/// A stretch of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes: 1 to [`CHUNK_BYTES_MAX`] of them.
    pub bytes: Vec<u8>,
    /// BLAKE3 of the bytes.
    pub digest: Hash,
}

/// Cuts a stream into chunks, in order. Holds two chunks in memory; an empty stream has none.
///
/// # Errors
/// Each item may be the reader's error, after which the iterator ends.
pub fn chunks<R: Read>(reader: R) -> impl Iterator<Item = io::Result<Chunk>> {
    let mut cuts =
        Some(StreamCDC::new(Uninterrupted(reader), CHUNK_BYTES_MIN, CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX));
    std::iter::from_fn(move || {
        let cut = cuts.as_mut()?.next()?;
        if cut.is_err() {
            cuts = None;
        }
        Some(
            cut.map_err(io::Error::from)
                .map(|cut| Chunk { digest: blake3::hash(&cut.data), bytes: cut.data }),
        )
    })
}

/// The cutter gives up on any error, and an interrupted read is none.
struct Uninterrupted<R>(R);

impl<R: Read> Read for Uninterrupted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}
