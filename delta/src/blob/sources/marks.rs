//! Marks of content: names of stretches, of which equal content has equal ones.
//!
//! A chunk is a mark, and costs nothing: trees list them. The other marks are hashes of sixteen bytes, at every place of a
//! file, of which those are kept that begin with enough zero bits: a sample that depends on content alone. The larger
//! the file the more zeros, its **level**, so that a file has some two thousand marks at most and the old tree some two
//! million, whatever their sizes.

use std::io::{self, Read};

use crate::access::ReadTree;
use crate::limits::BUFFER_BYTES;
use crate::reading::Reading;
use crate::tree::{ChunkRef, Entry, Tree};

use super::super::files::files;
use super::super::make::DiffError;
use super::open;

/// Bytes that one mark is made of.
const WINDOW_BYTES: usize = 16;
/// About how many marks a file has at most, and all old files together.
const FILE_MARKS_MAX: u64 = 2048;
const TREE_MARKS_MAX: u64 = 2 << 20;
/// Of small files one place in eight is a mark.
const LEVEL_MIN: u32 = 3;
/// What more old files have than this says nothing about any of them.
const COMMON: usize = 32;

/// A mark of a new file that old files have too.
pub(super) struct Hit {
    /// For how many bytes it stands, where each old file has a say.
    pub(super) places: Vec<Place>,
}

/// An old file that has a mark.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) entry: u32,
    /// How many bytes the mark stands for.
    pub(super) bytes: u64,
}

/// Names, each with the old files that have it.
struct Places(Vec<(u64, u32)>);

impl Places {
    fn new(mut places: Vec<(u64, u32)>) -> Self {
        places.sort_unstable();
        places.dedup();
        Self(places)
    }

    /// The old files that have a mark, if they are few.
    fn of(&self, name: u64) -> impl Iterator<Item = u32> {
        let start = self.0.partition_point(|(other, _)| *other < name);
        let found = self.0.get(start..).unwrap_or_default();
        let count = found.iter().take(COMMON + 1).take_while(|(other, _)| *other == name).count();
        let count = if count > COMMON { 0 } else { count };
        found.iter().take(count).map(|(_, entry)| *entry)
    }
}

/// The chunks of the old tree.
pub(super) struct ChunkMarks(Places);

impl ChunkMarks {
    pub(super) fn new(old: &Tree) -> Self {
        let places = files(old).flat_map(|file| file.chunks.iter().map(move |chunk| (name(chunk), file.at)));
        Self(Places::new(places.collect()))
    }

    pub(super) fn hits(&self, chunks: &[ChunkRef]) -> Vec<Hit> {
        let hits = chunks.iter().map(|chunk| {
            let bytes = u64::from(chunk.bytes);
            Hit { places: self.0.of(name(chunk)).map(|entry| Place { entry, bytes }).collect() }
        });
        hits.filter(|hit| !hit.places.is_empty()).collect()
    }
}

