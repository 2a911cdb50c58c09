//! A release's review as people read it.

use std::fmt::Write;

use groundswell_protocol::identity::PublicKey;
use groundswell_protocol::trust::manifest::Manifest;

use crate::cli::clock;
use crate::cli::screen::Screen;
use crate::cli::words::{bytes, count, when};
use crate::release::review::{CensusReview, Review, SignatureReview};

/// The review in lines.
pub(super) fn words(review: &Review, screen: Screen) -> String {
    let manifest = &review.manifest;
    let mut text = String::new();
    let name = format!("{} {}", manifest.component, manifest.version);
    let _ = writeln!(
        text,
        "release   {}, sequence {}, epoch {}",
        screen.strong(&name),
        manifest.order.sequence,
        manifest.order.epoch
    );
    let _ = writeln!(text, "rollout   {}", review.rollout);
    if !manifest.note.is_empty() {
        let _ = writeln!(text, "note      {}", manifest.note);
    }
    let _ = writeln!(text, "bytes     {}", sizes(manifest));
    for (line, place) in review.plan_words.iter().zip(["plan", ""].into_iter().chain(std::iter::repeat(""))) {
        let _ = writeln!(text, "{place:9} {line}");
    }
    let _ = writeln!(text, "for       {}", selection(manifest));
    for requirement in &manifest.requires {
        let _ = writeln!(
            text,
            "requires  {} with sequence {} or later",
            requirement.component, requirement.min_sequence
        );
    }
    let _ = writeln!(text, "census    {}", census(&review.census));
    let _ = writeln!(text, "expires   {}", when(manifest.expires, clock::now()));
    let _ = writeln!(text, "signed    {}", signatures(&review.signatures, screen));
    for warning in &review.warnings {
        let _ = writeln!(text, "{}", screen.warn(&format!("warning: {warning}")));
    }
    text
}

fn sizes(manifest: &Manifest) -> String {
    let mut text = format!("{} in full", bytes(manifest.bytes));
    for delta in &manifest.deltas {
        let _ = write!(text, "; {} from tree {}", bytes(delta.bytes), delta.from.short());
    }
    text
}

fn selection(manifest: &Manifest) -> String {
    let select = &manifest.select;
    let parts: Vec<String> =
        [("zones", &select.zones), ("rings", &select.rings), ("classes", &select.classes)]
            .into_iter()
            .filter(|(_, labels)| !labels.is_empty())
            .map(|(name, labels)| format!("{name} {}", labels.join(", ")))
            .collect();
    if parts.is_empty() { "all nodes of the census".to_owned() } else { parts.join("; ") }
}

fn census(census: &CensusReview) -> String {
    let (Some(version), Some(nodes), Some(electors)) = (census.version, census.nodes, census.electors) else {
        return "not known here".to_owned();
    };
    let change = match &census.change {
        None => "no other census is known to compare it with".to_owned(),
        Some(change) => format!(
            "against version {}: +{} −{} nodes, {} with other labels",
            change.from_version, change.added, change.removed, change.changed
        ),
    };
    format!("version {version}: {}, {}; {change}", count(nodes, "node"), count(electors, "elector"))
}

/// How many have signed, and who.
pub(super) fn signatures(signatures: &SignatureReview, screen: Screen) -> String {
    let keys: Vec<String> = signatures.valid.iter().map(PublicKey::short).collect();
    let who = if keys.is_empty() { String::new() } else { format!(": {}", keys.join(", ")) };
    let text = format!(
        "{} of {} release keys of policy {}{who}",
        keys.len(),
        signatures.threshold,
        signatures.policy
    );
    if signatures.is_enough() { screen.good(&text) } else { screen.warn(&text) }
}
