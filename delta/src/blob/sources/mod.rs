//! Which old files each new file is made from.
//!
//! By content: files that share chunks, or else stretches of sixteen bytes, with the new file; the one that shares most,
//! then the one that shares most of the rest, up to eight. So files are found wherever they were moved, split or
//! joined. Names decide where content says little. A wrong choice costs bytes, never correctness.

mod cover;
mod likeness;
mod marks;

use crate::access::{ReadAt, ReadTree};
use crate::limits::{SOURCES_BYTES_MAX, SOURCES_MAX};
use crate::tree::{Entry, Tree};

use super::files::{ByContent, File, file, files};
use super::make::DiffError;
use cover::cover;
use likeness::Likeness;
use marks::{ChunkMarks, OldMarks, marks_of};

/// A source of this size may serve a new file however small that is.
const SOURCE_BYTES_SMALL: u64 = 8 << 20;
/// A larger source serves only new files of at least so small a part of it: it is to be worth its reading.
const SOURCE_RATIO_MAX: u64 = 64;
/// A new file that shares at least this part of its bytes in whole chunks needs no closer look.
const CHUNKS_PART: u64 = 2;
/// Where content explains less than this part of a new file, a file of like name is a source too.
const NAMED_PART: u64 = 8;

/// A new file that no old file equals, and the old files that it is made from.
pub(super) struct Choice<'a> {
    pub(super) new: File<'a>,
    pub(super) sources: Vec<File<'a>>,
}

/// Chooses for every new file that is not empty and that no old file equals, in the new tree's order.
pub(super) fn choose<'a>(
    old: &'a Tree,
    old_files: &impl ReadTree,
    new: &'a Tree,
    new_files: &impl ReadTree,
) -> Result<Vec<Choice<'a>>, DiffError> {
    let known = ByContent::new(old);
    let chunks = ChunkMarks::new(old);
    let likeness = Likeness::new(old);
    let mut content: Option<OldMarks> = None;
    let mut choices = Vec::new();
    for new in files(new).filter(|new| new.bytes > 0 && known.get(new.digest).is_none()) {
        let admits = |at: u32| file(old, at).is_some_and(|old| may_serve(old.bytes, new.bytes));
        let same_path = old.entries().binary_search_by(|entry| entry.path.cmp(&new.entry.path)).ok();
        let same_path = same_path.and_then(|at| u32::try_from(at).ok());
        let mut covered = cover(chunks.hits(new.chunks), new.bytes, same_path, &admits);
        if covered.bytes < new.bytes / CHUNKS_PART {
            let known = match &content {
                Some(known) => known,
                None => content.insert(OldMarks::read(old, old_files)?),
            };
            let marks = marks_of(new_files, new.entry, known.level_for(new.bytes))?;
            covered = cover(known.hits(&marks), new.bytes, same_path, &admits);
        }
        let mut sources = covered.sources;
        if covered.bytes < new.bytes / NAMED_PART
            && let Some(named) = likeness.find(new.entry, same_path).filter(|at| admits(*at))
        {
            sources.retain(|at| *at != named);
            sources.insert(0, named);
            sources.truncate(SOURCES_MAX);
        }
        choices.push(Choice { new, sources: in_one_window(old, &sources) });
    }
    Ok(choices)
}

fn may_serve(old: u64, new: u64) -> bool {
    let worth = old <= SOURCE_BYTES_SMALL || old / SOURCE_RATIO_MAX <= new;
    old > 0 && worth
}

/// The best sources that fit in one window of a patch together, the best first; the best one in any case.
fn in_one_window<'a>(old: &'a Tree, sources: &[u32]) -> Vec<File<'a>> {
    let first = sources.first().and_then(|at| file(old, *at)).map_or(0, |best| best.bytes);
    let mut room = SOURCES_BYTES_MAX.max(first);
    let fitting = sources
        .iter()
        .filter_map(|at| file(old, *at))
        .take_while(|source| room.checked_sub(source.bytes).inspect(|left| room = *left).is_some());
    fitting.collect()
}

/// Opens a file to look at its content, which is verified only when it is used.
fn open(files: &impl ReadTree, entry: &Entry) -> Result<impl ReadAt, DiffError> {
    files.open(&entry.path).map_err(|error| DiffError::Read { file: entry.path.clone(), error })
}
