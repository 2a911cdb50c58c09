//! The moment between fork and exec, without unsafe code.
//!
//! `LISTEN_PID` must hold the service's own process id, which nobody knows before the fork. So the agent
//! starts its own binary, which knows, sets the variable, records itself and becomes the service by exec:
//! same process, same id, same start time.

use super::record::record_self;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The hidden subcommand of `swell` that must call [`exec_shim`].
pub const SHIM_COMMAND: &str = "exec-service";
/// Names the directory of records to the shim; not passed on.
pub(super) const RECORDS_VARIABLE: &str = "SWELL_PROCESS_RECORDS";
/// How often and how far apart exec is tried again while the program is "busy": a process forked at the
/// moment when the program was written holds it open for writing until its own exec.
const BUSY_TRIES: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Becomes the service. `args` is what follows `exec-service` on the command line: an optional `--`, the
/// program and its arguments. Returns only if that failed; the caller prints the error and exits with 127.
pub fn exec_shim(args: impl IntoIterator<Item = OsString>) -> io::Error {
    let mut words = args.into_iter().skip_while(|word| word == "--");
    let Some(program) = words.next() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "exec-service: no program was named");
    };
    if let Some(directory) = std::env::var_os(RECORDS_VARIABLE)
        && let Err(error) = record_self(Path::new(&directory))
    {
        // Serving on a full disk is worth more than being found by the next agent.
        eprintln!(
            "swell: this process could not be recorded in {}: {error}",
            Path::new(&directory).display()
        );
    }
    let mut command = Command::new(&program);
    command.args(words).env_remove(RECORDS_VARIABLE);
    if std::env::var_os("LISTEN_FDS").is_some() {
        command.env("LISTEN_PID", std::process::id().to_string());
    }
    let error = exec_patiently(&mut command);
    io::Error::new(error.kind(), format!("cannot run {}: {error}", Path::new(&program).display()))
}

fn exec_patiently(command: &mut Command) -> io::Error {
    let mut error = command.exec();
    for _ in 0..BUSY_TRIES {
        if error.kind() != io::ErrorKind::ExecutableFileBusy {
            break;
        }
        std::thread::sleep(BUSY_PAUSE);
        error = command.exec();
    }
    error
}
