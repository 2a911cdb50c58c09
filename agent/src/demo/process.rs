//! One agent as a process of its own, and the certain end of it and of what it runs.
//!
//! A component's process survives its agent's death by design, and leaves a record of itself in
//! `DATA/services/COMPONENT/processes/PID`. [`end_services`] goes by those records, so that nothing that an
//! agent started outlives the directory it started it in.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::release::problem::Problem;

/// How long an agent that was asked to end may take: the services' grace and the last writes.
const END_PATIENCE: Duration = Duration::from_secs(6);
/// Pause between two looks at a process that is about to end.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Bytes of a record of a process, and of an entry in `/proc`, that are read.
const RECORD_BYTES_MAX: u64 = 4 * 1024;

/// A running agent. Dropped, it is killed, and so is what it runs.
#[derive(Debug)]
pub struct AgentProcess {
    child: Child,
    data: PathBuf,
    /// What it runs is left alone when this is dropped.
    spare_services: bool,
}

impl AgentProcess {
    /// Starts `binary agent --config config`; what it prints is added to `log`. `data` is the data
    /// directory that the configuration names. It records itself in the directory `recordings`.
    ///
    /// It runs in a process group of its own: an interrupt at the terminal reaches whoever started it, who
    /// then ends it in order.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn start(
        binary: &Path,
        config: &Path,
        data: &Path,
        log: &Path,
        recordings: Option<&Path>,
    ) -> Result<Self, Problem> {
        let output = OpenOptions::new().create(true).append(true).open(log);
        let output = output.map_err(|error| Problem::writing(log, &error))?;
        let errors = output.try_clone().map_err(|error| Problem::writing(log, &error))?;
        let mut command = Command::new(binary);
        command.arg("agent").arg("--config").arg(config);
        if let Some(recordings) = recordings {
            command.arg("--record").arg(recordings);
        }
        let child =
            command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).spawn().map_err(
                |error| {
                    Problem::local(
                        format!("cannot start {}", binary.display()),
                        error.to_string(),
                        "check the limits on processes and open files",
                    )
                },
            )?;
        Ok(Self { child, data: data.to_owned(), spare_services: false })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        // A child that cannot be waited for is gone as well; the system only no longer says how.
        self.child.try_wait().ok().flatten()
    }

    /// Kills it with SIGKILL and returns when it is gone. What it runs runs on.
    pub fn kill(mut self) {
        self.spare_services = true;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = pid_of(self.child.id()) {
            // It may have ended meanwhile; then there is nothing to tell it.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits until it has ended; kills it if that takes longer than an orderly end may.
    pub fn wait_for_end(&mut self) {
        let deadline = Instant::now() + END_PATIENCE;
        while self.ended().is_none() {
            if Instant::now() >= deadline {
                return self.kill_now();
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn kill_now(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        self.kill_now();
        if !self.spare_services {
            end_services(&self.data);
        }
    }
}

fn pid_of(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// Kills every process that agents on the data directory `data` have started and that still runs.
/// A process that is not the very one of its record is left alone.
pub fn end_services(data: &Path) {
    for service in entries(&data.join("services")) {
        for record in entries(&service.join("processes")) {
            if let Some(pid) = recorded(&record) {
                // Its group, because it may have started others; itself, should it have no group of its own.
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(listed) = fs::read_dir(directory) else { return Vec::new() };
    listed.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The living process that wrote the record at `path`: same number, same moment of start.
fn recorded(path: &Path) -> Option<Pid> {
    let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
    let text = read_bounded(path).ok()?;
    let (_boot, started) = text.trim_end().split_once(' ')?;
    (started_ticks(number)? == started).then(|| pid_of(number))?
}

/// proc(5): the 22nd field of `stat` is the start time; the second is a name in brackets that may hold anything.
fn started_ticks(pid: u32) -> Option<String> {
    let stat = read_bounded(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19).map(ToOwned::to_owned)
}

/// The most memory that a process has ever had resident, in bytes; `None` if it is gone.
pub fn peak_resident_bytes(pid: u32) -> Option<u64> {
    let status = read_bounded(Path::new(&format!("/proc/{pid}/status"))).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    use io::Read;
    let mut text = String::new();
    fs::File::open(path)?.take(RECORD_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &Path, pid: u32, started: &str) {
        let processes = data.join("services/web/processes");
        fs::create_dir_all(&processes).expect("directory");
        fs::write(processes.join(pid.to_string()), format!("boot {started}\n")).expect("record");
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("100").process_group(0).spawn().expect("sleep")
    }

    #[test]
    fn recorded_processes_end_and_strangers_live() {
        let data = tempfile::tempdir().expect("directory");
        let (mut ours, mut other) = (sleeper(), sleeper());
        record(data.path(), ours.id(), &started_ticks(ours.id()).expect("runs"));
        record(data.path(), other.id(), "1");
        end_services(data.path());
        assert!(!ours.wait().expect("ended").success());
        assert!(other.try_wait().expect("look").is_none(), "its record is of another process");
        other.kill().expect("kill");
        other.wait().expect("ended");
    }

    #[test]
    fn this_process_has_a_peak() {
        assert!(peak_resident_bytes(std::process::id()).expect("runs") > 100_000);
    }
}
