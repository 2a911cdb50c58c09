//! The journal: the core's records, kept over crashes.
//!
//! One file, one door: [`Journal`]. A record is opaque here: a key and bytes. [`Journal::commit`] makes a batch durable as
//! a whole or not at all; [`Writer`] groups the batches that queue up while the disk is busy. The file is a redb
//! database with two tables, `about` (`format` → 1) and `records` (key → 16 bytes of BLAKE3 over key and value, then the
//! value). Opening verifies all pages; the digest finds a record that rots later.
//!
//! Commits have two phases: values come from peers, and with one phase a peer that knows when this machine loses power
//! could make a torn commit look whole. A journal whose last commit is damaged is then refused, where one phase would
//! silently go back to the commit before, and forget a signature (invariant S10).
//!
//! Deliberately absent: what a record means, and any repair of a damaged journal: a node that guesses what it
//! has signed is worse than one that stands still.

mod error;
mod writer;

use std::fs::{self, File};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, TableError,
};

pub use error::JournalError;
pub use writer::{Outcome, Outcomes, QUEUE_BYTES_MAX, QUEUE_RECORDS_MAX, Writer};

/// Most bytes of a record's key.
pub const KEY_BYTES_MAX: usize = 128;
/// Most bytes of a record's value: a full census and what surrounds it.
pub const VALUE_BYTES_MAX: usize = 5 << 20;

/// The format that this program writes and reads.
const FORMAT: u64 = 1;
/// Pages that redb may keep in memory. Records are read once, at the start; writing needs few.
const CACHE_BYTES: usize = 2 << 20;
/// Bytes that are read at once when a journal is copied for its check.
const COPIED_AT_ONCE_BYTES: usize = 1 << 20;
/// How a redb file begins.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// Bytes of the digest before each value.
const SEAL_BYTES: usize = 16;

const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const FORMAT_KEY: &str = "format";
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");

/// One record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// At most [`KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
    /// At most [`VALUE_BYTES_MAX`] bytes; `None` deletes the record.
    pub value: Option<Vec<u8>>,
}

/// A key and its value.
pub type StoredRecord = (Vec<u8>, Vec<u8>);

/// The core's records on disk. Only one process has a journal open.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// `None` after a failed commit: redb refuses all work after an error of the disk, so the next use opens the
    /// file anew.
    database: Mutex<Option<Database>>,
}

impl Journal {
    /// Opens the journal, or makes an empty one where there is none. Its directory must exist.
    ///
    /// # Errors
    /// Another agent has it open; it is damaged, foreign or of a newer format (it is left as it is); the disk failed.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.try_exists().map_err(|error| JournalError::disk("open", path, error))? {
            create(path)?;
        }
        let database = open_checked(path)?;
        Ok(Self { path: path.to_owned(), database: Mutex::new(Some(database)) })
    }

    /// All records, in the order of their keys.
    ///
    /// # Errors
    /// When a record is damaged or the disk failed.
    pub fn read_all(&self) -> Result<Vec<StoredRecord>, JournalError> {
        self.with_database(|database, path| {
            let failed = |error: redb::Error| JournalError::redb("read", path, error);
            let reading = database.begin_read().map_err(|error| failed(error.into()))?;
            let table = reading.open_table(RECORDS).map_err(|error| failed(error.into()))?;
            let mut records = Vec::new();
            for record in table.iter().map_err(|error| failed(error.into()))? {
                let (key, sealed) = record.map_err(|error| failed(error.into()))?;
                let value = unseal(key.value(), sealed.value())
                    .ok_or_else(|| JournalError::damaged(path, "a record is not what was written"))?;
                records.push((key.value().to_vec(), value.to_vec()));
            }
            Ok(records)
        })
    }

    /// Writes a batch in one transaction, in its order. On return it is durable.
    ///
    /// # Errors
    /// When a record is beyond its bounds (nothing is written), or the disk failed. After an error of the disk the batch is
    /// on disk as a whole or not at all, and the next call tries anew.
    pub fn commit(&self, batch: &[Write]) -> Result<(), JournalError> {
        for write in batch {
            check_bounds(write)?;
        }
        self.with_database(|database, path| {
            commit_to(database, batch).map_err(|error| JournalError::redb("write", path, error))
        })
    }

    /// Runs `work` on the open database, opening it anew if an earlier failure closed it.
    fn with_database<T>(
        &self,
        work: impl FnOnce(&Database, &Path) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut held = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match held.take() {
            Some(database) => database,
            None => open_checked(&self.path)?,
        };
        let done = unless_damaged(&self.path, || work(&database, &self.path));
        if done.is_ok() {
            *held = Some(database);
        }
        done
    }
}

fn check_bounds(write: &Write) -> Result<(), JournalError> {
    let value_bytes = write.value.as_ref().map_or(0, Vec::len);
    if write.key.len() > KEY_BYTES_MAX || value_bytes > VALUE_BYTES_MAX {
        return Err(JournalError::TooLarge { key_bytes: write.key.len(), value_bytes });
    }
    Ok(())
}

