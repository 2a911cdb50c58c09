//! The only file that knows zstd.

use std::io::{self, Read, Write};

use zstd::stream::{read, write};

use super::{Section, Strength};
use crate::error::Reason;

/// The strongest level that keeps its promise of a bounded window.
const LEVEL_BEST: i32 = 19;
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
