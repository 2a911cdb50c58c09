//! How a release's health is asked for: the probes that a plan carries, in the words of Kubernetes.

use crate::bounds::PROBES_MAX;
use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

/// Shortest period of a probe, in milliseconds: three failures in a row still fit into a third of the
/// second in which a node promises to be back on its old version.
pub const PROBE_PERIOD_MIN_MS: u32 = 100;
/// Longest initial delay, period and timeout, in milliseconds: an hour.
pub const PROBE_TIME_MAX_MS: u32 = 3_600_000;
/// Highest success or failure threshold.
pub const PROBE_THRESHOLD_MAX: u32 = 1_000;
/// Longest path of an HTTP probe, in bytes.
pub const PROBE_PATH_MAX: usize = 1_024;
/// Most words of an exec probe's command.
pub const PROBE_COMMAND_WORDS_MAX: usize = 64;
/// Longest command of an exec probe, in bytes over all its words.
pub const PROBE_COMMAND_BYTES_MAX: usize = 4_096;

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
    /// Time from one try to the next, in milliseconds; from [`PROBE_PERIOD_MIN_MS`] to [`PROBE_TIME_MAX_MS`].
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

/// What is wrong with a probe; the publisher's fault, found before the plan is signed and again when it
/// is read. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFault {
    /// More probes than a plan may carry.
    #[error("the plan has {count} probes, at most {PROBES_MAX} are allowed: remove some")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A number is outside its bounds.
    #[error("a probe's {field} is {value}, it must be from {low} to {high}")]
    OutOfBounds {
        /// The field's name as it is written in the plan.
        field: &'static str,
        /// Its value.
        value: u32,
        /// The lowest value allowed.
        low: u32,
        /// The highest value allowed.
        high: u32,
    },
    /// The path of an HTTP probe cannot stand in a request line.
    #[error(
        "the path of an HTTP probe must begin with a slash, hold only printable ASCII without blanks and \
         have at most {PROBE_PATH_MAX} bytes"
    )]
    Path,
    /// The command of an exec probe is empty, too long or holds a NUL byte.
    #[error(
        "the command of an exec probe must have 1 to {PROBE_COMMAND_WORDS_MAX} words, {PROBE_COMMAND_BYTES_MAX} \
         bytes at most, a first word that is not empty, and no NUL byte"
    )]
    Command,
}

impl Probe {
    /// A probe with the usual numbers: no delay, every 10 s, 1 s to answer, passes at the first success,
    /// fails at the third failure in a row.
    #[must_use]
    pub fn new(action: ProbeAction) -> Self {
        Self {
            action,
            initial_delay_ms: 0,
            period_ms: default_period_ms(),
            timeout_ms: default_timeout_ms(),
            success_threshold: default_success_threshold(),
            failure_threshold: default_failure_threshold(),
        }
    }

    /// Whether every part of this probe is within its bounds.
    ///
    /// # Errors
    /// The first fault found, in the publisher's words.
    pub fn check(&self) -> Result<(), ProbeFault> {
        within("initial_delay_ms", self.initial_delay_ms, 0, PROBE_TIME_MAX_MS)?;
        within("period_ms", self.period_ms, PROBE_PERIOD_MIN_MS, PROBE_TIME_MAX_MS)?;
        within("timeout_ms", self.timeout_ms, 1, PROBE_TIME_MAX_MS)?;
        within("success_threshold", self.success_threshold, 1, PROBE_THRESHOLD_MAX)?;
        within("failure_threshold", self.failure_threshold, 1, PROBE_THRESHOLD_MAX)?;
        self.action.check()
    }
}

impl ProbeAction {
    fn check(&self) -> Result<(), ProbeFault> {
        match self {
            Self::Http { path, .. } => {
                let printable = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
                let fits = path.starts_with('/') && path.len() <= PROBE_PATH_MAX && printable;
                fits.then_some(()).ok_or(ProbeFault::Path)
            }
            Self::Exec { command } => {
                let words = (1..=PROBE_COMMAND_WORDS_MAX).contains(&command.len());
                let bytes = command.iter().map(String::len).sum::<usize>() <= PROBE_COMMAND_BYTES_MAX;
                let clean = command.iter().all(|word| !word.contains('\0'));
                let named = command.first().is_some_and(|program| !program.is_empty());
                (words && bytes && clean && named).then_some(()).ok_or(ProbeFault::Command)
            }
            Self::Tcp { .. } | Self::Process => Ok(()),
        }
    }
}

/// Whether all the probes of one plan are within their bounds.
///
/// # Errors
/// The first fault found.
pub fn check_probes(probes: &[Probe]) -> Result<(), ProbeFault> {
    if probes.len() > PROBES_MAX {
        return Err(ProbeFault::TooMany { count: probes.len() });
    }
    probes.iter().try_for_each(Probe::check)
}

fn within(field: &'static str, value: u32, low: u32, high: u32) -> Result<(), ProbeFault> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(ProbeFault::OutOfBounds { field, value, low, high })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn http(path: &str) -> Probe {
        Probe::new(ProbeAction::Http { port: 0, path: path.to_owned() })
    }

    fn exec(command: &[&str]) -> Probe {
        Probe::new(ProbeAction::Exec { command: command.iter().map(ToString::to_string).collect() })
    }

    #[test]
    fn the_usual_numbers_are_within_their_bounds() {
        assert_eq!(http("/health?deep=1").check(), Ok(()));
        assert_eq!(exec(&["./bin/check", "--all", ""]).check(), Ok(()));
        assert_eq!(Probe::new(ProbeAction::Process).check(), Ok(()));
    }

    #[test]
    fn a_path_cannot_smuggle_a_header() {
        let long = format!("/{}", "a".repeat(PROBE_PATH_MAX));
        for path in ["", "health", "/a b", "/a\r\nHost: evil", "/a#b", "/\u{e9}", &long] {
            assert_eq!(http(path).check(), Err(ProbeFault::Path), "{path:?}");
        }
    }

    #[test]
    fn a_command_has_words_and_no_nul() {
        let many = vec!["x"; PROBE_COMMAND_WORDS_MAX + 1];
        let long = "x".repeat(PROBE_COMMAND_BYTES_MAX + 1);
        for command in [&[][..], &[""], &["a\0b"], &many, &[long.as_str()]] {
            assert_eq!(exec(command).check(), Err(ProbeFault::Command), "{command:?}");
        }
    }

    #[test]
    fn numbers_outside_their_bounds_are_named() {
        let zero_period = Probe { period_ms: 0, ..http("/") };
        assert!(zero_period.check().unwrap_err().to_string().contains("period_ms is 0"));
        for probe in [
            Probe { initial_delay_ms: u32::MAX, ..http("/") },
            Probe { timeout_ms: 0, ..http("/") },
            Probe { success_threshold: 0, ..http("/") },
            Probe { failure_threshold: PROBE_THRESHOLD_MAX + 1, ..http("/") },
        ] {
            assert!(matches!(probe.check(), Err(ProbeFault::OutOfBounds { .. })), "{probe:?}");
        }
        assert_eq!(
            check_probes(&vec![http("/"); PROBES_MAX + 1]),
            Err(ProbeFault::TooMany { count: PROBES_MAX + 1 })
        );
    }
}
