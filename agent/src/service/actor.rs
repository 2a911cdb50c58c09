//! The task that owns a component's processes: one event at a time, one place where they change.
//!
//! At any moment there is at most one serving process (or orphans that serve in its place), at most one
//! starting, and a few retiring.

use super::backoff::Backoff;
use super::error::ServiceError;
use super::orphan::Orphan;
use super::process::{Ending, Launcher, Process};
use super::readiness::Waiting;
use super::retiring::Retiring;
use super::settings::{Readiness, Succession};
use super::status::{ServiceState, ServiceStatus};
use super::supervisor::Switched;
use std::fs::File;
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

type SwitchReply = oneshot::Sender<Result<Switched, ServiceError>>;

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    /// Serve with the version in the slot.
    Switch {
        /// Its directory, absolute.
        slot: PathBuf,
        /// Where the outcome goes.
        reply: SwitchReply,
    },
    /// End all processes.
    Stop {
        /// Told when they are gone.
        reply: oneshot::Sender<()>,
    },
}

/// What can happen next.
enum Event {
    Command(Option<Command>),
    Ready,
    NotReady,
    StartEnded,
    ServingEnded,
    OrphanEnded(usize),
    RestartDue,
    RetiredOne,
}

/// A process that is not ready yet.
struct Starting {
    process: Process,
    waiting: Waiting,
    /// Whoever waits for the switch; nobody waits for a restart.
    reply: Option<SwitchReply>,
}

pub(super) struct Actor {
    launcher: Launcher,
    serving: Option<Process>,
    orphans: Vec<Orphan>,
    starting: Option<Starting>,
    retiring: Retiring,
    /// The version that is to be kept running.
    kept: Option<PathBuf>,
    restart_at: Option<Instant>,
    backoff: Backoff,
    status: watch::Sender<ServiceStatus>,
    // Held for as long as the component is supervised.
    _lock: File,
}

impl Actor {
    pub(super) fn new(
        launcher: Launcher,
        orphans: Vec<Orphan>,
        lock: File,
    ) -> (Self, watch::Receiver<ServiceStatus>) {
        let (status, receiver) = watch::channel(ServiceStatus::default());
        let actor = Self {
            launcher,
            serving: None,
            orphans,
            starting: None,
            retiring: Retiring::default(),
            kept: None,
            restart_at: None,
            backoff: Backoff::new(),
            status,
            _lock: lock,
        };
        actor.publish();
        (actor, receiver)
    }

