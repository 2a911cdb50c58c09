//! What a release's signers vouch for, laid open before they sign: a pure function of documents.
//!
//! Pinning a census makes the release's signers co-sign who takes part, so the review shows how it differs
//! from the newest one that the signer's own bundle holds, or from the one that the release before pinned
//! (hole H37: an enrol key alone must not be able to fill the juries unseen).

use std::sync::Arc;

use groundswell_protocol::bounds::NAME_MAX;
use groundswell_protocol::facts::{Fact, RolloutId, Statement};
use groundswell_protocol::identity::PublicKey;
use groundswell_protocol::time::UnixSeconds;
use groundswell_protocol::trust::census::Census;
use groundswell_protocol::trust::manifest::Manifest;
use groundswell_protocol::trust::policy::{Policy, Role, RoleName};
use groundswell_protocol::trust::probe::{Probe, ProbeAction};
use serde::Serialize;

use super::bundle::Bundle;
use super::census::CensusChange;
use super::directory::ReleaseDirectory;
use super::problem::Problem;

/// A release as its signers should see it.
#[derive(Clone, Debug, Serialize)]
pub struct Review {
    /// The rollout that it would become.
    pub rollout: RolloutId,
    /// The manifest.
    pub manifest: Manifest,
    /// The plan in words, a line a thought.
    pub plan_words: Vec<String>,
    /// Members of the rollout; `None` if the pinned census is not known.
    pub members: Option<u32>,
    /// Sizes of the waves, as the number of nodes open after each; empty if the census is not known.
    pub targets: Vec<u32>,
    /// The census that it pins.
    pub census: CensusReview,
    /// Who has signed.
    pub signatures: SignatureReview,
    /// What a signer should think about.
    pub warnings: Vec<String>,
}

/// The pinned census.
#[derive(Clone, Debug, Serialize)]
pub struct CensusReview {
    /// Its version; `None` if it is not known.
    pub version: Option<u32>,
    /// Its nodes.
    pub nodes: Option<u32>,
    /// Its electors.
    pub electors: Option<u32>,
    /// What it is compared with, and how it differs; `None` if there is nothing to compare with.
    pub change: Option<CensusComparison>,
}

/// How the pinned census differs from another one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CensusComparison {
    /// The other one's version.
    pub from_version: u32,
    /// Nodes that only the pinned one has.
    pub added: usize,
    /// Nodes that have other labels in it.
    pub changed: usize,
    /// Nodes that only the other one has.
    pub removed: usize,
}

/// Who has signed.
#[derive(Clone, Debug, Serialize)]
pub struct SignatureReview {
    /// The policy whose release role counts.
    pub policy: u32,
    /// Keys of that role whose signature holds.
    pub valid: Vec<PublicKey>,
    /// Keys among the signatures that are not of that role, or whose signature is wrong.
    pub worthless: Vec<PublicKey>,
    /// How many must sign.
    pub threshold: u8,
}

impl SignatureReview {
    /// Whether enough have signed.
    pub fn is_enough(&self) -> bool {
        self.valid.len() >= usize::from(self.threshold)
    }

    /// Whose signatures on `release` hold under `policy`.
    pub fn of(release: &ReleaseDirectory, policy: &Policy) -> Self {
        let role = policy.role(RoleName::Release);
        let signatures = &release.signed().signatures;
        // Without any signature there is nothing to read as a fact yet.
        let fact = Fact::read(release.fleet(), release.signed().clone()).ok();
        let holds = |key: &PublicKey| {
            role.keys.contains(key)
                && fact.as_ref().is_some_and(|fact| fact.role_signed(&Role::new(vec![*key], 1)))
        };
        let (valid, worthless) = signatures.iter().map(|signature| signature.key).partition(holds);
        Self { policy: policy.version, valid, worthless, threshold: role.threshold }
    }
}

