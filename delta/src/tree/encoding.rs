//! The bytes of a tree, format 1. All integers are little-endian; there is one encoding of each tree.
//!
//! | bytes | what |
//! |---|---|
//! | 6 | `GSTREE` |
//! | 2 | format: 1 |
//! | 4 | number of entries, then each: |
//! | 1 | kind: 0 directory, 1 symbolic link, 2 file, 3 executable file |
//! | 2 + n | path: length, UTF-8 |
//! | 2 + n | link: target: length, UTF-8 |
//! | 8 | file: size |
//! | 32 | file: BLAKE3 |
//! | 4 | file: number of chunks, then each: |
//! | 4 + 32 | size, BLAKE3 |

use blake3::Hash;

use crate::limits::{ENTRIES_MAX, TREE_ENCODING_BYTES_MAX};

use super::rules::bounded;
use super::{ChunkRef, Entry, EntryKind, PathError, TreeError, TreePath};

/// How a tree's encoding begins.
pub const TREE_MAGIC: [u8; 6] = *b"GSTREE";
/// The format that this crate writes and reads.
pub const TREE_VERSION: u16 = 1;

const DIRECTORY: u8 = 0;
const SYMLINK: u8 = 1;
const FILE: u8 = 2;
const EXECUTABLE: u8 = 3;

const HEADER_BYTES: usize = 6 + 2 + 4;
const ENTRY_BYTES_MIN: usize = 1 + 2 + 1;
const FILE_BYTES: usize = 8 + 32 + 4;
const CHUNK_BYTES: usize = 4 + 32;

/// The length of the encoding, saturating.
pub(super) fn encoded_bytes(entries: &[Entry]) -> u64 {
    let of_entry = |entry: &Entry| {
        let kind = match &entry.kind {
            EntryKind::Directory => 0,
            EntryKind::Symlink { target } => 2 + target.len(),
            EntryKind::File { chunks, .. } => FILE_BYTES + chunks.len().saturating_mul(CHUNK_BYTES),
        };
        (1 + 2 + entry.path.as_str().len() + kind) as u64
    };
    entries.iter().map(of_entry).fold(HEADER_BYTES as u64, u64::saturating_add)
}

/// Writes entries that obey the rules.
pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(usize::try_from(encoded_bytes(entries)).unwrap_or(0));
    out.extend_from_slice(&TREE_MAGIC);
    out.extend_from_slice(&TREE_VERSION.to_le_bytes());
    out.extend_from_slice(&count(entries.len()));
    for entry in entries {
        encode_entry(&mut out, entry);
    }
    out
}

fn encode_entry(out: &mut Vec<u8>, entry: &Entry) {
    out.push(match entry.kind {
        EntryKind::Directory => DIRECTORY,
        EntryKind::Symlink { .. } => SYMLINK,
        EntryKind::File { executable: false, .. } => FILE,
        EntryKind::File { executable: true, .. } => EXECUTABLE,
    });
    encode_text(out, entry.path.as_str());
    match &entry.kind {
        EntryKind::Directory => {}
        EntryKind::Symlink { target } => encode_text(out, target),
        EntryKind::File { bytes, digest, chunks, .. } => {
            out.extend_from_slice(&bytes.to_le_bytes());
            out.extend_from_slice(digest.as_bytes());
            out.extend_from_slice(&count(chunks.len()));
            for chunk in chunks {
                out.extend_from_slice(&chunk.bytes.to_le_bytes());
                out.extend_from_slice(chunk.digest.as_bytes());
            }
        }
    }
}

fn encode_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("BUG: a text beyond PATH_BYTES_MAX in a tree");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn count(items: usize) -> [u8; 4] {
    u32::try_from(items).expect("BUG: more items in a tree than its encoding may hold").to_le_bytes()
}

/// Reads entries, without the rules that need more than one of them.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Entry>, TreeError> {
    bounded("bytes of encoding", bytes.len() as u64, TREE_ENCODING_BYTES_MAX as u64)?;
    let mut reader = Reader { bytes, entry: 0 };
    if reader.array() != Ok(TREE_MAGIC) {
        return Err(TreeError::NotATree);
    }
    let version = u16::from_le_bytes(reader.array()?);
    if version != TREE_VERSION {
        return Err(TreeError::Version(version));
    }
    let count = reader.count(ENTRY_BYTES_MIN)?;
    bounded("entries", count as u64, u64::from(ENTRIES_MAX))?;
    let mut entries = Vec::with_capacity(count);
    for entry in 0..count {
        reader.entry = entry;
        entries.push(reader.entry()?);
    }
    if !reader.bytes.is_empty() {
        return Err(TreeError::Trailing { bytes: reader.bytes.len() });
    }
    Ok(entries)
}

struct Reader<'a> {
    bytes: &'a [u8],
    entry: usize,
}

impl<'a> Reader<'a> {
    fn truncated(&self) -> TreeError {
        TreeError::Truncated { entry: self.entry }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], TreeError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(|| self.truncated())?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TreeError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(|| self.truncated())?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// A number of items, of which each needs at least so many of the bytes left.
    fn count(&mut self, item_bytes_min: usize) -> Result<usize, TreeError> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        if count > self.bytes.len() / item_bytes_min {
            return Err(self.truncated());
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<String, TreeError> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(TreeError::Path {
                text: String::from_utf8_lossy(bytes).into_owned(),
                reason: PathError::NotUtf8,
            }),
        }
    }

    fn entry(&mut self) -> Result<Entry, TreeError> {
        let [kind] = self.array()?;
        let text = self.text()?;
        let path = TreePath::new(text.as_str()).map_err(|reason| TreeError::Path { text, reason })?;
        let kind = match kind {
            DIRECTORY => EntryKind::Directory,
            SYMLINK => EntryKind::Symlink { target: self.text()? },
            FILE => self.file(false)?,
            EXECUTABLE => self.file(true)?,
            kind => {
                return Err(TreeError::Kind { entry: self.entry, kind });
            }
        };
        Ok(Entry { path, kind })
    }

    fn file(&mut self, executable: bool) -> Result<EntryKind, TreeError> {
        let bytes = u64::from_le_bytes(self.array()?);
        let digest = Hash::from_bytes(self.array()?);
        let count = self.count(CHUNK_BYTES)?;
        let mut chunks = Vec::with_capacity(count);
        for _ in 0..count {
            let bytes = u32::from_le_bytes(self.array()?);
            let digest = Hash::from_bytes(self.array()?);
            chunks.push(ChunkRef { digest, bytes });
        }
        Ok(EntryKind::File { executable, bytes, digest, chunks })
    }
}
