//! What can go wrong in the blob store, whose fault it is, and what it did to the store: nothing.

use std::io;
use std::path::{Path, PathBuf};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::transfer::OutlineError;

/// A refusal of the blob store. After each of them the store holds what it held before, except for
/// [`StoreError::Damaged`], after which it no longer claims to hold the damaged blob.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operator's limit would be passed. Fault: the operator's limit, or too much kept.
    #[error(
        "the store needs {needed} more bytes, but holds {total} of its limit of {limit}: raise the limit or let old versions go"
    )]
    Quota {
        /// Bytes asked for.
        needed: u64,
        /// Bytes held or reserved.
        total: u64,
        /// The limit.
        limit: u64,
    },
    /// The file system is full, or the user's quota on it. Fault: the disk.
    #[error("the disk is full while writing {path}: free some space; nothing was kept of this write")]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file system refused. Fault: the disk, or the permissions of the folder.
    #[error("cannot {action} {path}: {source}")]
    Disk {
        /// What was tried: "open", "write"...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The source of an import failed. Fault: the source.
    #[error("cannot read the content to import: {0}")]
    Source(#[source] io::Error),
    /// What was handed over is not what its name says. Fault: whoever handed it over.
    #[error("the content is not blob {expected:?}: {why}")]
    WrongContent {
        /// The digest that was announced.
        expected: Digest,
        /// How it differs.
        why: String,
    },
    /// A blob's file changed on disk; it was removed and must be fetched again. Fault: the disk.
    #[error("blob {digest:?} was damaged on disk and has been removed; it must be fetched again")]
    Damaged {
        /// The blob.
        digest: Digest,
    },
    /// The blob is larger than one read may return; open it as a file instead. Fault: the caller.
    #[error("blob {digest:?} of {bytes} bytes is too large to be read at once")]
    TooLargeToRead {
        /// The blob.
        digest: Digest,
        /// Its size.
        bytes: u64,
    },
    /// The same unfinished blob is already being written. Fault: the caller.
    #[error("blob {digest:?} is already being fetched")]
    InUse {
        /// The blob.
        digest: Digest,
    },
    /// The blob's size or its outline is impossible. Fault: whoever announced it.
    #[error(transparent)]
    Outline(#[from] OutlineError),
}

impl StoreError {
    /// Whether there is no room, by the operator's limit or on the disk.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Quota { .. } | Self::DiskFull { .. })
    }

    /// Whether what was handed over is not what its name says.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::WrongContent { .. })
    }
}

/// Turns an error of the file system into ours, telling a full disk from the rest.
pub(super) fn disk_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull { path, source },
        _ => StoreError::Disk { action, path, source },
    }
}

/// Adds to a result of the file system what was tried on which path.
pub(super) trait During<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| disk_error(action, path, source))
    }
}
