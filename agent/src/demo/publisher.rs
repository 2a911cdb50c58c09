//! The publisher's side, in this process: builds a release, signs it, hands it to an agent.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{RolloutId, SignedFact};
use groundswell_protocol::time::UnixSeconds;
use groundswell_protocol::trust::manifest::{Kind, Select};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::plan::Plan;
use groundswell_protocol::trust::policy::RoleName;
use tokio::runtime::Handle;

use crate::control::Client;
use crate::control::api::Submitted;
use crate::control::client::{ClientError, ClientErrorKind};
use crate::release::build::{BuildRequest, build};
use crate::release::directory::{NamedBlob, ReleaseDirectory};
use crate::release::fleet::FleetDirectory;
use crate::release::keys;
use crate::release::problem::Problem;
use crate::release::publish::{Published, Recipient, publish};
use crate::release::sign::sign;

/// How long documents of a fleet on loopback are valid.
const VALID_FOR: Duration = Duration::from_secs(24 * 3600);

/// What is to be released.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What is updated.
    pub component: ComponentName,
    /// What sort of thing that is.
    pub kind: Kind,
    /// The release's name for people.
    pub version: String,
    /// Its files.
    pub tree: PathBuf,
    /// Earlier releases to make deltas from.
    pub from: Vec<PathBuf>,
    /// Its place in the component's order.
    pub sequence: u64,
    /// How it goes live.
    pub plan: Plan,
    /// Where to build it.
    pub out: PathBuf,
}

/// When a document that is made now ends.
pub fn valid_until() -> UnixSeconds {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now + VALID_FOR).as_secs()
}

/// Builds a release and signs it with the fleet directory's release key. Blocks.
///
/// # Errors
/// When something named is missing or the disk refuses.
pub fn build_and_sign(fleet: &FleetDirectory, draft: &Draft) -> Result<ReleaseDirectory, Problem> {
    let mut release = build_unsigned(fleet, draft)?;
    let key = keys::read(&fleet.key_path(RoleName::Release, 1))?;
    sign(&mut release, &fleet.read_bundle()?, &[key])?;
    Ok(release)
}

/// Builds a release without a signature. Blocks.
///
/// # Errors
/// When something named is missing or the disk refuses.
pub fn build_unsigned(fleet: &FleetDirectory, draft: &Draft) -> Result<ReleaseDirectory, Problem> {
    let bundle = fleet.read_bundle()?;
    let request = BuildRequest {
        fleet: &bundle,
        component: draft.component.clone(),
        kind: draft.kind,
        version: draft.version.clone(),
        tree: &draft.tree,
        from: &draft.from,
        sequence: Some(draft.sequence),
        known_sequence: None,
        requires: Vec::new(),
        select: Select::default(),
        plan: draft.plan.clone(),
        expires: valid_until(),
        note: String::new(),
        out: &draft.out,
    };
    Ok(build(&request, &|_| {})?.release)
}

/// Hands `release` to the agent behind `client`; the publisher may go away then.
///
/// # Errors
/// What the agent says, or what is missing here.
pub async fn hand_over(release: &ReleaseDirectory, client: &Client) -> Result<Published, Problem> {
    let mut recipient = Agent { client: client.clone(), runtime: Handle::current() };
    let release = release.clone();
    blocking(move || publish(&release, &mut recipient, None, &|_, _| {})).await
}

/// Does work that blocks where blocking is allowed.
///
/// # Errors
/// The work's own.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panic) => Err(Problem::local(
            "work in the background ended early",
            format!("BUG: {panic}"),
            "report this, with the output",
        )),
    }
}

/// An agent, asked from a thread that may block.
struct Agent {
    client: Client,
    runtime: Handle,
}

impl Recipient for Agent {
    type Error = Problem;

    fn trust(&mut self) -> Result<Vec<SignedFact>, Problem> {
        self.runtime.block_on(self.client.trust()).map_err(problem)
    }

    fn missing(&mut self, digests: &[Digest]) -> Result<Vec<Digest>, Problem> {
        self.runtime.block_on(self.client.missing(digests)).map_err(problem)
    }

    fn upload(&mut self, blob: NamedBlob, path: &Path) -> Result<(), Problem> {
        let file = std::fs::File::open(path).map_err(|error| Problem::reading(path, &error))?;
        let upload = self.client.put_blob(blob.digest, blob.bytes, tokio::fs::File::from_std(file));
        self.runtime.block_on(upload).map_err(problem)
    }

    fn set_egress(&mut self, release: RolloutId, permille: u32, blobs: &[Digest]) -> Result<(), Problem> {
        self.runtime.block_on(self.client.set_egress(release, permille, blobs)).map_err(problem)
    }

    fn submit(&mut self, fact: &SignedFact) -> Result<bool, Problem> {
        let verdict = self.runtime.block_on(self.client.submit(fact)).map_err(problem)?;
        Ok(verdict == Submitted::Accepted)
    }
}

/// A failed request in this room's words.
pub fn problem(error: ClientError) -> Problem {
    let ClientError { kind, what, why, todo } = error;
    match kind {
        ClientErrorKind::Refused => Problem::refused(what, why, todo),
        ClientErrorKind::BadInput => Problem::bad_input(what, why, todo),
        ClientErrorKind::NotFound => Problem::not_found(what, why, todo),
        _ => Problem::local(what, why, todo),
    }
}
