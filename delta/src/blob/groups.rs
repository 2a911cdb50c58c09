//! Which new files share a body.
//!
//! A small file alone pays for a body of its own, and cannot know that its neighbour has the same new lines. So small files
//! of one sort are put in a row, with all their sources in a row; new ones without sources among them.

use std::collections::BTreeSet;

use crate::limits::BASE_LOADED_BYTES_MAX;

use super::files::File;
use super::sources::Choice;

/// Files up to this size are put together.
const SMALL_BYTES_MAX: u64 = 64 << 10;
/// Most bytes of new files in a row.
const GROUP_BYTES_MAX: u64 = 8 << 20;

/// New files in a row, and the old files that they are made from, in a row.
#[derive(Default)]
pub(super) struct Row<'a> {
    pub(super) files: Vec<File<'a>>,
    pub(super) sources: Vec<File<'a>>,
    /// New files that have sources of their own.
    pub(super) patched: u64,
    new_bytes: u64,
    old_bytes: u64,
    held: BTreeSet<u32>,
}

/// Puts all choices in rows. `stays_alone` says of a small file that it is better off by itself.
pub(super) fn rows<'a, E>(
    choices: Vec<Choice<'a>>,
    stays_alone: &dyn Fn(&File<'a>) -> Result<bool, E>,
) -> Result<Vec<Row<'a>>, E> {
    let mut rows = Vec::new();
    let mut small = Vec::new();
    for choice in choices {
        if choice.new.bytes > SMALL_BYTES_MAX || stays_alone(&choice.new)? {
            rows.push(Row::of(choice));
        } else {
            small.push(choice);
        }
    }
    small.sort_by_key(|choice| (sort_of(&choice.new), choice.new.at));
    let mut open = Row::default();
    for choice in small {
        if !open.has_room_for(&choice) {
            rows.push(std::mem::take(&mut open));
        }
        open.add(choice);
    }
    if !open.files.is_empty() {
        rows.push(open);
    }
    rows.sort_by_key(|row| row.files.first().map(|file| file.at));
    Ok(rows)
}

/// What comes after the last dot of its name: files of one sort pack well together.
fn sort_of<'a>(file: &File<'a>) -> &'a str {
    file.entry.path.name().rsplit_once('.').map_or("", |(_, sort)| sort)
}

impl<'a> Row<'a> {
    fn of(choice: Choice<'a>) -> Self {
        let mut row = Self::default();
        row.add(choice);
        row
    }

    fn has_room_for(&self, choice: &Choice<'_>) -> bool {
        let fresh = choice.sources.iter().filter(|source| !self.held.contains(&source.at));
        let old_bytes = fresh.fold(self.old_bytes, |sum, source| sum + source.bytes);
        let fits = old_bytes <= BASE_LOADED_BYTES_MAX && self.new_bytes + choice.new.bytes <= GROUP_BYTES_MAX;
        fits || self.files.is_empty()
    }

    fn add(&mut self, choice: Choice<'a>) {
        self.new_bytes += choice.new.bytes;
        self.patched += u64::from(!choice.sources.is_empty());
        self.files.push(choice.new);
        for source in choice.sources {
            if self.held.insert(source.at) {
                self.old_bytes += source.bytes;
                self.sources.push(source);
            }
        }
    }
}
