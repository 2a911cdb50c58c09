//! Old files in a row, as one.

use std::io;

use crate::access::{ReadAt, ReadTree};
use crate::error::Reason;
use crate::limits::{BASE_LOADED_BYTES_MAX, SOURCES_MAX};
use crate::reading::Reading;
use crate::tree::Tree;
use crate::witness::witness;

use super::files::{File, file};

/// What a patch is made from: the old files of a group, in a row.
pub(super) enum Base<F> {
    /// Small files in memory, all verified.
    Loaded(Vec<u8>),
    /// Up to [`SOURCES_MAX`] files of any size.
    Open(Joined<F>),
}

impl<F: ReadAt> Base<F> {
    /// Opens the files at these entries of the old tree.
    pub(super) fn open(
        old: &Tree,
        old_files: &impl ReadTree<File = F>,
        sources: &[u32],
    ) -> Result<Self, Reason> {
        let sources = named(old, sources)?;
        let bytes = sources.iter().try_fold(0_u64, |sum, source| sum.checked_add(source.bytes));
        if bytes.is_some_and(|bytes| bytes <= BASE_LOADED_BYTES_MAX) {
            return load(old_files, &sources).map(Self::Loaded);
        }
        if sources.len() > SOURCES_MAX {
            return Err(Reason::Malformed("a group is made from too many old files"));
        }
        let opened: Result<_, _> = sources.iter().map(|source| open(old_files, source)).collect();
        Ok(Self::Open(Joined::new(opened?)))
    }

    /// After a patch gave the wrong bytes: an error if an old file is to blame.
    pub(super) fn acquit(&self, old: &Tree, sources: &[u32]) -> Result<(), Reason> {
        let Self::Open(joined) = self else { return Ok(()) };
        for (source, (_, opened)) in named(old, sources)?.iter().zip(&joined.parts) {
            let found = witness(Reading::new(opened)).map_err(Reason::from_old)?;
            if found != (source.bytes, *source.digest) {
                return Err(Reason::OldChanged);
            }
        }
        Ok(())
    }
}

impl<F: ReadAt> ReadAt for Base<F> {
    fn size(&self) -> u64 {
        match self {
            Self::Loaded(bytes) => bytes.size(),
            Self::Open(joined) => joined.size(),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Loaded(bytes) => bytes.read_exact_at(buffer, offset),
            Self::Open(joined) => joined.read_exact_at(buffer, offset),
        }
    }

    fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Self::Loaded(bytes) => bytes.in_memory(),
            Self::Open(_) => None,
        }
    }
}

fn named<'a>(old: &'a Tree, sources: &[u32]) -> Result<Vec<File<'a>>, Reason> {
    let files = sources.iter().map(|at| file(old, *at));
    files.collect::<Option<_>>().ok_or(Reason::Malformed("it names an old file that does not exist"))
}

/// Opens an old file; its size on disk must be that of the tree.
pub(super) fn open<F: ReadAt>(old_files: &impl ReadTree<File = F>, old: &File<'_>) -> Result<F, Reason> {
    let file = old_files.open(&old.entry.path).map_err(Reason::OldUnreadable)?;
    if file.size() != old.bytes {
        return Err(Reason::OldChanged);
    }
    Ok(file)
}

/// Reads files whose sizes were bounded, and verifies them.
fn load(old_files: &impl ReadTree, sources: &[File<'_>]) -> Result<Vec<u8>, Reason> {
    let mut loaded = Vec::new();
    for source in sources {
        let file = open(old_files, source)?;
        let start = loaded.len();
        loaded.resize(start + usize::try_from(source.bytes).unwrap_or(usize::MAX), 0);
        let part = loaded.get_mut(start..).unwrap_or_default();
        file.read_exact_at(part, 0).map_err(Reason::from_old)?;
        if blake3::hash(part) != *source.digest {
            return Err(Reason::OldChanged);
        }
    }
    Ok(loaded)
}

/// Files in a row.
pub(super) struct Joined<F> {
    /// Each with the place where it ends.
    parts: Vec<(u64, F)>,
}

impl<F: ReadAt> Joined<F> {
    fn new(files: Vec<F>) -> Self {
        let mut end = 0_u64;
        let parts = files.into_iter().map(|file| {
            end = end.saturating_add(file.size());
            (end, file)
        });
        Self { parts: parts.collect() }
    }
}

impl<F: ReadAt> ReadAt for Joined<F> {
    fn size(&self) -> u64 {
        self.parts.last().map_or(0, |(end, _)| *end)
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let at = self.parts.partition_point(|(end, _)| *end <= offset);
            let (end, file) = self.parts.get(at).ok_or(io::ErrorKind::UnexpectedEof)?;
            let left = end - offset;
            let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let (now, later) = buffer.split_at_mut(length);
            file.read_exact_at(now, file.size() - left)?;
            buffer = later;
            offset += length as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::scan;

    #[test]
    fn files_in_a_row_read_like_one() {
        let row = Joined::new(vec![vec![1, 2], vec![], vec![3], vec![4, 5, 6]]);
        assert_eq!(row.size(), 6);
        for start in 0..6_u8 {
            for end in start..=6 {
                let mut buffer = vec![0; usize::from(end - start)];
                row.read_exact_at(&mut buffer, u64::from(start)).unwrap();
                assert_eq!(buffer, (start + 1..=end).collect::<Vec<_>>());
            }
        }
        assert!(row.read_exact_at(&mut [0; 2], 5).is_err());
        assert!(row.read_exact_at(&mut [0], u64::MAX).is_err());
    }

    #[test]
    fn small_files_are_verified_when_they_are_read_and_large_ones_on_suspicion() {
        let half = usize::try_from(BASE_LOADED_BYTES_MAX / 2).unwrap();
        for (bytes, is_loaded) in [(half, true), (half + 1, false)] {
            let files = Memory::default().with("a", vec![1; bytes]).with("b", vec![2; bytes]);
            let tree = scan(&files).unwrap();
            let base = Base::open(&tree, &files, &[1, 0]).unwrap();
            assert_eq!(matches!(base, Base::Loaded(_)), is_loaded);
            let mut middle = [0; 2];
            base.read_exact_at(&mut middle, bytes as u64 - 1).unwrap();
            assert_eq!(middle, [2, 1]);
            base.acquit(&tree, &[1, 0]).unwrap();
            let changed = files.with("b", vec![3; bytes]);
            let opened = Base::open(&tree, &changed, &[1, 0]);
            let outcome = opened.and_then(|base| base.acquit(&tree, &[1, 0]));
            assert!(matches!(outcome, Err(Reason::OldChanged)));
            assert!(Base::open(&tree, &changed, &[0; 9]).is_err());
        }
    }
}
