//! The process probe: does the component's process run, and is it still the same one?

use crate::service::{ServiceState, ServiceStatus};
use tokio::sync::watch;

/// One process probe's memory between two tries.
#[derive(Debug)]
pub(super) struct ProcessWatch {
    service: Option<watch::Receiver<ServiceStatus>>,
    restarts: u32,
}

impl ProcessWatch {
    /// Begins to watch; only restarts from now on count.
    pub(super) fn new(service: Option<watch::Receiver<ServiceStatus>>) -> Self {
        let restarts = service.as_ref().map_or(0, |service| service.borrow().restarts);
        Self { service, restarts }
    }

    /// Whether it runs and did not end by itself since the last try.
    pub(super) fn look(&mut self) -> Result<(), String> {
        let Some(service) = &self.service else {
            return Err("the component has no process that could be probed".to_owned());
        };
        let status = service.borrow();
        let ended_since = status.restarts > self.restarts;
        self.restarts = status.restarts;
        let exit = status.last_exit.as_deref().unwrap_or("without a trace");
        match status.state {
            ServiceState::Running if !ended_since => Ok(()),
            ServiceState::Stopped => Err("the process is stopped".to_owned()),
            _ => {
                let words = status.last_lines.last().map(|line| format!(": {line}")).unwrap_or_default();
                Err(format!("the process ended ({exit}), restart {}{words}", status.restarts))
            }
        }
    }
}
