//! Writing a new tree into a fresh directory, durably.
//!
//! The one door is [`NewFiles`]. What is finished is synced in batches: one wait for the disk serves many files, and a
//! bounded amount is unwritten at a time, so that the short syncs of a switch or of the journal need not wait for a
//! whole version. Files get the modes 0644 and 0755 and nothing else. They stay writable for the agent's own user:
//! read-only bits do not stop root, and what a program did to its own slot is found by digest, wherever it matters.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::thread;

use groundswell_delta::{TreePath, WriteTree};
use rustix::fs::{Mode, OFlags, fchmod, mkdirat, openat, symlinkat};

use super::disk::{Step, step};
use super::files::Directory;

/// Most files that are open and wait to be synced.
const UNSYNCED_FILES_MAX: usize = 128;
/// Bytes of finished files after which they are synced.
const UNSYNCED_BYTES_MAX: u64 = 32 << 20;
/// Threads that sync a batch together. Measured in November 2026 on a busy ext4: 200 files of 50 KB take 1.4 s with one
/// thread, 0.4 s with eight, and no less with more.
const SYNCING_THREADS: usize = 8;
/// Bytes that are collected before a file is written to.
const BUFFER_BYTES: usize = 128 << 10;

const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const EXECUTABLE_MODE: Mode = Mode::from_raw_mode(0o755);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// Told the bytes written so far; may break off the work.
pub type Progress<'a> = dyn Fn(u64) -> ControlFlow<()> + 'a;

/// Whoever watched the progress broke the work off.
#[derive(Debug, thiserror::Error)]
#[error("it was broken off")]
pub(super) struct BrokenOff;

/// A directory that is being filled.
pub struct NewFiles<'a> {
    root: Directory,
    /// The directory that was written to last; files come sorted, so it mostly is the next one's too.
    last_parent: Option<(Option<String>, OwnedFd)>,
    directories: Vec<TreePath>,
    unsynced: Vec<(TreePath, File)>,
    unsynced_bytes: u64,
    meter: Rc<Meter<'a>>,
}

struct Meter<'a> {
    written: Cell<u64>,
    progress: &'a Progress<'a>,
}

impl<'a> NewFiles<'a> {
    /// Fills an empty directory.
    pub fn new(root: Directory, progress: &'a Progress<'a>) -> Self {
        Self {
            root,
            last_parent: None,
            directories: Vec::new(),
            unsynced: Vec::new(),
            unsynced_bytes: 0,
            meter: Rc::new(Meter { written: Cell::new(0), progress }),
        }
    }

    /// Waits until everything is on the disk: what files are left, then the directories, the innermost first.
    pub fn complete(mut self) -> io::Result<()> {
        self.sync_files()?;
        for path in self.directories.iter().rev() {
            self.sync_directory(Some(path))?;
        }
        self.sync_directory(None)
    }

    fn sync_directory(&self, path: Option<&TreePath>) -> io::Result<()> {
        let shown = path.map_or_else(|| self.root.path().to_owned(), |path| self.root.path().join(path));
        step(Step::SyncDirectory, &shown)?;
        Ok(rustix::fs::fsync(self.root.directory(path.map(TreePath::as_str))?)?)
    }

    fn sync_files(&mut self) -> io::Result<()> {
        for (path, _) in &self.unsynced {
            step(Step::Sync, &self.root.path().join(path))?;
        }
        sync_together(&self.unsynced)?;
        self.unsynced.clear();
        self.unsynced_bytes = 0;
        Ok(())
    }

    fn parent_of(&mut self, path: &TreePath) -> io::Result<&OwnedFd> {
        let wanted = path.parent().map(str::to_owned);
        let last = match self.last_parent.take() {
            Some(last) if last.0 == wanted => last,
            _ => {
                let opened = self.root.directory(wanted.as_deref())?;
                (wanted, opened)
            }
        };
        Ok(&self.last_parent.insert(last).1)
    }
}

impl<'a> WriteTree for NewFiles<'a> {
    type File = NewFile<'a>;

    fn directory(&mut self, path: &TreePath) -> io::Result<()> {
        step(Step::MakeDirectory, &self.root.path().join(path))?;
        mkdirat(self.parent_of(path)?, path.name(), DIRECTORY_MODE)?;
        // The mode above is subject to the umask.
        fchmod(self.root.directory(Some(path.as_str()))?, DIRECTORY_MODE)?;
        self.directories.push(path.clone());
        Ok(())
    }

    fn symlink(&mut self, path: &TreePath, target: &str) -> io::Result<()> {
        step(Step::Link, &self.root.path().join(path))?;
        Ok(symlinkat(target, self.parent_of(path)?, path.name())?)
    }

    fn create(&mut self, path: &TreePath, executable: bool) -> io::Result<NewFile<'a>> {
        step(Step::Create, &self.root.path().join(path))?;
        let mode = if executable { EXECUTABLE_MODE } else { FILE_MODE };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.parent_of(path)?, path.name(), flags, mode)?;
        fchmod(&file, mode)?;
        let metered = Metered { file: file.into(), bytes: 0, meter: Rc::clone(&self.meter) };
        Ok(NewFile { path: path.clone(), out: BufWriter::with_capacity(BUFFER_BYTES, metered) })
    }

    fn finish(&mut self, file: NewFile<'a>) -> io::Result<()> {
        let Metered { file: written, bytes, .. } =
            file.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.unsynced.push((file.path, written));
        self.unsynced_bytes += bytes;
        if self.unsynced.len() >= UNSYNCED_FILES_MAX || self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            self.sync_files()?;
        }
        Ok(())
    }
}

/// Syncs files from several threads, so that the file system can serve many with one commit of its journal.
fn sync_together(files: &[(TreePath, File)]) -> io::Result<()> {
    let part = files.len().div_ceil(SYNCING_THREADS).max(1);
    thread::scope(|scope| {
        let sync_part = |part: &[(TreePath, File)]| part.iter().try_for_each(|(_, file)| file.sync_all());
        let threads: io::Result<Vec<_>> = files
            .chunks(part)
            .map(|part| thread::Builder::new().spawn_scoped(scope, move || sync_part(part)))
            .collect();
        threads?.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("BUG: a sync panicked")))
        })
    })
}

/// A file being written.
pub struct NewFile<'a> {
    path: TreePath,
    out: BufWriter<Metered<'a>>,
}

impl Write for NewFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct Metered<'a> {
    file: File,
    bytes: u64,
    meter: Rc<Meter<'a>>,
}

impl Write for Metered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        step(Step::Write, std::path::Path::new(""))?;
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        let total = self.meter.written.get() + written as u64;
        self.meter.written.set(total);
        match (self.meter.progress)(total) {
            ControlFlow::Continue(()) => Ok(written),
            ControlFlow::Break(()) => Err(io::Error::other(BrokenOff)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
