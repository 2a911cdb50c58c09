//! What can go wrong with slots, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

use groundswell_delta::{ApplyError, Fault, Reason, TreeError, VerifyError};
use groundswell_protocol::bounds::COMPONENTS_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::node::Trouble;
use groundswell_protocol::trust::names::BadName;

use super::building::BrokenOff;
use super::disk;

/// Why slots could not be opened, switched or freed. The slot that was active is active, unless the error came from
/// the sync after a switch: then either is, as a whole.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The operator's or publisher's name for a component.
    #[error("{name:?} cannot be a component: {error}")]
    Name {
        /// The name.
        name: String,
        /// The rule.
        error: BadName,
    },
    /// More components than a node may have.
    #[error("this node has {COMPONENTS_MAX} components, and no more are allowed")]
    TooMany,
    /// No complete slot here has this tree.
    #[error("no complete slot of {component} holds the version {}: stage it first", tree.short())]
    NotHere {
        /// The component.
        component: String,
        /// The tree.
        tree: Digest,
    },
    /// There is nothing to go back to.
    #[error("{component} has neither a previous slot nor an anchor to go back to")]
    NothingToRevertTo {
        /// The component.
        component: String,
    },
    /// The files are not what the version says any more: this disk, or a program that changed its own files.
    #[error("the slot of {component} with the version {} was changed on this disk: {error}; stage it again", tree.short())]
    Changed {
        /// The component.
        component: String,
        /// The tree.
        tree: Digest,
        /// The first difference.
        error: VerifyError,
    },
    /// The disk.
    #[error("could not {doing} {}: {error}{}", path.display(), if disk::is_full(error) { "; free some space" } else { "" })]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// The operating system's words.
        error: io::Error,
    },
}

impl SlotError {
    /// For `map_err`.
    pub(super) fn disk<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::Disk { doing, path: path.to_owned(), error }
    }

    /// The words for the core.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Disk { error, .. } if disk::is_full(error) => Trouble::NoSpace(self.to_string()),
            _ => Trouble::Local(self.to_string()),
        }
    }
}

/// Why a version was not staged. No slot became visible, and what was built was removed.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The index is no tree: the publisher's fault, for its digest was verified.
    #[error("the index of the version is wrong: {0} (the publisher is at fault)")]
    Index(#[from] TreeError),
    /// The index is of another tree: fetch it again.
    #[error("the index is of the version {}, and {} was asked for", found.short(), expected.short())]
    OtherIndex {
        /// What it is.
        found: Digest,
        /// What was asked for.
        expected: Digest,
    },
    /// The files are more bytes than the manifest says.
    #[error(
        "the version has {found} bytes of files, and the manifest says {promised} (the publisher is at fault)"
    )]
    Size {
        /// Bytes of the tree's files.
        found: u64,
        /// Bytes in the manifest.
        promised: u64,
    },
    /// The delta begins at a version that is not here.
    #[error("the delta begins at the version {}, which is in no slot here: build from chunks", .0.short())]
    OldNotHere(Digest),
    /// Building failed.
    #[error("the version could not be built: {0}")]
    Build(ApplyError),
    /// Found before anything was written.
    #[error(
        "the version needs {needed} bytes, and {} has {free} free: free some space, it will be tried again",
        path.display()
    )]
    NoRoom {
        /// Bytes that it needs, and the agent beside it.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// A directory on the disk in question.
        path: PathBuf,
    },
    /// Another version here shares the first digits of its digest.
    #[error(
        "another version here has the same short name {short}: release this one with any change to its files (the publisher is at fault)"
    )]
    NameTaken {
        /// The digits.
        short: String,
    },
    /// Whoever watched the progress broke it off.
    #[error("staging was broken off")]
    BrokenOff,
    /// The disk.
    #[error(transparent)]
    Slot(#[from] SlotError),
}

fn is_broken_off(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<BrokenOff>()).is_some()
}

impl From<ApplyError> for StageError {
    fn from(error: ApplyError) -> Self {
        match &error.reason {
            Reason::Write(cause) if is_broken_off(cause) => Self::BrokenOff,
            _ => Self::Build(error),
        }
    }
}

impl StageError {
    /// Whether the old slot is to blame, so that building from chunks may work where the delta did not.
    #[must_use]
    pub fn blames_old(&self) -> bool {
        match self {
            Self::OldNotHere(_) => true,
            Self::Build(error) => error.fault() == Fault::Old,
            _ => false,
        }
    }

    /// The words for the core.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        let words = self.to_string();
        match self {
            Self::NoRoom { .. } => Trouble::NoSpace(words),
            Self::Slot(error) => error.trouble(),
            Self::Build(ApplyError { reason: Reason::Write(error), .. }) if disk::is_full(error) => {
                Trouble::NoSpace(words)
            }
            Self::Build(ApplyError { reason: Reason::Write(_), .. }) | Self::BrokenOff => {
                Trouble::Local(words)
            }
            Self::Build(ApplyError { reason: Reason::ChunkMissing { .. }, .. }) => {
                Trouble::Unreachable(words)
            }
            _ => Trouble::BadBytes(words),
        }
    }
}
