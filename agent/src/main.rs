//! `swell`: the agent, and the command line around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    groundswell_agent::cli::main()
}
