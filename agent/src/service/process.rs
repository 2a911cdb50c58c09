//! One version's process: how it is started, and what is kept beside it until it is reaped.

use super::environment::base_environment;
use super::error::ServiceError;
use super::group::ProcessGroup;
use super::output::{Output, OutputDirectory};
use super::record::Records;
use super::settings::ServiceSettings;
use super::shim::{RECORDS_VARIABLE, SHIM_COMMAND};
use super::sockets::Sockets;
use command_fds::CommandFdExt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where and with what processes of one component are started.
#[derive(Debug)]
pub(super) struct Launcher {
    pub(super) settings: ServiceSettings,
    pub(super) sockets: Sockets,
    pub(super) records: Records,
    pub(super) outputs: OutputDirectory,
}

/// A child that is a version of the component.
#[derive(Debug)]
pub(super) struct Process {
    group: ProcessGroup,
    output: Output,
    records: Records,
    slot: PathBuf,
    started: Instant,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// "exit status: 1", "signal: 9 (SIGKILL)".
    pub(super) exit: String,
    /// The last lines of its output.
    pub(super) last_lines: Vec<String>,
    /// How long it had lived.
    pub(super) lived: Duration,
}

impl Launcher {
    /// Starts the version in `slot`. `serving_output` is the output file of the version that serves now.
    pub(super) fn start(
        &self,
        slot: &Path,
        notify: Option<&Path>,
        serving_output: Option<&Path>,
    ) -> Result<Process, ServiceError> {
        let program = self.program(slot)?;
        let output = self.outputs.next(serving_output).map_err(|error| self.state_error(error))?;
        let spawn_error = |source| ServiceError::Spawn { name: self.settings.name.clone(), source };
        let mut command = self.command(slot, &program, &output, notify).map_err(spawn_error)?;
        let group = ProcessGroup::spawn(&mut command).map_err(spawn_error)?;
        Ok(Process {
            group,
            output,
            records: self.records.clone(),
            slot: slot.to_owned(),
            started: Instant::now(),
        })
    }

    /// An error of the state directory.
    pub(super) fn state_error(&self, source: io::Error) -> ServiceError {
        ServiceError::StateDirectory { path: self.settings.state_directory.clone(), source }
    }

    /// The program to run; one inside the slot is looked at first, so that the usual mistake of a release
    /// without its program has an error of its own.
    fn program(&self, slot: &Path) -> Result<PathBuf, ServiceError> {
        let name = &self.settings.run[0];
        if !name.contains('/') {
            return Ok(PathBuf::from(name));
        }
        let program = slot.join(name);
        let executable = std::fs::metadata(&program).and_then(|metadata| {
            let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
            runs.then_some(()).ok_or_else(|| io::Error::other("it is not an executable file"))
        });
        match executable {
            Ok(()) => Ok(program),
            Err(source) => Err(ServiceError::Program { program, source }),
        }
    }

    fn command(
        &self,
        slot: &Path,
        program: &Path,
        output: &Output,
        notify: Option<&Path>,
    ) -> io::Result<Command> {
        let mut command = Command::new(&self.settings.shim);
        command.arg(SHIM_COMMAND).arg("--").arg(program).args(&self.settings.run[1..]);
        command.current_dir(slot).env_clear().envs(base_environment()).envs(&self.settings.environment);
        command.env("SWELL_COMPONENT", &self.settings.name).env("SWELL_SLOT", slot);
        command.env(RECORDS_VARIABLE, self.records.directory());
        if let Some(path) = notify {
            command.env("NOTIFY_SOCKET", path);
        }
        if self.sockets.count() > 0 {
            command.env("LISTEN_FDS", self.sockets.count().to_string());
            command.env("LISTEN_FDNAMES", self.sockets.names());
        }
        command.stdin(Stdio::null()).stdout(output.descriptor()?).stderr(output.descriptor()?);
        command.fd_mappings(self.sockets.mappings()?).map_err(io::Error::other)?;
        Ok(command)
    }
}

impl Process {
    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.group.pid()
    }

    /// The slot it runs in.
    pub(super) fn slot(&self) -> &Path {
        &self.slot
    }

    /// When it was started.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Its output file.
    pub(super) fn output_path(&self) -> &Path {
        self.output.path()
    }

    /// The last lines of its output so far.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.output.last_lines()
    }

    /// Waits until it has ended; may be dropped and called again.
    pub(super) async fn exited(&self) {
        self.group.exited().await;
    }

    /// Asks it and all it forked to end, and kills them after `grace` or when `hurry` is cancelled.
    pub(super) async fn end(self, grace: Duration, hurry: &CancellationToken) -> Ending {
        let pid = self.group.pid();
        let status = self.group.end(grace, hurry).await;
        conclude(status, pid, &self.output, &self.records, self.started)
    }

    /// Kills what is left of its group and reaps it: for a process that has ended by itself.
    pub(super) async fn reap(self) -> Ending {
        let pid = self.group.pid();
        let status = self.group.kill().await;
        conclude(status, pid, &self.output, &self.records, self.started)
    }
}

fn conclude(
    status: Option<ExitStatus>,
    pid: u32,
    output: &Output,
    records: &Records,
    started: Instant,
) -> Ending {
    if status.is_some() {
        records.forget(pid);
    }
    let exit = status.map_or_else(
        || "killed, but the kernel has not let go of it".to_owned(),
        |status| status.to_string(),
    );
    Ending { exit, last_lines: output.last_lines(), lived: started.elapsed() }
}
