//! `swell release sign`: shows what is signed, and signs.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::identity::PublicKey;
use serde::Serialize;

use super::review::words;
use crate::cli::clock;
use crate::cli::failure::Failure;
use crate::cli::screen::{Answer, Screen};
use crate::release::directory::ReleaseDirectory;
use crate::release::fleet::FleetDirectory;
use crate::release::keys;
use crate::release::review::{Review, review};
use crate::release::sign::sign;

/// Shows what a release changes, and adds signatures to it
#[derive(Args, Debug)]
#[command(
    after_help = "Needs no network. Where several must sign, they do so one after the other on one copy of the directory.
Look first without signing with `swell release show`.

EXAMPLES:
  swell release sign web-1.2.0.release --key fleet/keys/release.key
  swell release sign web-1.2.0.release --key alice.key --key bob.key --dir /secure/fleet"
)]
pub(in crate::cli) struct SignArgs {
    /// The release directory
    #[arg(value_name = "DIR")]
    release: PathBuf,
    /// Key files of the release role
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The fleet directory; its bundle is enough
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
}

#[derive(Serialize)]
struct Signed {
    added: Vec<PublicKey>,
    enough: bool,
    review: Review,
}

pub(super) fn run(args: &SignArgs, screen: Screen) -> Result<Answer, Failure> {
    let mut release = ReleaseDirectory::open(&args.release)?;
    let bundle = FleetDirectory::at(&args.dir).read_bundle()?;
    // Before anything is signed: a release whose census or index is damaged is not worth a signature.
    review(&release, &bundle, clock::now())?;
    release.read_tree()?;
    let keys = args.key.iter().map(|path| keys::read(path)).collect::<Result<Vec<_>, _>>()?;
    let signing = sign(&mut release, &bundle, &keys)?;
    let review = review(&release, &bundle, clock::now())?;
    let mut text = words(&review, screen);
    let next = if signing.signatures.is_enough() {
        format!("next: swell release publish {}", args.release.display())
    } else {
        format!("next: another signer runs swell release sign {} --key FILE", args.release.display())
    };
    let _ = writeln!(text, "{}", screen.faint(&next));
    let signed = Signed { added: signing.added, enough: signing.signatures.is_enough(), review };
    Ok(Answer::new(text, &signed))
}
