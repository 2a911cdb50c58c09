//! What goes wrong with documents, keys and release directories, in words a person can act on.
//!
//! One shape for all of this room: what was attempted, why it failed, what to do, and of which kind the
//! failure is, so that a command line can choose an exit code without reading the words.

use std::fmt;
use std::io;
use std::path::Path;

/// Of which kind a failure is: who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request contradicts itself or a bound: whoever asked.
    Usage,
    /// A file or signature is not what it must be: whoever made it.
    BadInput,
    /// Something named is not there.
    NotFound,
    /// The fleet's rules forbid it.
    Refused,
    /// This machine's disk, permissions or memory.
    Local,
}

/// A failure. Unless it says otherwise, nothing was changed and nothing half-written is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was attempted.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What to do about it.
    pub todo: String,
    /// Of which kind it is.
    pub kind: ProblemKind,
}

impl Problem {
    /// The request itself is at fault.
    pub fn usage(what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), todo: todo.into(), kind: ProblemKind::Usage }
    }

    /// A file or signature is at fault.
    pub fn bad_input(what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), todo: todo.into(), kind: ProblemKind::BadInput }
    }

    /// Something named is missing.
    pub fn not_found(what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), todo: todo.into(), kind: ProblemKind::NotFound }
    }

    /// The fleet's rules forbid it.
    pub fn refused(what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), todo: todo.into(), kind: ProblemKind::Refused }
    }

    /// This machine is at fault.
    pub fn local(what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), todo: todo.into(), kind: ProblemKind::Local }
    }

    /// `path` could not be read.
    pub fn reading(path: &Path, error: &io::Error) -> Self {
        let what = format!("cannot read {}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Self::not_found(what, "there is no such file", "check the path, or make the file first")
            }
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::FileTooLarge => {
                Self::bad_input(what, error.to_string(), "name another file, or remove what is wrong in it")
            }
            _ => Self::local(what, error.to_string(), "check the permissions and the disk"),
        }
    }

    /// `path` could not be written.
    pub fn writing(path: &Path, error: &io::Error) -> Self {
        let what = format!("cannot write {}", path.display());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::local(what, "the disk is full", "make room and run the command again")
            }
            io::ErrorKind::AlreadyExists => Self::usage(
                what,
                "something of that name exists, and it is never overwritten",
                "choose another name, or move what is there out of the way",
            ),
            io::ErrorKind::NotFound => Self::not_found(
                what,
                "the directory that it belongs in does not exist",
                "make that directory first",
            ),
            _ => Self::local(what, error.to_string(), "check the permissions and the disk"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.what, self.why, self.todo)
    }
}

impl std::error::Error for Problem {}
