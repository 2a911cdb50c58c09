//! Who listens on a port, as far as this user may see.

use super::proc;
use rustix::process::Pid;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;

/// Most bytes of a socket table that are read.
const TABLE_MAX: u64 = 4 * 1024 * 1024;
/// Most descriptors that are looked at.
const DESCRIPTORS_MAX: usize = 200_000;
/// The state of a listening socket in the table.
const LISTEN: &str = "0A";

/// The owner of a listening socket on this port in words; "another process" where it cannot be found out,
/// as when it belongs to another user.
pub(super) fn describe_owner(address: SocketAddr) -> String {
    find_owner(address.port()).map_or_else(
        || "another process".to_owned(),
        |pid| {
            let name = proc::command_name(pid).unwrap_or_else(|| "a process".to_owned());
            format!("{name:?} (process {})", pid.as_raw_nonzero())
        },
    )
}

/// The process group of the process that listens on this port, `None` where it cannot be found out.
pub(super) fn owner_group(address: SocketAddr) -> Option<u32> {
    let stat = proc::stat(find_owner(address.port())?)?;
    Some(stat.group.unsigned_abs())
}

fn find_owner(port: u16) -> Option<Pid> {
    let inodes: Vec<String> =
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().flat_map(|table| listeners(table, port)).collect();
    let targets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    proc::all_processes()
        .flat_map(|pid| descriptors(pid).map(move |target| (pid, target)))
        .take(DESCRIPTORS_MAX)
        .find_map(|(pid, target)| targets.contains(&target).then_some(pid))
}

/// The inodes of the sockets in a table that listen on the port.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let mut text = String::new();
    if fs::File::open(table).and_then(|file| file.take(TABLE_MAX).read_to_string(&mut text)).is_err() {
        return Vec::new();
    }
    let suffix = format!(":{port:04X}");
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == LISTEN;
        listens.then(|| fields.get(9).map(ToString::to_string))?
    };
    text.lines().skip(1).filter_map(inode).collect()
}

fn descriptors(pid: Pid) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_named_with_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let owner = describe_owner(listener.local_addr().expect("address"));
        assert!(owner.contains(&format!("process {}", std::process::id())), "{owner}");
    }
}
