//! Handing a release to an agent: what it lacks, then the manifest. Once that is done the publisher may go.
//!
//! Doing it again is safe and cheap: blobs that have arrived are not sent again.

use std::path::Path;
use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{RolloutId, SignedFact};
use groundswell_protocol::trust::policy::Policy;

use super::bundle::Bundle;
use super::directory::{NamedBlob, ReleaseDirectory};
use super::problem::Problem;
use super::review::{SignatureReview, policy_of};

/// Whoever takes a release: an agent behind its control socket.
pub trait Recipient {
    /// What can go wrong with it.
    type Error: From<Problem>;

    /// The policy chain and the newest census that it knows.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn trust(&mut self) -> Result<Vec<SignedFact>, Self::Error>;

    /// Which of these blobs it lacks.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn missing(&mut self, digests: &[Digest]) -> Result<Vec<Digest>, Self::Error>;

    /// Takes a blob whose bytes are in the file at `path`.
    ///
    /// # Errors
    /// When it has no room, or the bytes are not what the name says; it kept nothing then.
    fn upload(&mut self, blob: NamedBlob, path: &Path) -> Result<(), Self::Error>;

    /// Sets how much it may send of a release while others can serve it, in thousandths of the payload.
    ///
    /// # Errors
    /// When it is out of bounds.
    fn set_egress(&mut self, release: RolloutId, permille: u32, blobs: &[Digest]) -> Result<(), Self::Error>;

    /// Takes a signed document, and says whether it was news.
    ///
    /// # Errors
    /// When it refuses the document.
    fn submit(&mut self, fact: &SignedFact) -> Result<bool, Self::Error>;
}

/// What handing over came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Published {
    /// Blobs of the release.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were sent now.
    pub uploaded_blobs: usize,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Whether the manifest was news to the agent.
    pub news: bool,
    /// The budget that was set, in thousandths of the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_permille: Option<u32>,
}

/// Hands `release` to `recipient`, which keeps to a budget of `egress_permille` thousandths of the payload if one is
/// given. `tell` hears the bytes sent and the bytes to send.
///
/// # Errors
/// Before anything is sent: when too few have signed, the agent is of another fleet, or a blob is missing
/// here. Later: what the recipient says; blobs that arrived stay there, and the manifest was not accepted.
pub fn publish<R: Recipient>(
    release: &ReleaseDirectory,
    recipient: &mut R,
    egress_permille: Option<u32>,
    tell: &dyn Fn(u64, u64),
) -> Result<Published, R::Error> {
    let trust = known_trust(recipient)?;
    let policy = policy_of(release, &trust)?.clone();
    check_signatures(release, &policy)?;
    let blobs = release.blobs()?;
    let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
    let mut missing = recipient.missing(&digests)?;
    missing.sort_unstable();
    let to_send: Vec<NamedBlob> =
        blobs.iter().copied().filter(|blob| missing.binary_search(&blob.digest).is_ok()).collect();
    check_present(release, &to_send)?;
    let total = to_send.iter().map(|blob| blob.bytes).sum();
    let mut sent = 0;
    for blob in &to_send {
        recipient.upload(*blob, &release.blob_path(&blob.digest))?;
        sent += blob.bytes;
        tell(sent, total);
    }
    // Before the manifest: nobody asks for the blobs yet.
    if let Some(permille) = egress_permille {
        recipient.set_egress(release.rollout(), permille, &digests)?;
    }
    submit_census(release, &trust, recipient)?;
    let news = recipient.submit(release.signed())?;
    Ok(Published {
        blobs: blobs.len(),
        bytes: blobs.iter().map(|blob| blob.bytes).sum(),
        uploaded_blobs: to_send.len(),
        uploaded_bytes: sent,
        news,
        egress_permille,
    })
}

fn known_trust<R: Recipient>(recipient: &mut R) -> Result<Bundle, R::Error> {
    let facts = recipient.trust()?;
    Ok(Bundle::from_facts(facts).map_err(|why| {
        Problem::bad_input(
            "cannot use the agent's fleet documents",
            why,
            "check the agent's log and its fleet bundle",
        )
    })?)
}

fn check_signatures(release: &ReleaseDirectory, policy: &Arc<Policy>) -> Result<(), Problem> {
    let signatures = SignatureReview::of(release, policy);
    if signatures.is_enough() {
        return Ok(());
    }
    Err(Problem::refused(
        format!("cannot publish {}", release.path().display()),
        format!(
            "{} of the {} signatures that policy {} asks for are there",
            signatures.valid.len(),
            signatures.threshold,
            policy.version
        ),
        format!("sign it with `swell release sign {} --key FILE`", release.path().display()),
    ))
}

fn check_present(release: &ReleaseDirectory, blobs: &[NamedBlob]) -> Result<(), Problem> {
    for blob in blobs {
        let path = release.blob_path(&blob.digest);
        let why = match path.metadata() {
            Ok(meta) if meta.is_file() && meta.len() == blob.bytes => continue,
            Ok(meta) => {
                format!("the blob {} has {} bytes instead of {}", blob.digest.short(), meta.len(), blob.bytes)
            }
            Err(error) => format!("the blob {} cannot be read: {error}", blob.digest.short()),
        };
        return Err(Problem::bad_input(
            format!("cannot publish {}", release.path().display()),
            why,
            "get an undamaged copy of the release, or build and sign it again",
        ));
    }
    Ok(())
}

/// An agent that has not heard of the pinned census could not accept the manifest.
fn submit_census<R: Recipient>(
    release: &ReleaseDirectory,
    trust: &Bundle,
    recipient: &mut R,
) -> Result<(), R::Error> {
    if trust.census_fact().is_some_and(|fact| fact.id == release.manifest().census) {
        return Ok(());
    }
    let census = release.pinned_census()?;
    recipient.submit(&census.signed)?;
    Ok(())
}
