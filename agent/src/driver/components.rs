//! Components at work: a task for each, which owns its slots, its process and its probes, and does one
//! job after the other, so that a revert never overtakes the switch it undoes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::HealthReport;
use groundswell_protocol::node::Trouble;
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::probe::Probe;
use tokio::sync::{mpsc, oneshot, watch};

use super::feedback::Feedback;
use crate::config::{ComponentConfig, ReadyConfig, SwitchConfig};
use crate::control::api::ServiceView;
use crate::health::{Monitor, Subject};
use crate::service::{
    Readiness, ServiceError, ServiceSettings, ServiceState, ServiceStatus, Succession, Supervisor,
};
use crate::slots::{Component, SlotError};

/// Jobs that wait for a component. The core has at most a few under way.
const JOBS_MAX: usize = 32;
/// Reports of one component's probes that wait to be passed on.
const REPORTS_MAX: usize = 8;

/// One thing to do with a component.
enum Job {
    Activate(Digest),
    Revert(Option<Digest>),
    Confirm { tree: Digest, keep: Vec<Digest> },
    Probe { tree: Digest, probes: Vec<Probe> },
    End { leave: bool, done: oneshot::Sender<()> },
}

/// The handle on one component's task.
struct Handle {
    jobs: mpsc::Sender<Job>,
    status: Option<watch::Receiver<ServiceStatus>>,
}

/// All configured components.
pub(super) struct Components {
    handles: BTreeMap<ComponentName, Handle>,
}

impl Components {
    /// Takes hold of every component: its sockets, and what an earlier agent left running. Starts nothing.
    pub(super) async fn open(
        configured: &[ComponentConfig],
        data: &Path,
        slots: &crate::slots::Slots,
        feedback: &mpsc::Sender<Feedback>,
    ) -> Result<Self, ComponentError> {
        let mut handles = BTreeMap::new();
        for config in configured {
            let named = |why: String| ComponentError { component: config.name.clone(), why };
            let slots = slots.component(config.name.as_str()).map_err(|error| named(error.to_string()))?;
            let supervisor = match config.has_process() {
                true => Some(supervisor(config, data).await.map_err(|error| named(error.to_string()))?),
                false => None,
            };
            let status = supervisor.as_ref().map(Supervisor::status);
            let (jobs, queue) = mpsc::channel(JOBS_MAX);
            let worker = Worker {
                name: config.name.clone(),
                slots,
                supervisor,
                monitor: None,
                feedback: feedback.clone(),
            };
            tokio::spawn(worker.run(queue));
            handles.insert(config.name.clone(), Handle { jobs, status });
        }
        Ok(Self { handles })
    }

    pub(super) fn activate(&self, component: &ComponentName, tree: Digest) {
        self.give(component, Job::Activate(tree));
    }

    pub(super) fn revert(&self, component: &ComponentName, tree: Option<Digest>) {
        self.give(component, Job::Revert(tree));
    }

    pub(super) fn confirm(&self, component: &ComponentName, tree: Digest, keep: Vec<Digest>) {
        self.give(component, Job::Confirm { tree, keep });
    }

    pub(super) fn probe(&self, component: &ComponentName, tree: Digest, probes: Vec<Probe>) {
        self.give(component, Job::Probe { tree, probes });
    }

    fn give(&self, component: &ComponentName, job: Job) {
        let taken = self.handles.get(component).is_some_and(|handle| handle.jobs.try_send(job).is_ok());
        if !taken {
            // The core asks again when its own deadline for the answer has passed.
            tracing::warn!(%component, "The component is busy; a job was put off.");
        }
    }

    /// The supervised processes, for screens.
    pub(super) fn views(&self) -> Vec<ServiceView> {
        let view = |(name, handle): (&ComponentName, &Handle)| {
            let status = handle.status.as_ref()?.borrow().clone();
            Some(ServiceView {
                component: name.clone(),
                pid: status.pid,
                running: status.state == ServiceState::Running,
                restarts: status.restarts,
            })
        };
        self.handles.iter().filter_map(view).collect()
    }

    /// Ends all components' tasks; with `leave` their processes run on, for the agent that comes next.
    pub(super) async fn end(self, leave: bool) {
        let mut ends = Vec::new();
        for handle in self.handles.into_values() {
            let (done, ended) = oneshot::channel();
            if handle.jobs.send(Job::End { leave, done }).await.is_ok() {
                ends.push(ended);
            }
        }
        for ended in ends {
            // A task that is gone already has nothing left to end.
            let _ = ended.await;
        }
    }
}

/// A component cannot be taken hold of.
#[derive(Debug, thiserror::Error)]
#[error("the component {component} cannot be run: {why}")]
pub(super) struct ComponentError {
    pub(super) component: ComponentName,
    pub(super) why: String,
}

