//! One machine of a fleet on loopback: a directory with a configuration, a key and data, two ports, and the
//! agent that runs there.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use groundswell_protocol::identity::{KeyPair, NodeId};
use libp2p::identity::Keypair;
use serde::Serialize;

use super::process::AgentProcess;
use crate::control::Client;
use crate::release::keys;
use crate::release::problem::Problem;

/// Longest path of a Unix socket: sun_path of unix(7), with its final zero.
const SOCKET_PATH_MAX: usize = 107;

/// A machine's name is no longer than this one.
const NAME_LIKE: &str = "stranger";

/// An agent's configuration file, as far as a fleet on loopback needs it.
#[derive(Clone, Debug, Serialize)]
pub struct AgentFile {
    /// Everything that the agent writes.
    pub data: PathBuf,
    /// The fleet bundle.
    pub fleet: PathBuf,
    /// Where to listen for peers.
    pub listen: Vec<String>,
    /// Peers to start from.
    pub bootstrap: Vec<String>,
    /// The control API's socket.
    pub socket: PathBuf,
    /// A cap on what is sent to peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_bytes_per_second: Option<u64>,
    /// A cap on what is received from peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_bytes_per_second: Option<u64>,
    /// How much is logged.
    pub log: LogSection,
    /// What the node runs.
    #[serde(rename = "component")]
    pub components: Vec<ComponentSection>,
}

/// The `[log]` section.
#[derive(Clone, Debug, Serialize)]
pub struct LogSection {
    /// A filter such as `info`.
    pub level: String,
}

/// A `[[component]]` section.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ComponentSection {
    /// Its name.
    pub name: String,
    /// Program and arguments; none: files only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<String>,
    /// Addresses to serve on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<String>,
    /// Time between asking the process to end and killing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// How the process says that it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadySection>,
}

/// `ready` of a component.
#[derive(Clone, Debug, Serialize)]
pub struct ReadySection {
    /// sd_notify(3) within so many milliseconds.
    pub notify_within_ms: u64,
}

/// Two ports that nobody else gets as long as this lives.
#[derive(Debug)]
struct HeldPorts {
    _link: UdpSocket,
    _service: TcpListener,
}

/// A machine. Dropped, its agent is killed, and so is what that runs.
#[derive(Debug)]
pub struct Machine {
    name: String,
    directory: PathBuf,
    key: KeyPair,
    link: SocketAddr,
    service: SocketAddr,
    held: Option<HeldPorts>,
    records: bool,
    process: Option<AgentProcess>,
}

impl Machine {
    /// A machine called `name` in the new directory `parent/name`, with a new key and two free ports.
    ///
    /// # Errors
    /// When the path is too long for a socket, or the disk or the network refuses.
    pub fn new(parent: &Path, name: &str) -> Result<Self, Problem> {
        let directory = parent.join(name);
        check_socket_path(parent)?;
        let data = directory.join("data");
        fs::create_dir_all(&data).map_err(|error| Problem::writing(&data, &error))?;
        let (key, _) = keys::read_or_make(&data.join("identity.key"))?;
        let (held, link, service) = hold_ports().map_err(|error| {
            Problem::local("cannot find free ports", error.to_string(), "check that loopback is up")
        })?;
        Ok(Self {
            name: name.to_owned(),
            directory,
            key,
            link,
            service,
            held: Some(held),
            records: false,
            process: None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its node.
    pub fn node(&self) -> NodeId {
        self.key.public()
    }

    /// Its key, for tests of what a member may not do.
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// Where everything of it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The agent's data.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// What the agent says.
    pub fn log(&self) -> PathBuf {
        self.directory.join("agent.log")
    }

    /// Its agent records itself from its next start on.
    pub fn record(&mut self) {
        self.records = true;
    }

    /// Where its agent's recordings are, if it makes any.
    pub fn recordings(&self) -> PathBuf {
        // A path that ends as a directory's is made one.
        self.directory.join("recordings/")
    }

    /// Where its service serves.
    pub fn service(&self) -> SocketAddr {
        self.service
    }

    /// Where peers find it.
    pub fn peer_address(&self) -> String {
        let keys = Keypair::ed25519_from_bytes(self.key.seed()).expect("BUG: any 32 bytes are a seed");
        format!("{}/p2p/{}", self.listen_address(), keys.public().to_peer_id())
    }

    fn listen_address(&self) -> String {
        format!("/ip4/{}/udp/{}/quic-v1", self.link.ip(), self.link.port())
    }

    /// Where the agent listens for commands.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("agent.sock")
    }

    /// Its agent, as it can be asked.
    pub fn client(&self) -> Client {
        Client::new(self.socket())
    }

    /// The usual configuration: listens on its own port, starts from `bootstrap`, runs `components`.
    pub fn agent_file(
        &self,
        fleet: &Path,
        bootstrap: Vec<String>,
        components: Vec<ComponentSection>,
    ) -> AgentFile {
        AgentFile {
            data: self.data(),
            fleet: fleet.to_owned(),
            listen: vec![self.listen_address()],
            bootstrap,
            socket: self.socket(),
            upload_bytes_per_second: None,
            download_bytes_per_second: None,
            log: LogSection { level: "info".to_owned() },
            components,
        }
    }

    /// Writes the agent's configuration; it holds from the next start on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn configure(&self, file: &AgentFile) -> Result<(), Problem> {
        let path = self.config();
        let text = toml::to_string(file).map_err(|error| {
            Problem::usage(
                "cannot write the agent's configuration",
                error.to_string(),
                "name paths that are valid UTF-8",
            )
        })?;
        fs::write(&path, text).map_err(|error| Problem::writing(&path, &error))
    }

    fn config(&self) -> PathBuf {
        self.directory.join("agent.toml")
    }

    /// Starts its agent. One that runs already runs on.
    ///
    /// # Errors
    /// When it cannot be started; whether it then lives is another matter.
    pub fn start(&mut self, binary: &Path) -> Result<(), Problem> {
        if self.process.is_none() {
            self.let_go_of_ports();
            let recordings = self.recordings();
            let recordings = self.records.then_some(recordings.as_path());
            let process = AgentProcess::start(binary, &self.config(), &self.data(), &self.log(), recordings)?;
            self.process = Some(process);
        }
        Ok(())
    }

    /// Lets somebody else listen on its ports.
    pub fn let_go_of_ports(&mut self) {
        self.held = None;
    }

    /// The running agent.
    pub fn process(&mut self) -> Option<&mut AgentProcess> {
        self.process.as_mut()
    }

    /// The running agent's process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(AgentProcess::pid)
    }

