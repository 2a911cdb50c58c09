//! Why progress may be impossible by construction. That is no fault of the core, and no breach.

use std::fmt;

use serde::Serialize;

/// Why the machines that are left cannot end the story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Impossible {
    /// Fewer jurors are left than must agree.
    TooFewElectors {
        /// Jurors that are on, honest and in one piece.
        there: usize,
        /// Jurors of the release.
        of: usize,
        /// How many must agree.
        quorum: usize,
    },
    /// No machine that is left holds the bytes, or one and the same piece of them.
    NobodyHolds {
        /// The release.
        version: String,
        /// The first piece that nobody holds, if they hold others.
        piece: Option<u32>,
    },
    /// An operator has paused it and not let it go on.
    Paused {
        /// The release.
        version: String,
    },
    /// It was never handed in: the condition of its step did not come true.
    NeverPublished {
        /// The release.
        version: String,
    },
    /// A machine cannot hear from enough electors to recover what it signed.
    CannotRecover {
        /// The machine.
        machine: u32,
        /// How many it needs.
        needed: usize,
    },
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewElectors { there, of, quorum } => {
                write!(f, "electors too few: {there} of {of}, quorum {quorum}")
            }
            Self::NobodyHolds { version, piece: None } => {
                write!(f, "{version} is held by no node of the core")
            }
            Self::NobodyHolds { version, piece: Some(piece) } => {
                write!(f, "piece {piece} of {version} is held by no node of the core")
            }
            Self::Paused { version } => write!(f, "{version} is paused by an operator"),
            Self::NeverPublished { version } => write!(f, "{version} was never published"),
            Self::CannotRecover { machine, needed } => {
                write!(f, "node {machine} cannot hear from the {needed} electors that it must hear from")
            }
        }
    }
}
