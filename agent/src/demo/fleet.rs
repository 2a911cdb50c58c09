//! A whole fleet on loopback: keys, policy, census, and one agent process a node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::status::Signing;
use groundswell_protocol::trust::census::Enrolment;
use groundswell_protocol::trust::policy::RoleName;
use tokio::time::{Instant, sleep};

use super::machine::{ComponentSection, Machine, end_all};
use super::publisher::valid_until;
use crate::control::Client;
use crate::control::api::AgentStatus;
use crate::release::census::enrol;
use crate::release::fleet::{FleetDirectory, NewRole};
use crate::release::problem::Problem;

/// Peers that every other node starts from.
const BOOTSTRAP_NODES: usize = 3;
/// Links that a node needs to count as meshed; smaller fleets are meshed fully.
const LINKS_ENOUGH: usize = 8;
/// Pause between two rounds of asking.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// A fleet. Dropped, all its agents are ended in order, and whatever outlives them.
#[derive(Debug)]
pub struct Fleet {
    binary: PathBuf,
    directory: FleetDirectory,
    machines: Vec<Machine>,
}

impl Fleet {
    /// Founds a fleet of `count` machines below `root` and enrols them all. `components` says what a machine
    /// runs. Nothing is started.
    ///
    /// # Errors
    /// When the disk or the network refuses.
    pub fn found(
        root: &Path,
        binary: &Path,
        count: usize,
        components: impl Fn(&Machine) -> Vec<ComponentSection>,
    ) -> Result<Self, Problem> {
        let directory = FleetDirectory::at(&root.join("fleet"));
        let roles: Vec<NewRole> = RoleName::ALL
            .into_iter()
            .map(|role| NewRole { role, keys: 1, trusted: Vec::new(), threshold: 1 })
            .collect();
        let mut bundle = directory.found("demo", &roles, valid_until())?;
        let mut machines = Vec::new();
        for number in 1..=count {
            machines.push(Machine::new(root, &format!("n{number:02}"))?);
        }
        let enrolments: Vec<Enrolment> = machines.iter().map(|machine| enrolment(machine.node())).collect();
        enrol(&mut bundle, &enrolments, &directory.read_keys(&[])?)?;
        bundle.write(&directory.bundle_path())?;
        let fleet = Self { binary: binary.to_owned(), directory, machines };
        for machine in &fleet.machines {
            let file =
                machine.agent_file(&fleet.directory.bundle_path(), fleet.bootstrap(), components(machine));
            machine.configure(&file)?;
        }
        Ok(fleet)
    }

    /// Where nodes start from; they tell each other of the rest.
    pub fn bootstrap(&self) -> Vec<String> {
        self.machines.iter().take(BOOTSTRAP_NODES).map(Machine::peer_address).collect()
    }

    /// Its keys and documents.
    pub fn directory(&self) -> &FleetDirectory {
        &self.directory
    }

    /// Its machines.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// One of its machines.
    pub fn machine(&mut self, place: usize) -> &mut Machine {
        &mut self.machines[place]
    }

    /// Adds a machine that was made elsewhere, and returns its place.
    pub fn add(&mut self, machine: Machine) -> usize {
        self.machines.push(machine);
        self.machines.len() - 1
    }

    /// The place of the machine of this node.
    pub fn place_of(&self, node: &NodeId) -> Option<usize> {
        self.machines.iter().position(|machine| machine.node() == *node)
    }

    /// The agent of the machine at `place`, as it can be asked.
    pub fn client(&self, place: usize) -> Client {
        self.machines[place].client()
    }

    /// Starts the agent of the machine at `place`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, place: usize) -> Result<(), Problem> {
        self.machines[place].start(&self.binary)
    }

    /// Starts all agents.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start_all(&mut self) -> Result<(), Problem> {
        self.machines.iter_mut().try_for_each(|machine| machine.start(&self.binary))
    }

    /// Ends all agents in order, and whatever outlives them.
    pub fn end(&mut self) {
        end_all(&mut self.machines);
    }

    /// What all agents say, by place; `None` of one that does not answer.
    pub async fn statuses(&self) -> Vec<Option<AgentStatus>> {
        let ask = |machine: &Machine| {
            let client = machine.client();
            async move { client.status().await.ok() }
        };
        futures::future::join_all(self.machines.iter().map(ask)).await
    }

    /// Waits until every agent is linked with enough others and has heard enough to sign. `tell` hears how
    /// many are.
    ///
    /// # Errors
    /// When an agent ends, or `patience` does: names an agent that is not ready, and its log.
    pub async fn until_ready(
        &mut self,
        patience: Duration,
        mut tell: impl FnMut(usize),
    ) -> Result<(), Problem> {
        let deadline = Instant::now() + patience;
        let links = (self.machines.len() - 1).min(LINKS_ENOUGH) as u64;
        loop {
            let statuses = self.statuses().await;
            let unready = |status: &Option<AgentStatus>| {
                status
                    .as_ref()
                    .is_none_or(|status| status.node.signing != Signing::Yes || status.counters.links < links)
            };
            let waiting: Vec<usize> = (0..statuses.len()).filter(|at| unready(&statuses[*at])).collect();
            tell(statuses.len() - waiting.len());
            let Some(first) = waiting.first() else { return Ok(()) };
            self.all_run()?;
            if Instant::now() >= deadline {
                return Err(self.not_ready(*first, statuses[*first].as_ref()));
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// Checks that no agent has ended by itself.
    ///
    /// # Errors
    /// Names the one that has, with the last line of its log.
    pub fn all_run(&mut self) -> Result<(), Problem> {
        for machine in &mut self.machines {
            if let Some(status) = machine.process().and_then(super::process::AgentProcess::ended) {
                let log = machine.log();
                let last = last_line(&log);
                return Err(Problem::local(
                    format!("the agent {} has ended", machine.name()),
                    format!("{status}; its last words: {last}"),
                    format!("see {}", log.display()),
                ));
            }
        }
        Ok(())
    }

    fn not_ready(&self, place: usize, status: Option<&AgentStatus>) -> Problem {
        let machine = &self.machines[place];
        let why = match status {
            None => "it does not answer".to_owned(),
            Some(status) => {
                format!(
                    "it has {} links, and its signing is {:?}",
                    status.counters.links, status.node.signing
                )
            }
        };
        Problem::local(
            format!("the agent {} is not ready", machine.name()),
            why,
            format!("see {}", machine.log().display()),
        )
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}

/// An always-on node without special labels.
pub fn enrolment(node: NodeId) -> Enrolment {
    Enrolment {
        node,
        zone: "local".to_owned(),
        ring: "production".to_owned(),
        class: "demo".to_owned(),
        elector: true,
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("(none)").to_owned()
}
