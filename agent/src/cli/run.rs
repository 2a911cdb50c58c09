//! Verbs that run something instead of answering: the agent, the console, the demo, and the two
//! programs that the agent and the demo start for themselves.
//!
//! Each function here is the one place where the command line meets that room.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::runtime::{Builder, Runtime};

use super::daemon::SocketArgs;
use super::explain::explain;
use super::failure::{Code, Failure};
use crate::config::ConfigError;
use crate::console::{self, ConsoleOptions};
use crate::demo::{self, DemoOptions, OwnVersions};
use crate::driver::{self, AgentError};
use crate::release::keys;
use crate::service;

/// What shells answer when a program cannot be executed.
const NOT_EXECUTED: u8 = 127;

/// Runs the agent of this machine
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell agent --config agent.toml
  swell agent --config /etc/groundswell/agent.toml
  swell agent --config agent.toml --record recordings/   then: swell-sim replay recordings/FILE

RECORDINGS:
  Hold everything that the node's rules were told and decided, so that a developer can play it again. They hold no
  secret key, but what the node knew: documents, addresses, the words of health reports. Each start makes one of at
  most 256 MiB; a directory keeps a node's newest 8.")]
pub(super) struct AgentArgs {
    /// The agent's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Record what the node is told and decides in this new file, or in a new file in this directory
    #[arg(long, value_name = "FILE|DIR")]
    record: Option<PathBuf>,
}

/// Watches and steers the fleet on one screen
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell console
  swell console --socket data/agent.sock")]
pub(super) struct ConsoleArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// The operator's key, for pause, resume and abort
    #[arg(long, value_name = "FILE", default_value = "fleet/keys/operator.key")]
    key: PathBuf,
}

/// Shows a whole fleet on this machine: a good release, a bad one, a killed leader
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell demo
  swell demo --nodes 5 --json
  swell demo --old ./tool-1.0 --new ./tool-1.1 --trial './bin/tool --version'")]
pub(super) struct DemoArgs {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 12)]
    nodes: usize,
    /// Leave everything in this directory, which must not exist
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Your own first version
    #[arg(long, value_name = "DIR", requires_all = ["new", "trial"])]
    old: Option<PathBuf>,
    /// Your own second version
    #[arg(long, value_name = "DIR", requires = "old")]
    new: Option<PathBuf>,
    /// Your own bad version [default: the new one with its largest file truncated]
    #[arg(long, value_name = "DIR", requires = "new")]
    bad: Option<PathBuf>,
    /// The health check, run inside the tree by a shell
    #[arg(long, value_name = "COMMAND", requires = "new")]
    trial: Option<String>,
}

/// Becomes a component's process (started by the agent)
#[derive(Args, Debug)]
pub(super) struct ExecServiceArgs {
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) program: Vec<OsString>,
}

/// The demo's small HTTP service (started by the agent)
#[derive(Args, Debug)]
pub(super) struct DemoServiceArgs {
    /// The version's directory.
    #[arg(default_value = ".")]
    directory: PathBuf,
}

/// Runs the agent until it is told to end.
pub(super) fn agent(args: &AgentArgs) -> Result<ExitCode, Failure> {
    let runtime = runtime("start the agent")?;
    runtime
        .block_on(driver::run(&args.config, args.record.as_deref()))
        .map_err(|error| agent_failure(&error))?;
    Ok(ExitCode::SUCCESS)
}

/// A runtime for what runs for long.
pub(super) fn runtime(what: &str) -> Result<Runtime, Failure> {
    Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(
            Code::Local,
            format!("cannot {what}"),
            error.to_string(),
            "check the limits on processes and open files",
        )
    })
}

fn agent_failure(error: &AgentError) -> Failure {
    let what = "cannot run the agent";
    let (code, todo) = match error {
        AgentError::Documents(problem) => return problem.clone().into(),
        AgentError::Config(ConfigError::Unreadable { path, .. }) if !path.exists() => {
            (Code::NotFound, "name the configuration with --config")
        }
        AgentError::Config(_) | AgentError::Logs(_) => {
            (Code::BadInput, "correct the configuration, and start again")
        }
        AgentError::OtherFleet { .. } => (Code::Refused, "correct `data` or `fleet` in the configuration"),
        AgentError::Recording { .. } => {
            (Code::Local, "name a new file with --record, or a directory, in which each start makes one")
        }
        AgentError::Link(_) | AgentError::Control(_) => {
            (Code::Local, "see what else uses the address or socket, or choose another in the configuration")
        }
        _ => (Code::Local, "check the disk, its permissions and its room, and start again"),
    };
    Failure::new(code, what, error.to_string(), todo)
}

/// Shows the console until the operator leaves.
pub(super) fn console(args: &ConsoleArgs) -> Result<ExitCode, Failure> {
    let options = ConsoleOptions {
        socket: args.socket.path(),
        key: Some(args.key.clone()),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        read_key: |path| keys::read(path).map_err(|problem| format!("{}: {}", problem.what, problem.why)),
        explain,
    };
    runtime("show the console")?.block_on(console::run(options)).map_err(|error| {
        Failure::new(Code::Local, "cannot show the console", error.to_string(), "run it in a terminal")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Plays the demo; its exit code says whether all went as promised.
pub(super) fn demo(args: &DemoArgs, json: bool) -> Result<ExitCode, Failure> {
    let promised = runtime("run the demo")?.block_on(demo::run(args.options(json)))?;
    Ok(if promised { ExitCode::SUCCESS } else { ExitCode::from(Code::Bad as u8) })
}

/// Becomes the component's process. Needs no runtime and no thread: it replaces this process.
pub(super) fn exec_service(program: impl IntoIterator<Item = OsString>) -> ExitCode {
    let error = service::exec_shim(program);
    eprintln!("swell: {error}");
    ExitCode::from(NOT_EXECUTED)
}

/// Serves until it is told to end.
pub(super) fn demo_service(args: &DemoServiceArgs) -> Result<ExitCode, Failure> {
    demo::service::run(&args.directory).map_err(|error| {
        Failure::new(
            Code::Local,
            "cannot run the demo's service",
            error.to_string(),
            "this is a part of `swell demo`: run that",
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

impl DemoArgs {
    fn options(&self, json: bool) -> DemoOptions {
        let own = match (&self.old, &self.new, &self.trial) {
            (Some(old), Some(new), Some(trial)) => Some(OwnVersions {
                old: old.clone(),
                new: new.clone(),
                bad: self.bad.clone(),
                trial: trial.clone(),
            }),
            _ => None,
        };
        DemoOptions { nodes: self.nodes, json, keep: self.keep.clone(), own }
    }
}
