//! The body of a patch: what leads from one file to another, where sizes and digests are known from elsewhere.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 0 whole; 1 windows; 2 opened; 3 weights; 4 module |
//! | whole | a stream: the new file |
//! | windows | number of windows; each window, in the new file's order (`window.rs`) |
//! | opened | two streams: the containers of the old and of the new file (`forms/container/shells.rs`); windows, which make the new file's plain form of the old one's |
//! | weights | a stream: pairs of tensors (`tensors/pair.rs`); number: size of their differences, those; windows, which make what is around them (`weights.rs`) |
//! | module | number: size of the new module's wide form (`forms/wasm/`); windows, which make it of the old one's |

use std::cell::Cell;
use std::io::{Read, Write};

use super::follow::Follower;
use super::weights::Weights;
use super::window::Located;
use crate::access::{ReadAt, Scratch, ScratchFile};
use crate::codec::{Section, Stream};
use crate::error::Reason;
use crate::forms::container::{Chain, Closed, Method, unpack};
use crate::forms::wasm::{self, Map, Narrowed, NotWasm};
use crate::limits::{
    BUFFER_BYTES, CHAIN_BYTES_MAX, NUMBERS_WINDOW_LOG, PAIRS_BYTES_MAX, PLAIN_BYTES_MAX, WHOLE_WINDOW_LOG,
    WINDOW_BYTES_MIN, WINDOWS_MAX,
};
use crate::models::Counts;
use crate::reading::Reading;
use crate::tensors;

pub(super) const WHOLE: u8 = 0;
pub(super) const WINDOWS: u8 = 1;
pub(super) const OPENED: u8 = 2;
pub(super) const WEIGHTS: u8 = 3;
pub(super) const MODULE: u8 = 4;

/// A body's parts, located in its delta.
pub(crate) enum Body {
    Whole(Stream),
    Windows(Vec<Located>),
    Opened(Box<Opened>),
    Weights(Weights),
    Module { windows: Vec<Located>, new_bytes: u64 },
}

/// What is made of opened containers.
pub(crate) struct Opened {
    pub(super) old: Chain,
    pub(super) new: Chain,
    pub(super) streams: [Stream; 2],
    pub(super) windows: Vec<Located>,
    new_bytes: u64,
}

impl Body {
    /// Reads a body that is all of a delta.
    pub(crate) fn read_all(delta: &dyn ReadAt, old_bytes: u64, new_bytes: u64) -> Result<Self, Reason> {
        let mut section = Section::new(delta, 0..delta.size())?;
        let body = Self::read(&mut section, delta, old_bytes, new_bytes)?;
        if section.is_at_end() { Ok(body) } else { Err(Reason::Malformed("bytes follow the end of a body")) }
    }

    /// Reads a body that makes so many bytes, and passes over its streams.
    pub(crate) fn read(
        section: &mut Section<'_>,
        delta: &dyn ReadAt,
        old_bytes: u64,
        new_bytes: u64,
    ) -> Result<Self, Reason> {
        match section.byte()? {
            WHOLE => {
                let stream = Stream::locate(section, new_bytes)?;
                if stream.raw_bytes != new_bytes {
                    return Err(Reason::Malformed("it holds less than the new file"));
                }
                Ok(Self::Whole(stream))
            }
            WINDOWS => read_windows(section, new_bytes).map(Self::Windows),
            OPENED => {
                let (old, old_stream) = read_chain(section, delta)?;
                let (new, new_stream) = read_chain(section, delta)?;
                let plain = new.plain_bytes().filter(|bytes| *bytes <= PLAIN_BYTES_MAX);
                let plain = plain.ok_or(Reason::Malformed("a plain form is too large"))?;
                let windows = read_windows(section, plain)?;
                Ok(Self::Opened(Box::new(Opened {
                    old,
                    new,
                    streams: [old_stream, new_stream],
                    windows,
                    new_bytes,
                })))
            }
            MODULE => {
                let wide_bytes = section.number_at_most(PLAIN_BYTES_MAX, "bytes of a module's wide form")?;
                Ok(Self::Module { windows: read_windows(section, wide_bytes)?, new_bytes })
            }
            WEIGHTS => read_weights(section, delta, old_bytes, new_bytes).map(Self::Weights),
            _ => Err(Reason::Malformed("a body has an unknown kind")),
        }
    }

