//! `swell fleet init`: keys for all roles, and the policy that founds the fleet.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::identity::PublicKey;
use groundswell_protocol::trust::policy::{FleetId, RoleName};
use serde::Serialize;

use super::arguments::{parse_role_key, parse_role_number};
use crate::cli::clock;
use crate::cli::failure::Failure;
use crate::cli::screen::{Answer, Screen};
use crate::release::fleet::{FleetDirectory, NewRole};

/// Makes the fleet's keys and its first policy
#[derive(Args, Debug)]
#[command(
    after_help = "Roles: root signs policies, release signs releases, operator signs pause, resume, promote and
abort, enrol signs who belongs to the fleet. Take root.key off this machine once the fleet stands.

EXAMPLES:
  swell fleet init --name shop
  swell fleet init --name shop --threshold release=2
  swell fleet init --name shop --trust operator=3b1f... --threshold operator=1"
)]
pub(in crate::cli) struct InitArgs {
    /// The fleet's name for people
    #[arg(long)]
    name: String,
    /// Where to make the fleet directory
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
    /// How many keys of a role must sign [default: 1]
    #[arg(long, value_name = "ROLE=N", value_parser = parse_role_number)]
    threshold: Vec<(RoleName, u8)>,
    /// How many keys of a role to make here [default: as many as must sign, less those that are trusted]
    #[arg(long, value_name = "ROLE=N", value_parser = parse_role_number)]
    keys: Vec<(RoleName, u8)>,
    /// A public key that somebody else holds
    #[arg(long, value_name = "ROLE=KEY", value_parser = parse_role_key)]
    trust: Vec<(RoleName, PublicKey)>,
    /// When operators should have rotated the policy
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_days: u32,
}

#[derive(Serialize)]
struct Founded {
    fleet: FleetId,
    name: String,
    directory: PathBuf,
    bundle: PathBuf,
    keys: Vec<PathBuf>,
}

pub(super) fn run(args: &InitArgs, screen: Screen) -> Result<Answer, Failure> {
    let roles: Vec<NewRole> = RoleName::ALL.into_iter().map(|role| args.role(role)).collect();
    let directory = FleetDirectory::at(&args.dir);
    let bundle = directory.found(&args.name, &roles, clock::in_days(args.expires_days))?;
    let keys = roles
        .iter()
        .flat_map(|new| (1..=usize::from(new.keys)).map(|number| directory.key_path(new.role, number)))
        .collect();
    let founded = Founded {
        fleet: bundle.fleet(),
        name: args.name.clone(),
        directory: args.dir.clone(),
        bundle: directory.bundle_path(),
        keys,
    };
    let mut text = String::new();
    let _ = writeln!(text, "fleet   {} {}", screen.strong(&founded.name), founded.fleet.0);
    let _ = writeln!(text, "bundle  {} (public: give each node a copy)", founded.bundle.display());
    for key in &founded.keys {
        let _ = writeln!(text, "key     {}", key.display());
    }
    let _ = writeln!(text, "{}", screen.faint("next: swell fleet enrol NODE...; keep root.key offline"));
    Ok(Answer::new(text, &founded))
}

impl InitArgs {
    fn role(&self, role: RoleName) -> NewRole {
        let given = |list: &[(RoleName, u8)]| {
            list.iter().rev().find(|(of, _)| *of == role).map(|(_, number)| *number)
        };
        let trusted: Vec<PublicKey> =
            self.trust.iter().filter(|(of, _)| *of == role).map(|(_, key)| *key).collect();
        let threshold = given(&self.threshold).unwrap_or(1);
        // Root signs the first policy here and now: all of its threshold.
        let elsewhere =
            if role == RoleName::Root { 0 } else { u8::try_from(trusted.len()).unwrap_or(u8::MAX) };
        let keys = given(&self.keys).unwrap_or_else(|| threshold.saturating_sub(elsewhere));
        NewRole { role, keys, trusted, threshold }
    }
}
