//! Packs plain bytes again, part by part.

use std::io::{self, Write};

use bzip2::write::BzEncoder;
use flate2::Crc;
use liblzma::stream::Stream;
use liblzma::write::XzEncoder;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::deflate::{Encoder, Notes};
use super::method::{Check, Method};
use crate::error::Reason;

/// Takes plain bytes and gives packed ones.
pub(crate) enum Packer {
    /// With what follows the stream.
    Deflate(Box<Encoder>, Sum),
    /// LZMA of either kind.
    Lzma(XzEncoder<Vec<u8>>),
    /// bzip2.
    Bzip2(BzEncoder<Vec<u8>>),
    /// zstd.
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl Packer {
    /// For so many plain bytes.
    pub(crate) fn new(method: Method, notes: Notes, plain_bytes: u64) -> Result<Self, Reason> {
        if !method.suits(plain_bytes) {
            return Err(Reason::Malformed("a container takes too much memory for its size"));
        }
        Ok(match method {
            Method::Deflate { habits, check } => {
                let bytes = u32::try_from(plain_bytes).ok().filter(|bytes| *bytes < 1 << 31);
                let bytes = bytes.ok_or(Reason::Malformed("a deflate stream's size"))?;
                Self::Deflate(Box::new(Encoder::new(habits, notes, bytes)?), Sum::new(check))
            }
            Method::Lzma2 { .. } | Method::Lzma(_) => {
                let stream = Stream::new_raw_encoder(&method.filters()?)
                    .map_err(|_| Reason::Malformed("a container's LZMA properties"))?;
                Self::Lzma(XzEncoder::new_stream(Vec::new(), stream))
            }
            Method::Bzip2(level) => {
                Self::Bzip2(BzEncoder::new(Vec::new(), bzip2::Compression::new(level.into())))
            }
            Method::Zstd { level, checksum, sized, .. } => {
                Self::Zstd(zstd_encoder(level, checksum, sized, plain_bytes).map_err(Reason::from_delta)?)
            }
        })
    }

    /// Takes plain bytes, and appends the packed bytes that they decide.
    pub(crate) fn feed(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        match self {
            Self::Deflate(encoder, sum) => {
                sum.feed(plain);
                encoder.feed(plain, out)
            }
            Self::Lzma(encoder) => write(encoder, plain).map(|()| out.append(encoder.get_mut())),
            Self::Bzip2(encoder) => write(encoder, plain).map(|()| out.append(encoder.get_mut())),
            Self::Zstd(encoder) => write(encoder, plain).map(|()| out.append(encoder.get_mut())),
        }
    }

    /// Appends the rest of the packed bytes.
    pub(crate) fn finish(self, out: &mut Vec<u8>) -> Result<(), Reason> {
        let rest = match self {
            Self::Deflate(mut encoder, sum) => {
                encoder.finish(out)?;
                sum.put(out);
                return Ok(());
            }
            Self::Lzma(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        };
        out.append(&mut rest.map_err(Reason::from_delta)?);
        Ok(())
    }
}

fn write(encoder: &mut impl Write, plain: &[u8]) -> Result<(), Reason> {
    encoder.write_all(plain).map_err(Reason::from_delta)
}

fn zstd_encoder(
    level: u8,
    checksum: bool,
    sized: bool,
    plain_bytes: u64,
) -> io::Result<ZstdEncoder<'static, Vec<u8>>> {
    let mut encoder = ZstdEncoder::new(Vec::new(), level.into())?;
    encoder.include_checksum(checksum)?;
    if sized {
        encoder.set_pledged_src_size(Some(plain_bytes))?;
    }
    Ok(encoder)
}

/// The check of a deflate stream.
pub(crate) enum Sum {
    /// None.
    None,
    /// The two sums of Adler-32.
    Adler(simd_adler32::Adler32),
    /// CRC-32 and size.
    Crc(Crc),
}

impl Sum {
    fn new(check: Check) -> Self {
        match check {
            Check::None => Self::None,
            Check::Adler => Self::Adler(simd_adler32::Adler32::new()),
            Check::Crc => Self::Crc(Crc::new()),
        }
    }

    fn feed(&mut self, plain: &[u8]) {
        match self {
            Self::None => {}
            Self::Adler(sum) => sum.write(plain),
            Self::Crc(sum) => sum.update(plain),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Adler(sum) => out.extend_from_slice(&sum.finish().to_be_bytes()),
            Self::Crc(sum) => {
                out.extend_from_slice(&sum.sum().to_le_bytes());
                out.extend_from_slice(&sum.amount().to_le_bytes());
            }
        }
    }

    /// The check of some bytes.
    pub(crate) fn of(check: Check, plain: &[u8]) -> Vec<u8> {
        let mut sum = Self::new(check);
        sum.feed(plain);
        let mut out = Vec::new();
        sum.put(&mut out);
        out
    }
}
