//! A file that appears whole or not at all.
//!
//! It has no name while it is written, so that a process that is killed leaves nothing behind; where the file system
//! knows no nameless files it has a hidden one. It gets its name after its bytes are on the disk.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, linkat};
use tempfile::TempPath;

use crate::release::disk::{parent, sync_directory};
use crate::release::problem::Problem;

const BUFFER_BYTES: usize = 128 << 10;
/// How a hidden name begins.
const PREFIX: &str = ".groundswell-";
/// Where the kernel lists this process's open files; through it a nameless file gets its name.
const OPEN_FILES: &str = "/proc/self/fd";

/// A file being written.
#[derive(Debug)]
pub struct NewFile {
    target: PathBuf,
    replaces: bool,
    out: BufWriter<File>,
    /// Its name so far, if it needs one.
    hidden: Option<TempPath>,
}

impl NewFile {
    /// Begins a file that will appear as `target`, with these permission bits. What is there already is replaced only
    /// if the caller says so, and then at once.
    ///
    /// # Errors
    /// When something is there that may not be replaced, or the disk refuses.
    pub fn begin(target: &Path, replaces: bool, mode: u32) -> Result<Self, Problem> {
        check_vacant(target, replaces)?;
        let made = nameless(parent(target), mode).map(|file| (file, None));
        let (file, hidden) = made
            .or_else(|_| named(parent(target), mode).map(|(file, name)| (file, Some(name))))
            .map_err(|error| Problem::writing(target, &error))?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { target: target.to_owned(), replaces, out, hidden })
    }

    /// Waits until the bytes are on the disk, gives the file its name, and waits for that.
    ///
    /// # Errors
    /// When the disk refuses, or the name was taken meanwhile; nothing is left then.
    pub fn finish(self) -> Result<(), Problem> {
        let Self { target, replaces, out, hidden } = self;
        let finish = || {
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            match hidden {
                Some(name) if replaces => name.persist(&target).map_err(|error| error.error)?,
                Some(name) => name.persist_noclobber(&target).map_err(|error| error.error)?,
                None => give_name(&file, &target, replaces)?,
            }
            sync_directory(parent(&target))
        };
        finish().map_err(|error| Problem::writing(&target, &error))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Refuses a target that is there already, before any work is done for it.
///
/// # Errors
/// When it is there and may not be replaced, or is no regular file.
pub fn check_vacant(target: &Path, replaces: bool) -> Result<(), Problem> {
    let found = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| Problem::writing(target, &error))?,
    };
    let what = format!("cannot write {}", target.display());
    if !found.is_file() {
        let why = if found.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(Problem::usage(what, why, "name a file with -o"));
    }
    if !replaces {
        let why = "something of that name exists";
        return Err(Problem::usage(what, why, "name another file with -o, or replace it with --force"));
    }
    Ok(())
}

fn nameless(directory: &Path, mode: u32) -> io::Result<File> {
    if !Path::new(OPEN_FILES).is_dir() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let flags = OFlags::TMPFILE.bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).mode(mode).open(directory)?;
    // The mode above is subject to the umask.
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

fn named(directory: &Path, mode: u32) -> io::Result<(File, TempPath)> {
    let permissions = Permissions::from_mode(mode);
    let file = tempfile::Builder::new().prefix(PREFIX).permissions(permissions).tempfile_in(directory)?;
    Ok(file.into_parts())
}

fn give_name(file: &File, target: &Path, replaces: bool) -> io::Result<()> {
    let open = format!("{OPEN_FILES}/{}", file.as_raw_fd());
    let link = |name: &Path| linkat(CWD, open.as_str(), CWD, name, AtFlags::SYMLINK_FOLLOW);
    if !replaces {
        return Ok(link(target)?);
    }
    // A link never replaces; a rename does.
    let name = tempfile::Builder::new().prefix(PREFIX).make_in(parent(target), |name| Ok(link(name)?))?;
    name.into_temp_path().persist(target).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::problem::ProblemKind;

    fn names(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).expect("list").map(|entry| entry.expect("entry").file_name());
        names.map(|name| name.into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn nothing_is_there_before_all_is() {
        let dir = tempfile::tempdir().expect("temp dir");
        let target = dir.path().join("file");
        let mut file = NewFile::begin(&target, false, 0o755).expect("begin");
        file.write_all(&[7; 300_000]).expect("write");
        assert!(!target.exists());
        drop(file);
        assert!(names(dir.path()).is_empty());

        let mut file = NewFile::begin(&target, false, 0o755).expect("begin");
        file.write_all(b"one").expect("write");
        file.finish().expect("finish");
        assert_eq!(fs::read(&target).expect("read"), b"one");
        assert_eq!(fs::metadata(&target).expect("metadata").permissions().mode() & 0o777, 0o755);
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn what_is_there_is_replaced_only_by_force() {
        let dir = tempfile::tempdir().expect("temp dir");
        let target = dir.path().join("file");
        let late = NewFile::begin(&target, false, 0o644).expect("begin");
        fs::write(&target, b"one").expect("write");
        late.finish().expect_err("the name was taken meanwhile");
        let said = NewFile::begin(&target, false, 0o644).expect_err("taken");
        assert_eq!(said.kind, ProblemKind::Usage);
        assert_eq!(fs::read(&target).expect("read"), b"one");

        let mut file = NewFile::begin(&target, true, 0o644).expect("begin");
        file.write_all(b"two").expect("write");
        file.finish().expect("finish");
        assert_eq!(fs::read(&target).expect("read"), b"two");
        assert_eq!(names(dir.path()), ["file"]);
        for odd in [dir.path(), Path::new("/dev/null")] {
            assert_eq!(check_vacant(odd, true).expect_err("no file").kind, ProblemKind::Usage);
        }
    }

    #[test]
    fn a_hidden_name_serves_where_none_can_be_missing() {
        let dir = tempfile::tempdir().expect("temp dir");
        let target = dir.path().join("file");
        let (file, name) = named(dir.path(), 0o644).expect("named");
        let made = NewFile {
            target: target.clone(),
            replaces: false,
            out: BufWriter::new(file),
            hidden: Some(name),
        };
        made.finish().expect("finish");
        assert_eq!(names(dir.path()), ["file"]);
    }
}
