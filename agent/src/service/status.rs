//! What a supervisor tells about its process.

use std::path::PathBuf;

/// What the process is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceState {
    /// No process runs and none is wanted.
    #[default]
    Stopped,
    /// A process was started and is not ready yet; none serves beside it.
    Starting,
    /// A process serves.
    Running,
    /// The process ended by itself and is started again after a pause.
    Waiting,
}

/// A snapshot of one component's process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceStatus {
    /// What it is doing.
    pub state: ServiceState,
    /// The serving process, while there is one.
    pub pid: Option<u32>,
    /// The slot it was started in; `None` for a process that an earlier agent left running.
    pub slot: Option<PathBuf>,
    /// How often the process ended by itself since the last switch.
    pub restarts: u32,
    /// How it ended the last time, such as "signal: 11 (SIGSEGV)".
    pub last_exit: Option<String>,
    /// The last lines of output at that time, at most 10 of at most 200 characters.
    pub last_lines: Vec<String>,
}

impl ServiceStatus {
    /// Resident memory of the serving process in bytes, asked from the kernel now.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        super::resident_bytes(self.pid?)
    }
}
