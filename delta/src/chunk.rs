//! Content-defined chunks: a stream cut where its content says so.
//!
//! The one door is [`chunks`]. A cut depends on the bytes just before it (FastCDC of 2020, normalisation level 2, no
//! seed), so an insertion moves the cuts around it and no others: equal stretches of two versions have equal
//! chunks, named by BLAKE3. The cuts are the publisher's choice: whoever reads a tree takes its chunks as they are and
//! verifies digests. Deliberately absent: any index or store of chunks.

use std::io::{self, Read};

use blake3::Hash;
use fastcdc::v2020::{Normalization, StreamCDC};

/// No chunk but a file's last is shorter, in bytes.
pub const CHUNK_BYTES_MIN: usize = 16 << 10;
/// The length that chunks have on average, in bytes.
pub const CHUNK_BYTES_AVERAGE: usize = 64 << 10;
/// No chunk is longer, in bytes.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;

/// How strongly lengths are drawn to the average. Of all levels this one finds the most bytes of a new version in chunks of
/// the old one at the same mean length (`benches/chunking.rs`).
const LEVEL: Normalization = Normalization::Level2;

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
    let mut cuts = Some(StreamCDC::with_level(
        Uninterrupted(reader),
        CHUNK_BYTES_MIN,
        CHUNK_BYTES_AVERAGE,
        CHUNK_BYTES_MAX,
        LEVEL,
    ));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        blake3::Hasher::new().finalize_xof().fill(&mut out);
        out
    }

    fn cut(bytes: &[u8]) -> Vec<Chunk> {
        chunks(bytes).collect::<io::Result<_>>().unwrap()
    }

    #[test]
    fn chunks_are_the_stream_and_within_bounds() {
        for length in [0, 1, CHUNK_BYTES_MIN, 3_000_000] {
            let stream = noise(length);
            let cut = cut(&stream);
            let joined: Vec<u8> = cut.iter().flat_map(|chunk| chunk.bytes.clone()).collect();
            assert_eq!(joined, stream);
            for (at, chunk) in cut.iter().enumerate() {
                assert_eq!(chunk.digest, blake3::hash(&chunk.bytes));
                assert!(chunk.bytes.len() <= CHUNK_BYTES_MAX && !chunk.bytes.is_empty());
                assert!(chunk.bytes.len() >= CHUNK_BYTES_MIN || at + 1 == cut.len());
            }
        }
    }

    #[test]
    fn an_insertion_changes_the_chunks_around_it_only() {
        let stream = noise(3_000_000);
        let mut inserted = stream.clone();
        inserted.splice(1_000_000..1_000_000, *b"a few bytes more");
        let before: BTreeSet<_> = cut(&stream).iter().map(|c| *c.digest.as_bytes()).collect();
        let after = cut(&inserted);
        let fresh = after.iter().filter(|c| !before.contains(c.digest.as_bytes())).count();
        assert!(after.len() > 20, "{}", after.len());
        assert!((1..=3).contains(&fresh), "{fresh} of {}", after.len());
    }

    /// The golden vector: another cut would name every chunk anew, and nothing would be shared with older versions.
    #[test]
    fn the_cuts_stay_where_they_are() {
        let lengths: Vec<usize> = cut(&noise(500_000)).iter().map(|c| c.bytes.len()).collect();
        assert_eq!(lengths, [32_798, 86_550, 67_403, 69_942, 97_559, 90_224, 55_524]);
    }

    #[test]
    fn an_error_ends_the_chunks() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::Other.into())
            }
        }
        let mut chunks = chunks(Broken);
        assert!(chunks.next().unwrap().is_err());
        assert!(chunks.next().is_none());
    }
}
