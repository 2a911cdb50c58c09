//! `swell release show`: what a release's signers vouch for.

use std::path::PathBuf;

use clap::Args;

use super::review::words;
use crate::cli::clock;
use crate::cli::failure::Failure;
use crate::cli::screen::{Answer, Screen};
use crate::release::directory::ReleaseDirectory;
use crate::release::fleet::FleetDirectory;
use crate::release::review::review;

/// Shows a release: bytes, plan, census, who has signed
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell release show web-1.2.0.release
  swell release show web-1.2.0.release --json")]
pub(in crate::cli) struct ShowArgs {
    /// The release directory
    #[arg(value_name = "DIR")]
    release: PathBuf,
    /// The fleet directory; its bundle is enough
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
}

pub(super) fn run(args: &ShowArgs, screen: Screen) -> Result<Answer, Failure> {
    let release = ReleaseDirectory::open(&args.release)?;
    let bundle = FleetDirectory::at(&args.dir).read_bundle()?;
    let review = review(&release, &bundle, clock::now())?;
    Ok(Answer::new(words(&review, screen), &review))
}
