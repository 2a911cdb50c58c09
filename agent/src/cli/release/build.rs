//! `swell release build`: a tree of files becomes a release directory.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::trust::manifest::{Kind, Requirement, Select};
use groundswell_protocol::trust::names::{ComponentName, is_label, is_note};
use groundswell_protocol::trust::plan::Plan;
use serde::Serialize;

use crate::cli::clock;
use crate::cli::daemon::Daemon;
use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::cli::release::known_releases;
use crate::cli::screen::{Answer, Screen};
use crate::cli::words::bytes;
use crate::release::build::{BuildProgress, BuildRequest, BuildStep, Built, build};
use crate::release::fleet::FleetDirectory;
use crate::release::nearest::nearest;
use crate::release::plan_file;

const KINDS: [(&str, Kind); 6] = [
    ("service", Kind::Service),
    ("application", Kind::Application),
    ("ai-model", Kind::AiModel),
    ("config", Kind::Config),
    ("kernel", Kind::Kernel),
    ("security-patch", Kind::SecurityPatch),
];

/// Makes a release of a directory of files: chunks, deltas from earlier versions, an unsigned manifest
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell release build --component web --release-version 1.0.0 --tree ./build
  swell release build --component web --release-version 1.1.0 --tree ./build --from web-1.0.0.release
  swell release plan > plan.toml
  swell release build --component web --release-version 1.1.1 --tree ./build --from web-1.1.0.release \\
      --plan plan.toml --note 'fixes the login page' --socket data/agent.sock")]
pub(in crate::cli) struct BuildArgs {
    /// What is updated
    #[arg(long, value_parser = parse_component)]
    component: ComponentName,
    /// The release's name for people
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    release_version: String,
    /// The directory with the new version's files
    #[arg(long, value_name = "DIR")]
    tree: PathBuf,
    /// The fleet directory; its bundle is enough
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
    /// An earlier version to make a delta from: a release directory, or a directory of its files
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// How it goes live, as `swell release plan` explains it [default: the plan that it prints]
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// service, application, ai-model, config, kernel or security-patch
    #[arg(long, default_value = "service", value_parser = parse_kind)]
    kind: Kind,
    /// Its place in the component's order [default: one more than the highest that is known from --from
    /// and --socket]
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = parse_note)]
    note: String,
    /// Only for nodes in this zone; may be repeated
    #[arg(long, value_name = "ZONE")]
    zone: Vec<String>,
    /// Only for nodes in this ring; may be repeated
    #[arg(long, value_name = "RING")]
    ring: Vec<String>,
    /// Only for nodes of this class; may be repeated
    #[arg(long, value_name = "CLASS")]
    class: Vec<String>,
    /// Another component that must be done with at least this sequence
    #[arg(long, value_name = "COMPONENT=SEQUENCE", value_parser = parse_requirement)]
    requires: Vec<Requirement>,
    /// After so many days no juror opens it any more
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    expires_days: u32,
    /// Where to put it [default: COMPONENT-VERSION.release]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// An agent to ask for the newest census and the highest sequence
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

fn parse_component(text: &str) -> Result<ComponentName, String> {
    ComponentName::new(text).map_err(|error| error.to_string())
}

fn parse_version(text: &str) -> Result<String, String> {
    if is_label(text) {
        Ok(text.to_owned())
    } else {
        Err("a version is 1 to 64 bytes without spaces and control characters".to_owned())
    }
}

