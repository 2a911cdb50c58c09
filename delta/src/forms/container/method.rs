//! How a stretch of bytes is packed, as far as one must know to unpack it and to pack it again.
//!
//! | bytes | what |
//! |---|---|
//! | 0, level, memory level, check | deflate; level: +16 when four bytes are looked up; check: 0 none follows, 1 Adler-32, 2 CRC-32 and size |
//! | 1, filter, dictionary, properties, preset | LZMA2 as in xz; the filter's number there, or 0; the dictionary as a power of two; 9 × (5 × pb + lp) + lc; preset as of `xz`, +128 for `-e` |
//! | 2, dictionary, properties, preset | LZMA as in `.lzma`, with an end mark |
//! | 3, level | bzip2 |
//! | 4, level, flags, window | a zstd frame; flags: bit 0 checksum, bit 1 size in its head; the window as a power of two |

use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::DeflateDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{Filters, LzmaOptions, PRESET_EXTREME, Stream};

use super::deflate::{self, Habits};
use crate::error::Reason;

/// Windows and dictionaries are never larger, as a power of two: what old containers may ask for.
pub(crate) const WINDOW_LOG_MAX: u8 = 27;

/// A kind of packing with all that decides what bytes it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    /// A raw deflate stream, and what is known to follow it.
    Deflate {
        /// How its writer chose.
        habits: Habits,
        /// What follows.
        check: Check,
    },
    /// The packed part of a block of an xz file.
    Lzma2 {
        /// The number of a filter before it, or 0.
        filter: u8,
        /// How its writer chose.
        lzma: Lzma,
    },
    /// The packed part of a `.lzma` file.
    Lzma(Lzma),
    /// A bzip2 stream of a level from 1 to 9.
    Bzip2(u8),
    /// A zstd frame.
    Zstd {
        /// 1 to 22.
        level: u8,
        /// Whether a checksum ends it.
        checksum: bool,
        /// Whether its head tells its size.
        sized: bool,
        /// How much of what it holds must be in memory while it is unpacked, as a power of two.
        window: u8,
    },
}

/// What follows a deflate stream and can be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// Nothing that is known.
    None,
    /// As in zlib streams.
    Adler,
    /// As in gzip members.
    Crc,
}

impl Check {
    /// How many bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::None => 0,
            Self::Adler => 4,
            Self::Crc => 8,
        }
    }
}

/// How LZMA data were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lzma {
    /// The dictionary, as a power of two.
    pub(crate) dictionary: u8,
    /// 9 × (5 × pb + lp) + lc.
    pub(crate) properties: u8,
    /// 0 to 9, +128 when extreme.
    pub(crate) preset: u8,
}

/// Extreme presets.
pub(crate) const EXTREME: u8 = 128;

impl Lzma {
    fn checked(dictionary: u8, properties: u8, preset: u8) -> Option<Self> {
        let fine = (12..=WINDOW_LOG_MAX).contains(&dictionary) && properties < 225 && preset & 127 <= 9;
        fine.then_some(Self { dictionary, properties, preset })
    }

    fn dictionary_bytes(self) -> u64 {
        1 << self.dictionary
    }

    /// Whether the search is by chains, which take half as much memory as trees.
    fn by_chains(self) -> bool {
        self.preset <= 3
    }

    fn options(self) -> Result<LzmaOptions, Reason> {
        let extreme = if self.preset & EXTREME == 0 { 0 } else { PRESET_EXTREME };
        let preset = u32::from(self.preset & !EXTREME) | extreme;
        let wrong = |_| Reason::Malformed("a container's LZMA preset");
        let mut options = LzmaOptions::new_preset(preset).map_err(wrong)?;
        let lc = self.properties % 9;
        let lp = self.properties / 9 % 5;
        let pb = self.properties / 45;
        options
            .dict_size(1 << self.dictionary)
            .literal_context_bits(lc.into())
            .literal_position_bits(lp.into())
            .position_bits(pb.into());
        Ok(options)
    }
}

