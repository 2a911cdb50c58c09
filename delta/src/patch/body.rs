//! The body of a patch: what leads from one file to another, where sizes and digests are known from elsewhere.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 0 whole; 1 windows |
//! | whole | a stream: the new file |
//! | windows | number of windows; each window, in the new file's order (`window.rs`) |

use std::io::Write;

use super::follow::Follower;
use super::window::Located;
use crate::access::{ReadAt, Scratch};
use crate::codec::{Section, Stream};
use crate::error::Reason;
use crate::limits::{BUFFER_BYTES, WHOLE_WINDOW_LOG, WINDOWS_MAX};

pub(super) const WHOLE: u8 = 0;
pub(super) const WINDOWS: u8 = 1;

/// A body's parts, located in its delta.
pub(crate) enum Body {
    Whole(Stream),
    Windows(Vec<Located>),
}

impl Body {
    /// Reads a body that is all of a delta.
    pub(crate) fn read_all(delta: &dyn ReadAt, new_bytes: u64) -> Result<Self, Reason> {
        let mut section = Section::new(delta, 0..delta.size())?;
        let body = Self::read(&mut section, new_bytes)?;
        if section.is_at_end() { Ok(body) } else { Err(Reason::Malformed("bytes follow the end of a body")) }
    }

    /// Reads a body that makes so many bytes, and passes over its streams.
    pub(crate) fn read(section: &mut Section<'_>, new_bytes: u64) -> Result<Self, Reason> {
        match section.byte()? {
            WHOLE => {
                let stream = Stream::locate(section, new_bytes)?;
                if stream.raw_bytes != new_bytes {
                    return Err(Reason::Malformed("it holds less than the new file"));
                }
                Ok(Self::Whole(stream))
            }
            WINDOWS => Self::read_windows(section, new_bytes).map(Self::Windows),
            _ => Err(Reason::Malformed("a body has an unknown kind")),
        }
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
            windows.push(window);
        }
        if left > 0 {
            return Err(Reason::Malformed("the windows end before the new file does"));
        }
        Ok(windows)
    }

    /// Writes the new file; the caller compares its digest.
    pub(crate) fn follow(
        self,
        old: &dyn ReadAt,
        delta: &dyn ReadAt,
        scratch: &dyn Scratch,
        new: &mut impl Write,
    ) -> Result<(), Reason> {
        let _ = scratch;
        match self {
            Self::Whole(stream) => unpack(&stream, delta, new),
            Self::Windows(windows) => Follower::new(old, delta, windows).write_all(new),
        }
    }
}

fn unpack(stream: &Stream, delta: &dyn ReadAt, new: &mut impl Write) -> Result<(), Reason> {
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
