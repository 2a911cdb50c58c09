//! Bytes held packed: a plain form is several times as large as its container, and read only now and then.
//!
//! Whoever compares plain forms has copies of them in work; two more beside these would be most of what making a patch holds.

use std::cell::RefCell;
use std::io::{self, Write};

use crate::access::ReadAt;

/// What is packed and unpacked together.
const BLOCK_BYTES: usize = 64 << 10;
/// Blocks kept unpacked, each in the place that its number gives: 4 MiB.
const KEPT: usize = 64;
/// A level of zstd that unpacks about as quickly as bytes are copied.
const LEVEL: i32 = 1;

/// Bytes written from their beginning to their end, then read from any place.
#[derive(Debug)]
pub(crate) struct Held {
    packed: Vec<Box<[u8]>>,
    /// What follows the packed blocks: less than a block.
    rest: Vec<u8>,
    kept: RefCell<Vec<Kept>>,
}

/// A block as it is.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Its number, plus one; zero while it holds nothing.
    name: usize,
    bytes: Vec<u8>,
}

impl Held {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { packed: Vec::new(), rest: Vec::new(), kept: RefCell::new(vec![Kept::default(); KEPT]) }
    }

    /// Copies from a packed block, from a place in it on, as much as there is room for; says how much that was.
    fn copy(&self, number: usize, within: usize, out: &mut [u8]) -> io::Result<usize> {
        let packed = &self.packed[number];
        let count = (BLOCK_BYTES - within).min(out.len());
        if count == BLOCK_BYTES {
            zstd::bulk::decompress_to_buffer(packed, &mut out[..count])?;
            return Ok(count);
        }
        let mut all = self.kept.borrow_mut();
        let kept = &mut all[number % KEPT];
        if kept.name != number + 1 {
            kept.name = 0;
            kept.bytes.resize(BLOCK_BYTES, 0);
            zstd::bulk::decompress_to_buffer(packed, &mut kept.bytes[..])?;
            kept.name = number + 1;
        }
        out[..count].copy_from_slice(&kept.bytes[within..within + count]);
        Ok(count)
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK_BYTES - self.rest.len());
        self.rest.extend_from_slice(&bytes[..count]);
        if self.rest.len() == BLOCK_BYTES {
            self.packed.push(zstd::bulk::compress(&self.rest, LEVEL)?.into_boxed_slice());
            self.rest.clear();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Held {
    fn size(&self) -> u64 {
        (self.packed.len() * BLOCK_BYTES + self.rest.len()) as u64
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut at = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let packed_bytes = self.packed.len() * BLOCK_BYTES;
        while !buffer.is_empty() {
            if at >= packed_bytes {
                return self.rest.read_exact_at(buffer, (at - packed_bytes) as u64);
            }
            let count = self.copy(at / BLOCK_BYTES, at % BLOCK_BYTES, buffer)?;
            at += count;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_held_reads_as_it_was_written(
            bytes in 0_usize..5 * BLOCK_BYTES,
            part in 1_usize..3 * BLOCK_BYTES,
            reads in proptest::collection::vec((0_u64..6 * BLOCK_BYTES as u64, 1_usize..3 * BLOCK_BYTES), 1..20),
        ) {
            let all: Vec<u8> = (0_u32..).flat_map(|n| (n / 3).wrapping_mul(0x9e37_79b9).to_le_bytes()).take(bytes).collect();
            let mut held = Held::new();
            for part in all.chunks(part) {
                held.write_all(part).unwrap();
            }
            prop_assert_eq!(held.size(), bytes as u64);
            for (at, count) in reads.into_iter().chain([(0, bytes)]) {
                let (mut read, mut expected) = (vec![0; count], vec![0; count]);
                let is_there = all.read_exact_at(&mut expected, at).is_ok();
                prop_assert_eq!(held.read_exact_at(&mut read, at).is_ok(), is_there);
                prop_assert!(!is_there || read == expected);
            }
        }
    }
}