    /// The bytes of both plain forms that following it makes, beside the two files.
    pub(crate) fn plain_bytes(&self) -> u64 {
        match self {
            Self::Whole(_) | Self::Windows(_) | Self::Weights(_) => 0,
            Self::Module { windows, .. } => made_bytes(windows),
            Self::Opened(opened) => {
                opened.old.plain_bytes().unwrap_or(u64::MAX).saturating_add(made_bytes(&opened.windows))
            }
        }
    }

    /// Writes the new file, of exactly the size given, and takes at most so much memory for containers; the caller compares
    /// its digest.
    pub(crate) fn follow(
        self,
        old: &dyn ReadAt,
        delta: &dyn ReadAt,
        scratch: &dyn Scratch,
        container_memory_bytes: u64,
        new: &mut impl Write,
    ) -> Result<(), Reason> {
        self.follow_counting(old, delta, scratch, container_memory_bytes, None, new)
    }

    /// The same, adding up how predictions come out.
    pub(super) fn follow_counting(
        self,
        old: &dyn ReadAt,
        delta: &dyn ReadAt,
        scratch: &dyn Scratch,
        container_memory_bytes: u64,
        counts: Option<&Cell<Counts>>,
        new: &mut impl Write,
    ) -> Result<(), Reason> {
        match self {
            Self::Whole(stream) => write_stream(&stream, delta, new),
            Self::Windows(windows) => Follower::new(old, delta, windows).counted(counts).write_all(new),
            Self::Weights(weights) => weights.follow(old, delta, new),
            Self::Module { windows, new_bytes } => {
                let (wide, map) = widen_old(old, scratch)?;
                let follower = Follower::new(&*wide, delta, windows).with_module(&map).counted(counts);
                pump(Narrowed::new(follower), new, new_bytes)
            }
            Self::Opened(opened) => {
                let plain = opened.unpack_old(old, scratch, container_memory_bytes)?;
                let follower = Follower::new(&*plain, delta, opened.windows).counted(counts);
                pump(Closed::new(opened.new, follower), new, opened.new_bytes)
            }
        }
    }
}

impl Opened {
    /// Writes the plain form of the old file to scratch space.
    pub(super) fn unpack_old(
        &self,
        old: &dyn ReadAt,
        scratch: &dyn Scratch,
        memory_bytes: u64,
    ) -> Result<Box<dyn ScratchFile>, Reason> {
        let unpacking = self.old.memory_bytes(Method::unpacking_bytes);
        let found = unpacking.max(self.new.memory_bytes(Method::packing_bytes));
        if found > memory_bytes {
            return Err(Reason::Limit { what: "bytes of memory for containers", found, limit: memory_bytes });
        }
        if self.old.plain_bytes().is_none_or(|bytes| bytes > PLAIN_BYTES_MAX) {
            return Err(Reason::Malformed("a plain form is too large"));
        }
        let mut plain = scratch.file().map_err(Reason::Write)?;
        unpack(old, &self.old, &mut *plain)?;
        plain.flush().map_err(Reason::Write)?;
        Ok(plain)
    }
}

/// Reads the containers of a file.
fn read_chain(section: &mut Section<'_>, delta: &dyn ReadAt) -> Result<(Chain, Stream), Reason> {
    let stream = Stream::locate(section, CHAIN_BYTES_MAX)?;
    let encoded = stream.unpack_all(delta, &[], NUMBERS_WINDOW_LOG)?;
    let mut rest = &encoded[..];
    let chain = Chain::take(&mut rest)?;
    if rest.is_empty() { Ok((chain, stream)) } else { Err(Reason::Malformed("bytes follow the containers")) }
}