    /// Serves commands until the handle is gone, then sees those out that are on their way; the serving
    /// process runs on after that.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            match self.next_event(&mut commands).await {
                Event::Command(None) => break,
                Event::Command(Some(Command::Switch { slot, reply })) => self.switch(&slot, reply).await,
                Event::Command(Some(Command::Stop { reply })) => self.stop(reply).await,
                Event::Ready => self.take_over(),
                Event::NotReady => self.give_up_start(),
                Event::StartEnded => self.start_ended().await,
                Event::ServingEnded => self.serving_ended().await,
                Event::OrphanEnded(index) => self.orphan_ended(index),
                Event::RestartDue => self.restart(),
                Event::RetiredOne => {}
            }
            self.publish();
        }
        self.abandon_start();
        self.retiring.all_ended().await;
    }

    async fn next_event(&mut self, commands: &mut mpsc::Receiver<Command>) -> Event {
        let Self { serving, orphans, starting, retiring, restart_at, .. } = self;
        let starting = starting.as_ref();
        let orphan_ended = async {
            let ends = orphans.iter().map(|orphan| Box::pin(orphan.exited()));
            futures::future::select_all(ends).await.1
        };
        tokio::select! {
            biased;
            command = commands.recv() => Event::Command(command),
            () = async { exited(starting.map(|starting| &starting.process)).await } => Event::StartEnded,
            () = async { exited(serving.as_ref()).await } => Event::ServingEnded,
            ready = async {
                match starting {
                    Some(starting) => starting.waiting.ready().await,
                    None => std::future::pending().await,
                }
            } => if ready { Event::Ready } else { Event::NotReady },
            index = orphan_ended, if !orphans.is_empty() => Event::OrphanEnded(index),
            () = tokio::time::sleep_until(restart_at.unwrap_or_else(Instant::now)), if restart_at.is_some() => {
                Event::RestartDue
            }
            () = retiring.one_ended(), if !retiring.is_empty() => Event::RetiredOne,
        }
    }

    async fn switch(&mut self, slot: &Path, reply: SwitchReply) {
        self.abandon_start();
        self.restart_at = None;
        if self.launcher.settings.succession == Succession::InTurn {
            self.retire_serving();
            self.publish();
            self.retiring.all_ended().await;
        }
        if let Err((error, reply)) = self.begin(slot, Some(reply)) {
            self.answer(reply, Err(error));
            self.resume_kept();
        }
    }

    /// Asks whatever serves to end.
    fn retire_serving(&mut self) {
        let grace = self.launcher.settings.grace;
        if let Some(process) = self.serving.take() {
            self.retiring.retire(process, grace);
        }
        for orphan in self.orphans.drain(..) {
            self.retiring.retire_orphan(orphan, grace);
        }
    }

    fn restart(&mut self) {
        self.restart_at = None;
        let Some(slot) = self.kept.clone() else { return };
        tracing::info!(component = self.name(), slot = %slot.display(), "starting the service again");
        if let Err((error, _)) = self.begin(&slot, None) {
            tracing::warn!(component = self.name(), %error, "the service cannot be started again");
            self.count_end(Ending {
                exit: error.to_string(),
                last_lines: Vec::new(),
                lived: std::time::Duration::ZERO,
            });
            self.resume_kept();
        }
    }

    /// Starts a process beside whatever serves.
    fn begin(
        &mut self,
        slot: &Path,
        reply: Option<SwitchReply>,
    ) -> Result<(), (ServiceError, Option<SwitchReply>)> {
        let settings = &self.launcher.settings;
        let started = Waiting::begin(settings.ready, &settings.state_directory)
            .map_err(|error| self.launcher.state_error(error))
            .and_then(|waiting| {
                let serving_output = self.serving.as_ref().map(Process::output_path);
                let process = self.launcher.start(slot, waiting.notify_path(), serving_output)?;
                Ok((waiting, process))
            });
        match started {
            Ok((waiting, process)) => {
                tracing::debug!(
                    component = self.name(),
                    pid = process.pid(),
                    "a service process was started"
                );
                self.starting = Some(Starting { process, waiting, reply });
                Ok(())
            }
            Err(error) => Err((error, reply)),
        }
    }

    /// The starting process is ready: it becomes the serving one, all others retire.
    fn take_over(&mut self) {
        let Some(Starting { process, reply, .. }) = self.starting.take() else { return };
        self.retire_serving();
        let switched = Switched { pid: process.pid(), ready_after: process.started().elapsed() };
        self.kept = Some(process.slot().to_owned());
        self.serving = Some(process);
        if reply.is_some() {
            self.backoff = Backoff::new();
            self.status.send_modify(|status| {
                status.restarts = 0;
                status.last_exit = None;
                status.last_lines.clear();
            });
        }
        self.answer(reply, Ok(switched));
    }

    /// The starting process let its time pass.
    fn give_up_start(&mut self) {
        let Some(Starting { process, reply, .. }) = self.starting.take() else { return };
        let within = match self.launcher.settings.ready {
            Readiness::Notify { within } => within,
            Readiness::Settle(time) => time,
        };
        let ending = Ending {
            exit: format!("it was not ready within {within:?}"),
            last_lines: process.last_lines(),
            lived: process.started().elapsed(),
        };
        let error = ServiceError::NotReady {
            name: self.name().to_owned(),
            slot: process.slot().to_owned(),
            within,
            last_lines: ending.last_lines.clone(),
            still_serving: self.is_serving(),
        };
        // It may have accepted connections already: let it finish them.
        self.retiring.retire(process, self.launcher.settings.grace);
        self.start_failed(reply, error, ending);
    }

    /// The starting process ended by itself.
    async fn start_ended(&mut self) {
        let Some(Starting { process, reply, .. }) = self.starting.take() else { return };
        let slot = process.slot().to_owned();
        let ending = process.reap().await;
        let error = ServiceError::EndedEarly {
            name: self.name().to_owned(),
            slot,
            exit: ending.exit.clone(),
            last_lines: ending.last_lines.clone(),
            still_serving: self.is_serving(),
        };
        self.start_failed(reply, error, ending);
    }

    fn start_failed(&mut self, reply: Option<SwitchReply>, error: ServiceError, ending: Ending) {
        tracing::warn!(component = self.name(), %error, "a service process did not come up");
        if reply.is_none() {
            self.count_end(ending);
        }
        self.answer(reply, Err(error));
        self.resume_kept();
    }

    /// The serving process ended by itself: start it again after a pause, unless a switch is under way.
    async fn serving_ended(&mut self) {
        let Some(process) = self.serving.take() else { return };
        let pid = process.pid();
        let ending = process.reap().await;
        tracing::warn!(component = self.name(), pid, exit = ending.exit, "the service ended by itself");
        self.count_end(ending);
        self.resume_kept();
    }

    fn orphan_ended(&mut self, index: usize) {
        let orphan = self.orphans.swap_remove(index);
        self.launcher.records.forget(orphan.pid());
        tracing::warn!(
            component = self.name(),
            pid = orphan.pid(),
            "the service of an earlier agent ended by itself"
        );
    }

    fn count_end(&mut self, ending: Ending) {
        self.restart_at = Some(Instant::now() + self.backoff.after(ending.lived));
        self.status.send_modify(|status| {
            status.restarts = status.restarts.saturating_add(1);
            status.last_exit = Some(ending.exit);
            status.last_lines = ending.last_lines;
        });
    }

    /// Sees to it that the kept version is started again if nothing serves and nothing is on its way.
    fn resume_kept(&mut self) {
        let wanted = self.kept.is_some() && self.serving.is_none() && self.starting.is_none();
        if wanted {
            self.restart_at.get_or_insert_with(Instant::now);
        } else {
            self.restart_at = None;
        }
    }

    /// Lets go of a start that was overtaken.
    fn abandon_start(&mut self) {
        let Some(Starting { process, reply, .. }) = self.starting.take() else { return };
        let error =
            ServiceError::Superseded { name: self.name().to_owned(), slot: process.slot().to_owned() };
        self.retiring.retire(process, self.launcher.settings.grace);
        self.answer(reply, Err(error));
    }

    async fn stop(&mut self, reply: oneshot::Sender<()>) {
        self.abandon_start();
        self.kept = None;
        self.restart_at = None;
        self.retire_serving();
        self.publish();
        self.retiring.all_ended().await;
        // Whoever asked may have gone; the processes are stopped all the same.
        let _ = reply.send(());
    }

    /// Publishes first, so that whoever gets the answer reads a status that agrees with it.
    fn answer(&self, reply: Option<SwitchReply>, outcome: Result<Switched, ServiceError>) {
        self.publish();
        if let Some(reply) = reply {
            let _ = reply.send(outcome);
        }
    }

    fn publish(&self) {
        let pid = self.serving.as_ref().map(Process::pid).or_else(|| self.orphans.first().map(Orphan::pid));
        let slot = self.serving.as_ref().map(|process| process.slot().to_owned());
        let state = if pid.is_some() {
            ServiceState::Running
        } else if self.starting.is_some() {
            ServiceState::Starting
        } else if self.kept.is_some() {
            ServiceState::Waiting
        } else {
            ServiceState::Stopped
        };
        self.status.send_if_modified(|status| {
            let changed = (status.state, status.pid, &status.slot) != (state, pid, &slot);
            (status.state, status.pid) = (state, pid);
            status.slot = slot;
            changed
        });
    }

    fn is_serving(&self) -> bool {
        self.serving.is_some() || !self.orphans.is_empty()
    }

    fn name(&self) -> &str {
        &self.launcher.settings.name
    }
}

async fn exited(process: Option<&Process>) {
    match process {
        Some(process) => process.exited().await,
        None => std::future::pending().await,
    }
}
