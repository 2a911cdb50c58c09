//! The only file that knows zstd.

use std::io::{self, Read, Write};

use zstd::stream::{read, write};

use super::{Section, Strength};
use crate::access::ReadAt;
use crate::error::Reason;
use crate::limits::BUFFER_BYTES;

/// The strongest level that keeps its promise of a bounded window.
pub(super) const LEVEL_BEST: i32 = 19;
/// The window that zstd chooses at that level.
const LEVEL_BEST_WINDOW_LOG: u32 = 23;
/// A level that packs hundreds of megabytes in a second.
pub(super) const LEVEL_ESTIMATE: i32 = 1;
/// A level that packs tens of megabytes in a second.
const LEVEL_FAST: i32 = 9;
/// Smallest window of a frame (zstd's own bound).
const WINDOW_LOG_MIN: u32 = 10;
/// What begins a trained dictionary; a primer is none, and must not look like one.
const RAW: [u8; 1] = [0];

/// One frame.
pub(super) fn pack(raw: &[u8], primer: &[u8], window_log: u32, strength: Strength) -> io::Result<Vec<u8>> {
    let level = match strength {
        Strength::Best => LEVEL_BEST,
        Strength::Fast => LEVEL_FAST,
    };
    let primed = primed(primer);
    let mut encoder = write::Encoder::with_dictionary(Vec::new(), level, &primed)?;
    encoder.include_checksum(false)?;
    encoder.include_contentsize(false)?;
    encoder.include_dictid(false)?;
    let needed = (raw.len() + primed.len()).next_power_of_two().ilog2().max(WINDOW_LOG_MIN);
    encoder.window_log(needed.min(window_log))?;
    encoder.set_pledged_src_size(Some(raw.len() as u64))?;
    encoder.write_all(raw)?;
    encoder.finish()
}

/// One frame of everything that can be read, with zstd's own choice of a window, which is at most `window_log`.
pub(super) fn pack_source(source: &dyn ReadAt, level: i32, window_log: u32) -> io::Result<Vec<u8>> {
    let mut encoder = write::Encoder::new(Vec::new(), level)?;
    encoder.include_checksum(false)?;
    encoder.include_contentsize(false)?;
    debug_assert!(LEVEL_BEST_WINDOW_LOG <= window_log);
    encoder.set_pledged_src_size(Some(source.size()))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = 0;
    while at < source.size() {
        let bytes = usize::try_from(source.size() - at).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
        let part = buffer.get_mut(..bytes).unwrap_or_default();
        source.read_exact_at(part, at)?;
        encoder.write_all(part)?;
        at += bytes as u64;
    }
    encoder.finish()
}

fn primed(primer: &[u8]) -> Vec<u8> {
    if primer.is_empty() { Vec::new() } else { [&RAW, primer].concat() }
}

pub(super) struct ZstdUnpacker<'a>(read::Decoder<'a, Section<'a>>);

impl<'a> ZstdUnpacker<'a> {
    pub(super) fn new(section: Section<'a>, primer: &[u8], window_log: u32) -> Result<Self, Reason> {
        let decoder = read::Decoder::with_dictionary(section, &primed(primer)).map_err(Reason::Unpack)?;
        let mut decoder = decoder.single_frame();
        decoder.window_log_max(window_log).map_err(Reason::Unpack)?;
        Ok(Self(decoder))
    }
}

impl Read for ZstdUnpacker<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
