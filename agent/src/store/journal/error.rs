//! What can be wrong with the journal. Always of this machine: its disk, its operator, or this program.

use std::io;
use std::path::{Path, PathBuf};

/// Why the journal could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds it.
    #[error("the journal {} is in use by another agent: stop that agent, or give this one its own data directory", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later program wrote it. Its records are left as they are.
    #[error(
        "the journal {} has format {found}, and this program knows format {known}: run the newer program that wrote it (no record was changed)",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format that this program knows.
        known: u64,
    },
    /// It is not what was written. Its records are left as they are.
    #[error(
        "the journal {} is damaged: {reason}. No record was changed. If it cannot be restored, enrol the node anew with another identity and an empty data directory: what this one has signed is not known any more",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        reason: String,
    },
    /// No room. Nothing was acknowledged; a later write may succeed.
    #[error("the journal {} could not be written, the disk is full: free some space; the agent goes on by itself: {error}", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        error: io::Error,
    },
    /// Any other failure of the disk. Nothing was acknowledged; a later write may succeed.
    #[error("could not {doing} the journal {}: {error}", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        error: io::Error,
    },
    /// The caller broke the bounds of a record. Nothing was written.
    #[error(
        "BUG: a record with a key of {key_bytes} and a value of {value_bytes} bytes is beyond the journal's bounds; please report this"
    )]
    TooLarge {
        /// Bytes of the key.
        key_bytes: usize,
        /// Bytes of the value.
        value_bytes: usize,
    },
    /// More waits for the disk than may wait. Nothing of what came last was kept; a later write may succeed.
    #[error(
        "more than {records} records or {bytes} bytes wait for the journal's disk: it is too slow or stands still"
    )]
    Backlog {
        /// The bound on records.
        records: usize,
        /// The bound on bytes.
        bytes: usize,
    },
}

impl JournalError {
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn disk(doing: &'static str, path: &Path, error: io::Error) -> Self {
        if is_full(&error) {
            return Self::DiskFull { path: path.to_owned(), error };
        }
        Self::Disk { doing, path: path.to_owned(), error }
    }

    pub(super) fn redb(doing: &'static str, path: &Path, error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { path: path.to_owned() },
            redb::Error::UpgradeRequired(found) => {
                Self::damaged(path, format!("its container has the unknown format {found}"))
            }
            redb::Error::Io(error) => Self::disk(doing, path, error),
            redb::Error::Corrupted(reason) => Self::damaged(path, reason),
            other => Self::disk(doing, path, io::Error::other(other)),
        }
    }
}

/// Whether an error means that there is no room: on the disk, in a quota, or below the size that this process may
/// give a file.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
