//! swell.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    if command == groundswell_agent::service::SHIM_COMMAND {
        let error = groundswell_agent::service::exec_shim(arguments);
        eprintln!("swell: {error}");
        return ExitCode::from(127);
    }
    if command == groundswell_agent::demo::service::DEMO_SERVICE_COMMAND {
        let directory = arguments.next().unwrap_or_else(|| ".".into());
        if let Err(error) = groundswell_agent::demo::service::run(Path::new(&directory)) {
            eprintln!("swell: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
