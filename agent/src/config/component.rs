//! What the configuration says of one component.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use groundswell_protocol::trust::names::ComponentName;
use serde::Deserialize;

/// How one component lives on this node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentConfig {
    /// Its name; manifests name it by that.
    pub name: ComponentName,
    /// Program and arguments, run inside the active slot; none: files only, no process.
    #[serde(default)]
    pub run: Vec<String>,
    /// Addresses that the agent listens on and hands to the process.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// Variables for the process.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Time between asking the process to end and killing it.
    #[serde(default = "default_grace_ms")]
    pub grace_ms: u64,
    /// How a new process says that it is ready.
    #[serde(default)]
    pub ready: ReadyConfig,
    /// Whether versions overlap or follow in turn. Left out: they overlap if the agent listens for them, and
    /// follow in turn if they open their own ports.
    #[serde(default)]
    pub switch: Option<SwitchConfig>,
}

/// How one version's process follows another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchConfig {
    /// The new one is ready before the old one ends.
    Overlap,
    /// The old one is gone before the new one starts.
    InTurn,
}

/// How a new process says that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReadyConfig {
    /// By sd_notify(3), within so many milliseconds.
    NotifyWithinMs(u64),
    /// By still being alive after so many milliseconds.
    SettleMs(u64),
}

impl Default for ReadyConfig {
    fn default() -> Self {
        Self::SettleMs(200)
    }
}

fn default_grace_ms() -> u64 {
    5_000
}

impl ComponentConfig {
    /// Whether it has a process.
    pub fn has_process(&self) -> bool {
        !self.run.is_empty()
    }

    /// Time between asking the process to end and killing it.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// How its versions follow each other.
    pub fn switch(&self) -> SwitchConfig {
        let sockets_are_handed_on = !self.listen.is_empty();
        let default = if sockets_are_handed_on { SwitchConfig::Overlap } else { SwitchConfig::InTurn };
        self.switch.unwrap_or(default)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.run.is_empty() && !(self.listen.is_empty() && self.environment.is_empty()) {
            return Err(format!(
                "the component {} has `listen` or `environment` but no `run`: say what runs, or leave them out",
                self.name
            ));
        }
        Ok(())
    }
}
