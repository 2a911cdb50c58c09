//! Paths inside a tree: relative, UTF-8, one spelling each.

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};

/// Where something is in a tree: parts joined by `/`, none of them empty, `.` or `..`, no NUL, at most
/// [`PATH_BYTES_MAX`] bytes in all and [`NAME_BYTES_MAX`] in a part. Joined to a directory, it stays below it.
///
/// Ordered by its bytes, so that a directory comes before what is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

/// Why a text is not a path in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Beyond [`PATH_BYTES_MAX`].
    #[error("it is longer than {PATH_BYTES_MAX} bytes")]
    Long,
    /// A part beyond [`NAME_BYTES_MAX`].
    #[error("a part of it is longer than {NAME_BYTES_MAX} bytes")]
    LongPart,
    /// A `/` at the beginning, at the end, or two in a row.
    #[error("it has an empty part (a \"/\" too many)")]
    EmptyPart,
    /// `.` or `..`.
    #[error("it has a part \".\" or \"..\"")]
    Dots,
    /// A NUL byte.
    #[error("it contains a NUL byte")]
    Nul,
    /// Bytes that are no UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
}

impl From<PathError> for io::Error {
    fn from(error: PathError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl TreePath {
    /// Checks a text.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, PathError> {
        let text = text.into();
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::Long);
        }
        if text.contains('\0') {
            return Err(PathError::Nul);
        }
        for part in text.split('/') {
            match part {
                "" => return Err(PathError::EmptyPart),
                "." | ".." => return Err(PathError::Dots),
                part if part.len() > NAME_BYTES_MAX => return Err(PathError::LongPart),
                _ => {}
            }
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The directory that it is in; none for what is in the root.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }
}

impl FromStr for TreePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}

impl AsRef<std::path::Path> for TreePath {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl fmt::Display for TreePath {
    /// Control characters are escaped: a path from a stranger must not move the reader's cursor.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(out, "{}", character.escape_default())?;
            } else {
                write!(out, "{character}")?;
            }
        }
        Ok(())
    }
}