fn commit_to(database: &Database, batch: &[Write]) -> Result<(), redb::Error> {
    let mut writing = database.begin_write()?;
    writing.set_durability(Durability::Immediate)?;
    writing.set_two_phase_commit(true);
    {
        let mut table = writing.open_table(RECORDS)?;
        for Write { key, value } in batch {
            match value {
                Some(value) => table.insert(key.as_slice(), seal(key, value).as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
    }
    writing.commit()?;
    Ok(())
}

/// Makes an empty journal under a temporary name and gives it its name when it is complete, so that a journal that
/// exists always has its tables.
fn create(path: &Path) -> Result<(), JournalError> {
    let failed = |error| JournalError::disk("create", path, error);
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let filled = fill_new(&temporary);
    filled.map_err(|error| JournalError::redb("create", path, error))?;
    fs::hard_link(&temporary, path)
        .or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
        .and_then(|()| fs::remove_file(&temporary))
        .and_then(|()| sync_parent(path))
        .map_err(failed)
}

fn fill_new(path: &Path) -> Result<(), redb::Error> {
    let database = builder().create(path)?;
    let mut writing = database.begin_write()?;
    writing.set_two_phase_commit(true);
    writing.open_table(ABOUT)?.insert(FORMAT_KEY, FORMAT)?;
    writing.open_table(RECORDS)?;
    writing.commit()?;
    Ok(())
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Opens an existing journal of this format. All that may go wrong is tried on a copy in memory first: redb marks and
/// repairs a file when it opens it, and what this program does not understand must stay as it is.
fn open_checked(path: &Path) -> Result<Database, JournalError> {
    check_magic(path)?;
    let failed = |error: DatabaseError| JournalError::redb("open", path, error.into());
    unless_damaged(path, || {
        if let Err(error @ DatabaseError::DatabaseAlreadyOpen) = builder().open_read_only(path) {
            return Err(failed(error));
        }
        let copy = copy_of(path).map_err(|error| JournalError::disk("read", path, error))?;
        // A copy in memory has no disk that could fail: what goes wrong is in the bytes.
        let damaged = |error: DatabaseError| JournalError::damaged(path, error.to_string());
        let mut copy = builder().create_with_backend(copy).map_err(damaged)?;
        copy.check_integrity().map_err(damaged)?;
        check_format(&copy, path)?;
        builder().open(path).map_err(failed)
    })
}

/// The file in memory: some megabytes, for the time of a check.
fn copy_of(path: &Path) -> io::Result<InMemoryBackend> {
    let copy = InMemoryBackend::new();
    let mut file = File::open(path)?;
    copy.set_len(file.metadata()?.len())?;
    let mut part = vec![0; COPIED_AT_ONCE_BYTES];
    let mut offset = 0;
    loop {
        let read = file.read(&mut part)?;
        let Some(part @ [_, ..]) = part.get(..read) else {
            return Ok(copy);
        };
        copy.write(offset, part)?;
        offset += part.len() as u64;
    }
}

/// Runs `work` on the file's pages. On pages that contradict each other redb panics here and there.
fn unless_damaged<T>(path: &Path, work: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(JournalError::damaged(path, "its pages contradict each other")))
}

fn check_format(database: &impl ReadableDatabase, path: &Path) -> Result<(), JournalError> {
    match format_of(database) {
        Ok(Some(FORMAT)) => Ok(()),
        Ok(Some(found)) => Err(JournalError::Newer { path: path.to_owned(), found, known: FORMAT }),
        Ok(None) => Err(JournalError::damaged(path, "it is a database of something else")),
        Err(error) => Err(JournalError::redb("open", path, error)),
    }
}

fn check_magic(path: &Path) -> Result<(), JournalError> {
    let mut begin = [0; MAGIC.len()];
    match File::open(path).and_then(|mut file| file.read_exact(&mut begin)) {
        Ok(()) if begin == MAGIC => Ok(()),
        Ok(()) => Err(JournalError::damaged(path, "it does not begin like a journal")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(JournalError::damaged(path, "it is cut short"))
        }
        Err(error) => Err(JournalError::disk("open", path, error)),
    }
}

fn format_of(database: &impl ReadableDatabase) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(ABOUT) {
        Ok(about) => Ok(about.get(FORMAT_KEY)?.map(|format| format.value())),
        Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn seal_of(key: &[u8], value: &[u8]) -> [u8; SEAL_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    let mut seal = [0; SEAL_BYTES];
    hasher.finalize_xof().fill(&mut seal);
    seal
}

fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    [&seal_of(key, value)[..], value].concat()
}

fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (seal, value) = sealed.split_first_chunk()?;
    (*seal == seal_of(key, value)).then_some(value)
}

#[cfg(test)]
mod tests;
