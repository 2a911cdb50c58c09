//! Where the command line meets the rooms that run for long. Each body is one call; until a room has
//! landed its function says so instead of pretending.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use super::failure::{Code, Failure};
use super::run::DemoOptions;

/// INTEGRATION POINT: `driver::run(config)`, on a multi-threaded runtime.
pub(super) fn agent(config: &Path) -> Result<ExitCode, Failure> {
    Err(absent(&format!("run an agent from {}", config.display())))
}

/// INTEGRATION POINT: `console::run(socket, operator key)`.
pub(super) fn console(socket: &Path, key: &Path) -> Result<ExitCode, Failure> {
    Err(absent(&format!("show a console on {} with {}", socket.display(), key.display())))
}

/// INTEGRATION POINT: `demo::run(options)`.
pub(super) fn demo(options: &DemoOptions) -> Result<ExitCode, Failure> {
    Err(absent(&format!("run a demo of {} nodes", options.nodes)))
}

/// INTEGRATION POINT: `service::exec_shim(arguments)`. Must not start a runtime: it replaces this process.
pub(super) fn exec_service(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    Err(absent(&format!("start a component's process ({} arguments)", arguments.len())))
}

/// INTEGRATION POINT: `demo::service::run(arguments)`.
pub(super) fn demo_service(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    Err(absent(&format!("run the demo's service ({} arguments)", arguments.len())))
}

fn absent(what: &str) -> Failure {
    Failure::new(
        Code::Local,
        format!("cannot {what}"),
        "this build of swell does not have that part",
        "use a complete build",
    )
}