fn name(chunk: &ChunkRef) -> u64 {
    chunk.digest.as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// The marks of the old tree's files.
pub(super) struct OldMarks {
    places: Places,
    /// Each entry's level.
    levels: Vec<u32>,
    level_min: u32,
}

/// A file's marks, and their level.
pub(super) struct Marks {
    names: Vec<u64>,
    level: u32,
}

impl OldMarks {
    /// Reads all old files.
    pub(super) fn read(old: &Tree, old_files: &impl ReadTree) -> Result<Self, DiffError> {
        let total = files(old).map(|file| file.bytes).sum();
        let level_min = level(total, TREE_MARKS_MAX).max(LEVEL_MIN);
        let mut levels = vec![0; old.entries().len()];
        let mut places = Vec::new();
        for file in files(old) {
            let level = level(file.bytes, FILE_MARKS_MAX).max(level_min);
            let marks = marks_of(old_files, file.entry, level)?;
            places.extend(marks.names.into_iter().map(|name| (name, file.at)));
            levels[file.at as usize] = level;
        }
        Ok(Self { places: Places::new(places), levels, level_min })
    }

    /// The level for a new file of this size.
    pub(super) fn level_for(&self, bytes: u64) -> u32 {
        level(bytes, FILE_MARKS_MAX).max(self.level_min)
    }

    pub(super) fn hits(&self, new: &Marks) -> Vec<Hit> {
        let place = |entry: u32| {
            let level = self.levels.get(entry as usize).copied().unwrap_or_default();
            Place { entry, bytes: 1 << level.max(new.level) }
        };
        let hits = new.names.iter().map(|name| Hit { places: self.places.of(*name).map(place).collect() });
        hits.filter(|hit| !hit.places.is_empty()).collect()
    }
}

/// How many zero bits leave about so many marks of so many bytes.
fn level(bytes: u64, marks: u64) -> u32 {
    (bytes / marks).checked_ilog2().map_or(0, |level| level + 1)
}

/// Reads a file's marks.
pub(super) fn marks_of(files: &impl ReadTree, entry: &Entry, level: u32) -> Result<Marks, DiffError> {
    let mut names = Vec::new();
    read_marks(Reading::new(open(files, entry)?), level, &mut names)
        .map_err(|error| DiffError::Read { file: entry.path.clone(), error })?;
    names.sort_unstable();
    names.dedup();
    Ok(Marks { names, level })
}

fn read_marks(mut from: impl Read, level: u32, names: &mut Vec<u64>) -> io::Result<()> {
    let mut buffer = vec![0; WINDOW_BYTES - 1 + BUFFER_BYTES];
    let mut held = 0;
    loop {
        let read = match from.read(buffer.get_mut(held..).unwrap_or_default()) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = buffer.get(..held + read).unwrap_or_default();
        let windows = filled.windows(WINDOW_BYTES).filter_map(|window| window.first_chunk());
        names.extend(windows.filter_map(hash).filter(|hash| hash.leading_zeros() >= level));
        let kept = filled.len().min(WINDOW_BYTES - 1);
        let end = filled.len();
        buffer.copy_within(end - kept..end, 0);
        held = kept;
    }
}

/// `None` for stretches that repeat the same few bytes, as padding does.
fn hash(window: &[u8; WINDOW_BYTES]) -> Option<u64> {
    let (one, other) = window.split_first_chunk()?;
    let (one, other) = (u64::from_le_bytes(*one), u64::from_le_bytes(*other.first_chunk()?));
    if one == other {
        return None;
    }
    let mixed =
        one.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ other.rotate_left(29).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    Some(mixed ^ (mixed >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        blake3::Hasher::new().finalize_xof().fill(&mut out);
        out
    }

    fn marks(bytes: &[u8], level: u32) -> Vec<u64> {
        let mut names = Vec::new();
        read_marks(bytes, level, &mut names).unwrap();
        names
    }

    #[test]
    fn about_one_place_in_so_many_is_a_mark_and_none_is_lost_between_reads() {
        let bytes = noise(400_000);
        let all = marks(&bytes, 0);
        assert_eq!(all.len(), bytes.len() - WINDOW_BYTES + 1);
        let some = marks(&bytes, 6).len();
        assert!((5_800..6_700).contains(&some), "{some}");
        assert!(marks(&[0; 5000], 0).is_empty());
        assert!(marks(&bytes[..WINDOW_BYTES - 1], 0).is_empty());
    }

    #[test]
    fn levels_keep_marks_few() {
        assert_eq!((level(0, 2048), level(2047, 2048), level(2048, 2048), level(4096, 2048)), (0, 0, 1, 2));
        assert!(1_u64 << 40 >> level(1 << 40, FILE_MARKS_MAX) <= FILE_MARKS_MAX);
    }

    #[test]
    fn what_many_files_have_says_nothing() {
        let few = Places::new((0..32).map(|entry| (7, entry)).collect());
        assert_eq!(few.of(7).count(), 32);
        let many = Places::new((0..33).map(|entry| (7, entry)).collect());
        assert_eq!(many.of(7).count(), 0);
        assert_eq!(many.of(8).count(), 0);
    }
}
