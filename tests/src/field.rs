//! A fleet under test: agents that are real processes, and how to ask what became of a release.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use groundswell_agent::control::Client;
use groundswell_agent::control::api::{AgentStatus, StreamLine};
use groundswell_agent::demo::fleet::{Fleet, enrolment};
use groundswell_agent::demo::machine::{ComponentSection, Machine};
use groundswell_agent::demo::publisher::{Draft, blocking, build_and_sign, hand_over};
use groundswell_agent::release::census::enrol;
use groundswell_agent::release::directory::ReleaseDirectory;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::Event;
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::node::status::RolloutStatus;
use groundswell_protocol::rollout::roster::Roster;
use groundswell_protocol::trust::manifest::Kind;
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::plan::Plan;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::binary::swell;
use crate::recordings::replay_all;
use crate::trees::{self, PAYLOAD_FILE, VERSION_FILE};
use crate::turn::Turn;

/// The component that all machines have.
pub const COMPONENT: &str = "files";
/// How long anything may take: far beyond what it does take, even where other tests run.
const PATIENCE: Duration = Duration::from_secs(90);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Bytes of a tree's payload.
pub const PAYLOAD_BYTES: usize = 256 * 1024;

/// A fleet, of which every agent records itself. At its end every recording is played again. The order of its fields
/// is the order of their end: agents, files, turn.
pub struct Field {
    /// The agents.
    pub fleet: Fleet,
    place: TempDir,
    _turn: Turn,
}

impl Field {
    /// A fleet of `nodes` machines that are not started yet.
    ///
    /// # Panics
    /// When the disk or the network refuses.
    pub fn found(nodes: usize) -> Self {
        let turn = Turn::take();
        let place = tempfile::Builder::new().prefix("gsw-").tempdir().expect("a directory");
        let component = |_: &Machine| vec![component()];
        let mut fleet = Fleet::found(place.path(), swell(), nodes, component).expect("a fleet");
        (0..nodes).for_each(|at| fleet.machine(at).record());
        Self { fleet, place, _turn: turn }
    }

    /// A fleet of `nodes` agents that run, know each other and sign.
    ///
    /// # Panics
    /// When they do not.
    pub async fn start(nodes: usize) -> Self {
        let mut field = Self::found(nodes);
        field.fleet.start_all().expect("agents");
        field.ready().await;
        field
    }

    /// Waits until all agents run, know each other and sign.
    ///
    /// # Panics
    /// When they do not.
    pub async fn ready(&mut self) {
        self.fleet.until_ready(PATIENCE, |_| {}).await.expect("agents that are ready");
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The places of all machines.
    pub fn everybody(&self) -> Vec<usize> {
        (0..self.fleet.machines().len()).collect()
    }

    /// The agent at `place`, as it can be asked.
    pub fn client(&self, place: usize) -> Client {
        self.fleet.client(place)
    }

    /// What the release `version` would be: its tree on disk, with the usual plan.
    pub fn draft(&self, version: &str, sequence: u64) -> Draft {
        self.draft_of(version, sequence, PAYLOAD_BYTES)
    }

    /// The same with a payload of so many bytes.
    pub fn draft_of(&self, version: &str, sequence: u64, bytes: usize) -> Draft {
        let tree = self.path().join("trees").join(version);
        trees::write(&tree, version, bytes);
        Draft {
            component: ComponentName::new(COMPONENT).expect("a valid name"),
            kind: Kind::Application,
            version: version.to_owned(),
            tree,
            from: Vec::new(),
            sequence,
            plan: trees::plan(),
            out: self.path().join(format!("release-{version}-{sequence}")),
        }
    }

    /// Builds and signs a release.
    ///
    /// # Panics
    /// When that fails.
    pub async fn build(&self, draft: Draft) -> ReleaseDirectory {
        let fleet = self.fleet.directory().clone();
        blocking(move || build_and_sign(&fleet, &draft)).await.expect("a release")
    }

    /// Builds, signs and publishes a release of the usual tree with this plan.
    ///
    /// # Panics
    /// When that fails.
    pub async fn release(
        &self,
        version: &str,
        sequence: u64,
        from: &[&ReleaseDirectory],
        plan: Plan,
    ) -> ReleaseDirectory {
        let mut draft = self.draft(version, sequence);
        draft.from = from.iter().map(|release| release.path().to_owned()).collect();
        draft.plan = plan;
        let release = self.build(draft).await;
        self.publish(&release, 0).await;
        release
    }

    /// Hands a release to the agent at `place`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn publish(&self, release: &ReleaseDirectory, place: usize) {
        hand_over(release, &self.client(place)).await.expect("an agent that takes the release");
    }

    /// What the agent at `place` says; `None` if it does not answer.
    pub async fn status(&self, place: usize) -> Option<AgentStatus> {
        self.client(place).status().await.ok()
    }

    /// What the agent at `place` says of a rollout.
    pub async fn rollout(&self, place: usize, rollout: RolloutId) -> Option<RolloutStatus> {
        self.status(place).await?.node.rollouts.into_iter().find(|known| known.rollout == rollout)
    }

    /// The version in the active slot at `place`, as the files say; checked to be whole.
    ///
    /// # Panics
    /// When the slot is not what it says it is.
    pub fn active(&self, place: usize) -> Option<String> {
        let component = self.fleet.machines()[place].data().join("components").join(COMPONENT);
        // Where the link leads is read once: what is behind it must not change while it is looked at.
        let slot: PathBuf = component.join(std::fs::read_link(component.join("active")).ok()?);
        let version = std::fs::read_to_string(slot.join(VERSION_FILE)).expect("a slot says its version");
        let payload = std::fs::read(slot.join(PAYLOAD_FILE)).expect("a slot has its payload");
        assert!(payload == trees::payload(&version, payload.len()), "the slot of {version} is damaged");
        Some(version)
    }