fn parse_note(text: &str) -> Result<String, String> {
    if is_note(text) {
        Ok(text.to_owned())
    } else {
        Err("a note is at most 256 bytes on one line".to_owned())
    }
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    let names = KINDS.map(|(name, _)| name);
    KINDS.into_iter().find(|(name, _)| *name == text).map(|(_, kind)| kind).ok_or_else(|| {
        let hint = nearest(text, &names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("the kinds are {}{hint}", names.join(", "))
    })
}

fn parse_requirement(text: &str) -> Result<Requirement, String> {
    let (component, sequence) =
        text.split_once('=').ok_or("expected COMPONENT=SEQUENCE, such as database=7")?;
    Ok(Requirement {
        component: parse_component(component)?,
        min_sequence: sequence.parse().map_err(|_| format!("{sequence:?} is not a sequence number"))?,
    })
}

#[derive(Serialize)]
struct BuiltAnswer {
    directory: PathBuf,
    rollout: RolloutId,
    sequence: u64,
    full_bytes: u64,
    chunks: usize,
    deltas: Vec<DeltaAnswer>,
}

#[derive(Serialize)]
struct DeltaAnswer {
    from: PathBuf,
    bytes: Option<u64>,
    why_none: Option<String>,
}

pub(super) fn run(args: &BuildArgs, screen: Screen) -> Result<Answer, Failure> {
    let plan = args.plan.as_deref().map_or_else(|| Ok(Plan::default()), plan_file::read)?;
    let mut fleet = FleetDirectory::at(&args.dir).read_bundle()?;
    let mut known_sequence = None;
    if let Some(socket) = &args.socket {
        let daemon = Daemon::at(socket)?;
        fleet = fleet.newer_of(&daemon.bundle()?).map_err(|why| {
            Failure::new(
                Code::Refused,
                "the fleet directory and the agent disagree",
                why,
                "name the fleet directory and the socket of one fleet",
            )
        })?;
        known_sequence = known_to(&daemon, &args.component)?;
    }
    let out = args.out.clone().unwrap_or_else(|| {
        PathBuf::from(format!("{}-{}.release", args.component, args.release_version.replace('/', "_")))
    });
    let request = BuildRequest {
        fleet: &fleet,
        component: args.component.clone(),
        kind: args.kind,
        version: args.release_version.clone(),
        tree: &args.tree,
        from: &args.from,
        sequence: args.sequence,
        known_sequence,
        requires: args.requires.clone(),
        select: Select { zones: args.zone.clone(), rings: args.ring.clone(), classes: args.class.clone() },
        plan,
        expires: clock::in_days(args.expires_days),
        note: args.note.clone(),
        out: &out,
    };
    let progress = Progress::new(screen);
    let built = build(&request, &|at| tell(&progress, at))?;
    drop(progress);
    Ok(answer(&out, &built, screen))
}

/// The highest sequence of the component that the agent has heard of.
fn known_to(daemon: &Daemon, component: &ComponentName) -> Result<Option<u64>, Failure> {
    let node = daemon.status()?.node;
    Ok(known_releases(&node, component).map(|(order, _)| order.sequence).max())
}

fn tell(progress: &Progress, at: BuildProgress) {
    let label = match at.step {
        BuildStep::Scan => "reading the new files".to_owned(),
        BuildStep::ScanFrom => format!("reading earlier version {}", at.number),
        BuildStep::Chunk => "writing chunks".to_owned(),
        BuildStep::Diff => format!("making delta {}", at.number),
    };
    progress.tell(&label, at.done, at.total);
}

fn answer(out: &Path, built: &Built, screen: Screen) -> Answer {
    let manifest = built.release.manifest();
    let answer = BuiltAnswer {
        directory: out.to_owned(),
        rollout: built.rollout(),
        sequence: manifest.order.sequence,
        full_bytes: manifest.bytes,
        chunks: built.chunks,
        deltas: built
            .deltas
            .iter()
            .map(|delta| DeltaAnswer {
                from: delta.from.clone(),
                bytes: delta.bytes,
                why_none: delta.why_none.clone(),
            })
            .collect(),
    };
    let mut text = String::new();
    let name = format!("{} {}", manifest.component, manifest.version);
    let _ =
        writeln!(text, "built   {} sequence {} in {}", screen.strong(&name), answer.sequence, out.display());
    let _ = writeln!(text, "full    {} in {} chunks", bytes(answer.full_bytes), answer.chunks);
    for delta in &answer.deltas {
        let size = match (delta.bytes, &delta.why_none) {
            (Some(size), _) => {
                format!("{} ({} % of full)", bytes(size), size.saturating_mul(100) / answer.full_bytes.max(1))
            }
            (None, Some(why)) => format!("none: {why}"),
            (None, None) => "none".to_owned(),
        };
        let _ = writeln!(text, "delta   from {}: {size}", delta.from.display());
    }
    let next = format!("next: swell release sign {} --key FILE", out.display());
    let _ = writeln!(text, "{}", screen.faint(&next));
    Answer::new(text, &answer)
}
