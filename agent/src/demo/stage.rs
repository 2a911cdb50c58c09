//! What the story plays on: the fleet, the trees, the load, and what is measured of them.

use std::path::{Path, PathBuf};

use groundswell_protocol::trust::manifest::Kind;
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::plan::Plan;
use groundswell_protocol::trust::probe::Probe;

use super::DemoOptions;
use super::chronicle::Chronicle;
use super::fleet::Fleet;
use super::load::{Load, Requests};
use super::machine::{ComponentSection, Machine, ReadySection};
use super::plans;
use super::process::peak_resident_bytes;
use super::publisher::{Draft, blocking, build_and_sign};
use super::service::DEMO_SERVICE_COMMAND;
use super::tree::{self, Trees};
use crate::release::directory::ReleaseDirectory;
use crate::release::fleet::FleetDirectory;
use crate::release::problem::Problem;

/// Name of the component that the demo releases.
const COMPONENT: &str = "web";
/// How long a new version of the demo's service may take to be ready.
const READY_WITHIN_MS: u64 = 10_000;
/// Time between asking the old version to end and killing it.
const GRACE_MS: u64 = 3_000;

/// The four releases.
#[derive(Debug)]
pub(super) struct Releases {
    /// 1.0
    pub(super) first: ReleaseDirectory,
    /// 2.0
    pub(super) good: ReleaseDirectory,
    /// 3.0
    pub(super) bad: ReleaseDirectory,
    /// 4.0
    pub(super) fixed: ReleaseDirectory,
}

/// Everything that the story plays with.
#[derive(Debug)]
pub(super) struct Stage {
    /// The clients of the services; the first to end, because services end when nobody waits for an answer.
    pub(super) load: Load,
    /// What the agents report.
    pub(super) chronicle: Chronicle,
    /// The agents.
    pub(super) fleet: Fleet,
    sent: Vec<Sent>,
    peak_bytes: u64,
}

/// Payload that an agent sent, over its lives.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// In lives that are over.
    before: u64,
    /// In this life, when last looked at.
    now: u64,
    /// Which life that was.
    life: u64,
}

/// How the figures stand at one moment, to be held against a later one.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Requests to each node.
    pub(super) requests: Vec<Requests>,
    /// Payload that each agent has sent.
    pub(super) sent: Vec<u64>,
}

impl Stage {
    /// Founds and starts the fleet below `root`.
    ///
    /// # Errors
    /// When the disk or the network refuses, or an agent cannot be started.
    pub(super) fn set(root: &Path, binary: &Path, options: &DemoOptions) -> Result<Self, Problem> {
        let serves = options.own.is_none();
        let component = |machine: &Machine| vec![component(machine, binary, serves)];
        let mut fleet = Fleet::found(root, binary, options.nodes, component)?;
        fleet.start_all()?;
        let chronicle = Chronicle::watch(fleet.machines().iter().map(Machine::client).collect());
        Ok(Self {
            chronicle,
            load: Load::none(options.nodes),
            sent: vec![Sent::default(); options.nodes],
            peak_bytes: 0,
            fleet,
        })
    }

    /// Lets a client loose on every node's service.
    pub(super) fn start_load(&mut self) {
        let services: Vec<_> = self.fleet.machines().iter().map(Machine::service).collect();
        self.load = Load::start(&services);
    }

    /// How the figures stand.
    pub(super) async fn read(&mut self) -> Reading {
        let requests = self.load.requests();
        let statuses = self.fleet.statuses().await;
        for (sent, status) in self.sent.iter_mut().zip(statuses) {
            let Some(status) = status else { continue };
            if sent.life != status.started_unix_ms {
                *sent = Sent { before: sent.before + sent.now, now: 0, life: status.started_unix_ms };
            }
            sent.now = status.counters.uploaded_bytes;
        }
        let peaks = self.fleet.machines().iter().filter_map(|machine| peak_resident_bytes(machine.pid()?));
        self.peak_bytes = peaks.max().unwrap_or(0).max(self.peak_bytes);
        Reading { requests, sent: self.sent.iter().map(|sent| sent.before + sent.now).collect() }
    }

    /// Ends everything, in its order. Dropping does the same and blocks meanwhile.
    pub(super) async fn end(self) {
        let Self { load, chronicle, fleet, .. } = self;
        drop((load, chronicle));
        // It has ended in any case; a panic on the way has nobody to hear of it.
        let _ = tokio::task::spawn_blocking(move || drop(fleet)).await;
    }

    /// The most memory that an agent had resident at any reading, or before it.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }
}

/// What each machine runs: the demo's service, or nothing but files.
fn component(machine: &Machine, binary: &Path, serves: bool) -> ComponentSection {
    let name = COMPONENT.to_owned();
    if !serves {
        return ComponentSection { name, ..ComponentSection::default() };
    }
    ComponentSection {
        name,
        run: vec![binary.display().to_string(), DEMO_SERVICE_COMMAND.to_owned(), ".".to_owned()],
        listen: vec![machine.service().to_string()],
        grace_ms: Some(GRACE_MS),
        ready: Some(ReadySection { notify_within_ms: READY_WITHIN_MS }),
    }
}

/// Makes the trees and builds the four releases from them.
///
/// # Errors
/// When something named is missing or the disk refuses.
pub(super) async fn prepare(
    root: PathBuf,
    fleet: FleetDirectory,
    options: DemoOptions,
) -> Result<Releases, Problem> {
    blocking(move || {
        let trees_path = root.join("trees");
        let (trees, probes) = match &options.own {
            None => (tree::draw(&trees_path, plans::FAIL_AFTER_MS)?, plans::service_probes()),
            Some(own) => (
                tree::adopt(&trees_path, &own.old, &own.new, own.bad.as_deref())?,
                plans::command_probes(&own.trial),
            ),
        };
        build_all(&root.join("releases"), &fleet, &trees, &probes)
    })
    .await
}

fn build_all(
    root: &Path,
    fleet: &FleetDirectory,
    trees: &Trees,
    probes: &[Probe],
) -> Result<Releases, Problem> {
    std::fs::create_dir_all(root).map_err(|error| Problem::writing(root, &error))?;
    let component = ComponentName::new(COMPONENT).expect("BUG: a valid name");
    let build = |sequence: u64, version: &str, tree: &Path, from: &[&ReleaseDirectory], plan: Plan| {
        let draft = Draft {
            component: component.clone(),
            kind: Kind::Service,
            version: version.to_owned(),
            tree: tree.to_owned(),
            from: from.iter().map(|release| release.path().to_owned()).collect(),
            sequence,
            plan,
            out: root.join(version),
        };
        build_and_sign(fleet, &draft)
    };
    let waves = || plans::waves(probes.to_vec());
    let first = build(1, "1.0", &trees.first, &[], plans::installation(probes.to_vec()))?;
    let good = build(2, "2.0", &trees.good, &[&first], waves())?;
    let bad = build(3, "3.0", &trees.bad, &[&good], waves())?;
    let fixed = build(4, "4.0", &trees.fixed, &[&good], waves())?;
    Ok(Releases { first, good, bad, fixed })
}