    /// The places of all machines in the order in which a release goes to them.
    ///
    /// # Panics
    /// When the release is not of this fleet.
    pub fn line(&self, release: &ReleaseDirectory) -> Vec<usize> {
        let bundle = self.fleet.directory().read_bundle().expect("a bundle");
        let census = bundle.census().expect("a census");
        let roster = Roster::draw(release.rollout(), release.manifest(), census);
        roster.members.iter().map(|node| self.fleet.place_of(node).expect("a machine")).collect()
    }

    /// Waits until the agents at `places` have confirmed `version`, and its files are in their active slots.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn confirmed(&self, version: &str, places: &[usize]) {
        self.until(&format!("{version} is confirmed on {places:?}"), async || {
            for place in places {
                let Some(status) = self.status(*place).await else { return false };
                let anchored = status.node.components.iter().any(|component| {
                    component.installed.anchor.as_ref().is_some_and(|slot| slot.version == version)
                        && component.installed.active.as_ref().is_some_and(|slot| slot.version == version)
                });
                if !anchored || self.active(*place).as_deref() != Some(version) {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// Waits for `condition`.
    ///
    /// # Panics
    /// When that takes too long: with what all agents say.
    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "in vain: {what}\n{}", self.describe().await);
            sleep(LOOK_EVERY).await;
        }
    }

    /// Sees that `condition` holds, and goes on to hold for `time`.
    ///
    /// # Panics
    /// When it does not.
    pub async fn throughout(&self, time: Duration, what: &str, condition: impl AsyncFn() -> bool) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            assert!(condition().await, "not any more: {what}\n{}", self.describe().await);
            sleep(LOOK_EVERY).await;
        }
    }

    /// Listens for the first of the agents to reach `stage` in a rollout that may still have to be published.
    pub fn first_to_reach(&self, rollout: RolloutId, stage: Stage) -> mpsc::Receiver<usize> {
        let (found, first) = mpsc::channel(self.fleet.machines().len());
        for place in self.everybody() {
            let (client, found) = (self.client(place), found.clone());
            tokio::spawn(async move {
                let Ok(mut events) = client.events(0).await else { return };
                while let Ok(Some(line)) = events.next().await {
                    if let StreamLine::Event(line) = line
                        && let Event::Stage { rollout: of, to, .. } = line.event
                        && (of, to) == (rollout, stage)
                    {
                        // Only the first is waited for.
                        let _ = found.send(place).await;
                        return;
                    }
                }
            });
        }
        first
    }

    /// Enrols a new machine, tells the agent at 0 of it, and starts its agent. Returns its place.
    ///
    /// # Panics
    /// When that fails.
    pub async fn join(&mut self, name: &str) -> usize {
        let machine = Machine::new(self.path(), name).expect("a machine");
        let directory = self.fleet.directory().clone();
        let mut bundle = directory.read_bundle().expect("a bundle");
        let keys = directory.read_keys(&[]).expect("keys");
        enrol(&mut bundle, &[enrolment(machine.node())], &keys).expect("enrolled");
        bundle.write(&directory.bundle_path()).expect("written");
        let census = bundle.census_fact().expect("a census").signed.clone();
        self.client(0).submit(&census).await.expect("an agent that takes the census");
        self.place_and_start(machine)
    }

    /// Adds a machine that nobody enrolled, and starts its agent. Returns its place.
    ///
    /// # Panics
    /// When that fails.
    pub fn intrude(&mut self, name: &str) -> usize {
        let machine = Machine::new(self.path(), name).expect("a machine");
        self.place_and_start(machine)
    }

    fn place_and_start(&mut self, mut machine: Machine) -> usize {
        machine.record();
        let bundle = self.fleet.directory().bundle_path();
        let file = machine.agent_file(&bundle, self.fleet.bootstrap(), vec![component()]);
        machine.configure(&file).expect("a configuration");
        let place = self.fleet.add(machine);
        self.fleet.start(place).expect("an agent");
        place
    }

    /// What all agents say, for a test that failed.
    async fn describe(&self) -> String {
        let mut text = String::new();
        for place in self.everybody() {
            let name = self.fleet.machines()[place].name();
            let Some(status) = self.status(place).await else {
                text += &format!("{name}: no answer\n");
                continue;
            };
            let node = status.node;
            text += &format!(
                "{name}: {} links, signing {:?}, active {:?}\n",
                status.counters.links,
                node.signing,
                self.active(place)
            );
            for rollout in node.rollouts {
                text += &format!(
                    "    {} open {}, {:?}, hold {:?}, ending {:?}, {:?}, term {}\n",
                    rollout.version,
                    rollout.open,
                    rollout.my_stage,
                    rollout.hold,
                    rollout.ending,
                    rollout.tally,
                    rollout.term
                );
            }
        }
        text
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        self.fleet.end();
        let played = replay_all(self.fleet.machines());
        // A test that failed has said enough.
        if !std::thread::panicking() {
            played.expect("every recording has the same effects when it is played again");
        }
    }
}

/// The component that all machines have: files, no process.
pub fn component() -> ComponentSection {
    ComponentSection { name: COMPONENT.to_owned(), ..ComponentSection::default() }
}
