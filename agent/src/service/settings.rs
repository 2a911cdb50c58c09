//! What a supervisor is told about its component, checked once.

use super::ServiceError;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Most listening sockets of one component.
pub const LISTEN_MAX: usize = 16;
/// Most configured environment variables of one component.
const ENVIRONMENT_MAX: usize = 256;
/// Longest component name, in bytes; it becomes a part of `LISTEN_FDNAMES`.
const NAME_MAX: usize = 64;
/// Longest grace and readiness time: beyond an hour a value is a mistake.
const TIME_MAX: Duration = Duration::from_secs(3_600);
/// Variables that belong to the supervisor; configuring them would break the hand-over of sockets.
const RESERVED: [&str; 6] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "SWELL_COMPONENT", "SWELL_SLOT"];

/// How a component's process is run.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// The component's name: letters, digits, `.`, `_` and `-`, 64 bytes at most.
    pub name: String,
    /// Program and arguments. A program with a slash is taken relative to the slot, another one is looked
    /// up in the agent's `PATH`. The working directory is the slot.
    pub run: Vec<String>,
    /// Addresses to listen on, [`LISTEN_MAX`] at most, handed on as descriptors 3, 4, … in this order.
    pub listen: Vec<SocketAddr>,
    /// Variables given to the process on top of the few inherited ones (`PATH`, `HOME`, `USER`, `LANG`,
    /// `LC_ALL`, `TZ`, `TMPDIR`); nothing else of the agent's environment is passed on.
    pub environment: BTreeMap<String, String>,
    /// Time between SIGTERM and SIGKILL, an hour at most.
    pub grace: Duration,
    /// How the supervisor learns that a new process serves.
    pub ready: Readiness,
    /// Whether a new version's process starts beside the old one's.
    pub succession: Succession,
    /// Directory for records and output, used by this component alone; made when it does not exist.
    pub state_directory: PathBuf,
    /// The `swell` binary, run as `swell exec-service -- COMMAND`; see [`ServiceSettings::own_binary`].
    pub shim: PathBuf,
}

/// When a new process counts as ready to take over.
///
/// "Accepts connections" is not among them: the agent's socket accepts whether or not a process is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The process sends `READY=1` to `NOTIFY_SOCKET`, as in sd_notify(3), within this time.
    Notify {
        /// The longest wait; after it the start has failed.
        within: Duration,
    },
    /// The process is still alive after this time. For services that cannot notify: requests which the
    /// new process has not picked up yet wait in the socket's queue meanwhile.
    Settle(Duration),
}

/// How one version's process follows another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Succession {
    /// The new one is started and ready before the old one is asked to end: no request is lost between
    /// them. For services that take the sockets handed to them and do not block in accept.
    #[default]
    Overlap,
    /// The old one is gone before the new one starts: for services that open a port, a file or a device
    /// of which there is only one, and for plain accept loops. Connections to sockets that are handed on
    /// wait meanwhile. If the new one does not come up the old one is started again.
    InTurn,
}

impl ServiceSettings {
    /// The path of the binary that runs now, for [`ServiceSettings::shim`].
    ///
    /// # Errors
    /// When the kernel does not tell it.
    pub fn own_binary() -> std::io::Result<PathBuf> {
        std::env::current_exe()
    }

    /// Whether every part is within its bounds.
    pub(super) fn check(&self) -> Result<(), ServiceError> {
        let name_fits = (1..=NAME_MAX).contains(&self.name.len())
            && self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        require(name_fits, || {
            format!("its name must have 1 to {NAME_MAX} letters, digits, dots, underscores or dashes")
        })?;
        require(self.run.first().is_some_and(|program| !program.is_empty()), || {
            "`run` must name a program".to_owned()
        })?;
        require(self.run.iter().all(|word| !word.contains('\0')), || "`run` holds a NUL byte".to_owned())?;
        require(self.listen.len() <= LISTEN_MAX, || {
            format!("it listens on {} addresses, at most {LISTEN_MAX} are allowed", self.listen.len())
        })?;
        require(self.grace <= TIME_MAX, || "its grace is longer than an hour".to_owned())?;
        require(self.ready.longest() <= TIME_MAX, || {
            "its time to be ready is longer than an hour".to_owned()
        })?;
        self.check_environment()
    }

    fn check_environment(&self) -> Result<(), ServiceError> {
        require(self.environment.len() <= ENVIRONMENT_MAX, || {
            format!("it has more than {ENVIRONMENT_MAX} environment variables")
        })?;
        for (name, value) in &self.environment {
            let clean = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
            require(clean, || format!("the environment variable {name:?} cannot be passed to a process"))?;
            require(!RESERVED.contains(&name.as_str()), || {
                format!("the environment variable {name} is set by the agent itself")
            })?;
        }
        Ok(())
    }
}

impl Readiness {
    fn longest(self) -> Duration {
        match self {
            Self::Notify { within } => within,
            Self::Settle(time) => time,
        }
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), ServiceError> {
    if holds { Ok(()) } else { Err(ServiceError::Settings { what: otherwise() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ServiceSettings {
        ServiceSettings {
            name: "web".to_owned(),
            run: vec!["bin/web".to_owned()],
            listen: Vec::new(),
            environment: BTreeMap::new(),
            grace: Duration::from_secs(5),
            succession: Succession::Overlap,
            ready: Readiness::Settle(Duration::from_millis(100)),
            state_directory: PathBuf::from("state"),
            shim: PathBuf::from("swell"),
        }
    }

    #[test]
    fn sensible_settings_pass_and_each_mistake_is_named() {
        assert!(settings().check().is_ok());
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let reserved = BTreeMap::from([("LISTEN_FDS".to_owned(), "9".to_owned())]);
        let cases = [
            (ServiceSettings { name: "a:b".to_owned(), ..settings() }, "name"),
            (ServiceSettings { run: Vec::new(), ..settings() }, "program"),
            (ServiceSettings { run: vec!["a\0".to_owned()], ..settings() }, "NUL"),
            (ServiceSettings { listen: vec![address; LISTEN_MAX + 1], ..settings() }, "17 addresses"),
            (ServiceSettings { grace: Duration::from_secs(3_601), ..settings() }, "grace"),
            (ServiceSettings { environment: reserved, ..settings() }, "LISTEN_FDS"),
        ];
        for (case, word) in cases {
            let error = case.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
