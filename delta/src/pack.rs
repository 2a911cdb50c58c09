//! Compressed streams: the only file that knows zstd.
//!
//! A packed stream is one zstd frame whose window is at most [`WINDOW_LOG`], so that unpacking it costs a
//! bounded amount of memory. Its unpacked size is always known from elsewhere; [`Unpacker`] reads exactly that and
//! refuses a frame that holds more.

use std::io::{self, BufRead, Read, Write};

use zstd::stream::{read, write};

use crate::error::Reason;
use crate::limits::WINDOW_LOG;

/// The strongest level whose speed still is some megabytes in a second (levels above 19 need other windows).
const LEVEL: i32 = 19;
/// For streams beyond [`LEVEL_BYTES_MAX`], where the strongest level would take many minutes.
const LEVEL_LARGE: i32 = 12;
const LEVEL_BYTES_MAX: u64 = 256 << 20;
/// Only to guess what [`LEVEL`] would reach.
const LEVEL_ESTIMATE: i32 = 3;
/// Below this, a window of the level's own (8 MiB) sees everything anyway.
const LONG_WINDOW_BYTES_MIN: u64 = 8 << 20;

/// Packs exactly so many bytes, which are then written to the result; ended by its `finish`.
pub(crate) fn packer<W: Write>(out: W, bytes: u64) -> io::Result<write::Encoder<'static, W>> {
    let level = if bytes > LEVEL_BYTES_MAX { LEVEL_LARGE } else { LEVEL };
    let mut encoder = write::Encoder::new(out, level)?;
    encoder.set_pledged_src_size(Some(bytes))?;
    if bytes > LONG_WINDOW_BYTES_MIN {
        encoder.window_log(WINDOW_LOG)?;
        encoder.long_distance_matching(true)?;
    }
    Ok(encoder)
}

/// Packs bytes that are in memory.
pub(crate) fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = packer(Vec::new(), bytes.len() as u64)?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// How large bytes would be at a fast level.
pub(crate) fn estimate(bytes: &[u8]) -> io::Result<usize> {
    let mut encoder = write::Encoder::new(Count(0), LEVEL_ESTIMATE)?;
    encoder.write_all(bytes)?;
    encoder.finish().map(|count| count.0)
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0 += buffer.len();
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Unpacks one frame; what follows it stays in the reader.
pub(crate) struct Unpacker<'a, R: BufRead>(read::Decoder<'a, R>);

impl<R: BufRead> Unpacker<'_, R> {
    pub(crate) fn new(packed: R) -> Result<Self, Reason> {
        let mut decoder = read::Decoder::with_buffer(packed).map_err(Reason::from_delta)?;
        decoder.window_log_max(WINDOW_LOG).map_err(Reason::from_delta)?;
        Ok(Self(decoder.single_frame()))
    }

    /// Fills a buffer whose size the caller has bounded.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Reason> {
        self.0.read_exact(buffer).map_err(Reason::from_delta)
    }

    /// Ends the frame: nothing may be left in it.
    pub(crate) fn end(mut self) -> Result<(), Reason> {
        if crate::witness::at_end(&mut self.0).map_err(Reason::from_delta)? {
            Ok(())
        } else {
            Err(Reason::Malformed("a packed part holds more than it should"))
        }
    }
}

impl<R: BufRead> Read for Unpacker<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
