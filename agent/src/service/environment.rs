//! The part of the agent's environment that processes of a component see.
//!
//! A service must run the same whoever started the agent, and must not read the agent's own variables
//! (log settings, credentials of the unit that started it). So the environment is cleared but for what
//! programs need to find themselves on a Unix machine.

use std::ffi::OsString;

const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// The inherited variables that are set.
pub(crate) fn base_environment() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value)))
}
