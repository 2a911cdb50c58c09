//! What can go wrong while a new tree is made, and whose fault it is.

use std::fmt;
use std::io;

use blake3::Hash;

use crate::tree::{TreeError, TreePath};

/// Who must act for it to work next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The delta, tree or chunk: whoever sent it (peer) or made it (publisher). Fetch it from another peer; when its
    /// digest was verified before, it is the publisher.
    Delta,
    /// The old files on this disk: not what their tree says, or unreadable. Build from chunks instead.
    Old,
    /// The place for the new files: disk full, or not writable.
    New,
}

/// Why a new file or tree was not made. Files finished before the error are whole and verified; the one in work was
/// not finished; the old files are untouched.
#[derive(Debug)]
pub struct ApplyError {
    /// The file of the new tree in work, if one was.
    pub file: Option<TreePath>,
    /// What happened.
    pub reason: Reason,
}

/// What happened, in making a new file or tree.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The bytes do not begin like a delta.
    #[error("the bytes received are not a delta")]
    NotADelta,
    /// A later format.
    #[error("the delta has format {0}, and this program reads an earlier one: update it first")]
    Version(u16),
    /// The delta was made from another old tree or file. Nothing was written.
    #[error("the delta begins at {}, and what is here is {}", found.to_hex(), here.to_hex())]
    OtherOld {
        /// What the delta begins at.
        found: Hash,
        /// What is here.
        here: Hash,
    },
    /// The patch was made from another old file. What was written, if anything, is useless.
    #[error(
        "the patch was made from another old file (of {found_bytes} bytes; the one here has {here_bytes}): \
         give it the file that it was made from"
    )]
    OtherOldFile {
        /// The size of the file that it was made from.
        found_bytes: u64,
        /// The size of the file here.
        here_bytes: u64,
    },
    /// The delta leads to another new tree. Nothing was written.
    #[error("the delta leads to {}, and {} was expected", found.to_hex(), expected.to_hex())]
    OtherNew {
        /// What the delta leads to.
        found: Hash,
        /// What was asked for.
        expected: Hash,
    },
    /// The new tree in the delta is none. Nothing was written.
    #[error("the delta's index is wrong: {0}")]
    Tree(#[from] TreeError),
    /// A size beyond the caller's [`Limits`](crate::Limits).
    #[error("the delta needs {found} {what}, more than the {limit} allowed here")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The delta ends too early.
    #[error("the delta ends too early")]
    Truncated,
    /// The delta breaks a rule of its format.
    #[error("the delta is malformed: {0}")]
    Malformed(&'static str),
    /// The delta could not be read or unpacked.
    #[error("the delta could not be unpacked: {0}")]
    Unpack(io::Error),
    /// A chunk could not be had.
    #[error("the chunk {} could not be had: {error}", digest.to_hex())]
    ChunkMissing {
        /// The chunk.
        digest: Hash,
        /// Why.
        error: io::Error,
    },
    /// A chunk is not what its name says.
    #[error("the bytes given for the chunk {} are others", digest.to_hex())]
    ChunkOther {
        /// The chunk.
        digest: Hash,
    },
    /// The bytes made are not those that the tree names, and the old files are not to blame.
    #[error("the bytes made from the delta have the digest {}, and {} was promised", made.to_hex(), promised.to_hex())]
    Content {
        /// The digest of what was made.
        made: Hash,
        /// The digest in the tree.
        promised: Hash,
    },
    /// An old file is not what its tree says.
    #[error("the old file on this disk has changed since it was verified")]
    OldChanged,
    /// An old file could not be read.
    #[error("the old file could not be read: {0}")]
    OldUnreadable(io::Error),
    /// The new file, directory or link could not be written.
    #[error("the new file could not be written: {0}")]
    Write(io::Error),
}

impl Reason {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::OldChanged | Self::OldUnreadable(_) => Fault::Old,
            Self::Write(_) => Fault::New,
            _ => Fault::Delta,
        }
    }

    /// An error from the stream that the delta is read from.
    pub(crate) fn from_delta(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Unpack(error) }
    }

    /// An error from an old file, whose size was checked before.
    pub(crate) fn from_old(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::OldChanged
        } else {
            Self::OldUnreadable(error)
        }
    }

    /// What a reader of this crate's own gave up for.
    pub(crate) fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(reason) => reason,
            Err(error) => Self::from_delta(error),
        }
    }

    /// As the error of a reader; [`from_io`](Self::from_io) has it back.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// Names the file in work.
    pub(crate) fn at(self, file: &TreePath) -> ApplyError {
        ApplyError { file: Some(file.clone()), reason: self }
    }
}

impl ApplyError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.reason.fault()
    }
}

impl From<Reason> for ApplyError {
    fn from(reason: Reason) -> Self {
        Self { file: None, reason }
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(out, "{file}: ")?;
        }
        write!(out, "{}", self.reason)?;
        out.write_str(match self.fault() {
            Fault::Delta => " (whoever sent or made it is at fault; fetch it from another peer)",
            Fault::Old => " (this disk is at fault; build the version from its chunks)",
            Fault::New => " (this disk is at fault; see that it is writable and has room)",
        })
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}
