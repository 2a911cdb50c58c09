//! The plain form of a file whose shells are known.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::shells::{Chain, check_bytes};
use crate::access::ReadAt;
use crate::error::Reason;

/// What is read at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// Writes the plain form of a file: exactly as many bytes as the shells say.
///
/// Only one shell on each depth is open at a time, and nothing is held but their windows.
pub(crate) fn unpack(
    file: &(impl ReadAt + ?Sized),
    chain: &Chain,
    out: &mut dyn Write,
) -> Result<(), Reason> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, Sequence { file, at: 0 });
    pour(&mut file, chain, out)?;
    at_end(&mut file)
}

fn pour(source: &mut dyn BufRead, chain: &Chain, out: &mut dyn Write) -> Result<(), Reason> {
    for shell in &chain.shells {
        copy(source, shell.gap, out)?;
        let unpacked = shell.method.unpacked(source)?;
        let mut unpacked = BufReader::with_capacity(BUFFER_BYTES, unpacked);
        pour(&mut unpacked, &shell.chain, out)?;
        at_end(&mut unpacked)?;
        drop(unpacked);
        copy(source, check_bytes(shell.method) as u64, &mut io::sink())?;
    }
    copy(source, chain.tail, out)
}

fn copy(source: &mut dyn BufRead, count: u64, out: &mut dyn Write) -> Result<(), Reason> {
    let mut left = count;
    while left > 0 {
        let ready = source.fill_buf().map_err(reason)?;
        if ready.is_empty() {
            return Err(Reason::Malformed("a container holds less than it should"));
        }
        let count = ready.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        out.write_all(&ready[..count]).map_err(Reason::Write)?;
        source.consume(count);
        left -= count as u64;
    }
    Ok(())
}

fn at_end(source: &mut dyn BufRead) -> Result<(), Reason> {
    if source.fill_buf().map_err(reason)?.is_empty() {
        Ok(())
    } else {
        Err(Reason::Malformed("a container holds more than it should"))
    }
}

/// Bytes that do not unpack are the fault of whoever said that they do; those that cannot be read are the disk's.
fn reason(error: io::Error) -> Reason {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Unreadable>) {
        Reason::from_old(error)
    } else {
        Reason::Malformed("a container does not open")
    }
}

/// A file from its start to its end.
struct Sequence<'a, F: ?Sized> {
    file: &'a F,
    at: u64,
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unreadable(io::Error);

impl<F: ReadAt + ?Sized> Read for Sequence<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.size().saturating_sub(self.at);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read_exact_at(&mut buffer[..count], self.at);
        read.map_err(|error| io::Error::new(error.kind(), Unreadable(error)))?;
        self.at += count as u64;
        Ok(count)
    }
}
