//! Files too large to patch: runs of chunks, from old files or from the delta.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

use crate::access::{ReadAt, ReadTree};
use crate::chunk::CHUNK_BYTES_MAX;
use crate::engine::array;
use crate::error::Reason;
use crate::limits::BUFFER_BYTES;
use crate::pack::Unpacker;
use crate::reading::Reading;
use crate::tree::{ChunkRef, EntryKind, Tree};

use super::body::ended;

/// In the place of an old file's entry: the chunks are in the delta.
const SENT: u32 = u32::MAX;

/// Consecutive chunks of a new file with one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) chunks: u32,
    pub(super) source: Option<Source>,
}

/// Where in the old tree a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) entry: u32,
    pub(super) first: u32,
}

/// Where each chunk of the old tree is.
pub(super) struct OldChunks(BTreeMap<[u8; 32], Source>);

impl OldChunks {
    pub(super) fn new(old: &Tree) -> Self {
        let mut places = BTreeMap::new();
        for (at, entry) in (0..SENT).zip(old.entries()) {
            let EntryKind::File { chunks, .. } = &entry.kind else {
                continue;
            };
            for (first, chunk) in (0..).zip(chunks) {
                let place = Source { entry: at, first };
                places.entry(*chunk.digest.as_bytes()).or_insert(place);
            }
        }
        Self(places)
    }

    pub(super) fn runs(&self, chunks: &[ChunkRef]) -> Vec<Run> {
        let mut runs = Vec::<Run>::new();
        for chunk in chunks {
            let source = self.0.get(chunk.digest.as_bytes()).copied();
            match runs.last_mut().filter(|run| run.goes_on(source)) {
                Some(run) => run.chunks += 1,
                None => runs.push(Run { chunks: 1, source }),
            }
        }
        runs
    }
}

impl Run {
    fn goes_on(&self, next: Option<Source>) -> bool {
        match (self.source, next) {
            (None, None) => true,
            (Some(run), Some(next)) => {
                run.entry == next.entry && run.first.checked_add(self.chunks) == Some(next.first)
            }
            _ => false,
        }
    }
}

pub(super) fn encode(runs: &[Run]) -> Vec<u8> {
    let count = u32::try_from(runs.len()).expect("BUG: more runs than a tree has chunks");
    let mut out = count.to_le_bytes().to_vec();
    for run in runs {
        let source = run.source.unwrap_or(Source { entry: SENT, first: 0 });
        for number in [run.chunks, source.entry, source.first] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    out
}

fn decode(delta: &mut impl Read, chunks: &[ChunkRef]) -> Result<Vec<Run>, Reason> {
    let count = u32::from_le_bytes(array(delta)?) as usize;
    if count > chunks.len() {
        return Err(Reason::Malformed("a file has more runs than chunks"));
    }
    let mut runs = Vec::new();
    let mut left = chunks.len();
    for _ in 0..count {
        let chunks = u32::from_le_bytes(array(delta)?);
        let entry = u32::from_le_bytes(array(delta)?);
        let first = u32::from_le_bytes(array(delta)?);
        left = left
            .checked_sub(chunks as usize)
            .filter(|_| chunks > 0)
            .ok_or(Reason::Malformed("a run is empty or too long"))?;
        let source = (entry != SENT).then_some(Source { entry, first });
        runs.push(Run { chunks, source });
    }
    if left > 0 {
        return Err(Reason::Malformed("the runs of a file end before it"));
    }
    Ok(runs)
}

/// The old tree's entries that a body names.
pub(super) fn sources(body: &impl ReadAt, chunks: &[ChunkRef]) -> Result<Vec<u32>, Reason> {
    let runs = decode(&mut BufReader::new(Reading::new(body)), chunks)?;
    Ok(runs.iter().filter_map(|run| run.source).map(|source| source.entry).collect())
}

/// How many bytes the delta itself holds.
pub(super) fn sent_bytes(runs: &[Run], chunks: &[ChunkRef]) -> u64 {
    with_origin(runs, chunks).filter(|(_, sent)| *sent).map(|(chunk, _)| u64::from(chunk.bytes)).sum()
}

/// Each chunk, and whether the delta holds it.
fn with_origin<'a>(runs: &'a [Run], chunks: &'a [ChunkRef]) -> impl Iterator<Item = (ChunkRef, bool)> {
    let origins = runs.iter().flat_map(|run| std::iter::repeat_n(run.source.is_none(), run.chunks as usize));
    chunks.iter().copied().zip(origins)
}

/// Takes a whole file and passes on only the chunks that the delta must hold.
pub(super) fn sieve<'a, W: Write>(
    out: W,
    runs: &'a [Run],
    chunks: &'a [ChunkRef],
) -> impl Write + use<'a, W> {
    Sieve { out, chunks: with_origin(runs, chunks), left: 0, passes: false }
}

