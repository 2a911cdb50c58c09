//! The trees that the demo releases: its own service in four versions, or two of the user's.
//!
//! The demo's own trees are drawn from a fixed seed, so that every run moves the same bytes. From version to
//! version they change as programs do: some code is inserted and all addresses behind it move, a table is
//! replaced, a file comes and a file goes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::release::problem::Problem;

/// What drew the demo's own trees first.
const SEED: u64 = 0x6772_6f75_6e64_7377;
/// Bytes of one record of the drawn program.
const RECORD_BYTES: usize = 16;
/// Records of the drawn program and of each of its libraries.
const PROGRAM_RECORDS: usize = 96 * 1024;
const LIBRARY_RECORDS: usize = 32 * 1024;
/// Bytes of the drawn data that compresses no further, and of what a version replaces of it.
const MODEL_BYTES: usize = 1024 * 1024;
const MODEL_REPLACED_BYTES: usize = 192 * 1024;
/// Words of the drawn text.
const WORDS: usize = 64 * 1024;

/// The four trees of the demo.
#[derive(Clone, Debug)]
pub(super) struct Trees {
    /// Version 1.0.
    pub(super) first: PathBuf,
    /// Version 2.0, which is good.
    pub(super) good: PathBuf,
    /// Version 3.0, which is bad.
    pub(super) bad: PathBuf,
    /// Version 4.0, which is good again.
    pub(super) fixed: PathBuf,
}

/// Draws the demo's own trees below `root`. The bad one answers for `fail_after_ms` and fails then.
///
/// # Errors
/// When the disk refuses.
pub(super) fn draw(root: &Path, fail_after_ms: u64) -> Result<Trees, Problem> {
    let trees = places(root);
    // The fixed version is the bad one with its fault taken out.
    let versions = [
        (&trees.first, "1.0", 0, None),
        (&trees.good, "2.0", 1, None),
        (&trees.bad, "3.0", 2, Some(fail_after_ms)),
        (&trees.fixed, "4.0", 2, None),
    ];
    for (place, version, number, fails) in versions {
        draw_version(place, number, version, fails).map_err(|error| Problem::writing(place, &error))?;
    }
    Ok(trees)
}

/// The user's own trees: `old`, `new`, and below `root` what is made of `new`: a bad one unless there is one,
/// and a fixed one.
///
/// # Errors
/// When one cannot be read, or the disk refuses.
pub(super) fn adopt(root: &Path, old: &Path, new: &Path, bad: Option<&Path>) -> Result<Trees, Problem> {
    let places = places(root);
    copy_tree(new, &places.fixed)?;
    let note = places.fixed.join("groundswell-demo.txt");
    fs::write(&note, "The demo's third release: the second one and this file.\n")
        .map_err(|error| Problem::writing(&note, &error))?;
    let bad = match bad {
        Some(bad) => bad.to_owned(),
        None => {
            copy_tree(new, &places.bad)?;
            truncate_largest(&places.bad)?;
            places.bad
        }
    };
    Ok(Trees { first: old.to_owned(), good: new.to_owned(), bad, fixed: places.fixed })
}

/// Checks that there are such trees.
///
/// # Errors
/// When one is no directory.
pub(super) fn check<'a>(trees: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Problem> {
    match trees.into_iter().find(|tree| !tree.is_dir()) {
        None => Ok(()),
        Some(tree) => Err(Problem::not_found(
            format!("cannot use {}", tree.display()),
            "it is no directory",
            "name the directory with that version's files",
        )),
    }
}

fn places(root: &Path) -> Trees {
    let place = |version: &str| root.join(version);
    Trees { first: place("1.0"), good: place("2.0"), bad: place("3.0"), fixed: place("4.0") }
}

