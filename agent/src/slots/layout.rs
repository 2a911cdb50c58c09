//! Where things lie in a component's directory, by name.

use std::path::{Path, PathBuf};

use groundswell_protocol::digest::Digest;

/// Hexadecimal digits of a tree's digest in a slot's name.
const SHORT_DIGITS: usize = 16;
/// After a slot's name: the file with its tree's encoding, whose presence marks the slot complete.
const INDEX_SUFFIX: &str = ".tree";
/// Before a slot's name: it is being built.
const STAGING_PREFIX: &str = "staging-";
/// Before a slot's name: it is being removed.
const TRASH_PREFIX: &str = "trash-";
/// After a link's name: the link that will replace it.
const LINK_SUFFIX: &str = ".new";
const SLOTS: &str = "slots";

/// The links of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Active,
    Previous,
    Anchor,
}

impl Link {
    pub(super) const ALL: [Self; 3] = [Self::Active, Self::Previous, Self::Anchor];

    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Previous => "previous",
            Self::Anchor => "anchor",
        }
    }
}

/// A component's directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) directory: PathBuf,
    pub(super) slots: PathBuf,
}

/// What a name in the directory of slots stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A slot, by its short name; complete if it has an index.
    Slot(String),
    /// The index of the slot with this short name.
    Index(String),
    /// Left over from something interrupted.
    Leftover,
    /// Nothing of this room's.
    Foreign,
}

/// A slot's name: the first digits of its tree's digest.
pub(super) fn short(tree: &Digest) -> String {
    let mut digits = tree.to_string();
    digits.truncate(SHORT_DIGITS);
    digits
}

fn is_short(name: &str) -> bool {
    name.len() == SHORT_DIGITS && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Judges a name in the directory of slots.
pub(super) fn judge(name: &str) -> Found {
    if name.starts_with(STAGING_PREFIX) || name.starts_with(TRASH_PREFIX) {
        return Found::Leftover;
    }
    match name.strip_suffix(INDEX_SUFFIX) {
        Some(short) if is_short(short) => Found::Index(short.to_owned()),
        None if is_short(name) => Found::Slot(name.to_owned()),
        _ => Found::Foreign,
    }
}

impl Layout {
    pub(super) fn new(directory: PathBuf) -> Self {
        let slots = directory.join(SLOTS);
        Self { directory, slots }
    }

    pub(super) fn slot(&self, short: &str) -> PathBuf {
        self.slots.join(short)
    }

    pub(super) fn index(&self, short: &str) -> PathBuf {
        self.slots.join(format!("{short}{INDEX_SUFFIX}"))
    }

    pub(super) fn staging(&self, short: &str) -> PathBuf {
        self.slots.join(format!("{STAGING_PREFIX}{short}"))
    }

    pub(super) fn staging_index(&self, short: &str) -> PathBuf {
        self.slots.join(format!("{STAGING_PREFIX}{short}{INDEX_SUFFIX}"))
    }

    /// A name that is free; an older leftover may have resisted removal.
    pub(super) fn trash(&self, short: &str) -> PathBuf {
        (0_u32..)
            .map(|number| self.slots.join(format!("{TRASH_PREFIX}{short}-{number}")))
            .find(|path| path.symlink_metadata().is_err())
            .expect("BUG: four thousand million leftovers of one slot")
    }

    pub(super) fn link(&self, link: Link) -> PathBuf {
        self.directory.join(link.name())
    }

    pub(super) fn new_link(&self, link: Link) -> PathBuf {
        self.directory.join(format!("{}{LINK_SUFFIX}", link.name()))
    }

    /// What a link holds: relative, so that the whole directory can be moved.
    pub(super) fn link_target(short: &str) -> PathBuf {
        Path::new(SLOTS).join(short)
    }

    /// The short name that a link points to; `None` without a link, or if it points elsewhere.
    pub(super) fn read_link(&self, link: Link) -> Option<String> {
        let target = std::fs::read_link(self.link(link)).ok()?;
        let short = target.strip_prefix(SLOTS).ok()?.to_str()?;
        is_short(short).then(|| short.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_room_are_judged_to_be_of_it() {
        let short = "0123456789abcdef";
        assert_eq!(judge(short), Found::Slot(short.to_owned()));
        assert_eq!(judge("0123456789abcdef.tree"), Found::Index(short.to_owned()));
        for leftover in ["staging-x", "trash-0123456789abcdef-0", "staging-0123456789abcdef.tree"] {
            assert_eq!(judge(leftover), Found::Leftover);
        }
        for foreign in
            ["", "0123456789ABCDEF", "0123456789abcde", ".tree", "lost+found", "0123456789abcdef.tree.tree"]
        {
            assert_eq!(judge(foreign), Found::Foreign);
        }
    }
}