impl Method {
    /// Appends the method to bytes.
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Deflate { habits, check } => {
                let level = habits.level | u8::from(habits.by_four) << 4;
                out.extend([0, level, habits.memory, check as u8]);
            }
            Self::Lzma2 { filter, lzma } => {
                out.extend([1, filter, lzma.dictionary, lzma.properties, lzma.preset]);
            }
            Self::Lzma(lzma) => out.extend([2, lzma.dictionary, lzma.properties, lzma.preset]),
            Self::Bzip2(level) => out.extend([3, level]),
            Self::Zstd { level, checksum, sized, window } => {
                out.extend([4, level, u8::from(checksum) | u8::from(sized) << 1, window]);
            }
        }
    }

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deflate { .. } => "deflate",
            Self::Lzma2 { .. } => "xz",
            Self::Lzma(_) => "lzma",
            Self::Bzip2(_) => "bzip2",
            Self::Zstd { .. } => "zstd",
        }
    }

    /// Takes a method off the bytes.
    pub(crate) fn take(bytes: &mut &[u8]) -> Result<Self, Reason> {
        let mut byte = || {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            Some(*first)
        };
        let mut method = || {
            Some(match byte()? {
                0 => {
                    let level = byte()?;
                    let habits = Habits::checked(level & !16, byte()?, level & 16 != 0)?;
                    let check = match byte()? {
                        0 => Check::None,
                        1 => Check::Adler,
                        2 => Check::Crc,
                        _ => return None,
                    };
                    Self::Deflate { habits, check }
                }
                1 => {
                    let filter = byte()?;
                    let lzma = Lzma::checked(byte()?, byte()?, byte()?)?;
                    return is_filter(filter).then_some(Self::Lzma2 { filter, lzma });
                }
                2 => Self::Lzma(Lzma::checked(byte()?, byte()?, byte()?)?),
                3 => Self::Bzip2(byte().filter(|level| (1..=9).contains(level))?),
                4 => {
                    let level = byte().filter(|level| (1..=22).contains(level))?;
                    let flags = byte().filter(|flags| *flags < 4)?;
                    let window = byte().filter(|window| (10..=WINDOW_LOG_MAX).contains(window))?;
                    Self::Zstd { level, checksum: flags & 1 == 1, sized: flags & 2 == 2, window }
                }
                _ => return None,
            })
        };
        method().ok_or(Reason::Malformed("a container's method is none"))
    }

    /// The filters of LZMA data.
    pub(crate) fn filters(self) -> Result<Filters, Reason> {
        let mut filters = Filters::new();
        match self {
            Self::Lzma(lzma) => filters.lzma1(&lzma.options()?),
            Self::Lzma2 { filter, lzma } => {
                match filter {
                    4 => filters.x86(),
                    5 => filters.powerpc(),
                    6 => filters.ia64(),
                    7 => filters.arm(),
                    8 => filters.arm_thumb(),
                    9 => filters.sparc(),
                    10 => filters.arm64(),
                    11 => filters.riscv(),
                    _ => &mut filters,
                };
                filters.lzma2(&lzma.options()?)
            }
            _ => return Err(Reason::Malformed("a container's method has no filters")),
        };
        Ok(filters)
    }

    /// Unpacks what a reader gives, taking no more of it than the packed bytes.
    pub(crate) fn unpacked<'a>(self, packed: &'a mut dyn BufRead) -> Result<Box<dyn Read + 'a>, Reason> {
        Ok(match self {
            Self::Deflate { .. } => Box::new(DeflateDecoder::new(packed)),
            Self::Lzma2 { .. } | Self::Lzma(_) => {
                let stream = Stream::new_raw_decoder(&self.filters()?)
                    .map_err(|_| Reason::Malformed("a container's LZMA properties"))?;
                Box::new(XzDecoder::new_stream(packed, stream))
            }
            Self::Bzip2(_) => Box::new(BzDecoder::new(packed)),
            Self::Zstd { window, .. } => Box::new(zstd_decoder(packed, window).map_err(Reason::from_delta)?),
        })
    }

    /// The method with no more memory than unpacking so many bytes needs.
    pub(crate) fn for_unpacking(self, plain_bytes: u64) -> Self {
        let most = dictionary_for(plain_bytes);
        let small = |lzma: Lzma| Lzma { dictionary: lzma.dictionary.min(most), ..lzma };
        match self {
            Self::Lzma2 { filter, lzma } => Self::Lzma2 { filter, lzma: small(lzma) },
            Self::Lzma(lzma) => Self::Lzma(small(lzma)),
            other => other,
        }
    }

    /// Whether packing so many bytes costs in proportion to them: a delta may hold many small containers.
    pub(crate) fn suits(self, plain_bytes: u64) -> bool {
        match self {
            // Memory that LZMA does not use costs nothing: it is not even cleared.
            Self::Zstd { sized: false, .. } => self.packing_bytes() <= (48 << 20) + plain_bytes * 64,
            _ => true,
        }
    }

    /// Memory that unpacking takes.
    pub(crate) fn unpacking_bytes(self) -> u64 {
        match self {
            Self::Deflate { .. } => 256 << 10,
            Self::Lzma2 { lzma, .. } | Self::Lzma(lzma) => lzma.dictionary_bytes() + (1 << 20),
            Self::Bzip2(_) => 5 << 20,
            Self::Zstd { window, .. } => (1 << window) + (1 << 20),
        }
    }

    /// Memory that packing again takes.
    pub(crate) fn packing_bytes(self) -> u64 {
        match self {
            Self::Deflate { .. } => deflate::ENCODER_BYTES,
            // Dictionary and half as much again, tables of hashes, a chain of 4 or a tree of 8 bytes for each byte.
            Self::Lzma2 { lzma, .. } | Self::Lzma(lzma) => {
                lzma.dictionary_bytes() * if lzma.by_chains() { 8 } else { 12 } + (2 << 20)
            }
            Self::Bzip2(_) => 9 << 20,
            Self::Zstd { level, .. } => match level {
                0..=6 => 16 << 20,
                7..=12 => 48 << 20,
                13..=19 => 128 << 20,
                20 => 256 << 20,
                21 => 512 << 20,
                _ => 1 << 30,
            },
        }
    }
}

/// The smallest dictionary that holds so many bytes, if one does.
pub(crate) fn dictionary_for(plain_bytes: u64) -> u8 {
    (16..WINDOW_LOG_MAX).find(|log| plain_bytes <= 1 << log).unwrap_or(WINDOW_LOG_MAX)
}

/// Whether a number names a filter of branches.
pub(crate) fn is_filter(number: u8) -> bool {
    number == 0 || (4..=11).contains(&number)
}

/// Unpacks one zstd frame.
fn zstd_decoder<R: BufRead>(packed: R, window: u8) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
    decoder.window_log_max(window.into())?;
    Ok(decoder.single_frame())
}
