//! The store's folder: its rooms, the names of files, and the order of writes that survives a power cut.
//!
//! ```text
//! whole/ab/<hex>-<bytes>    complete blobs, fanned out by the first byte of their digest
//! partial/<hex>-<bytes>     blobs under way, sparse
//! outlines/<hex>-<bytes>    outlines of blobs of several pieces; only a cache, checked when read
//! incoming/                 what is being written; emptied when the store opens
//! ```
//! The size in the name tells a truncated file without reading it. Files that the store did not name are
//! left alone and never served.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::transfer::{BLOB_BYTES_MAX, Outline};
use tempfile::NamedTempFile;

use super::error::{During, StoreError};

pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes the rooms and empties `incoming`.
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        let folder = Self { root: root.to_owned() };
        for room in [folder.whole(), folder.partial(), folder.outlines(), folder.incoming()] {
            fs::create_dir_all(&room).during("create the folder", &room)?;
        }
        for leftover in entries(&folder.incoming())?.iter().filter(|path| !path.is_dir()) {
            fs::remove_file(leftover).during("remove the leftover", leftover)?;
        }
        Ok(folder)
    }

    fn whole(&self) -> PathBuf {
        self.root.join("whole")
    }

    fn partial(&self) -> PathBuf {
        self.root.join("partial")
    }

    fn outlines(&self) -> PathBuf {
        self.root.join("outlines")
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    pub(super) fn whole_path(&self, digest: &Digest, bytes: u64) -> PathBuf {
        let name = name_of(digest, bytes);
        self.whole().join(&name[..2]).join(name)
    }

    pub(super) fn partial_path(&self, digest: &Digest, bytes: u64) -> PathBuf {
        self.partial().join(name_of(digest, bytes))
    }

    /// The complete blobs. A file whose length is not what its name says is removed: it was damaged.
    pub(super) fn scan_whole(&self) -> Result<Vec<(Digest, u64)>, StoreError> {
        let mut found = Vec::new();
        for room in entries(&self.whole())? {
            if !room.is_dir() {
                continue;
            }
            for path in entries(&room)? {
                let Some((digest, bytes)) = parse_name(&path) else { continue };
                if path != self.whole_path(&digest, bytes) {
                    continue;
                }
                let metadata = fs::symlink_metadata(&path).during("look at", &path)?;
                if metadata.is_file() && metadata.len() == bytes {
                    found.push((digest, bytes));
                } else if metadata.is_file() {
                    tracing::warn!(blob = %digest.short(), file = %path.display(), "a blob was truncated on disk; removing it");
                    fs::remove_file(&path).during("remove the truncated blob", &path)?;
                }
            }
        }
        Ok(found)
    }

    /// The unfinished blobs that an earlier run left.
    pub(super) fn scan_partial(&self) -> Result<Vec<(Digest, u64)>, StoreError> {
        let files = entries(&self.partial())?;
        Ok(files.iter().filter(|path| path.is_file()).filter_map(|path| parse_name(path)).collect())
    }

    /// Removes outlines of blobs that are neither whole nor under way.
    pub(super) fn sweep_outlines(&self, known: &BTreeSet<(Digest, u64)>) -> Result<(), StoreError> {
        for path in entries(&self.outlines())? {
            if parse_name(&path).is_some_and(|name| !known.contains(&name)) {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Whether the file system takes `bytes` more, found out before any of them is asked for: there is room, and
    /// a file can be made.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), StoreError> {
        let disk = rustix::fs::statvfs(&self.root).map_err(io::Error::from).during("measure", &self.root)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < bytes {
            let source = io::Error::from(io::ErrorKind::StorageFull);
            return Err(StoreError::DiskFull { path: self.root.clone(), source });
        }
        self.new_file().map(|_| ())
    }

    /// A file in `incoming` that vanishes unless it is published.
    pub(super) fn new_file(&self) -> Result<NamedTempFile, StoreError> {
        let incoming = self.incoming();
        NamedTempFile::new_in(&incoming).during("create a file in", &incoming)
    }

    /// Makes a written file a complete blob: its bytes reach the disk before its name does.
    pub(super) fn publish(&self, file: NamedTempFile, digest: &Digest, bytes: u64) -> Result<(), StoreError> {
        file.as_file().sync_all().during("sync", file.path())?;
        let path = self.whole_path(digest, bytes);
        let room = self.make_room(&path)?;
        file.persist(&path).map_err(|refused| refused.error).during("rename to", &path)?;
        sync_folder(&room)
    }

    /// Makes a filled partial file a complete blob, in the same order.
    pub(super) fn promote(&self, file: &File, digest: &Digest, bytes: u64) -> Result<(), StoreError> {
        let from = self.partial_path(digest, bytes);
        file.sync_all().during("sync", &from)?;
        let path = self.whole_path(digest, bytes);
        let room = self.make_room(&path)?;
        fs::rename(&from, &path).during("rename to", &path)?;
        sync_folder(&room)
    }

    pub(super) fn load_outline(&self, digest: &Digest, bytes: u64) -> Option<Outline> {
        if let Some(outline) = Outline::single(*digest, bytes) {
            return Some(outline);
        }
        let path = self.outline_path(digest, bytes);
        let expected = Outline::values_needed(bytes) as u64 * 32;
        if bytes > BLOB_BYTES_MAX || fs::metadata(&path).ok()?.len() != expected {
            return None;
        }
        let values = fs::read(&path).ok()?.as_chunks::<32>().0.to_vec();
        Outline::checked(*digest, bytes, values).ok()
    }

    /// Keeps an outline for later runs. It is checked when read, so it is neither synced nor required.
    pub(super) fn save_outline(&self, outline: &Outline) -> Result<(), StoreError> {
        if outline.values().is_empty() {
            return Ok(());
        }
        let path = self.outline_path(&outline.blob(), outline.bytes());
        let file = self.new_file()?;
        fs::write(file.path(), outline.values().as_flattened()).during("write", &path)?;
        file.persist(&path).map_err(|refused| refused.error).during("rename to", &path)?;
        Ok(())
    }

    pub(super) fn remove_whole(&self, digest: &Digest, bytes: u64) -> Result<(), StoreError> {
        self.remove(&self.outline_path(digest, bytes))?;
        self.remove(&self.whole_path(digest, bytes))
    }

    pub(super) fn remove_partial(&self, digest: &Digest, bytes: u64) -> Result<(), StoreError> {
        self.remove(&self.outline_path(digest, bytes))?;
        self.remove(&self.partial_path(digest, bytes))
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match fs::remove_file(path) {
            Err(refused) if refused.kind() != io::ErrorKind::NotFound => Err(refused).during("remove", path),
            _ => Ok(()),
        }
    }

    fn outline_path(&self, digest: &Digest, bytes: u64) -> PathBuf {
        self.outlines().join(name_of(digest, bytes))
    }

    /// The fan-out folder of `path`, made and durable.
    fn make_room(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let room = path.parent().map_or_else(|| self.whole(), Path::to_owned);
        if !room.is_dir() {
            fs::create_dir_all(&room).during("create the folder", &room)?;
            sync_folder(&self.whole())?;
        }
        Ok(room)
    }
}

fn name_of(digest: &Digest, bytes: u64) -> String {
    format!("{digest}-{bytes}")
}

/// Reads a name that [`name_of`] wrote, and no other spelling of it.
fn parse_name(path: &Path) -> Option<(Digest, u64)> {
    let name = path.file_name()?.to_str()?;
    let (hex, bytes) = name.split_once('-')?;
    let (digest, bytes) = (hex.parse().ok()?, bytes.parse().ok()?);
    (bytes <= BLOB_BYTES_MAX && name_of(&digest, bytes) == name).then_some((digest, bytes))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(folder).during("list", folder)?;
    entries.map(|entry| entry.map(|entry| entry.path()).during("list", folder)).collect()
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|handle| handle.sync_all()).during("sync the folder", folder)
}
