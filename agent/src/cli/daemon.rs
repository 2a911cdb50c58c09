//! The agent on this machine, asked through its control socket, one question after the other.

use std::path::{Path, PathBuf};

use clap::Args;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{RolloutId, SignedFact};
use tokio::runtime::Runtime;

use super::failure::{Code, Failure};
use crate::control::Client;
use crate::control::api::{AgentStatus, Submitted};
use crate::release::bundle::Bundle;
use crate::release::directory::NamedBlob;
use crate::release::problem::Problem;
use crate::release::publish::Recipient;

const SOCKET_VARIABLE: &str = "SWELL_SOCKET";
const LOCAL_SOCKET: &str = "data/agent.sock";
const SYSTEM_SOCKET: &str = "/var/lib/groundswell/agent.sock";

/// Where the agent is.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SocketArgs {
    /// The agent's control socket [default: $SWELL_SOCKET, else data/agent.sock, else
    /// /var/lib/groundswell/agent.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl SocketArgs {
    /// The socket that is meant.
    pub(super) fn path(&self) -> PathBuf {
        if let Some(path) = &self.socket {
            return path.clone();
        }
        if let Some(path) = std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty()) {
            return path.into();
        }
        let local = Path::new(LOCAL_SOCKET);
        if local.exists() { local.to_owned() } else { SYSTEM_SOCKET.into() }
    }

    /// The agent behind it.
    pub(super) fn daemon(&self) -> Result<Daemon, Failure> {
        Daemon::at(&self.path())
    }
}

/// A running agent.
pub(super) struct Daemon {
    client: Client,
    runtime: Runtime,
}

impl Daemon {
    /// The agent that listens on `socket`. Nothing is connected yet.
    pub(super) fn at(socket: &Path) -> Result<Self, Failure> {
        Ok(Self { client: Client::new(socket), runtime: runtime()? })
    }

    /// The agent and its node as they are now.
    pub(super) fn status(&self) -> Result<AgentStatus, Failure> {
        Ok(self.runtime.block_on(self.client.status())?)
    }

    /// The policy chain and the newest census as the agent knows them, verified.
    pub(super) fn bundle(&self) -> Result<Bundle, Failure> {
        let facts = self.runtime.block_on(self.client.trust())?;
        Bundle::from_facts(facts).map_err(|why| {
            Failure::new(
                Code::BadInput,
                "cannot use the agent's fleet documents",
                why,
                "check the agent's log and its fleet bundle",
            )
        })
    }

    /// Hands over one signed document, and says whether it was news.
    pub(super) fn hand_over(&self, fact: &SignedFact) -> Result<bool, Failure> {
        Ok(self.runtime.block_on(self.client.submit(fact))? == Submitted::Accepted)
    }

    /// Hands over the policies and the census that the agent does not know yet.
    pub(super) fn hand_over_bundle(&self, bundle: &Bundle) -> Result<(), Failure> {
        let known = self.bundle()?.facts();
        for fact in bundle.facts() {
            if known.iter().all(|known| known.body != fact.body) {
                self.hand_over(&fact)?;
            }
        }
        Ok(())
    }
}

/// A runtime for one command: its requests come one after the other.
fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(
            Code::Local,
            "cannot talk to the agent",
            error.to_string(),
            "check the limits on processes and open files",
        )
    })
}

impl Recipient for Daemon {
    type Error = Failure;

    fn trust(&mut self) -> Result<Vec<SignedFact>, Failure> {
        Ok(self.runtime.block_on(self.client.trust())?)
    }

    fn missing(&mut self, digests: &[Digest]) -> Result<Vec<Digest>, Failure> {
        Ok(self.runtime.block_on(self.client.missing(digests))?)
    }

    fn upload(&mut self, blob: NamedBlob, path: &Path) -> Result<(), Failure> {
        let file = std::fs::File::open(path).map_err(|error| Problem::reading(path, &error))?;
        let file = tokio::fs::File::from_std(file);
        Ok(self.runtime.block_on(self.client.put_blob(blob.digest, blob.bytes, file))?)
    }

    fn set_egress(&mut self, release: RolloutId, permille: u32, blobs: &[Digest]) -> Result<(), Failure> {
        Ok(self.runtime.block_on(self.client.set_egress(release, permille, blobs))?)
    }

    fn submit(&mut self, fact: &SignedFact) -> Result<bool, Failure> {
        self.hand_over(fact)
    }
}