fn draw_version(
    place: &Path,
    number: usize,
    version: &str,
    fail_after_ms: Option<u64>,
) -> std::io::Result<()> {
    for directory in ["bin", "lib", "share"] {
        fs::create_dir_all(place.join(directory))?;
    }
    let mut settings = format!("version = \"{version}\"\n");
    if let Some(age) = fail_after_ms {
        settings.push_str(&format!("fail_after_ms = {age}\n"));
    }
    fs::write(place.join("service.toml"), settings)?;
    fs::write(place.join("bin/server"), program(1, PROGRAM_RECORDS, number))?;
    fs::write(place.join("lib/libwire.so"), program(2, LIBRARY_RECORDS, number))?;
    fs::write(place.join("lib/libtls.so"), program(3, LIBRARY_RECORDS, number / 2))?;
    fs::write(place.join("share/model.bin"), model(number))?;
    fs::write(place.join("share/words.txt"), words(number))?;
    fs::write(place.join(format!("share/notes-{version}.txt")), format!("What is new in {version}\n"))
}

/// A drawn program after `edits` edits: records of a code, two registers, and an address that points to
/// another record, so that an insertion moves all addresses behind it.
fn program(which: u64, records: usize, edits: usize) -> Vec<u8> {
    let mut generator = Generator(SEED ^ which);
    let mut code: Vec<(u64, usize)> =
        (0..records).map(|_| (generator.next(), generator.below(records))).collect();
    for edit in 0..edits {
        let mut generator = Generator(SEED ^ (which << 32) ^ edit as u64);
        for _ in 0..6 {
            let at = generator.below(code.len());
            let inserted: Vec<(u64, usize)> =
                (0..generator.below(40) + 8).map(|_| (generator.next(), generator.below(records))).collect();
            let moved = inserted.len();
            for (_, target) in &mut code {
                *target += if *target >= at { moved } else { 0 };
            }
            code.splice(at..at, inserted);
        }
    }
    let mut bytes = Vec::with_capacity(code.len() * RECORD_BYTES);
    for (word, target) in code {
        // Few codes and registers, as in real code.
        let [code, one, other, flags, ..] = word.to_le_bytes();
        bytes.extend_from_slice(&[code & 31, 0x48, one & 7, other & 7]);
        bytes.extend_from_slice(&((target * RECORD_BYTES) as u64).to_le_bytes());
        bytes.extend_from_slice(&[0, 0, flags & 3, 0xc3]);
    }
    bytes
}

/// Drawn data, of which each version replaces one part.
fn model(number: usize) -> Vec<u8> {
    let mut bytes = Generator(SEED ^ 4).bytes(MODEL_BYTES);
    for edit in 1..=number {
        let at = edit * MODEL_REPLACED_BYTES % (MODEL_BYTES - MODEL_REPLACED_BYTES);
        let part = Generator(SEED ^ 5 ^ ((edit as u64) << 40)).bytes(MODEL_REPLACED_BYTES);
        bytes[at..at + MODEL_REPLACED_BYTES].copy_from_slice(&part);
    }
    bytes
}

/// Drawn text, in which each version changes some words.
fn words(number: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "an", "ber", "co", "dun", "el", "fa", "gro", "hin", "is", "ka", "lo", "mer", "no", "swell", "ta",
        "und",
    ];
    let word = |generator: &mut Generator| -> String {
        (0..generator.below(3) + 1).map(|_| SYLLABLES[generator.below(SYLLABLES.len())]).collect()
    };
    let mut generator = Generator(SEED ^ 6);
    let mut words: Vec<String> = (0..WORDS).map(|_| word(&mut generator)).collect();
    for edit in 0..number {
        let mut generator = Generator(SEED ^ 7 ^ ((edit as u64) << 40));
        for _ in 0..50 {
            let at = generator.below(words.len());
            words[at] = word(&mut generator);
        }
    }
    words.chunks(12).map(|line| line.join(" ") + "\n").collect()
}

