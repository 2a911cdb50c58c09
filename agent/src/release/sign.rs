//! Adding signatures to a release: any number of signers, one after the other, offline.

use groundswell_protocol::bounds::SIGNATURES_MAX;
use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::facts::fact::sign_body;
use groundswell_protocol::identity::{KeyPair, PublicKey};
use groundswell_protocol::trust::policy::RoleName;

use super::bundle::Bundle;
use super::directory::ReleaseDirectory;
use super::problem::Problem;
use super::review::{SignatureReview, policy_of};
use super::signers::check_signer;

/// What signing came to.
#[derive(Clone, Debug)]
pub struct Signing {
    /// Keys that had not signed before.
    pub added: Vec<PublicKey>,
    /// Who has signed now.
    pub signatures: SignatureReview,
}

/// Adds `keys`' signatures to the manifest on disk. Signatures that count for nothing are dropped.
///
/// # Errors
/// When a key is not of the release role of the policy that the manifest names, or the disk refuses; the
/// manifest is unchanged then.
pub fn sign(release: &mut ReleaseDirectory, bundle: &Bundle, keys: &[KeyPair]) -> Result<Signing, Problem> {
    let policy = policy_of(release, bundle)?;
    for key in keys {
        check_signer(policy, RoleName::Release, &key.public(), "cannot sign the release")?;
    }
    let before = SignatureReview::of(release, policy);
    let body = release.signed().body.clone();
    let mut signatures = release.signed().signatures.clone();
    signatures.retain(|signature| before.valid.contains(&signature.key));
    let mut added = Vec::new();
    for key in keys {
        if signatures.iter().all(|signature| signature.key != key.public()) {
            signatures.push(sign_body(&body, key));
            added.push(key.public());
        }
    }
    signatures.sort_unstable();
    assert!(signatures.len() <= SIGNATURES_MAX, "BUG: a role has more keys than a fact has signatures");
    if !added.is_empty() || !before.worthless.is_empty() {
        release.write_signatures(SignedFact { body, signatures })?;
    }
    Ok(Signing { added, signatures: SignatureReview::of(release, policy) })
}
