//! The supervisor's handle: what the rest of the agent holds.

use super::actor::{Actor, Command};
use super::error::ServiceError;
use super::output::OutputDirectory;
use super::process::Launcher;
use super::readiness::remove_leftovers;
use super::record::Records;
use super::settings::ServiceSettings;
use super::sockets::Sockets;
use super::status::ServiceStatus;
use std::fs::{File, OpenOptions, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Commands that may wait for the actor; further callers wait for a place.
const COMMANDS_MAX: usize = 8;
/// How long a held lock is tried again: a child that an agent forked in its last moment holds a copy of it
/// until its exec.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Owns one component's process and listening sockets.
///
/// Dropped, or left with [`Supervisor::leave`], it lets the process run on, as the agent's own death would:
/// the next supervisor of the same state directory takes it over. Only [`Supervisor::stop`] ends it.
#[derive(Debug)]
pub struct Supervisor {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<ServiceStatus>,
    addresses: Vec<SocketAddr>,
    task: JoinHandle<()>,
}

/// A switch that is through: the new version serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switched {
    /// The new process.
    pub pid: u32,
    /// From its start until it was ready.
    pub ready_after: Duration,
}

impl Supervisor {
    /// Takes hold of the component: its state directory, what an earlier agent left running, its sockets.
    /// Starts nothing. A process left running goes on serving until the first switch is through, unless
    /// its sockets cannot be taken from it; then it is ended here, with grace.
    ///
    /// # Errors
    /// Settings out of bounds, a state directory that cannot be used or is in use, an address that cannot
    /// be bound. Nothing is held then; what ran before runs on, except an orphan that stood in the way.
    pub async fn open(settings: ServiceSettings) -> Result<Self, ServiceError> {
        settings.check()?;
        let state_error =
            |source| ServiceError::StateDirectory { path: settings.state_directory.clone(), source };
        std::fs::create_dir_all(&settings.state_directory).map_err(state_error)?;
        // Paths given to the process must not depend on its working directory.
        let settings = ServiceSettings {
            state_directory: settings.state_directory.canonicalize().map_err(state_error)?,
            ..settings
        };
        let lock = lock(&settings.state_directory).await?;
        let state_error =
            |source| ServiceError::StateDirectory { path: settings.state_directory.clone(), source };
        remove_leftovers(&settings.state_directory).map_err(state_error)?;
        let records = Records::open(&settings.state_directory).map_err(state_error)?;
        let outputs = OutputDirectory::open(&settings.state_directory).map_err(state_error)?;
        let orphans = records.living(&[]).map_err(state_error)?;
        let (sockets, orphans) = Sockets::open(&settings, &records, orphans).await?;
        let addresses = sockets.addresses().map_err(state_error)?;
        let launcher = Launcher { settings, sockets, records, outputs };

        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (actor, status) = Actor::new(launcher, orphans, lock);
        let task = tokio::spawn(actor.run(inbox));
        Ok(Self { commands, status, addresses, task })
    }

    /// The addresses served on, in the order of the settings, with real ports.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Starts the version in `slot`, waits until it is ready, then retires the version before it in the
    /// background. The same slot again is a restart without a gap.
    ///
    /// A later switch or stop overtakes one that still waits for its process: a revert waits for nobody.
    ///
    /// # Errors
    /// The new process could not be started, ended early, was not ready in time, or was overtaken. It is
    /// gone then, and the version that served before serves on.
    pub async fn switch_to(&self, slot: &Path) -> Result<Switched, ServiceError> {
        let slot = absolute(slot)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Switch { slot, reply };
        self.commands.send(command).await.map_err(|_| ServiceError::Closed)?;
        answer.await.map_err(|_| ServiceError::Closed)?
    }

    /// Ends every process of the component and returns when they are gone: after the grace and a few
    /// seconds at most. The sockets stay: connections wait in their queues until a later switch, or are
    /// refused once the supervisor is dropped.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Stop { reply }).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Lets go of the component without ending its process, for an agent that is about to be replaced.
    pub async fn leave(self) {
        drop(self.commands);
        // An error would be a panic of the task, which has let go all the same.
        let _ = self.task.await;
    }

    /// The process's state, and a way to be told of changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ServiceStatus> {
        self.status.clone()
    }
}

fn absolute(slot: &Path) -> Result<PathBuf, ServiceError> {
    std::path::absolute(slot).map_err(|source| ServiceError::Program { program: slot.to_owned(), source })
}

/// Two supervisors of one component would take each other's process for an orphan.
async fn lock(state_directory: &Path) -> Result<File, ServiceError> {
    let path = state_directory.join("supervisor.lock");
    let failed = |source| ServiceError::StateDirectory { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(ServiceError::Supervised { path });
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
        }
    }
}
