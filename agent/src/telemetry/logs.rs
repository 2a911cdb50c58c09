//! Logs: to standard error, as text or JSON, one line per event, a full sentence each.
//!
//! State changes are `info`, alarms `warn`, and what a busy or hostile peer can cause at will is `debug`.
//! Every line about a rollout carries it in the field `rollout`, shortened like everywhere.

use std::io::IsTerminal;

use groundswell_protocol::facts::VoteState;
use groundswell_protocol::node::Event;
use groundswell_protocol::node::event::Stage;
use serde::Deserialize;
use tracing::Level;
use tracing_subscriber::EnvFilter;

use super::words::{rollout_of, sentence};

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogSetupError {
    /// The level does not parse: the operator's configuration.
    #[error(
        "the log level {level:?} is not understood: {why}; use one such as \"info\" or \"info,groundswell=debug\""
    )]
    Level {
        /// As configured.
        level: String,
        /// What the parser says.
        why: String,
    },
    /// Something set up logging in this process before.
    #[error("logging was set up before in this process")]
    Twice,
}

/// Sets up logging for this process. `level` is in `tracing`'s env-filter syntax.
///
/// # Errors
/// See [`LogSetupError`]; nothing is logged then.
pub fn init(format: LogFormat, level: &str) -> Result<(), LogSetupError> {
    let filter = filter(level)?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => lines.with_ansi(colour).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    set.map_err(|_| LogSetupError::Twice)
}

fn filter(level: &str) -> Result<EnvFilter, LogSetupError> {
    let bad = |why: String| LogSetupError::Level { level: level.to_owned(), why };
    if level.trim().is_empty() {
        return Err(bad("it is empty".to_owned()));
    }
    // The overlay warns of each fact that is gossiped a second time, which the core does on purpose.
    EnvFilter::try_new(format!("libp2p_gossipsub=error,{level}")).map_err(|error| bad(error.to_string()))
}

/// Writes an event to the log.
pub fn log_event(event: &Event) {
    let message = sentence(event);
    let rollout = rollout_of(event).map(|rollout| rollout.0.short());
    let rollout = rollout.as_deref();
    match level_of(event) {
        Level::WARN => tracing::warn!(target: "groundswell", rollout, "{message}"),
        Level::INFO => tracing::info!(target: "groundswell", rollout, "{message}"),
        _ => tracing::debug!(target: "groundswell", rollout, "{message}"),
    }
}

fn level_of(event: &Event) -> Level {
    match event {
        Event::Conflict { .. }
        | Event::Cloned
        | Event::PersistFailed
        | Event::FreezeSuspected { .. }
        | Event::Trouble { .. }
        | Event::Stopped { .. }
        | Event::Stage { to: Stage::Stuck, .. } => Level::WARN,
        Event::Vote { state: VoteState::Failed(_), .. } => Level::INFO,
        // Each node of a large fleet votes several times on each release.
        Event::Vote { .. } => Level::DEBUG,
        // A peer can cause as many of these as it likes; the metrics count them.
        Event::Refused { .. } | Event::Synced { .. } | Event::Proposed { .. } => Level::DEBUG,
        _ => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::digest::Digest;
    use groundswell_protocol::facts::RolloutId;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, events: &[Event]) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter(filter(level).unwrap())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || events.iter().for_each(log_event));
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_about_a_rollout_names_it_in_a_field() {
        let rollout = RolloutId(Digest([0xcd; 32]));
        let text = logged("info", &[Event::Opened { rollout, from: 1, to: 3 }, Event::Policy { version: 2 }]);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["rollout"], "cdcdcdcd");
        assert_eq!(lines[0]["message"], "Opened 3 nodes; 1 were open.");
        assert_eq!(lines[1].get("rollout"), None);
    }

    #[test]
    fn refusals_are_details() {
        use groundswell_protocol::node::event::Refusal;
        let refused = Event::Refused { from: None, why: Refusal::Unsigned };
        assert_eq!(logged("info", std::slice::from_ref(&refused)), "");
        assert!(logged("debug", &[refused]).contains("this machine"));
    }

    #[test]
    fn a_bad_level_is_refused_with_an_example() {
        let error = filter("info,=?").unwrap_err().to_string();
        assert!(error.contains("groundswell=debug"), "{error}");
        assert!(filter("").is_err());
    }
}
