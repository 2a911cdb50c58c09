//! Where a process's output goes: a file of its own, bounded, whose last lines stand in error reports.
//!
//! The process writes to the file itself. A pipe to the agent would break with the agent, and with it the
//! service's next line of log. So the bound is kept from outside: when a file has grown too large its
//! newer half is kept beside it and the file is emptied; lines written in that instant may be lost. While
//! no agent runs nothing is bounded; the next agent starts with a file of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A file larger than this is cut.
const FILE_MAX: u64 = 512 * 1024;
/// How much of it is kept beside the emptied file.
const KEPT: u64 = FILE_MAX / 2;
/// Output files of one component that are kept; each start makes one.
const FILES_MAX: usize = 8;
/// How often the size is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// How much of the file's end is searched for last lines.
const TAIL_BYTES: u64 = 4 * 1024;
/// How many last lines are reported, and how many characters of each.
const TAIL_LINES: usize = 10;
const TAIL_LINE_CHARACTERS: usize = 200;

/// The directory of one component's output files.
#[derive(Debug)]
pub(super) struct OutputDirectory {
    path: PathBuf,
}

impl OutputDirectory {
    /// The output files inside a component's state directory, which is made when it does not exist.
    pub(super) fn open(state_directory: &Path) -> io::Result<Self> {
        let path = state_directory.join("output");
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// A new file for the next process. The oldest files beyond the bound are removed, but never the one
    /// `in_use`. Must be called inside a tokio runtime.
    pub(super) fn next(&self, in_use: Option<&Path>) -> io::Result<Output> {
        let mut numbers = self.numbers()?;
        let number = numbers.last().map_or(1, |last| last + 1);
        numbers.retain(|number| in_use != Some(self.file(*number).as_path()));
        let surplus = (numbers.len() + 1).saturating_sub(FILES_MAX);
        for old in numbers.into_iter().take(surplus) {
            fs::remove_file(self.file(old))?;
            let _ = fs::remove_file(kept_path(&self.file(old)));
        }
        Output::create(self.file(number))
    }

    fn file(&self, number: u32) -> PathBuf {
        self.path.join(format!("{number:06}.log"))
    }

    fn numbers(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number: Option<u32> = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
            numbers.extend(number.filter(|number| *number < u32::MAX));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// One process's output file, kept within its bound for as long as this value lives.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: Arc<File>,
    keeper: JoinHandle<()>,
}

impl Output {
    fn create(path: PathBuf) -> io::Result<Self> {
        let file = Arc::new(OpenOptions::new().create_new(true).read(true).append(true).open(&path)?);
        let keeper = tokio::spawn(keep_bounded(path.clone(), Arc::clone(&file)));
        Ok(Self { path, file, keeper })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A descriptor to give to the process.
    pub(super) fn descriptor(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The last lines written, cleaned of control characters: they end up on terminals.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let Ok(length) = self.file.metadata().map(|metadata| metadata.len()) else { return Vec::new() };
        let start = length.saturating_sub(TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(length - start).unwrap_or(0)];
        let read = self.file.read_at(&mut bytes, start).unwrap_or(0);
        tail_lines(&String::from_utf8_lossy(&bytes[..read]))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn tail_lines(text: &str) -> Vec<String> {
    let filled: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let clean = |line: &&str| {
        let characters = line.chars().take(TAIL_LINE_CHARACTERS);
        characters.map(|character| if character.is_control() { '\u{b7}' } else { character }).collect()
    };
    filled[filled.len().saturating_sub(TAIL_LINES)..].iter().map(clean).collect()
}

async fn keep_bounded(path: PathBuf, file: Arc<File>) {
    let mut looks = tokio::time::interval(LOOK_PERIOD);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if file.metadata().is_ok_and(|metadata| metadata.len() > FILE_MAX) {
            let (path, file) = (path.clone(), Arc::clone(&file));
            let cut = tokio::task::spawn_blocking(move || cut(&path, &file)).await;
            if let Ok(Err(error)) = cut {
                tracing::warn!(%error, "a service's output could not be kept within its bound");
            }
        }
    }
}

/// Keeps the newer part beside the file and empties it; emptied also when the disk is too full to keep any.
fn cut(path: &Path, file: &File) -> io::Result<()> {
    let kept = keep_newer_part(path);
    file.set_len(0)?;
    kept
}

fn keep_newer_part(path: &Path) -> io::Result<()> {
    // Opened anew: the shared descriptor's position must not move.
    let mut source = File::open(path)?;
    let length = source.metadata()?.len();
    source.seek(SeekFrom::Start(length.saturating_sub(KEPT)))?;
    let mut target = File::create(kept_path(path))?;
    io::copy(&mut source.take(KEPT), &mut target)?;
    Ok(())
}

fn kept_path(path: &Path) -> PathBuf {
    path.with_extension("log.earlier")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn last_lines_are_few_short_and_harmless() {
        let text = format!("\u{1b}[31mred\n\n{}\n", "x".repeat(500));
        let lines = tail_lines(&text);
        assert_eq!(lines[0], "\u{b7}[31mred");
        assert_eq!(lines[1].len(), TAIL_LINE_CHARACTERS);
        assert_eq!(tail_lines(&"line\n".repeat(99)).len(), TAIL_LINES);
        assert!(tail_lines("").is_empty());
    }

    #[tokio::test]
    async fn a_chatty_process_fills_neither_a_file_nor_the_directory() {
        let state = tempfile::tempdir().expect("temporary directory");
        let directory = OutputDirectory::open(state.path()).expect("directory");
        let first = directory.next(None).expect("file");
        let mut writer = first.descriptor().expect("descriptor");
        writer.write_all(&vec![b'a'; 700_000]).expect("write");
        writer.write_all(b"\nlast\n").expect("write");
        cut(first.path(), &first.file).expect("cut");
        assert_eq!(fs::metadata(kept_path(first.path())).expect("kept").len(), KEPT);
        writer.write_all(b"after\n").expect("write");
        assert_eq!(first.last_lines(), ["after"], "the writer goes on at the new end");

        let others: Vec<Output> =
            (0..20).map(|_| directory.next(Some(first.path())).expect("file")).collect();
        assert!(directory.numbers().expect("numbers").len() <= FILES_MAX + 1);
        assert!(first.path().exists(), "the file in use stays");
        assert!(others.last().expect("files").path().exists());
    }
}
