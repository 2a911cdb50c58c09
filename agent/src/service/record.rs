//! The records of running service processes: how the next agent knows its orphans.
//!
//! One file a process, named by its process id, holding the boot and the process's start time. The process
//! writes it itself, before it becomes the service (see `shim`), so no agent that dies at a bad moment
//! leaves one without a record. A record is removed when its process was reaped, or found to be gone.

use super::orphan::Orphan;
use super::proc;
use rustix::process::Pid;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most records that are looked at; one component has one process, two during a switch, and a few that are
/// on their way out.
const RECORDS_MAX: usize = 64;

/// The directory of one component's records.
#[derive(Clone, Debug)]
pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    /// The records inside a component's state directory, which is made when it does not exist.
    pub(super) fn open(state_directory: &Path) -> io::Result<Self> {
        let directory = state_directory.join("processes");
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Removes the record of a process that is gone. A record that cannot be removed does no harm: its
    /// process is not found again.
    pub(super) fn forget(&self, pid: u32) {
        let _ = fs::remove_file(self.directory.join(pid.to_string()));
        // It may have been killed while it wrote its record.
        let _ = fs::remove_file(self.directory.join(unfinished(pid)));
    }

    /// The recorded processes that still run, `known` ones left out; records of others are removed.
    pub(super) fn living(&self, known: &[u32]) -> io::Result<Vec<Orphan>> {
        let boot = proc::boot_id()?;
        let mut living = Vec::new();
        for entry in fs::read_dir(&self.directory)?.take(RECORDS_MAX) {
            let entry = entry?;
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
            let pid = pid.filter(|pid| *pid > 0);
            if pid.is_some_and(|pid| known.contains(&pid.unsigned_abs())) {
                continue;
            }
            let orphan =
                pid.and_then(Pid::from_raw).and_then(|pid| self.recognise(pid, &entry.path(), &boot));
            match orphan {
                Some(orphan) => living.push(orphan),
                None => fs::remove_file(entry.path())?,
            }
        }
        Ok(living)
    }

    /// The process of a record, if it is the very one that wrote it.
    fn recognise(&self, pid: Pid, path: &Path, boot: &str) -> Option<Orphan> {
        let text = proc::read_bounded(path).ok()?;
        let (recorded_boot, recorded_start) = text.trim_end().split_once(' ')?;
        // Held first, checked then: the process that was checked is the one that is held.
        let orphan = Orphan::hold(pid, self.clone()).ok()?;
        let stat = proc::stat(pid)?;
        let same = recorded_boot == boot && recorded_start.parse() == Ok(stat.started_ticks) && !stat.zombie;
        same.then_some(orphan)
    }
}

/// Records the calling process in a directory of records. Not synced: after a power cut there is no process.
pub(super) fn record_self(directory: &Path) -> io::Result<()> {
    let pid = rustix::process::getpid();
    let stat = proc::stat(pid).ok_or_else(|| io::Error::other("/proc shows no entry of this process"))?;
    let own = std::process::id();
    let temporary = directory.join(unfinished(own));
    let mut file = fs::File::create(&temporary)?;
    writeln!(file, "{} {}", proc::boot_id()?, stat.started_ticks)?;
    fs::rename(&temporary, directory.join(own.to_string()))
}

fn unfinished(pid: u32) -> String {
    format!("{pid}.new")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_very_process_of_a_record_is_recognised() {
        let state = tempfile::tempdir().expect("temporary directory");
        let records = Records::open(state.path()).expect("records");
        let own = std::process::id();
        record_self(records.directory()).expect("record");
        assert_eq!(records.living(&[own]).expect("living").len(), 0);
        let living = records.living(&[]).expect("living");
        assert_eq!(living.iter().map(Orphan::pid).collect::<Vec<_>>(), [own]);

        let path = records.directory().join(own.to_string());
        let text = fs::read_to_string(&path).expect("record");
        let (boot, start) = text.trim_end().split_once(' ').expect("two words");
        let later = start.parse::<u64>().expect("ticks") + 1;
        for strange in
            [format!("{boot} {later}"), format!("other-boot {start}"), String::new(), "x".repeat(99)]
        {
            fs::write(&path, strange).expect("write");
            assert!(records.living(&[]).expect("living").is_empty());
            assert!(!path.exists(), "a record of a stranger is removed");
        }
        fs::write(records.directory().join("-1"), &text).expect("write");
        fs::write(records.directory().join("0"), &text).expect("write");
        assert!(records.living(&[]).expect("living").is_empty());
    }
}
