//! From files to their tree, and back to the question whether they are still what it says.

use std::io;

use blake3::Hasher;

use crate::access::{Listed, ListedKind, ReadTree};
use crate::chunk::chunks;
use crate::reading::Reading;
use crate::tree::{ChunkRef, Entry, EntryKind, Tree, TreeError, TreePath};
use crate::witness::witness;

/// Why files have no tree.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The files could not be listed.
    #[error("the files could not be listed: {0}")]
    List(io::Error),
    /// A file could not be read.
    #[error("{file} could not be read: {error}")]
    Read {
        /// The file.
        file: TreePath,
        /// Why.
        error: io::Error,
    },
    /// The files cannot be a tree as they are: a link leads out, or a size is beyond a bound.
    #[error("these files cannot be a version: {0}")]
    Tree(#[from] TreeError),
}

/// Reads all files once and makes their tree. Holds the tree and one chunk in memory.
///
/// # Errors
/// When something cannot be read or the files break a rule of trees.
pub fn scan(files: &impl ReadTree) -> Result<Tree, ScanError> {
    let mut entries = Vec::new();
    for Listed { path, kind } in files.list().map_err(ScanError::List)? {
        let kind = match kind {
            ListedKind::Directory => EntryKind::Directory,
            ListedKind::Symlink { target } => EntryKind::Symlink { target },
            ListedKind::File { executable } => scan_file(files, &path, executable)
                .map_err(|error| ScanError::Read { file: path.clone(), error })?,
        };
        entries.push(Entry { path, kind });
    }
    Ok(Tree::new(entries)?)
}

fn scan_file(files: &impl ReadTree, path: &TreePath, executable: bool) -> io::Result<EntryKind> {
    let mut hasher = Hasher::new();
    let mut total = 0;
    let mut refs = Vec::new();
    for chunk in chunks(Reading::new(files.open(path)?)) {
        let chunk = chunk?;
        hasher.update(&chunk.bytes);
        let bytes =
            u32::try_from(chunk.bytes.len()).expect("BUG: a chunk longer than CHUNK_BYTES_MAX was cut");
        total += u64::from(bytes);
        refs.push(ChunkRef { digest: chunk.digest, bytes });
    }
    Ok(EntryKind::File { executable, bytes: total, digest: hasher.finalize(), chunks: refs })
}

/// How files differ from a tree. Always the fault of the disk, or of who changed the files.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The files could not be listed.
    #[error("the files could not be listed: {0}")]
    List(io::Error),
    /// A file could not be read.
    #[error("{file} could not be read: {error}")]
    Read {
        /// The file.
        file: TreePath,
        /// Why.
        error: io::Error,
    },
    /// The tree has it, the disk has not.
    #[error("{0} is missing on this disk")]
    Missing(TreePath),
    /// The disk has it, the tree has not.
    #[error("{0} is on this disk and not in the version")]
    Unexpected(TreePath),
    /// A file where a directory should be, another link target, another executable bit.
    #[error("{0} is of another kind on this disk (or another link, or differs in being executable)")]
    Kind(TreePath),
    /// Other bytes.
    #[error("the content of {0} on this disk is not that of the version")]
    Content(TreePath),
}

/// Checks that what is on disk is exactly the tree: nothing missing, nothing more, every byte.
///
/// # Errors
/// Names the first difference.
pub fn verify(tree: &Tree, files: &impl ReadTree) -> Result<(), VerifyError> {
    let mut listed = files.list().map_err(VerifyError::List)?;
    listed.sort();
    let mut listed = listed.into_iter().peekable();
    for entry in tree.entries() {
        if let Some(early) = listed.next_if(|listed| listed.path < entry.path) {
            return Err(VerifyError::Unexpected(early.path));
        }
        let Some(found) = listed.next_if(|listed| listed.path == entry.path) else {
            return Err(VerifyError::Missing(entry.path.clone()));
        };
        verify_entry(entry, &found, files)?;
    }
    match listed.next() {
        Some(late) => Err(VerifyError::Unexpected(late.path)),
        None => Ok(()),
    }
}

fn verify_entry(entry: &Entry, found: &Listed, files: &impl ReadTree) -> Result<(), VerifyError> {
    let same_kind = match (&entry.kind, &found.kind) {
        (EntryKind::Directory, ListedKind::Directory) => true,
        (EntryKind::Symlink { target }, ListedKind::Symlink { target: on_disk }) => target == on_disk,
        (EntryKind::File { executable, .. }, ListedKind::File { executable: on_disk }) => {
            executable == on_disk
        }
        _ => false,
    };
    if !same_kind {
        return Err(VerifyError::Kind(entry.path.clone()));
    }
    let EntryKind::File { bytes, digest, .. } = &entry.kind else {
        return Ok(());
    };
    let on_disk = files
        .open(&entry.path)
        .and_then(|file| witness(Reading::new(file)))
        .map_err(|error| VerifyError::Read { file: entry.path.clone(), error })?;
    if on_disk != (*bytes, *digest) {
        return Err(VerifyError::Content(entry.path.clone()));
    }
    Ok(())
}
