//! The one place where people's verbs call the delta crate: paths in, problems out.

use std::cell::Cell;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use groundswell_delta::inspect::{self, Inspection};
use groundswell_delta::{
    ApplyError, DELTA_MAGIC, DiffError, Fault, Hash, Limits, OpenFile, Options, PATCH_MAGIC, Progress,
    ReadAt, Reason, ScanError, TREE_BYTES_MAX, Tree, scan,
};

use super::output::NewFile;
use crate::release::build::processors;
use crate::release::disk::open_regular;
use crate::release::files::Watched;
use crate::release::problem::Problem;
use crate::slots::NewFiles;
use crate::slots::files::Directory;
use crate::slots::scratch::ScratchSpace;

/// How hard to try for a small delta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// A good delta soon.
    Fast,
    /// The smallest.
    #[default]
    Best,
}

/// How to make a delta.
#[derive(Clone, Copy, Debug, Default)]
pub struct Making {
    /// How hard to try.
    pub effort: Effort,
    /// Threads at most; as many as the machine has for `None`.
    pub threads: Option<usize>,
    /// Memory that following it may take; the engine's own bound for `None`.
    pub apply_memory_bytes: Option<u64>,
}

impl Making {
    fn options(&self) -> Options {
        let defaults = Options::default();
        Options {
            effort: match self.effort {
                Effort::Fast => groundswell_delta::Effort::Fast,
                Effort::Best => groundswell_delta::Effort::Best,
            },
            threads: self.threads.unwrap_or_else(processors),
            container_memory_bytes: self.apply_memory_bytes.unwrap_or(defaults.container_memory_bytes),
        }
    }
}

/// What a delta leads between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Two files.
    Files,
    /// Two directories.
    Directories,
}

/// The sizes of a delta that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Of the old file or files.
    pub old_bytes: u64,
    /// Of the new file or files.
    pub new_bytes: u64,
    /// Of the delta.
    pub delta_bytes: u64,
}

/// Told what is being done, how many bytes of it are done, and of how many.
pub type Tell<'a> = &'a dyn Fn(&str, u64, Option<u64>);

/// What the delta in this file leads between.
///
/// # Errors
/// When it cannot be read or is no delta.
pub fn ends(delta: &Path) -> Result<Ends, Problem> {
    let mut magic = [0; 6];
    let mut file = open_regular(delta)?;
    match file.read_exact(&mut magic) {
        Ok(()) if magic.starts_with(&PATCH_MAGIC) => Ok(Ends::Files),
        Ok(()) if magic == DELTA_MAGIC => Ok(Ends::Directories),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(Problem::reading(delta, &error)),
        _ => Err(following(delta, delta, delta, &Reason::NotADelta.into())),
    }
}

/// Makes the delta between two files.
///
/// # Errors
/// When a file cannot be read, or the delta cannot be written.
pub fn diff_files(
    old: &Path,
    new: &Path,
    making: &Making,
    out: &mut NewFile,
    delta: &Path,
    tell: Tell<'_>,
) -> Result<Made, Problem> {
    let (old, new) = (open(old)?, open(new)?);
    let mut progress = |progress: Progress| tell("making the delta", progress.done, Some(progress.total));
    let delta_bytes = groundswell_delta::diff(&old, &new, &making.options(), &mut progress, out)
        .map_err(|error| Problem::writing(delta, &error))?;
    Ok(Made { old_bytes: old.size(), new_bytes: new.size(), delta_bytes })
}

/// Opens a file to read it in places.
fn open(path: &Path) -> Result<OpenFile, Problem> {
    OpenFile::new(open_regular(path)?).map_err(|error| Problem::reading(path, &error))
}

/// Makes the delta between two directories.
///
/// # Errors
/// When a file cannot be read, or the delta cannot be written.
pub fn diff_directories(
    old: &Path,
    new: &Path,
    making: &Making,
    out: &mut NewFile,
    delta: &Path,
    tell: Tell<'_>,
) -> Result<Made, Problem> {
    let (old_files, new_files) = (open_directory(old)?, open_directory(new)?);
    let old_tree = scan_directory(&old_files, "reading the old files", tell)?;
    let new_tree = scan_directory(&new_files, "reading the new files", tell)?;
    let total = new_tree.bytes();
    let mut progress = |done| tell("making the delta", done, Some(total));
    let options = making.options();
    let summary = groundswell_delta::diff_trees(
        &old_tree,
        &old_files,
        &new_tree,
        &new_files,
        &options,
        out,
        &mut progress,
    )
    .map_err(|error| match error {
        DiffError::Write(error) => Problem::writing(delta, &error),
        error => Problem::bad_input(
            format!("cannot make a delta from {} to {}", old.display(), new.display()),
            error.to_string(),
            "leave the files alone until the delta is made",
        ),
    })?;
    Ok(Made { old_bytes: old_tree.bytes(), new_bytes: total, delta_bytes: summary.bytes })
}

fn open_directory(path: &Path) -> Result<Directory, Problem> {
    Directory::open(path).map_err(|error| Problem::reading(path, &error))
}

fn scan_directory(directory: &Directory, label: &str, tell: Tell<'_>) -> Result<Tree, Problem> {
    let path = directory.path();
    let tell_read = |done| tell(label, done, None);
    scan(&Watched { files: directory, read: &Cell::new(0), tell: &tell_read }).map_err(|error| match error {
        ScanError::List(error) => Problem::reading(path, &error),
        ScanError::Read { file, error } => Problem::reading(&path.join(file.as_str()), &error),
        ScanError::Tree(error) => Problem::bad_input(
            format!("cannot make a delta of {}", path.display()),
            error.to_string(),
            "remove or replace what is named",
        ),
    })
}

