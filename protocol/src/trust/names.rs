//! Names and texts: what may stand in a fact that people will read.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::bounds::{NAME_MAX, NOTE_MAX};

/// The name of a component: 1 to `NAME_MAX` of `a-z 0-9 - _ .`, beginning with a letter or digit.
/// Safe as a file name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize)]
pub struct ComponentName(String);

/// Not a valid component name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("component names are 1 to 64 of a-z, 0-9, '-', '_', '.', and begin with a letter or digit")]
pub struct BadName;

impl ComponentName {
    /// Checks `text`.
    ///
    /// # Errors
    /// `BadName` says the rule.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let name = Self(text.to_owned());
        if name.is_valid() { Ok(name) } else { Err(BadName) }
    }

    /// Whether a decoded name keeps the rule: decoding alone does not check it.
    pub fn is_valid(&self) -> bool {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        (1..=NAME_MAX).contains(&self.0.len())
            && self.0.bytes().next().is_some_and(plain)
            && self.0.bytes().all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ComponentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ComponentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ComponentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Whether `text` is a label or version: 1 to `NAME_MAX` bytes, no control characters or spaces.
pub fn is_label(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Whether `text` may stand in a note: at most `NOTE_MAX` bytes and no control characters, so that
/// no fact can rewrite a terminal.
pub fn is_note(text: &str) -> bool {
    text.len() <= NOTE_MAX && !text.chars().any(char::is_control)
}

/// `text` made fit for a note: control characters become spaces, the end is cut at a character.
pub fn to_note(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = clean.len().min(NOTE_MAX);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean[..end].to_owned()
}
