//! How a release's health is asked for: the probes that a plan carries, in the words of Kubernetes.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

/// One health probe, run by each node on itself for as long as the release is installed.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What is asked.
    #[serde(flatten)]
    pub action: ProbeAction,
    /// How long to wait after the activation before the first try, in milliseconds.
    #[serde(default)]
    pub initial_delay_ms: u32,
    /// Time from one try to the next, in milliseconds; at least `PROBE_PERIOD_MIN`.
    #[serde(default = "default_period_ms")]
    pub period_ms: u32,
    /// How long one try may take, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// How many successes in a row make the probe pass.
    #[serde(default = "default_success_threshold")]
    pub success_threshold: u32,
    /// How many failures in a row make the probe fail.
    #[serde(default = "default_failure_threshold")]
    pub failure_threshold: u32,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeAction {
    /// `GET http://127.0.0.1:{port}{path}` answers with a status from 200 to 399.
    /// Port 0 stands for the component's first listening socket.
    Http {
        /// TCP port on the loopback interface; 0 for the component's own first socket.
        #[serde(default)]
        port: u16,
        /// Path and query, beginning with a slash.
        path: String,
    },
    /// A TCP connection to `127.0.0.1:{port}` is accepted. Port 0 as above.
    Tcp {
        /// TCP port on the loopback interface; 0 for the component's own first socket.
        #[serde(default)]
        port: u16,
    },
    /// The command, run inside the release's tree, exits with 0.
    Exec {
        /// Program and arguments; a program with a slash is taken relative to the tree.
        command: Vec<String>,
    },
    /// The component's process is running and was not restarted since the last try.
    Process,
}

fn default_period_ms() -> u32 {
    10_000
}
fn default_timeout_ms() -> u32 {
    1_000
}
fn default_success_threshold() -> u32 {
    1
}
fn default_failure_threshold() -> u32 {
    3
}
