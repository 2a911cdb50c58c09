//! What the agent's own process uses, from `/proc/self`.

use std::io;
use std::time::Duration;

/// What a process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Processor time since the process started, in user and kernel mode.
    pub cpu: Duration,
}

/// What this process uses now.
///
/// # Errors
/// `/proc` is not there or not what it should be: a machine without it, or a container that hides it.
pub fn usage() -> io::Result<Usage> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let page_bytes = rustix::param::page_size() as u64;
    let ticks_a_second = rustix::param::clock_ticks_per_second();
    parse(&statm, &stat, page_bytes, ticks_a_second)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self is not in the form of proc(5)"))
}

/// proc(5): the second field of `statm` counts resident pages; the 14th and 15th of `stat` are user and
/// system time in ticks. The second field of `stat` is a name in brackets that may hold anything.
fn parse(statm: &str, stat: &str, page_bytes: u64, ticks_a_second: u64) -> Option<Usage> {
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let milliseconds = user.checked_add(system)?.checked_mul(1_000)?.checked_div(ticks_a_second)?;
    Some(Usage { resident_bytes: pages.checked_mul(page_bytes)?, cpu: Duration::from_millis(milliseconds) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_does_not_shift_the_fields() {
        let stat = "7 (a) b ) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        let usage = parse("100 25 3 0 0 0 0\n", stat, 4_096, 100).unwrap();
        assert_eq!(usage, Usage { resident_bytes: 102_400, cpu: Duration::from_secs(2) });
        assert_eq!(parse("", stat, 4_096, 100), None);
        assert_eq!(parse("1 2", "7 (a) R", 4_096, 100), None);
    }

    #[test]
    fn this_process_uses_something() {
        assert!(usage().unwrap().resident_bytes > 100_000);
    }
}
