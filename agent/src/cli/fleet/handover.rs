//! Taking a running agent's knowledge into account before a change, and handing the change to it after.

use std::path::Path;

use crate::cli::daemon::Daemon;
use crate::cli::failure::{Code, Failure};
use crate::release::bundle::Bundle;

/// An agent that is to hear of a change.
pub(super) struct Handover {
    daemon: Option<Daemon>,
}

impl Handover {
    /// To the agent behind `socket`, if one is named.
    pub(super) fn to(socket: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self { daemon: socket.map(Daemon::at).transpose()? })
    }

    /// `bundle`, or what is newer at the agent: a change must follow the newest, or it would fork.
    pub(super) fn newest(&self, bundle: Bundle) -> Result<Bundle, Failure> {
        let Some(daemon) = &self.daemon else { return Ok(bundle) };
        bundle.newer_of(&daemon.bundle()?).map_err(|why| {
            Failure::new(
                Code::Refused,
                "the fleet directory and the agent disagree",
                why,
                "find out which of the two is right before anything is signed",
            )
        })
    }

    /// Hands the changed bundle over. Says whether there is an agent to hand it to.
    pub(super) fn hand_over(&self, bundle: &Bundle) -> Result<bool, Failure> {
        let Some(daemon) = &self.daemon else { return Ok(false) };
        daemon.hand_over_bundle(bundle).map_err(|mut failure| {
            failure.todo = format!(
                "{}; the fleet bundle on disk has the change: run the command again to hand it over",
                failure.todo
            );
            failure
        })?;
        Ok(true)
    }
}
