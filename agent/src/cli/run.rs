//! Verbs that run something instead of answering: the agent, the console, the demo, and the two
//! programs that the agent and the demo start for themselves.
//!
//! Each function here is the one place where the command line meets that room.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::runtime::Runtime;

use super::daemon::SocketArgs;
use super::explain::explain;
use super::failure::{Code, Failure};
use crate::config::ConfigError;
use crate::console::{self, ConsoleOptions};
use crate::driver::{self, AgentError};
use crate::release::keys;
use crate::release::problem::Problem;
use crate::{demo, service};

/// What shells answer when a program cannot be executed.
const NOT_EXECUTED: u8 = 127;

/// Runs the agent of this machine
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell agent --config agent.toml
  swell agent --config /etc/groundswell/agent.toml")]
pub(super) struct AgentArgs {
    /// The agent's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
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
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(4..=64))]
    nodes: u32,
    /// Leave everything in this directory, which must not exist
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Your own first version
    #[arg(long, value_name = "DIR", requires = "new")]
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

/// What `swell demo` is asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How many agents.
    pub nodes: u32,
    /// One JSON object instead of a table.
    pub json: bool,
    /// Where to leave everything.
    pub keep: Option<PathBuf>,
    /// The user's own versions.
    pub own: Option<OwnVersions>,
}

/// The user's own two versions of anything.
#[derive(Clone, Debug)]
pub struct OwnVersions {
    /// The first.
    pub old: PathBuf,
    /// The second.
    pub new: PathBuf,
    /// The bad one; without it the new one with its largest file truncated.
    pub bad: Option<PathBuf>,
    /// The health check, run inside the tree by a shell.
    pub trial: Option<String>,
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
    let runtime = runtime("cannot start the agent")?;
    // What the file names is relative to the file, so its own place must be known.
    let config = std::path::absolute(&args.config).map_err(|error| Problem::reading(&args.config, &error))?;
    runtime.block_on(driver::run(&config)).map_err(|error| agent_failure(&error))?;
    Ok(ExitCode::SUCCESS)
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
        read_key: |path| keys::read(path).map_err(|problem| problem.to_string()),
        explain,
    };
    runtime("cannot show the console")?.block_on(console::run(options)).map_err(|error| {
        Failure::new(
            Code::Local,
            "cannot show the console",
            error.to_string(),
            "run it in a terminal; in scripts use `swell status` and `swell rollout`",
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn runtime(what: &str) -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Code::Local, what, error.to_string(), "check the limits on processes and open files")
    })
}

/// INTEGRATION POINT: hand the options to `demo::run`.
pub(super) fn demo(args: &DemoArgs, json: bool) -> Result<ExitCode, Failure> {
    let options = args.options(json);
    Err(absent(&format!("run a demo of {} nodes", options.nodes)))
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

fn absent(what: &str) -> Failure {
    Failure::new(
        Code::Local,
        format!("cannot {what}"),
        "this build of swell does not have that part",
        "use a complete build",
    )
}

impl DemoArgs {
    fn options(&self, json: bool) -> DemoOptions {
        let own = match (&self.old, &self.new) {
            (Some(old), Some(new)) => Some(OwnVersions {
                old: old.clone(),
                new: new.clone(),
                bad: self.bad.clone(),
                trial: self.trial.clone(),
            }),
            _ => None,
        };
        DemoOptions { nodes: self.nodes, json, keep: self.keep.clone(), own }
    }
}
