//! A file made again from its plain form and its shells.

use std::io::{self, Read};
use std::vec;

use super::packer::Packer;
use super::shells::{Chain, Shell};
use crate::error::Reason;

/// What is packed at a time.
const BUFFER_BYTES: usize = 32 << 10;

/// Reads the file whose plain form a reader gives. Nothing is held but the encoders of the open shells, one on each
/// depth, and their buffers.
pub(crate) struct Closed<R> {
    plain: R,
    /// The chains that are in work: the file's, then that of the shell in work in it, and so on.
    levels: Vec<Level>,
}

/// A chain in work.
struct Level {
    /// Bytes to be taken as they are before what comes next.
    raw: u64,
    /// The next shell, after those bytes.
    next: Option<Shell>,
    rest: vec::IntoIter<Shell>,
    tail: u64,
    /// Packs what the level below gives.
    packer: Option<Packer>,
    /// What it has packed, and how much of that was given.
    packed: Vec<u8>,
    given: usize,
    buffer: Vec<u8>,
}

impl Level {
    fn new(chain: Chain) -> Self {
        let mut level = Self {
            raw: 0,
            next: None,
            rest: chain.shells.into_iter(),
            tail: chain.tail,
            packer: None,
            packed: Vec::new(),
            given: 0,
            buffer: Vec::new(),
        };
        level.go_on();
        level
    }

    /// Passes on to the next shell, or to the tail.
    fn go_on(&mut self) {
        self.next = self.rest.next();
        self.raw = match &self.next {
            Some(shell) => shell.gap,
            None => std::mem::take(&mut self.tail),
        };
    }
}

impl<R: Read> Closed<R> {
    /// Reads the file with these shells.
    pub(crate) fn new(chain: Chain, plain: R) -> Self {
        Self { plain, levels: vec![Level::new(chain)] }
    }

    /// The plain form, read as far as the file needed it.
    pub(crate) fn into_inner(self) -> R {
        self.plain
    }

    /// Reads from the chain at some depth.
    fn pull(&mut self, depth: usize, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let level = &mut self.levels[depth];
            if level.given < level.packed.len() {
                let ready = &level.packed[level.given..];
                let count = ready.len().min(out.len());
                out[..count].copy_from_slice(&ready[..count]);
                level.given += count;
                return Ok(count);
            }
            level.packed.clear();
            level.given = 0;
            if level.packer.is_some() {
                self.pack(depth)?;
            } else if level.raw > 0 {
                let count = out.len().min(usize::try_from(level.raw).unwrap_or(usize::MAX));
                let read = self.plain.read(&mut out[..count])?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                level.raw -= read as u64;
                return Ok(read);
            } else if let Some(shell) = level.next.take() {
                level.packer = Some(Packer::new(shell.method, shell.notes, shell.size).map_err(invalid)?);
                self.levels.push(Level::new(shell.chain));
            } else {
                return Ok(0);
            }
        }
    }

    /// Packs some of what the level below gives.
    fn pack(&mut self, depth: usize) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.levels[depth].buffer);
        buffer.resize(BUFFER_BYTES, 0);
        let count = self.pull(depth + 1, &mut buffer)?;
        let level = &mut self.levels[depth];
        let packed = &mut level.packed;
        if count > 0 {
            let packer = level.packer.as_mut();
            packer.map_or(Ok(()), |packer| packer.feed(&buffer[..count], packed)).map_err(invalid)?;
        } else {
            let packer = level.packer.take();
            packer.map_or(Ok(()), |packer| packer.finish(packed)).map_err(invalid)?;
            level.go_on();
            self.levels.truncate(depth + 1);
        }
        self.levels[depth].buffer = buffer;
        Ok(())
    }
}

impl<R: Read> Read for Closed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.pull(0, out)
    }
}

fn invalid(reason: Reason) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
