//! `swell fleet show`: the policy and the census of a fleet directory.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::identity::{KeyPair, PublicKey};
use groundswell_protocol::trust::census::Enrolment;
use groundswell_protocol::trust::policy::{FleetId, RoleName};
use serde::Serialize;

use crate::cli::clock;
use crate::cli::failure::Failure;
use crate::cli::screen::{Answer, Screen, table};
use crate::cli::words::{count, when};
use crate::release::bundle::Bundle;
use crate::release::fleet::FleetDirectory;
use crate::release::problem::ProblemKind;

/// Shows who may sign what, and who belongs to the fleet
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell fleet show
  swell fleet show --dir /secure/fleet --json")]
pub(in crate::cli) struct ShowArgs {
    /// The fleet directory
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
}

#[derive(Serialize)]
struct Shown {
    fleet: FleetId,
    name: String,
    policy: u32,
    epoch: u32,
    expires: u64,
    expired: bool,
    roles: Vec<ShownRole>,
    census: Option<u32>,
    nodes: Vec<Enrolment>,
}

#[derive(Serialize)]
struct ShownRole {
    role: RoleName,
    threshold: u8,
    keys: Vec<PublicKey>,
    /// Those of the keys whose secret halves are in this directory.
    here: Vec<PublicKey>,
}

pub(super) fn run(args: &ShowArgs, screen: Screen) -> Result<Answer, Failure> {
    let directory = FleetDirectory::at(&args.dir);
    let bundle = directory.read_bundle()?;
    let here = match directory.read_keys(&[]) {
        Ok(keys) => keys.iter().map(KeyPair::public).collect(),
        // A copy of the bundle alone, as nodes have it.
        Err(problem) if problem.kind == ProblemKind::NotFound => BTreeSet::new(),
        Err(problem) => return Err(problem.into()),
    };
    let shown = Shown::of(&bundle, &here);
    Ok(Answer::new(words(&shown, screen), &shown))
}

impl Shown {
    fn of(bundle: &Bundle, here: &BTreeSet<PublicKey>) -> Self {
        let policy = bundle.newest_policy();
        let role = |role: RoleName| {
            let keys = policy.role(role).keys.clone();
            let here = keys.iter().filter(|key| here.contains(key)).copied().collect();
            ShownRole { role, threshold: policy.role(role).threshold, keys, here }
        };
        Self {
            fleet: bundle.fleet(),
            name: policy.name.clone(),
            policy: policy.version,
            epoch: policy.epoch,
            expires: policy.expires,
            expired: policy.expires <= clock::now(),
            roles: RoleName::ALL.into_iter().map(role).collect(),
            census: bundle.census().map(|census| census.version),
            nodes: bundle.census().map(|census| census.enrolments()).unwrap_or_default(),
        }
    }
}

fn words(shown: &Shown, screen: Screen) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "fleet   {} {}", screen.strong(&shown.name), shown.fleet.0);
    let expires = when(shown.expires, clock::now());
    let expires = if shown.expired {
        screen.warn(&format!("expired {expires}: nothing stops, but rotate it"))
    } else {
        format!("expires {expires}")
    };
    let _ = writeln!(text, "policy  {}, epoch {}, {expires}", shown.policy, shown.epoch);
    for role in &shown.roles {
        let keys: Vec<String> = role
            .keys
            .iter()
            .map(|key| if role.here.contains(key) { format!("{key} (here)") } else { key.to_string() })
            .collect();
        let _ = writeln!(
            text,
            "  {:9} {} of {} must sign: {}",
            role.role.as_str(),
            role.threshold,
            keys.len(),
            keys.join(", ")
        );
    }
    let Some(census) = shown.census else {
        text.push_str("census  none: enrol nodes with `swell fleet enrol`\n");
        return text;
    };
    let electors = shown.nodes.iter().filter(|node| node.elector).count();
    let _ = writeln!(
        text,
        "census  {census}: {}, {}",
        count(shown.nodes.len() as u64, "node"),
        count(electors as u64, "elector")
    );
    let rows: Vec<[String; 5]> = shown
        .nodes
        .iter()
        .map(|node| {
            let elector = if node.elector { "yes" } else { "no" };
            [
                node.node.to_string(),
                node.zone.clone(),
                node.ring.clone(),
                node.class.clone(),
                elector.to_owned(),
            ]
        })
        .collect();
    text.push_str(&table(screen, ["NODE", "ZONE", "RING", "CLASS", "ELECTOR"], &rows));
    text
}