async fn supervisor(config: &ComponentConfig, data: &Path) -> Result<Supervisor, ServiceError> {
    let ready = match config.ready {
        ReadyConfig::NotifyWithinMs(within) => Readiness::Notify { within: Duration::from_millis(within) },
        ReadyConfig::SettleMs(time) => Readiness::Settle(Duration::from_millis(time)),
    };
    let shim = ServiceSettings::own_binary()
        .map_err(|source| ServiceError::Program { program: "swell".into(), source })?;
    Supervisor::open(ServiceSettings {
        name: config.name.to_string(),
        run: config.run.clone(),
        listen: config.listen.clone(),
        environment: config.environment.clone(),
        grace: config.grace(),
        ready,
        succession: match config.switch() {
            SwitchConfig::Overlap => Succession::Overlap,
            SwitchConfig::InTurn => Succession::InTurn,
        },
        state_directory: data.join("services").join(config.name.as_str()),
        shim,
    })
    .await
}

/// One component's task.
struct Worker {
    name: ComponentName,
    slots: Component,
    supervisor: Option<Supervisor>,
    monitor: Option<Monitor>,
    feedback: mpsc::Sender<Feedback>,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.recv().await {
            match job {
                Job::Activate(tree) => {
                    let outcome = self.activate(tree).await;
                    self.tell(Some(tree), outcome).await;
                }
                Job::Revert(tree) => {
                    let outcome = self.revert(tree).await;
                    self.tell(tree, outcome).await;
                }
                Job::Confirm { tree, keep } => self.confirm(tree, keep).await,
                Job::Probe { tree, probes } => self.probe(tree, probes).await,
                Job::End { leave, done } => {
                    self.end(leave).await;
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    async fn tell(&self, tree: Option<Digest>, outcome: Result<(), Trouble>) {
        let told = Feedback::Activated { component: self.name.clone(), tree, outcome };
        if self.feedback.send(told).await.is_err() {
            tracing::debug!("The agent is ending; nobody hears of a switch.");
        }
    }

    /// Switches the link, then the process; if the process does not start the link goes back.
    async fn activate(&mut self, tree: Digest) -> Result<(), Trouble> {
        let before = self.slots.active().map(|slot| slot.tree);
        self.monitor = None;
        let path = self.on_disk(move |slots| slots.activate(&tree)).await?;
        let Some(supervisor) = &self.supervisor else { return Ok(()) };
        if let Err(error) = supervisor.switch_to(&path).await {
            match before {
                Some(before) if before == tree => {}
                Some(before) => drop(self.on_disk(move |slots| slots.revert_to(&before)).await?),
                None => self.on_disk(Component::deactivate).await?,
            }
            return Err(Trouble::Local(error.to_string()));
        }
        Ok(())
    }

    async fn revert(&mut self, tree: Option<Digest>) -> Result<(), Trouble> {
        self.monitor = None;
        let Some(tree) = tree else {
            if let Some(supervisor) = &self.supervisor {
                supervisor.stop().await;
            }
            return self.on_disk(Component::deactivate).await;
        };
        let path = self.on_disk(move |slots| slots.revert_to(&tree)).await?;
        if let Some(supervisor) = &self.supervisor {
            supervisor.switch_to(&path).await.map_err(|error| Trouble::Local(error.to_string()))?;
        }
        Ok(())
    }

    async fn confirm(&self, tree: Digest, keep: Vec<Digest>) {
        let confirmed = self.on_disk(move |slots| {
            slots.set_anchor(&tree)?;
            slots.collect(&keep)
        });
        if let Err(trouble) = confirmed.await {
            tracing::warn!(component = %self.name, "Old versions were not cleaned up: {}.", trouble.words());
        }
    }

    async fn probe(&mut self, tree: Digest, probes: Vec<Probe>) {
        let Some(slot) = self.slots.active().filter(|slot| slot.tree == tree) else { return };
        let first = self.supervisor.as_ref().and_then(|s| s.addresses().first());
        let subject = Subject {
            slot: slot.path,
            first_port: first.map(std::net::SocketAddr::port),
            service: self.supervisor.as_ref().map(Supervisor::status),
        };
        let (reports, received) = mpsc::channel(REPORTS_MAX);
        match Monitor::start(probes, subject, reports) {
            Ok(monitor) => {
                self.monitor = Some(monitor);
                tokio::spawn(pass_on(self.name.clone(), tree, received, self.feedback.clone()));
            }
            // Plans are checked before they are accepted.
            Err(fault) => {
                tracing::error!(component = %self.name, "BUG: a plan's probes were refused: {fault}");
            }
        }
    }

    async fn end(&mut self, leave: bool) {
        self.monitor = None;
        if let Some(supervisor) = self.supervisor.take() {
            if leave {
                supervisor.leave().await;
            } else {
                supervisor.stop().await;
            }
        }
    }

    /// Does work on the slots where blocking is allowed.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Component) -> Result<T, SlotError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let slots = self.slots.clone();
        let done = tokio::task::spawn_blocking(move || work(&slots)).await;
        match done {
            Ok(outcome) => outcome.map_err(|error| error.trouble()),
            Err(panic) => Err(Trouble::Local(format!("BUG: work on the slots ended early: {panic}"))),
        }
    }
}

/// Passes a monitor's reports on until it ends.
async fn pass_on(
    component: ComponentName,
    tree: Digest,
    mut reports: mpsc::Receiver<HealthReport>,
    feedback: mpsc::Sender<Feedback>,
) {
    while let Some(report) = reports.recv().await {
        if feedback.send(Feedback::Probed { component: component.clone(), tree, report }).await.is_err() {
            return;
        }
    }
}
