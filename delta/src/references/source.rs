//! Reading a window of a file in any order, a few bytes at a time.

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use crate::access::ReadAt;

const BLOCK_BYTES: usize = 4 << 10;
const BLOCKS: usize = 256;

/// A window of a file. Places in it count from its beginning; what is outside of it reads as nothing.
pub(super) struct Source<'a> {
    bytes: &'a dyn ReadAt,
    window: Range<u64>,
    blocks: RefCell<Vec<Block>>,
}

#[derive(Default)]
struct Block {
    /// Its number, plus one; zero while it holds nothing.
    name: u64,
    bytes: Vec<u8>,
}

impl<'a> Source<'a> {
    /// The part of the window that is in the file.
    pub(super) fn new(bytes: &'a dyn ReadAt, window: Range<u64>) -> Self {
        let end = window.end.min(bytes.size());
        let window = window.start.min(end)..end;
        let blocks = RefCell::new((0..BLOCKS).map(|_| Block::default()).collect());
        Self { bytes, window, blocks }
    }

    pub(super) fn size(&self) -> u64 {
        self.window.end - self.window.start
    }

    /// Fills the buffer from a place on; false if it reaches past the end.
    pub(super) fn fill(&self, at: u64, buffer: &mut [u8]) -> io::Result<bool> {
        if at.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size()) {
            return Ok(false);
        }
        self.bytes.read_exact_at(buffer, self.window.start + at)?;
        Ok(true)
    }

    /// A few bytes, through blocks that are kept.
    pub(super) fn get<const N: usize>(&self, at: u64) -> io::Result<Option<[u8; N]>> {
        if at.checked_add(N as u64).is_none_or(|end| end > self.size()) {
            return Ok(None);
        }
        let mut found = [0; N];
        let mut done = 0;
        let mut blocks = self.blocks.borrow_mut();
        while done < N {
            let at = at + done as u64;
            let number = at / BLOCK_BYTES as u64;
            let place = usize::try_from(number % BLOCKS as u64).unwrap_or_default();
            let within = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or_default();
            let block = blocks.get_mut(place).expect("BUG: a place beyond the blocks");
            self.load(block, number)?;
            let part = block.bytes.get(within..).unwrap_or_default();
            let taken = part.len().min(N - done);
            found.get_mut(done..done + taken).unwrap_or_default().copy_from_slice(&part[..taken]);
            done += taken;
        }
        Ok(Some(found))
    }

    fn load(&self, block: &mut Block, number: u64) -> io::Result<()> {
        if block.name == number + 1 {
            return Ok(());
        }
        block.name = 0;
        let start = number * BLOCK_BYTES as u64;
        let bytes = (self.size() - start).min(BLOCK_BYTES as u64);
        block.bytes.resize(usize::try_from(bytes).unwrap_or_default(), 0);
        self.bytes.read_exact_at(&mut block.bytes, self.window.start + start)?;
        block.name = number + 1;
        Ok(())
    }

    pub(super) fn u8(&self, at: u64) -> io::Result<Option<u8>> {
        Ok(self.get::<1>(at)?.map(|[byte]| byte))
    }

    pub(super) fn u32(&self, at: u64) -> io::Result<Option<u32>> {
        Ok(self.get(at)?.map(u32::from_le_bytes))
    }

    pub(super) fn u64(&self, at: u64) -> io::Result<Option<u64>> {
        Ok(self.get(at)?.map(u64::from_le_bytes))
    }

    /// Reads a stretch piece by piece, each with the bytes after it that the stretch has, at most so many. The visitor
    /// says how many bytes of it are done.
    pub(super) fn pieces(
        &self,
        stretch: Range<u64>,
        beyond: usize,
        mut visit: impl FnMut(u64, &[u8], bool) -> usize,
    ) -> io::Result<()> {
        let end = stretch.end.min(self.size());
        let mut at = stretch.start;
        let mut buffer = Vec::new();
        while at < end {
            let bytes = (end - at).min((PIECE_BYTES + beyond) as u64);
            buffer.resize(usize::try_from(bytes).unwrap_or_default(), 0);
            self.bytes.read_exact_at(&mut buffer, self.window.start + at)?;
            let last = at + bytes == end;
            let done = visit(at, &buffer, last);
            if last {
                break;
            }
            at += (done as u64).clamp(1, bytes);
        }
        Ok(())
    }
}

/// The size of a piece.
const PIECE_BYTES: usize = 256 << 10;
