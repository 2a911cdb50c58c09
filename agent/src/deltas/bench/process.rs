//! Other programs: run one, and say what it took.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wait4::Wait4;

/// How often a running program is looked at: only its end, and none of the figures, waits for this.
const LOOK: Duration = Duration::from_millis(5);
/// How much is kept of what a program says.
const SAID_BYTES_MAX: u64 = 64 << 10;

/// What a program took, as the kernel counts it for the whole process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// Of processors, by the program and by the kernel for it.
    pub(super) cpu: Duration,
    /// Most memory that was resident at one time. Never less than this process's own at its start.
    pub(super) memory_bytes: u64,
}

/// Runs a program to its end, with nothing to read and its output thrown away or put in `output`. Never for longer than
/// `limit`.
///
/// # Errors
/// In words: it cannot be started, fails, or takes too long.
pub(super) fn run(command: &mut Command, output: Option<File>, limit: Duration) -> Result<Usage, String> {
    let name =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut said = tempfile::tempfile().map_err(|error| format!("no temporary file: {error}"))?;
    let errors = said.try_clone().map_err(|error| format!("no temporary file: {error}"))?;
    let output = output.map_or_else(Stdio::null, Stdio::from);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("{name} cannot be run: {error}"))?;
    let began = Instant::now();
    let ended = loop {
        match child.try_wait4().map_err(|error| format!("{name} is lost: {error}"))? {
            Some(ended) => break ended,
            None if began.elapsed() > limit => {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{name} took longer than {} s", limit.as_secs()));
            }
            None => thread::sleep(LOOK),
        }
    };
    if !ended.status.success() {
        return Err(format!("{name} {}{}", end_of(ended.status), last_line(&mut said)));
    }
    Ok(Usage { cpu: ended.rusage.utime + ended.rusage.stime, memory_bytes: ended.rusage.maxrss })
}

fn end_of(status: ExitStatus) -> String {
    status.code().map_or_else(|| format!("was ended: {status}"), |code| format!("failed with code {code}"))
}

/// The last thing that it said, if anything.
fn last_line(said: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = said.seek(SeekFrom::Start(0)).and_then(|_| said.take(SAID_BYTES_MAX).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    match (read, line) {
        (Ok(_), Some(line)) => format!(": {}", line.trim()),
        _ => String::new(),
    }
}

/// Where a program is, as the shell would find it.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// A program with its arguments.
pub(super) fn command(program: &Path, arguments: &[&OsStr]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Whether two files hold the same bytes.
///
/// # Errors
/// When one cannot be read.
pub(super) fn are_equal(one: &Path, other: &Path) -> io::Result<bool> {
    const BUFFER_BYTES: usize = 256 << 10;
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let mut left = one.metadata()?.len();
    if left != other.metadata()?.len() {
        return Ok(false);
    }
    let mut buffers = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    while left > 0 {
        let length = usize::try_from(left).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
        let (these, those) = (&mut buffers.0[..length], &mut buffers.1[..length]);
        one.read_exact(these)?;
        other.read_exact(those)?;
        if these != those {
            return Ok(false);
        }
        left -= length as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(words: &str, limit: Duration) -> Result<Usage, String> {
        run(Command::new("sh").args(["-c", words]), None, limit)
    }

    #[test]
    fn a_program_that_ends_well_is_counted() {
        let usage = shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", LIMIT).expect("runs");
        assert!(usage.cpu > Duration::ZERO && usage.memory_bytes > 100_000);
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let why = shell("echo once >&2; echo so it is >&2; exit 7", LIMIT).expect_err("fails");
        assert_eq!(why, "sh failed with code 7: so it is");
        let why = run(&mut Command::new("/nowhere/program"), None, LIMIT).expect_err("is not there");
        assert!(why.starts_with("program cannot be run"), "{why}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let began = Instant::now();
        let why = shell("sleep 60", Duration::from_millis(50)).expect_err("too long");
        assert!(why.contains("longer") && began.elapsed() < Duration::from_secs(30), "{why}");
    }

    #[test]
    fn files_are_compared_to_the_last_byte() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = |name: &str| dir.path().join(name);
        let mut bytes = vec![7; 600_000];
        std::fs::write(path("one"), &bytes).expect("write");
        std::fs::write(path("same"), &bytes).expect("write");
        bytes[599_999] = 8;
        std::fs::write(path("other"), &bytes).expect("write");
        std::fs::write(path("short"), &bytes[..10]).expect("write");
        let equal = |other: &str| are_equal(&path("one"), &path(other)).expect("reads");
        assert_eq!((equal("same"), equal("other"), equal("short")), (true, false, false));
    }
}