fn read_weights(
    section: &mut Section<'_>,
    delta: &dyn ReadAt,
    old_bytes: u64,
    new_bytes: u64,
) -> Result<Weights, Reason> {
    let stream = Stream::locate(section, PAIRS_BYTES_MAX)?;
    let encoded = stream.unpack_all(delta, &[], NUMBERS_WINDOW_LOG)?;
    let mut rest = &encoded[..];
    let pairs = tensors::take_pairs(&mut rest, old_bytes, new_bytes)?;
    if !rest.is_empty() {
        return Err(Reason::Malformed("bytes follow the pairs of tensors"));
    }
    let coded_bytes = section.number()?;
    let start = section.at();
    section.pass(coded_bytes)?;
    let in_tensors = pairs.iter().map(|pair| pair.bytes).sum::<u64>();
    let windows = read_windows(section, new_bytes - in_tensors)?;
    Ok(Weights { pairs, coded: start..start + coded_bytes, windows, new_bytes })
}

fn read_windows(section: &mut Section<'_>, new_bytes: u64) -> Result<Vec<Located>, Reason> {
    let count = section.number_at_most(WINDOWS_MAX, "windows")?;
    let mut windows = Vec::new();
    let mut left = new_bytes;
    for _ in 0..count {
        let window = Located::read(section)?;
        left = left
            .checked_sub(u64::from(window.span.new_bytes))
            .filter(|_| window.span.new_bytes > 0)
            .ok_or(Reason::Malformed("windows are empty or longer than the new file"))?;
        // Every window costs a look at its old stretch.
        if left > 0 && u64::from(window.span.new_bytes) < WINDOW_BYTES_MIN {
            return Err(Reason::Malformed("a window before the last is too small"));
        }
        windows.push(window);
    }
    if left > 0 {
        return Err(Reason::Malformed("the windows end before the new file does"));
    }
    Ok(windows)
}

/// The bytes that windows make, which were summed up when they were read.
fn made_bytes(windows: &[Located]) -> u64 {
    windows.iter().map(|window| u64::from(window.span.new_bytes)).sum()
}

/// Writes the wide form of the old module to scratch space. That it is a module was known when the patch was made.
fn widen_old(old: &dyn ReadAt, scratch: &dyn Scratch) -> Result<(Box<dyn ScratchFile>, Map), Reason> {
    let mut wide = scratch.file().map_err(Reason::Write)?;
    // It reads and writes in large pieces.
    let widened =
        wasm::widen(&mut Reading::new(old), old.size(), &mut *wide).map_err(|error| match error {
            NotWasm::Write(error) => Reason::Write(error),
            NotWasm::Read(error) => Reason::from_old(error),
            _ => Reason::Malformed("the old file is no module, and it was taken for one"),
        })?;
    wide.flush().map_err(Reason::Write)?;
    Ok((wide, widened.map))
}

/// Writes exactly so many bytes, which must be all that a reader gives.
fn pump(mut from: impl Read, to: &mut impl Write, bytes: u64) -> Result<(), Reason> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = bytes;
    loop {
        let read = from.read(&mut buffer).map_err(Reason::from_io)?;
        if read == 0 && left == 0 {
            return Ok(());
        }
        left = left
            .checked_sub(read as u64)
            .filter(|_| read > 0)
            .ok_or(Reason::Malformed("what is in its containers is not the new file"))?;
        to.write_all(buffer.get(..read).unwrap_or_default()).map_err(Reason::Write)?;
    }
}

fn write_stream(stream: &Stream, delta: &dyn ReadAt, new: &mut impl Write) -> Result<(), Reason> {
    let mut unpacker = stream.unpack(delta, &[], WHOLE_WINDOW_LOG)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    while unpacker.left() > 0 {
        let bytes = usize::try_from(unpacker.left()).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
        let part = buffer.get_mut(..bytes).unwrap_or_default();
        unpacker.fill(part)?;
        new.write_all(part).map_err(Reason::Write)?;
    }
    unpacker.end()
}
