//! `swell fleet rotate`: the next policy.

use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::identity::{KeyPair, PublicKey};
use groundswell_protocol::trust::policy::RoleName;
use serde::Serialize;

use super::arguments::{parse_role, parse_role_key, parse_role_number};
use super::handover::Handover;
use crate::cli::clock;
use crate::cli::failure::Failure;
use crate::cli::screen::Answer;
use crate::release::fleet::FleetDirectory;
use crate::release::keys;
use crate::release::policy::{Rotation, rotate};

/// Makes the next policy: other keys, thresholds, a later expiry
#[derive(Args, Debug)]
#[command(
    after_help = "The new policy is signed by as many root keys as the policies before and after it ask for. Without
a change it is the same one with a later expiry. Releases name the policy that they were built under:
build and sign those again that are not published yet.

EXAMPLES:
  swell fleet rotate                               the same keys for another year
  swell fleet rotate --new release --remove release=3b1f...
  swell fleet rotate --new root --remove root=9c04... --key /media/usb/root.key --socket data/agent.sock"
)]
pub(in crate::cli) struct RotateArgs {
    /// The fleet directory
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
    /// Make a new key for a role
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    new: Vec<RoleName>,
    /// Add a public key that somebody else holds
    #[arg(long, value_name = "ROLE=KEY", value_parser = parse_role_key)]
    add: Vec<(RoleName, PublicKey)>,
    /// Take a key away
    #[arg(long, value_name = "ROLE=KEY", value_parser = parse_role_key)]
    remove: Vec<(RoleName, PublicKey)>,
    /// How many keys of a role must sign from now on
    #[arg(long, value_name = "ROLE=N", value_parser = parse_role_number)]
    threshold: Vec<(RoleName, u8)>,
    /// Begin a new epoch, to get past a sequence that a stolen release key drove up
    #[arg(long)]
    raise_epoch: bool,
    /// When operators should have rotated the policy again
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_days: u32,
    /// Root key files, beside those in the fleet directory
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Hand the new policy to the agent behind this socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Serialize)]
struct Rotated {
    policy: u32,
    epoch: u32,
    bundle: PathBuf,
    new_keys: Vec<PathBuf>,
    handed_over: bool,
}

/// New key files, taken away again unless the policy that names them was written.
struct NewKeys {
    paths: Vec<PathBuf>,
    kept: bool,
}

impl Drop for NewKeys {
    fn drop(&mut self) {
        if !self.kept {
            for path in &self.paths {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

pub(super) fn run(args: &RotateArgs) -> Result<Answer, Failure> {
    let directory = FleetDirectory::at(&args.dir);
    let handover = Handover::to(args.socket.as_deref())?;
    let _lock = directory.lock()?;
    let mut bundle = handover.newest(directory.read_bundle()?)?;
    let mut signers: Vec<KeyPair> = directory.read_keys(&[])?;
    for path in &args.key {
        signers.push(keys::read(path)?);
    }
    let mut rotation = Rotation {
        add: args.add.clone(),
        remove: args.remove.clone(),
        thresholds: args.threshold.clone(),
        raise_epoch: args.raise_epoch,
    };
    let mut new_keys = NewKeys { paths: Vec::new(), kept: false };
    for role in &args.new {
        let (path, key) = directory.add_key(*role)?;
        new_keys.paths.push(path);
        rotation.add.push((*role, key.public()));
        signers.push(key);
    }
    let signers: Vec<&KeyPair> = signers.iter().collect();
    rotate(&mut bundle, &rotation, clock::in_days(args.expires_days), &signers)?;
    bundle.write(&directory.bundle_path())?;
    new_keys.kept = true;
    let handed_over = handover.hand_over(&bundle)?;
    let policy = bundle.newest_policy();
    let rotated = Rotated {
        policy: policy.version,
        epoch: policy.epoch,
        bundle: directory.bundle_path(),
        new_keys: new_keys.paths.clone(),
        handed_over,
    };
    Ok(Answer::new(words(&rotated), &rotated))
}

fn words(rotated: &Rotated) -> String {
    let mut text = format!("policy {} holds, epoch {}\n", rotated.policy, rotated.epoch);
    for path in &rotated.new_keys {
        text.push_str(&format!("new key {}\n", path.display()));
    }
    if rotated.handed_over {
        text.push_str("the agent has it and spreads it\n");
    } else {
        text.push_str(&format!(
            "{} is for every node; running agents take it with --socket\n",
            rotated.bundle.display()
        ));
    }
    text
}
