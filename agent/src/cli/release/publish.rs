//! `swell release publish`: hands a signed release to any agent.

use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::facts::RolloutId;
use serde::Serialize;

use crate::cli::daemon::SocketArgs;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use crate::cli::screen::{Answer, Screen};
use crate::cli::words::bytes;
use crate::release::directory::ReleaseDirectory;
use crate::release::publish::{Published, publish};

/// Hands a signed release to an agent, which spreads it; this machine may go away then
#[derive(Args, Debug)]
#[command(after_help = "May be repeated: what has arrived is not sent again.

EXAMPLES:
  swell release publish web-1.2.0.release
  swell release publish web-1.2.0.release --socket data/agent.sock")]
pub(in crate::cli) struct PublishArgs {
    /// The release directory
    #[arg(value_name = "DIR")]
    release: PathBuf,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Serialize)]
struct PublishedAnswer {
    rollout: RolloutId,
    #[serde(flatten)]
    published: Published,
}

pub(super) fn run(args: &PublishArgs, screen: Screen) -> Result<Answer, Failure> {
    let release = ReleaseDirectory::open(&args.release)?;
    let mut daemon = args.socket.daemon()?;
    let progress = Progress::new(screen);
    let published =
        publish(&release, &mut daemon, &|done, total| progress.tell("sending", done, Some(total)))?;
    drop(progress);
    let manifest = release.manifest();
    let what = format!("{} {}", manifest.component, manifest.version);
    let news = if published.news { "published" } else { "was published already" };
    let text = format!(
        "{} {news}: sent {} in {} blobs, {} of {} were there\n{}\n",
        screen.strong(&what),
        bytes(published.uploaded_bytes),
        published.uploaded_blobs,
        published.blobs - published.uploaded_blobs,
        published.blobs,
        screen.faint(&format!("next: swell rollout explain {}", release.rollout().0.short())),
    );
    Ok(Answer::new(text, &PublishedAnswer { rollout: release.rollout(), published }))
}