/// Follows a delta between files. Returns the new file's size; what was written is right only then.
///
/// # Errors
/// Says whose fault it is.
pub fn apply_file(
    old: &Path,
    delta: &Path,
    new: &Path,
    out: &mut NewFile,
    tell: Tell<'_>,
) -> Result<u64, Problem> {
    let (old_file, delta_file) = (open(old)?, open(delta)?);
    let scratch = ScratchSpace::in_directory(directory_of(new));
    let out = Told { out: BufWriter::new(out), bytes: 0, tell };
    groundswell_delta::apply(&old_file, &delta_file, out, &scratch, &limits())
        .map(|applied| applied.bytes)
        .map_err(|error| following(old, delta, new, &error))
}

/// The directory that a file is in.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Builds a directory's new version in `place`, which is empty. Returns the size of its files. What is there is right
/// only then, and on the disk.
///
/// # Errors
/// Says whose fault it is; `new` is what errors name.
pub fn apply_directory(
    old: &Path,
    delta: &Path,
    new: &Path,
    place: &Path,
    tell: Tell<'_>,
) -> Result<u64, Problem> {
    let old_files = open_directory(old)?;
    let delta_file = open(delta)?;
    let expected = leads_to(old, delta, &delta_file)?;
    let scratch = ScratchSpace::in_directory(place);
    let old_tree = scan_directory(&old_files, "reading the old files", tell)?;
    let progress = |written| {
        tell("building", written, None);
        ControlFlow::Continue(())
    };
    let mut files = NewFiles::new(open_directory(place)?, &progress);
    let tree = groundswell_delta::apply_tree(
        &old_tree,
        &old_files,
        &delta_file,
        &expected,
        &mut files,
        &scratch,
        &limits(),
    )
    .map_err(|error| following(old, delta, new, &error))?;
    files.complete().map_err(|error| Problem::writing(new, &error))?;
    Ok(tree.bytes())
}

/// The digest of the tree that a delta leads to, as it says itself.
fn leads_to(old: &Path, delta: &Path, file: &OpenFile) -> Result<Hash, Problem> {
    /// Magic, format, and the old tree's digest stand before it.
    const OFFSET: u64 = 6 + 2 + 32;
    let mut digest = [0; 32];
    match file.read_exact_at(&mut digest, OFFSET) {
        Ok(()) => Ok(Hash::from_bytes(digest)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(following(old, delta, delta, &Reason::Truncated.into()))
        }
        Err(error) => Err(Problem::reading(delta, &error)),
    }
}

/// What is in a delta. One between directories can only be read with the old directory.
///
/// # Errors
/// When it cannot be read or is no delta.
pub fn inspect(delta: &Path, old: Option<&Path>) -> Result<Inspection, Problem> {
    let ends = ends(delta)?;
    let delta_file = open(delta)?;
    let found = match (ends, old) {
        (Ends::Files, None) => inspect::inspect(&delta_file, None),
        (Ends::Files, Some(old)) => inspect::inspect(&delta_file, Some(&open(old)?)),
        (Ends::Directories, Some(old)) => {
            let old_files = open_directory(old)?;
            let old_tree = scan_directory(&old_files, "reading the old files", &|_, _, _| {})?;
            inspect::inspect_tree(&delta_file, &old_tree, &old_files)
        }
        (Ends::Directories, None) => {
            return Err(Problem::bad_input(
                format!("cannot look into {}", delta.display()),
                "it leads between directories, and can be read only with the old one",
                "name the old directory with `--old`",
            ));
        }
    };
    found.map_err(|error| following(old.unwrap_or(delta), delta, delta, &error))
}

/// The permission bits of a file, for the one made from it.
///
/// # Errors
/// When it cannot be looked at.
pub fn mode_of(path: &Path) -> Result<u32, Problem> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|error| Problem::reading(path, &error))?;
    Ok(metadata.permissions().mode() & 0o777)
}

/// Whoever names a delta here wants it whole: the bounds are those of the formats.
fn limits() -> Limits {
    Limits { delta_bytes: TREE_BYTES_MAX, new_bytes: TREE_BYTES_MAX, ..Limits::default() }
}

/// Counts what passes through.
struct Told<'a, W: Write> {
    out: BufWriter<W>,
    bytes: u64,
    tell: Tell<'a>,
}

impl<W: Write> Write for Told<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buffer)?;
        self.bytes += written as u64;
        (self.tell)("writing", self.bytes, None);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// An error of the delta crate, with what to do about it.
fn following(old: &Path, delta: &Path, new: &Path, error: &ApplyError) -> Problem {
    let file = error.file.as_ref().map(|file| format!("{file}: ")).unwrap_or_default();
    let why = format!("{file}{}", error.reason);
    let what = format!("cannot use the delta {}", delta.display());
    match (&error.reason, error.fault()) {
        (Reason::Write(error), _) => Problem::writing(new, error),
        (Reason::OldUnreadable(error), _) => Problem::reading(old, error),
        (Reason::OtherOld { .. } | Reason::OtherOldFile { .. }, _) => Problem::bad_input(
            what,
            format!("{} is not what it was made from: {why}", old.display()),
            "name the old version that it was made from, or make a delta from this one",
        ),
        (_, Fault::Old) => Problem::bad_input(
            what,
            format!("{}: {why}", old.display()),
            "leave the old version alone until the new one is made",
        ),
        (Reason::NotADelta, _) => Problem::bad_input(what, why, "name a file that `swell delta diff` made"),
        (Reason::Version(_), _) => {
            Problem::bad_input(what, why, "use the version of swell that made it, or a later one")
        }
        (Reason::Truncated, _) => Problem::bad_input(what, why, "get a whole copy of it"),
        _ => Problem::bad_input(what, why, "get an undamaged copy of it"),
    }
}
