//! Verbs that run something instead of answering: the agent, the console, the demo, and the two
//! programs that the agent and the demo start for themselves.
//!
//! Each function here is the one place where the command line meets that room.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::daemon::SocketArgs;
use super::failure::Failure;
use super::wiring;

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

/// Starts a component's process inside its slot
#[derive(Args, Debug)]
pub(super) struct ExecServiceArgs {
    /// What the supervisor says.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// The demo's small HTTP service
#[derive(Args, Debug)]
pub(super) struct DemoServiceArgs {
    /// What the demo says.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(super) fn agent(args: &AgentArgs) -> Result<ExitCode, Failure> {
    wiring::agent(&args.config)
}

pub(super) fn console(args: &ConsoleArgs) -> Result<ExitCode, Failure> {
    wiring::console(&args.socket.path(), &args.key)
}

pub(super) fn demo(args: &DemoArgs, json: bool) -> Result<ExitCode, Failure> {
    let own = match (&args.old, &args.new) {
        (Some(old), Some(new)) => Some(OwnVersions {
            old: old.clone(),
            new: new.clone(),
            bad: args.bad.clone(),
            trial: args.trial.clone(),
        }),
        _ => None,
    };
    wiring::demo(&DemoOptions { nodes: args.nodes, json, keep: args.keep.clone(), own })
}

pub(super) fn exec_service(args: &ExecServiceArgs) -> Result<ExitCode, Failure> {
    wiring::exec_service(&args.arguments)
}

pub(super) fn demo_service(args: &DemoServiceArgs) -> Result<ExitCode, Failure> {
    wiring::demo_service(&args.arguments)
}