struct Sieve<W, I> {
    out: W,
    chunks: I,
    /// What is left of the current chunk, and whether it passes.
    left: usize,
    passes: bool,
}

impl<W: Write, I: Iterator<Item = (ChunkRef, bool)>> Write for Sieve<W, I> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            let Some((chunk, passes)) = self.chunks.next() else {
                return Err(io::Error::other("the file is longer than its chunks"));
            };
            self.left = chunk.bytes as usize;
            self.passes = passes;
        }
        let length = buffer.len().min(self.left);
        let part = buffer.get(..length).unwrap_or_default();
        if self.passes {
            self.out.write_all(part)?;
        }
        self.left -= length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a new file from its runs, each chunk verified.
pub(super) fn follow(
    old: &Tree,
    old_files: &impl ReadTree,
    body: &impl ReadAt,
    chunks: &[ChunkRef],
    out: &mut impl Write,
) -> Result<(), Reason> {
    let mut body = BufReader::with_capacity(BUFFER_BYTES, Reading::new(body));
    let runs = decode(&mut body, chunks)?;
    let mut sent = Unpacker::new(&mut body)?;
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    let mut open: Option<OldFile<'_, _>> = None;
    let mut rest = chunks;
    for run in runs {
        let (now, later) = rest.split_at(run.chunks as usize);
        rest = later;
        match run.source {
            None => follow_sent(&mut sent, now, &mut buffer, out)?,
            Some(source) => {
                let from = match open.take() {
                    Some(same) if same.is(source) => open.insert(same),
                    _ => open.insert(OldFile::open(old, old_files, source)?),
                };
                from.follow(source, now, &mut buffer, out)?;
            }
        }
    }
    sent.end()?;
    ended(&mut body)
}

fn follow_sent(
    sent: &mut Unpacker<'_, impl BufRead>,
    chunks: &[ChunkRef],
    buffer: &mut [u8],
    out: &mut impl Write,
) -> Result<(), Reason> {
    for chunk in chunks {
        let part = part_for(buffer, chunk)?;
        sent.fill(part)?;
        if blake3::hash(part) != chunk.digest {
            return Err(Reason::ChunkOther { digest: chunk.digest });
        }
        out.write_all(part).map_err(Reason::Write)?;
    }
    Ok(())
}

fn part_for<'a>(buffer: &'a mut [u8], chunk: &ChunkRef) -> Result<&'a mut [u8], Reason> {
    buffer.get_mut(..chunk.bytes as usize).ok_or(Reason::Malformed("a chunk is too long"))
}

/// The old file that runs are being taken from.
struct OldFile<'a, F> {
    at: u32,
    file: F,
    chunks: &'a [ChunkRef],
    /// Where each chunk begins.
    starts: Vec<u64>,
}

impl<'a, F: ReadAt> OldFile<'a, F> {
    fn is(&self, source: Source) -> bool {
        self.at == source.entry
    }

    fn open(old: &'a Tree, old_files: &impl ReadTree<File = F>, source: Source) -> Result<Self, Reason> {
        let entry = old.entries().get(source.entry as usize);
        let Some((entry, EntryKind::File { chunks, .. })) = entry.map(|entry| (entry, &entry.kind)) else {
            return Err(Reason::Malformed("a run is of no old file"));
        };
        let starts = chunks.iter().scan(0, |next, chunk| {
            let start = *next;
            *next += u64::from(chunk.bytes);
            Some(start)
        });
        Ok(Self {
            at: source.entry,
            file: old_files.open(&entry.path).map_err(Reason::OldUnreadable)?,
            chunks,
            starts: starts.collect(),
        })
    }

    fn follow(
        &mut self,
        source: Source,
        chunks: &[ChunkRef],
        buffer: &mut [u8],
        out: &mut impl Write,
    ) -> Result<(), Reason> {
        let first = source.first as usize;
        let promised = first.checked_add(chunks.len()).and_then(|end| self.chunks.get(first..end));
        if promised != Some(chunks) {
            return Err(Reason::Malformed("a run names other chunks of an old file"));
        }
        let mut at = self.starts.get(first).copied().unwrap_or_default();
        for chunk in chunks {
            let part = part_for(buffer, chunk)?;
            self.file.read_exact_at(part, at).map_err(Reason::from_old)?;
            at += part.len() as u64;
            if blake3::hash(part) != chunk.digest {
                return Err(Reason::OldChanged);
            }
            out.write_all(part).map_err(Reason::Write)?;
        }
        Ok(())
    }
}
