//! Network namespaces: one a node, joined by a bridge in one more, with a cap on what each sends.
//!
//! Nothing touches the machine's own network. Dropping a [`Network`] ends what runs in its namespaces and
//! removes them; those that a killed run left are removed when the next one begins.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::case::Case;

/// Names of our namespaces begin so; the id of the process that made them follows.
const PREFIX: &str = "swellbench";
/// What a capped node may send at once, in bytes.
const BURST_BYTES: u32 = 32 << 10;
/// How long a packet may wait for its turn under a cap; beyond, packets are dropped. As a home router has it.
const QUEUE_MS: u32 = 50;

/// The namespaces of one run.
pub(super) struct Network {
    id: String,
    nodes: usize,
}

/// Where node `number` is; 0 is the publisher.
pub(super) fn address_of(number: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(number + 1).unwrap_or(u16::MAX).to_be_bytes();
    Ipv4Addr::new(10, 213, high, low)
}

/// Where the tracker is: beside the bridge.
pub(super) const SWITCH_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 213, 255, 254);

impl Network {
    /// Builds the namespaces and caps of `case`.
    ///
    /// # Errors
    /// In words: what the system refused. Nothing is left.
    pub(super) fn build(case: &Case) -> Result<Self, String> {
        sweep();
        let id = format!("{PREFIX}{}", std::process::id());
        let network = Self { id, nodes: case.receivers + 1 };
        let switch = network.switch();
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "address", "add", &format!("{SWITCH_ADDRESS}/16"), "dev", "bridge"])?;
        for link in ["lo", "bridge"] {
            ip(&["-n", &switch, "link", "set", link, "up"])?;
        }
        for number in 0..network.nodes {
            network.add(number, case.cap_of(number))?;
        }
        Ok(network)
    }

    fn add(&self, number: usize, cap: Option<u64>) -> Result<(), String> {
        let (space, switch, port) = (self.space(number), self.switch(), format!("port{number}"));
        ip(&["netns", "add", &space])?;
        ip(&[
            "link", "add", "eth0", "netns", &space, "type", "veth", "peer", "name", &port, "netns", &switch,
        ])?;
        ip(&["-n", &switch, "link", "set", &port, "master", "bridge", "up"])?;
        ip(&["-n", &space, "address", "add", &format!("{}/16", address_of(number)), "dev", "eth0"])?;
        for link in ["lo", "eth0"] {
            ip(&["-n", &space, "link", "set", link, "up"])?;
        }
        if let Some(cap) = cap {
            let (rate, burst) = (format!("{}bit", cap * 8), BURST_BYTES.to_string());
            let latency = format!("{QUEUE_MS}ms");
            let bucket = ["rate", &rate, "burst", &burst, "latency", &latency];
            let command = ["-n", &space, "qdisc", "add", "dev", "eth0", "root", "tbf"];
            run("tc", &[&command[..], &bucket].concat())?;
        }
        Ok(())
    }

    /// A program that will run at node `number` and not outlive us.
    pub(super) fn command(&self, number: usize, program: &Path) -> Command {
        inside(&self.space(number), program.as_os_str())
    }

    /// The same beside the bridge.
    pub(super) fn switch_command(&self, program: &Path) -> Command {
        inside(&self.switch(), program.as_os_str())
    }

    /// Bytes that a node has sent, headers included, as the kernel counts them.
    ///
    /// # Errors
    /// In words.
    pub(super) fn sent_bytes(&self, number: usize) -> Result<u64, String> {
        let mut command = inside(&self.space(number), OsStr::new("cat"));
        let said = command.arg("/sys/class/net/eth0/statistics/tx_bytes").output();
        let said = said.map_err(|error| format!("cannot run ip: {error}"))?;
        let counted = String::from_utf8_lossy(&said.stdout).trim().parse();
        counted.map_err(|_| "an interface has no counters".to_owned())
    }

    /// Packets that the caps' queues had no room for, of all nodes.
    pub(super) fn dropped_packets(&self) -> u64 {
        let of = |number| {
            let space = self.space(number);
            let command = ["-n", &space, "-s", "qdisc", "show", "dev", "eth0"];
            let said = Command::new("tc").args(command).stdin(Stdio::null()).output().ok()?;
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            said.split_once("dropped ")?.1.split(',').next()?.trim().parse::<u64>().ok()
        };
        (0..self.nodes).filter_map(of).sum()
    }

    fn space(&self, number: usize) -> String {
        format!("{}-{number}", self.id)
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.id)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        (0..self.nodes)
            .map(|number| self.space(number))
            .chain([self.switch()])
            .for_each(|space| remove(&space));
    }
}

/// Removes what runs that are no more have left.
fn sweep() {
    let Ok(listed) = Command::new("ip").args(["netns", "list"]).stdin(Stdio::null()).output() else { return };
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(maker, _)| maker);
        let gone = maker.is_some_and(|maker| {
            maker.parse::<u32>().is_ok_and(|maker| {
                maker == std::process::id() || !Path::new(&format!("/proc/{maker}")).exists()
            })
        });
        if gone {
            remove(name);
        }
    }
}

/// Ends what runs in a namespace, and the namespace. Failures are left to the next sweep.
fn remove(space: &str) {
    let quiet = |arguments: &[&str]| Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    if let Ok(listed) = quiet(&["netns", "pids", space]) {
        for process in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            let process = process.parse().ok().and_then(rustix::process::Pid::from_raw);
            if let Some(process) = process {
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
        }
    }
    let _ = quiet(&["netns", "del", space]);
}

fn inside(space: &str, program: &OsStr) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", space, "setpriv", "--pdeathsig", "KILL"]).arg(program);
    command
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let said = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let said = said.map_err(|error| format!("cannot run {program}: {error}; install iproute2"))?;
    if said.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&said.stderr).trim()))
}
