//! The old file, read through a few blocks that are kept.

use std::ops::Range;

use crate::access::ReadAt;
use crate::error::Reason;

/// Small, because excursions from the way through the old file are short.
const BLOCK_BYTES: usize = 4 << 10;
/// Blocks kept, each in the place that its number gives: as many as a stretch of 1 MiB has, which stays in a cache.
const BLOCKS: usize = 1 << 8;
/// From this size on bytes are read past the blocks: they are read once.
const DIRECT_BYTES: usize = 16 << 10;

/// A stretch of the old file, whose places count from its beginning.
pub(crate) struct OldWindow<'a> {
    source: &'a dyn ReadAt,
    range: Range<u64>,
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Block {
    /// Its number, plus one; zero while it holds nothing.
    name: u64,
    bytes: Vec<u8>,
}

impl<'a> OldWindow<'a> {
    /// The stretch must lie within the file.
    pub(crate) fn new(source: &'a dyn ReadAt, range: Range<u64>) -> Result<Self, Reason> {
        if range.start > range.end || range.end > source.size() {
            return Err(Reason::Malformed("a window lies outside the old file"));
        }
        Ok(Self { source, range, blocks: (0..BLOCKS).map(|_| Block::default()).collect() })
    }

    /// Fills a buffer with bytes of the old file.
    pub(crate) fn read(&mut self, at: u64, mut out: &mut [u8]) -> Result<(), Reason> {
        let at = self.range.start.checked_add(at);
        let fits = |at: &u64| at.checked_add(out.len() as u64).is_some_and(|end| end <= self.range.end);
        let Some(mut at) = at.filter(fits) else {
            return Err(Reason::Malformed("a region reads past the old file"));
        };
        if out.len() >= DIRECT_BYTES {
            return self.source.read_exact_at(out, at).map_err(Reason::from_old);
        }
        while !out.is_empty() {
            let within = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or_default();
            let block = self.block(at / BLOCK_BYTES as u64)?;
            let part = block.get(within..).unwrap_or_default();
            let part = part.get(..out.len()).unwrap_or(part);
            if part.is_empty() {
                return Err(Reason::OldChanged);
            }
            let (now, later) = out.split_at_mut(part.len());
            now.copy_from_slice(part);
            at += part.len() as u64;
            out = later;
        }
        Ok(())
    }

    fn block(&mut self, number: u64) -> Result<&[u8], Reason> {
        let place = usize::try_from(number % BLOCKS as u64).unwrap_or_default();
        let block = self.blocks.get_mut(place).expect("BUG: a place beyond the blocks");
        if block.name != number + 1 {
            let start = number * BLOCK_BYTES as u64;
            let bytes = (self.source.size().saturating_sub(start)).min(BLOCK_BYTES as u64);
            block.name = 0;
            block.bytes.resize(usize::try_from(bytes).unwrap_or_default(), 0);
            self.source.read_exact_at(&mut block.bytes, start).map_err(Reason::from_old)?;
            block.name = number + 1;
        }
        Ok(&block.bytes)
    }
}
