//! What the kernel says of processes in /proc; nothing is cached, nothing written.

use rustix::process::Pid;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Longest file of /proc that is read; stat and status have a few hundred bytes.
const FILE_MAX: u64 = 64 * 1024;
/// Most members of one process group that are looked at.
pub(super) const GROUP_MEMBERS_MAX: usize = 1_024;

/// The fields of /proc/PID/stat that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessStat {
    /// Ended and not reaped yet.
    pub(super) zombie: bool,
    /// Process group.
    pub(super) group: i32,
    /// Start time in clock ticks since the boot: with the process id it names one process for ever.
    pub(super) started_ticks: u64,
}

/// The state of a process, `None` when it does not exist.
pub(super) fn stat(pid: Pid) -> Option<ProcessStat> {
    parse_stat(&read_bounded(Path::new(&format!("/proc/{}/stat", pid.as_raw_nonzero()))).ok()?)
}

fn parse_stat(text: &str) -> Option<ProcessStat> {
    // The second field is the program's name in parentheses and may itself hold blanks and parentheses.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    Some(ProcessStat {
        zombie: matches!(*fields.first()?, "Z" | "X"),
        group: fields.get(2)?.parse().ok()?,
        started_ticks: fields.get(19)?.parse().ok()?,
    })
}

/// Names this boot of the machine: start times are counted from it.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(read_bounded(Path::new("/proc/sys/kernel/random/boot_id"))?.trim().to_owned())
}

/// The processes of a group that still run, at most [`GROUP_MEMBERS_MAX`] of them.
pub(super) fn group_members(group: Pid) -> Vec<Pid> {
    let raw = group.as_raw_nonzero().get();
    all_processes()
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.group == raw && !stat.zombie))
        .take(GROUP_MEMBERS_MAX)
        .collect()
}

/// All processes that /proc shows.
pub(super) fn all_processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// A process's short name.
pub(super) fn command_name(pid: Pid) -> Option<String> {
    let name = read_bounded(Path::new(&format!("/proc/{}/comm", pid.as_raw_nonzero()))).ok()?;
    Some(name.trim_end().to_owned())
}

/// Resident memory of a process in bytes, `None` when it does not exist.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = read_bounded(Path::new(&format!("/proc/{pid}/status"))).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

/// Reads a small file, lossily where it is no UTF-8 (a program may name itself anything).
pub(super) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_program_name_does_not_shift_the_fields() {
        let line = "42 (a) Z 1 1 (b c) S 1 77 77 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 987654 100 5 x\n";
        assert_eq!(parse_stat(line), Some(ProcessStat { zombie: false, group: 77, started_ticks: 987_654 }));
        assert_eq!(parse_stat("42 (truncated) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn this_process_is_found_with_its_memory() {
        let own = rustix::process::getpid();
        assert!(!stat(own).expect("own stat").zombie);
        assert!(resident_bytes(std::process::id()).expect("own memory") > 100 * 1_024);
        assert!(all_processes().any(|pid| pid == own));
        assert!(!boot_id().expect("boot id").is_empty());
    }
}
