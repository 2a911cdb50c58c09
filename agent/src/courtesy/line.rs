//! What the kernel counts on a network interface.

use std::fs;
use std::path::PathBuf;

/// The interface by which the machine reaches others.
#[derive(Clone, Debug)]
pub struct Line {
    name: Option<String>,
    /// `/proc/net`, or another in tests.
    kernel: PathBuf,
}

impl Line {
    /// The interface of this name, or the one by which the machine reaches everywhere. It need not be there yet.
    pub fn new(name: Option<String>) -> Self {
        Self { name, kernel: PathBuf::from("/proc/net") }
    }

    /// The interface of this name where a process is, which may be in another network namespace.
    pub fn of_process(process: u32, name: &str) -> Self {
        Self { name: Some(name.to_owned()), kernel: PathBuf::from(format!("/proc/{process}/net")) }
    }

    /// Bytes that it has sent since the machine started, headers included. None while there is no such interface, or
    /// where the kernel does not tell: that is known of Linux alone.
    pub fn sent_bytes(&self) -> Option<u64> {
        let name = self.name.clone().or_else(|| self.way_to_everywhere())?;
        let counters = fs::read_to_string(self.kernel.join("dev")).ok()?;
        let counted =
            counters.lines().find_map(|line| line.trim_start().strip_prefix(&name)?.strip_prefix(':'))?;
        // Eight numbers are of what was received.
        counted.split_whitespace().nth(8)?.parse().ok()
    }

    /// The interface of the route to all networks that costs least.
    fn way_to_everywhere(&self) -> Option<String> {
        let routes = fs::read_to_string(self.kernel.join("route")).ok()?;
        let defaults = routes.lines().skip(1).filter_map(|route| {
            let columns: Vec<&str> = route.split_whitespace().collect();
            let [name, destination, _, _, _, _, metric, mask, ..] = columns[..] else { return None };
            let is_default = destination == "00000000" && mask == "00000000";
            is_default.then(|| Some((metric.parse::<u64>().ok()?, name.to_owned()))).flatten()
        });
        defaults.min().map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     500       5    0    0    0     0          0         0      500       5    0    0    0     0       0          0
  eth0: 7000000    7000    0    0    0     0          0         0 12345678    9000    0    0    0     0       0          0
 eth01:       1       1    0    0    0     0          0         0        2       1    0    0    0     0       0          0
";
    const ROUTE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth01\t00000000\t0102A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
lo\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    fn line(name: Option<&str>, dev: &str, route: &str) -> (tempfile::TempDir, Line) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("dev"), dev).unwrap();
        fs::write(folder.path().join("route"), route).unwrap();
        let line = Line { name: name.map(str::to_owned), kernel: folder.path().to_owned() };
        (folder, line)
    }

    #[test]
    fn the_way_to_everywhere_is_counted_unless_another_is_named() {
        for (name, sent) in
            [(None, 12_345_678), (Some("eth0"), 12_345_678), (Some("eth01"), 2), (Some("lo"), 500)]
        {
            assert_eq!(line(name, DEV, ROUTE).1.sent_bytes(), Some(sent), "{name:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_counted() {
        assert_eq!(line(Some("eth"), DEV, ROUTE).1.sent_bytes(), None);
        assert_eq!(line(Some("wlan0"), DEV, ROUTE).1.sent_bytes(), None);
        assert_eq!(line(None, DEV, "").1.sent_bytes(), None, "no route to everywhere");
        assert_eq!(line(Some("eth0"), "  eth0: 1 2 3", ROUTE).1.sent_bytes(), None, "cut off");
        assert_eq!(Line { name: None, kernel: PathBuf::from("/nowhere") }.sent_bytes(), None);
    }
}