    /// Kills the agent with SIGKILL; what it runs runs on.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }
}

/// Checks that the sockets of machines below `parent` have paths that a socket can have.
///
/// # Errors
/// When they are too long.
pub fn check_socket_path(parent: &Path) -> Result<(), Problem> {
    let length = parent.join(NAME_LIKE).join("agent.sock").as_os_str().len();
    if length <= SOCKET_PATH_MAX {
        return Ok(());
    }
    Err(Problem::usage(
        format!("cannot use the directory {}", parent.display()),
        format!("the agents' sockets would have paths of {length} bytes, and {SOCKET_PATH_MAX} are possible"),
        "name a directory with a shorter path",
    ))
}

/// Ends all agents in order, and whatever outlives them.
pub fn end_all(machines: &mut [Machine]) {
    for machine in &mut *machines {
        if let Some(process) = &machine.process {
            // One that was stopped would not hear of its end.
            process.signal(rustix::process::Signal::CONT);
            process.signal(rustix::process::Signal::TERM);
        }
    }
    for machine in machines {
        if let Some(mut process) = machine.process.take() {
            process.wait_for_end();
        }
        super::process::end_services(&machine.data());
    }
}

fn hold_ports() -> std::io::Result<(HeldPorts, SocketAddr, SocketAddr)> {
    let link = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (link_address, service_address) = (link.local_addr()?, service.local_addr()?);
    Ok((HeldPorts { _link: link, _service: service }, link_address, service_address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_one_that_agents_read() {
        let place = tempfile::tempdir().expect("directory");
        let machine = Machine::new(place.path(), "n01").expect("machine");
        let component = ComponentSection {
            name: "web".to_owned(),
            run: vec!["./server".to_owned()],
            listen: vec![machine.service().to_string()],
            grace_ms: Some(100),
            ready: Some(ReadySection { notify_within_ms: 200 }),
        };
        let fleet = place.path().join("it's a \"fleet\".bundle");
        let file = machine.agent_file(&fleet, vec![machine.peer_address()], vec![component]);
        machine.configure(&file).expect("written");
        let config = crate::config::Config::read(&machine.config()).expect("valid");
        assert_eq!((config.fleet, config.data), (fleet, machine.data()));
        assert_eq!(config.components[0].listen, [machine.service()]);
        assert_eq!(config.bootstrap[0].to_string(), machine.peer_address());
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused_before_anything_is_made() {
        let place = tempfile::tempdir().expect("directory");
        let deep = place.path().join("d".repeat(100));
        let problem = Machine::new(&deep, "n01").expect_err("too long");
        assert!(problem.todo.contains("shorter") && !deep.exists(), "{problem}");
    }
}
