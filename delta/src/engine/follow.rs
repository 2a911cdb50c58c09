//! Following a patch's body: every number in it is checked before it is used.

use std::io::{BufRead, Read, Seek, SeekFrom, Write};

use crate::error::Reason;
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_MOVES_BYTES_MAX};
use crate::pack::Unpacker;

use super::array;
use super::moves::Move;

/// Size of the three sizes that a segment begins with.
const SEGMENT_HEADER_BYTES: u64 = 12;

/// What the sizes must be.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) old: u64,
    pub(crate) new: u64,
}

/// Writes the new file, of exactly the size given; the caller compares its digest.
pub(crate) fn follow(
    old: &mut (impl Read + Seek),
    body: impl BufRead,
    new: &mut impl Write,
    sizes: Sizes,
) -> Result<(), Reason> {
    let mut body = Unpacker::new(body)?;
    let mut old = Old { file: old, bytes: sizes.old, at: 0, file_at: None };
    let mut segment = Segment::default();
    let mut left = sizes.new;
    while left > 0 {
        segment.read(&mut body, left)?;
        left -= segment.bytes();
        segment.follow(&mut old, new)?;
    }
    body.end()
}

struct Old<'a, F> {
    file: &'a mut F,
    bytes: u64,
    /// Where the patch is.
    at: u64,
    /// Where the file is, when known; saves a system call for each move without a seek.
    file_at: Option<u64>,
}

impl<F: Read + Seek> Old<'_, F> {
    fn seek(&mut self, by: i64) -> Result<(), Reason> {
        self.at = self
            .at
            .checked_add_signed(by)
            .filter(|at| *at <= self.bytes)
            .ok_or(Reason::Malformed("a seek leaves the old file"))?;
        Ok(())
    }

    /// Adds the next old bytes to those in the buffer.
    fn add_to(&mut self, buffer: &mut [u8], scratch: &mut Vec<u8>) -> Result<(), Reason> {
        let end = self.at + buffer.len() as u64;
        if end > self.bytes {
            return Err(Reason::Malformed("a move reads past the old file"));
        }
        if self.file_at != Some(self.at) {
            self.file.seek(SeekFrom::Start(self.at)).map_err(Reason::from_old)?;
        }
        scratch.resize(buffer.len(), 0);
        self.file.read_exact(scratch).map_err(Reason::from_old)?;
        for (byte, old) in buffer.iter_mut().zip(scratch.iter()) {
            *byte = byte.wrapping_add(*old);
        }
        self.at = end;
        self.file_at = Some(end);
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Segment {
    moves: Vec<u8>,
    added: Vec<u8>,
    inserted: Vec<u8>,
    scratch: Vec<u8>,
}

impl Segment {
    /// How much of the new file it yields.
    pub(super) fn bytes(&self) -> u64 {
        (self.added.len() + self.inserted.len()) as u64
    }

    /// Its size before packing.
    pub(super) fn raw_bytes(&self) -> u64 {
        SEGMENT_HEADER_BYTES + self.moves.len() as u64 + self.bytes()
    }

    /// Calls `look` with each move and the bytes that it adds, without following it.
    pub(super) fn each_move(&self, mut look: impl FnMut(Move, &[u8])) -> Result<(), Reason> {
        let mut moves = &self.moves[..];
        let mut added = &self.added[..];
        while !moves.is_empty() {
            let next = Move::decode(&mut moves)?;
            let (now, later) = usize::try_from(next.add)
                .ok()
                .and_then(|add| added.split_at_checked(add))
                .ok_or(Reason::Malformed("a move adds more than its segment has"))?;
            added = later;
            look(next, now);
        }
        Ok(())
    }

    pub(super) fn read(&mut self, body: &mut Unpacker<'_, impl BufRead>, left: u64) -> Result<(), Reason> {
        let moves = u32::from_le_bytes(array(body)?) as usize;
        let added = u32::from_le_bytes(array(body)?);
        let inserted = u32::from_le_bytes(array(body)?);
        let yields = u64::from(added) + u64::from(inserted);
        if moves > SEGMENT_MOVES_BYTES_MAX || yields > SEGMENT_BYTES_MAX as u64 {
            return Err(Reason::Malformed("a segment is too large"));
        }
        if yields == 0 || yields > left {
            return Err(Reason::Malformed("a segment yields nothing or too much"));
        }
        for (part, size) in [
            (&mut self.moves, moves),
            (&mut self.added, added as usize),
            (&mut self.inserted, inserted as usize),
        ] {
            part.resize(size, 0);
            body.fill(part)?;
        }
        Ok(())
    }

    fn follow<F: Read + Seek>(&mut self, old: &mut Old<'_, F>, new: &mut impl Write) -> Result<(), Reason> {
        let mut moves = &self.moves[..];
        let mut added = &mut self.added[..];
        let mut inserted = &self.inserted[..];
        while !moves.is_empty() {
            let next = Move::decode(&mut moves)?;
            old.seek(next.seek)?;
            let (now, later) = usize::try_from(next.add)
                .ok()
                .and_then(|add| added.split_at_mut_checked(add))
                .ok_or(Reason::Malformed("a move adds more than its segment has"))?;
            added = later;
            old.add_to(now, &mut self.scratch)?;
            new.write_all(now).map_err(Reason::Write)?;
            let (now, later) = usize::try_from(next.insert)
                .ok()
                .and_then(|insert| inserted.split_at_checked(insert))
                .ok_or(Reason::Malformed("a move inserts more than its segment has"))?;
            inserted = later;
            new.write_all(now).map_err(Reason::Write)?;
        }
        if !added.is_empty() || !inserted.is_empty() {
            return Err(Reason::Malformed("a segment has bytes that no move uses"));
        }
        Ok(())
    }
}