/// The policy that `release` names.
///
/// # Errors
/// When the release is of another fleet, or the bundle is too old to know the policy.
pub fn policy_of<'a>(release: &ReleaseDirectory, bundle: &'a Bundle) -> Result<&'a Arc<Policy>, Problem> {
    let what = format!("cannot judge the release {}", release.path().display());
    if release.fleet() != bundle.fleet() {
        return Err(Problem::bad_input(
            what,
            format!("it belongs to fleet {:?}, the bundle is of fleet {:?}", release.fleet(), bundle.fleet()),
            "name the right fleet directory with --dir",
        ));
    }
    bundle.policy(release.manifest().policy).ok_or_else(|| {
        Problem::bad_input(
            what,
            format!(
                "it names policy {}, and the newest known here is {}",
                release.manifest().policy,
                bundle.newest_policy().version
            ),
            "get the newest fleet bundle first",
        )
    })
}

/// Looks at `release` with what `bundle` knows, at the moment `now`.
///
/// # Errors
/// When the release is of another fleet or names a policy that is not known, or a document in it is damaged.
pub fn review(release: &ReleaseDirectory, bundle: &Bundle, now: UnixSeconds) -> Result<Review, Problem> {
    let manifest = release.manifest();
    let policy = policy_of(release, bundle)?;
    let signatures = SignatureReview::of(release, policy);
    let pinned = pinned_census(release, bundle)?;
    let members = pinned.as_ref().map(|census| members_of(census, manifest));
    let targets = members.map(|members| manifest.plan.targets(members)).unwrap_or_default();
    let mut warnings = Vec::new();
    warn_of_policy(manifest, bundle, now, &mut warnings);
    warn_of_census(pinned.as_deref(), bundle, &mut warnings);
    for key in &signatures.worthless {
        warnings.push(format!(
            "the signature of {} counts for nothing: it is wrong, or of no release key",
            key.short()
        ));
    }
    Ok(Review {
        rollout: release.rollout(),
        manifest: manifest.as_ref().clone(),
        plan_words: plan_words(manifest, members, &targets),
        members,
        targets,
        census: census_review(release, pinned.as_deref(), bundle)?,
        signatures,
        warnings,
    })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn members_of(census: &Census, manifest: &Manifest) -> u32 {
    count(census.members.iter().filter(|member| manifest.select.includes(census, member)).count())
}

/// The census that is pinned: from the bundle, or from the release itself if enough enrol keys have signed it.
fn pinned_census(release: &ReleaseDirectory, bundle: &Bundle) -> Result<Option<Arc<Census>>, Problem> {
    if let (Some(census), Some(fact)) = (bundle.census(), bundle.census_fact())
        && fact.id == release.manifest().census
    {
        return Ok(Some(census.clone()));
    }
    let fact = release.pinned_census()?;
    let Statement::Census(census) = &fact.statement else { return Ok(None) };
    bundle.check_signed_census(census, &fact).map_err(|why| {
        Problem::bad_input(
            format!("cannot use the census in {}", release.path().display()),
            why,
            "do not sign this release; get the newest fleet bundle, or ask who built it",
        )
    })?;
    Ok(Some(census.clone()))
}

fn census_review(
    release: &ReleaseDirectory,
    pinned: Option<&Census>,
    bundle: &Bundle,
) -> Result<CensusReview, Problem> {
    let Some(pinned) = pinned else {
        return Ok(CensusReview { version: None, nodes: None, electors: None, change: None });
    };
    let before = release.census_before()?.and_then(|fact| match &fact.statement {
        Statement::Census(census) if bundle.check_signed_census(census, &fact).is_ok() => {
            Some(census.clone())
        }
        _ => None,
    });
    // The signer's own knowledge first: what comes with the release was chosen by who built it.
    let other = bundle.census().filter(|census| census.version != pinned.version).cloned().or(before);
    let change = other.map(|other| {
        let CensusChange { added, changed, removed } = CensusChange::between(Some(&other), pinned);
        CensusComparison { from_version: other.version, added, changed, removed }
    });
    Ok(CensusReview {
        version: Some(pinned.version),
        nodes: Some(count(pinned.members.len())),
        electors: Some(count(pinned.electors().count())),
        change,
    })
}

fn warn_of_policy(manifest: &Manifest, bundle: &Bundle, now: UnixSeconds, warnings: &mut Vec<String>) {
    let newest = bundle.newest_policy();
    if manifest.policy < newest.version {
        warnings.push(format!(
            "it names policy {}, and {} is the newest: jurors open it only if the newest still accepts its signers",
            manifest.policy, newest.version
        ));
    }
    if manifest.order.epoch != newest.epoch {
        warnings
            .push(format!("its epoch is {}, the newest policy's is {}", manifest.order.epoch, newest.epoch));
    }
    if newest.expires <= now {
        warnings.push(
            "the policy has expired: nothing stops, but rotate it with `swell fleet rotate`".to_owned(),
        );
    }
    if manifest.expires <= now {
        warnings.push("it has expired: no juror will open it; build it again".to_owned());
    }
}

fn warn_of_census(pinned: Option<&Census>, bundle: &Bundle, warnings: &mut Vec<String>) {
    if let (Some(pinned), Some(newest)) = (pinned, bundle.census()) {
        if pinned.version < newest.version {
            warnings.push(format!(
                "it pins census {}, and {} is the newest: jurors soon refuse to begin it; build it again",
                pinned.version, newest.version
            ));
        } else if pinned.version > newest.version {
            warnings.push(format!(
                "it pins census {}, newer than the {} in this bundle: see below what changed",
                pinned.version, newest.version
            ));
        }
    }
}

fn plan_words(manifest: &Manifest, members: Option<u32>, targets: &[u32]) -> Vec<String> {
    let plan = &manifest.plan;
    let mut words = Vec::new();
    if let Some(members) = members {
        let sizes: Vec<String> = targets.iter().map(u32::to_string).collect();
        words.push(format!(
            "members: {members}; waves: {}; open after each: {}",
            targets.len(),
            sizes.join(", ")
        ));
    }
    words.push(format!(
        "a node tries it for {}, then must stay healthy for {} before it counts",
        seconds(plan.trial_s),
        seconds(plan.bake_s)
    ));
    words.push(format!(
        "failures of {} ‰ of the open nodes hold it, of {} ‰ stop it (in fleets of four or more at least two)",
        plan.hold_permille, plan.stop_permille
    ));
    words.push(format!(
        "standing still for {} stops it; a node that does not begin within {} is replaced",
        seconds(plan.hold_s),
        seconds(plan.stage_s)
    ));
    if plan.probes.is_empty() {
        words.push("no probe: a node is healthy as long as its process stays up".to_owned());
    }
    words.extend(plan.probes.iter().map(probe_words));
    words
}

fn probe_words(probe: &Probe) -> String {
    let action = match &probe.action {
        ProbeAction::Http { port: 0, path } => format!("GET {path} on its own port"),
        ProbeAction::Http { port, path } => format!("GET {path} on port {port}"),
        ProbeAction::Tcp { port: 0 } => "a connection to its own port".to_owned(),
        ProbeAction::Tcp { port } => format!("a connection to port {port}"),
        ProbeAction::Exec { command } => format!("the command {}", shortened(&command.join(" "))),
        ProbeAction::Process => "its process".to_owned(),
    };
    format!(
        "healthy means: {action}, every {} ms, failed after {} times in a row",
        probe.period_ms, probe.failure_threshold
    )
}

/// Commands are the publisher's text: nothing in them may move a signer's cursor.
fn shortened(text: &str) -> String {
    let clean: String = text.chars().flat_map(char::escape_debug).take(2 * NAME_MAX).collect();
    if clean.chars().count() < text.chars().count() { format!("{clean}…") } else { clean }
}

fn seconds(number: u32) -> String {
    match number {
        n if n >= 7200 && n % 3600 == 0 => format!("{} h", n / 3600),
        n if n >= 120 && n % 60 == 0 => format!("{} min", n / 60),
        n => format!("{n} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        for (number, words) in [(2, "2 s"), (90, "90 s"), (600, "10 min"), (3600, "60 min"), (7200, "2 h")] {
            assert_eq!(seconds(number), words);
        }
    }

    #[test]
    fn a_command_cannot_move_the_cursor() {
        assert_eq!(shortened("check \u{1b}[2J"), "check \\u{1b}[2J");
        assert!(shortened(&"x".repeat(1000)).ends_with('…'));
    }
}
