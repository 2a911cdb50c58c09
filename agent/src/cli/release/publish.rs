//! `swell release publish`: hands a signed release to any agent.

use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::Status;
use groundswell_protocol::transfer::egress::{PERMILLE_MAX, PERMILLE_MIN};
use serde::Serialize;

use crate::cli::daemon::SocketArgs;
use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::cli::release::known_releases;
use crate::cli::screen::{Answer, Screen};
use crate::cli::words::bytes;
use crate::release::directory::ReleaseDirectory;
use crate::release::publish::{Published, publish};

/// Hands a signed release to an agent, which spreads it; this machine may go away then
#[derive(Args, Debug)]
#[command(after_help = "May be repeated: what has arrived is not sent again.

EXAMPLES:
  swell release publish web-1.2.0.release
  swell release publish web-1.2.0.release --egress 1.05x   one copy and a little, then others serve
  swell release publish web-1.2.0.release --socket data/agent.sock

BUDGETS:
  With --egress the agent stops sending payload beyond that multiple of what the fleet takes of the
  release, as long as others can serve it. What nobody else can be asked for is sent all the same;
  `swell status` says how much that was. Publishing again with another multiple changes the budget;
  what was sent stays counted, over restarts too.")]
pub(in crate::cli) struct PublishArgs {
    /// The release directory
    #[arg(value_name = "DIR")]
    release: PathBuf,
    /// Let the agent send at most so many copies of the payload while others can serve it
    #[arg(long, value_name = "MULTIPLE", value_parser = multiple)]
    egress: Option<u32>,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Reads `1.05x`, or `1.05`, as thousandths.
fn multiple(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('x').unwrap_or(text);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return Err("a multiple is written like 1.05x, with at most three places".to_owned());
    }
    let permille = format!("{whole}{part:0<3}").parse().unwrap_or(u32::MAX);
    match permille {
        ..PERMILLE_MIN => Err("one copy at least must come from somewhere: give 1x or more".to_owned()),
        PERMILLE_MIN..=PERMILLE_MAX => Ok(permille),
        _ => Err("1000x is the most".to_owned()),
    }
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
    refuse_twin(&release, &daemon.status()?.node)?;
    let progress = Progress::new(screen);
    let published = publish(&release, &mut daemon, args.egress, &|done, total| {
        progress.tell("sending", done, Some(total));
    })?;
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

/// Refuses a release whose place another one has taken: two of one sequence stop each other, for good.
fn refuse_twin(release: &ReleaseDirectory, node: &Status) -> Result<(), Failure> {
    let manifest = release.manifest();
    let component = &manifest.component;
    let twin = known_releases(node, component)
        .find(|(order, rollout)| *order == manifest.order && *rollout != release.rollout());
    let Some((order, rollout)) = twin else { return Ok(()) };
    Err(Failure::new(
        Code::Refused,
        format!("{component} {} was not published", manifest.version),
        format!(
            "the fleet knows another release of {component} with sequence {}: {}",
            order.sequence,
            rollout.0.short()
        ),
        "two releases of one sequence stop each other: build it again with --from the release before it, --socket or \
         --sequence, so that it gets a later one",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_read_as_thousandths_and_bounded() {
        for (text, permille) in [("1.05x", 1_050), ("1x", 1_000), ("2.5", 2_500), ("1000x", 1_000_000)] {
            assert_eq!(multiple(text), Ok(permille), "{text}");
        }
        for text in ["", "x", "0.9x", "1.0001x", "-1", "1,05x", "1000.001x", "99999999999x", "1.x"] {
            assert!(multiple(text).is_err(), "{text}");
        }
    }
}
