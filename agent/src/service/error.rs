//! What can go wrong with a component's process, in words for the operator.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why a service could not be opened, started or switched.
///
/// No variant changes what was serving before: a version that ran goes on running.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration of the component is wrong: the operator's to repair.
    #[error("the service's settings are refused: {what}")]
    Settings {
        /// What is wrong with them.
        what: String,
    },
    /// The disk or its permissions: the operator's to repair.
    #[error("the service's state directory cannot be used: {}: {source}; check its permissions and the free space", path.display())]
    StateDirectory {
        /// The file or directory concerned.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent supervises this component.
    #[error("another agent holds {}: stop it first, or give this one its own state directory", path.display())]
    Supervised {
        /// The lock file.
        path: PathBuf,
    },
    /// A stranger listens on the address.
    #[error("the address {address} is in use by {owner}: stop it, or configure another address")]
    AddressInUse {
        /// The address wanted.
        address: SocketAddr,
        /// Name and process id where they can be found out.
        owner: String,
    },
    /// The address cannot be bound for another reason.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address wanted.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The release does not contain the program that the component runs: the publisher's or operator's fault.
    #[error("cannot run {}: {source}; the release must contain it, or `run` must name another program", program.display())]
    Program {
        /// The program's full path.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused to start a process.
    #[error("no process could be started for {name}: {source}")]
    Spawn {
        /// The component.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The new process ended before it was ready: the release's fault.
    #[error("{name} from {} ended before it was ready ({exit}); {}{}", slot.display(), before(*still_serving), words(last_lines))]
    EndedEarly {
        /// The component.
        name: String,
        /// Where it was started.
        slot: PathBuf,
        /// How it ended, such as "exit status: 1".
        exit: String,
        /// The last lines of its output.
        last_lines: Vec<String>,
        /// Whether the version before it is serving.
        still_serving: bool,
    },
    /// The new process did not say that it is ready in time, and was ended: the release's fault.
    #[error("{name} from {} was not ready within {within:?} and was ended; {}{}", slot.display(), before(*still_serving), words(last_lines))]
    NotReady {
        /// The component.
        name: String,
        /// Where it was started.
        slot: PathBuf,
        /// The time it had.
        within: Duration,
        /// The last lines of its output.
        last_lines: Vec<String>,
        /// Whether the version before it is serving.
        still_serving: bool,
    },
    /// Another switch or a stop came before this one was through.
    #[error("the switch of {name} to {} was overtaken by a later command", slot.display())]
    Superseded {
        /// The component.
        name: String,
        /// Where it was to run.
        slot: PathBuf,
    },
    /// The supervisor's task is gone: the agent is shutting down.
    #[error("the supervisor has ended, the agent is shutting down")]
    Closed,
}

fn before(still_serving: bool) -> &'static str {
    if still_serving { "the version before it goes on serving" } else { "no version is serving" }
}

fn words(last_lines: &[String]) -> String {
    if last_lines.is_empty() {
        return "; it printed nothing".to_owned();
    }
    format!("; its last words: {}", last_lines.join(" | "))
}