/// SplitMix64: one number of state, the same everywhere.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// Copies directories, files with their modes, and links as links.
fn copy_tree(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::create_dir_all(to).map_err(|error| Problem::writing(to, &error))?;
    for entry in fs::read_dir(from).map_err(|error| Problem::reading(from, &error))? {
        let entry = entry.map_err(|error| Problem::reading(from, &error))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(|error| Problem::reading(&source, &error))?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).map_err(|error| Problem::reading(&source, &error))?;
            std::os::unix::fs::symlink(link, &target).map_err(|error| Problem::writing(&target, &error))?;
        } else {
            fs::copy(&source, &target).map_err(|error| Problem::writing(&target, &error))?;
        }
    }
    Ok(())
}

/// Cuts the largest file of a tree in half.
fn truncate_largest(tree: &Path) -> Result<(), Problem> {
    let mut largest: Option<(u64, PathBuf)> = None;
    let mut pending = vec![tree.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).map_err(|error| Problem::reading(&directory, &error))? {
            let entry = entry.map_err(|error| Problem::reading(&directory, &error))?;
            let meta = entry.metadata().map_err(|error| Problem::reading(&entry.path(), &error))?;
            if meta.is_dir() {
                pending.push(entry.path());
            } else if meta.is_file() && largest.as_ref().is_none_or(|(bytes, _)| *bytes < meta.len()) {
                largest = Some((meta.len(), entry.path()));
            }
        }
    }
    let Some((bytes, path)) = largest.filter(|(bytes, _)| *bytes > 1) else {
        return Err(Problem::bad_input(
            "cannot make a bad version of the new one",
            "it has no file that could be cut",
            "name a bad version with --bad",
        ));
    };
    let cut = || -> std::io::Result<()> {
        let mut permissions = fs::metadata(&path)?.permissions();
        let mode = std::os::unix::fs::PermissionsExt::mode(&permissions);
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, mode | 0o200);
        fs::set_permissions(&path, permissions)?;
        fs::OpenOptions::new().write(true).open(&path)?.set_len(bytes / 2)
    };
    cut().map_err(|error| Problem::writing(&path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(tree: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut pending = vec![tree.to_owned()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).expect("list").map(|entry| entry.expect("entry").path()) {
                if entry.is_dir() {
                    pending.push(entry);
                } else {
                    let name = entry.strip_prefix(tree).expect("inside").to_owned();
                    files.push((name, fs::read(entry).expect("read")));
                }
            }
        }
        files.sort();
        files
    }

    #[test]
    fn every_run_draws_the_same_trees_and_every_version_differs() {
        let (one, two) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let (first, second) = (draw(one.path(), 700).expect("drawn"), draw(two.path(), 700).expect("drawn"));
        assert_eq!(content(&first.fixed), content(&second.fixed));
        let bytes: usize = content(&first.first).iter().map(|(_, bytes)| bytes.len()).sum();
        assert!((3 << 20..6 << 20).contains(&bytes), "{bytes}");
        assert_ne!(content(&first.first), content(&first.good));
        assert_ne!(content(&first.good), content(&first.fixed));
    }

    #[test]
    fn of_own_trees_the_largest_file_is_cut_and_nothing_of_theirs_changes() {
        let place = tempfile::tempdir().expect("dir");
        let (old, new) = (place.path().join("old"), place.path().join("new"));
        fs::create_dir_all(old.join("bin")).expect("dir");
        fs::create_dir_all(new.join("bin")).expect("dir");
        fs::write(old.join("bin/tool"), "old").expect("file");
        fs::write(new.join("bin/tool"), "newer").expect("file");
        fs::write(new.join("a"), "a").expect("file");
        std::os::unix::fs::symlink("bin/tool", new.join("link")).expect("link");
        let trees = adopt(&place.path().join("made"), &old, &new, None).expect("adopted");
        assert_eq!(fs::read(trees.bad.join("bin/tool")).expect("read"), b"ne");
        assert_eq!(fs::read(trees.good.join("bin/tool")).expect("read"), b"newer");
        assert!(trees.fixed.join("link").is_symlink());
        assert!(check([&old, &place.path().join("none")]).is_err());
    }
}
