//! The demo: a whole fleet of real agents on this machine, and what releases do to it.
//!
//! One door: [`run`]. It founds a fleet in a temporary directory, starts an agent process for every node,
//! plays the `story`, and prints a table or one JSON object. Nothing of it runs on when it is over, however
//! that came about.
//!
//! | file | its job |
//! |---|---|
//! | `story` | what happens, in its order |
//! | `stage` | what it plays on: fleet, releases, load, figures |
//! | `fleet`, `machine`, `process` | agents as processes, started and certainly ended |
//! | `publisher` | builds, signs and hands over releases |
//! | `tree`, `plans` | what is released, and how carefully |
//! | `load` | clients that never try again |
//! | `chronicle`, `course` | what the agents report; one rollout's figures from that |
//! | `promises`, `json`, `table` | the judgement, and its two forms |
//! | `narrator` | what is said meanwhile |
//! | `service` | the small HTTP service that is released |
//!
//! Deliberately absent: any way into the agents but those that people have. What the demo knows it reads from
//! the control API, and what it does to an agent it does with signals.

mod chronicle;
mod course;
pub mod fleet;
mod json;
mod load;
pub mod machine;
mod narrator;
mod plans;
pub mod process;
mod promises;
pub mod publisher;
pub mod service;
mod stage;
mod story;
mod table;
mod tree;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use self::json::{Outcome, Report};
use self::narrator::Narrator;
use self::promises::{Terms, judge};
use self::stage::{Stage, prepare};
use self::story::Story;
use crate::release::problem::Problem;

/// Agents at most: beyond, one machine shows nothing new.
pub const NODES_MAX: usize = 64;
/// How long the agents may take to find each other, and for each of them a little more.
const READY_PATIENCE: Duration = Duration::from_secs(30);
const READY_PATIENCE_PER_NODE: Duration = Duration::from_secs(1);

/// What `swell demo` is asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How many agents, 1 to [`NODES_MAX`].
    pub nodes: usize,
    /// One JSON object instead of a table.
    pub json: bool,
    /// Where to leave everything; nothing may be there yet.
    pub keep: Option<PathBuf>,
    /// The user's own versions instead of the demo's service.
    pub own: Option<OwnVersions>,
}

/// The user's own two versions of anything.
#[derive(Clone, Debug)]
pub struct OwnVersions {
    /// The first.
    pub old: PathBuf,
    /// The second.
    pub new: PathBuf,
    /// The bad one; without it the new one with its largest file cut in half.
    pub bad: Option<PathBuf>,
    /// The health check, run by a shell inside the tree.
    pub trial: String,
}

/// Runs the demo and prints what came of it. Returns whether all went as promised.
///
/// # Errors
/// When it could not even begin, or was interrupted; no process and, without `keep`, no file is left.
pub async fn run(options: DemoOptions) -> Result<bool, Problem> {
    check(&options)?;
    let root = Root::make(options.keep.as_deref())?;
    let mut narrator = Narrator::new();
    let mut stage = None;
    let report = tokio::select! {
        report = play(&root, &options, &mut narrator, &mut stage) => report,
        () = interrupted() => Err(Problem::local(
            "the demo was interrupted",
            "it was told to end",
            "run it again; nothing of it is left running",
        )),
    };
    if let Some(stage) = stage {
        narrator.live("the agents end");
        stage.end().await;
        narrator.hush();
    }
    let report = report?;
    print(&report, options.json)?;
    if let Root::Kept(path) = &root {
        narrator
            .line(&format!("everything is in {}; the agents' logs are */agent.log there", path.display()));
    }
    Ok(report.ok)
}

fn check(options: &DemoOptions) -> Result<(), Problem> {
    if !(1..=NODES_MAX).contains(&options.nodes) {
        return Err(Problem::usage(
            format!("cannot run a demo of {} nodes", options.nodes),
            format!("it needs 1 to {NODES_MAX}"),
            "leave --nodes away for 12",
        ));
    }
    match &options.own {
        Some(own) => tree::check([Some(&own.old), Some(&own.new), own.bad.as_ref()].into_iter().flatten()),
        None => Ok(()),
    }
}

/// Where the demo's files are.
enum Root {
    /// Gone with the demo.
    Temporary(TempDir),
    /// Left where the user wants it.
    Kept(PathBuf),
}

impl Root {
    fn make(keep: Option<&Path>) -> Result<Self, Problem> {
        let Some(keep) = keep else {
            let place = std::env::temp_dir();
            let directory = tempfile::Builder::new().prefix("swell-").tempdir_in(&place);
            return directory.map(Self::Temporary).map_err(|error| Problem::writing(&place, &error));
        };
        let path = std::path::absolute(keep).map_err(|error| Problem::writing(keep, &error))?;
        // Before anything is made there.
        machine::check_socket_path(&path)?;
        fs::create_dir(&path).map_err(|error| Problem::writing(&path, &error))?;
        Ok(Self::Kept(path))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

/// Plays the story on a stage that it leaves in `stage`.
async fn play(
    root: &Root,
    options: &DemoOptions,
    narrator: &mut Narrator,
    stage: &mut Option<Stage>,
) -> Result<Report, Problem> {
    let binary = std::env::current_exe()
        .map_err(|error| Problem::local("cannot find this program", error.to_string(), "mount /proc"))?;
    narrator.line(&format!(
        "a fleet of {} agents on this machine, in {}",
        options.nodes,
        root.path().display()
    ));
    let stage = stage.insert(Stage::set(root.path(), &binary, options)?);
    let building =
        tokio::spawn(prepare(root.path().to_owned(), stage.fleet.directory().clone(), options.clone()));
    let mut report = Report { nodes: options.nodes, ..Report::default() };
    let patience =
        READY_PATIENCE + READY_PATIENCE_PER_NODE * u32::try_from(options.nodes).unwrap_or(u32::MAX);
    let nodes = options.nodes;
    stage
        .fleet
        .until_ready(patience, |ready| narrator.live(&format!("{ready} of {nodes} agents are ready")))
        .await?;
    narrator.line("all agents run, know each other and may sign");
    stage.read().await;
    report.agent_idle_rss_bytes_max = stage.peak_bytes();
    narrator.line("the publisher builds four releases and signs them");
    let releases = building.await.map_err(|panic| {
        Problem::local("the releases were not built", format!("BUG: {panic}"), "report this, with the output")
    })??;
    narrator.line("they are 1.0, 2.0, 3.0 and 4.0");
    let outcome = tell(&mut Story { stage, narrator, report: &mut report }, &releases, options).await;
    conclude(&mut report, stage, narrator, options, outcome).await;
    Ok(report)
}

async fn tell(
    story: &mut Story<'_>,
    releases: &stage::Releases,
    options: &DemoOptions,
) -> Result<(), Problem> {
    let quorum = story.quorum();
    story.narrator.line(&format!(
        "{} jurors: {} must agree to go on, {} to stop, {} may lie",
        quorum.jurors,
        quorum.quorum,
        quorum.stoppers(),
        quorum.faulty
    ));
    story.install(&releases.first).await?;
    if options.own.is_none() {
        story.stage.start_load();
        story.narrator.line("a client for each node asks for a page 50 times a second from now on");
    }
    story.good(&releases.good).await?;
    story.bad(&releases.bad).await?;
    story.leader_lost(&releases.fixed).await
}

async fn conclude(
    report: &mut Report,
    stage: &mut Stage,
    narrator: &mut Narrator,
    options: &DemoOptions,
    outcome: Result<(), Problem>,
) {
    let reading = stage.read().await;
    report.requests_total = reading.requests.iter().map(|requests| requests.served + requests.failed).sum();
    report.requests_failed = reading.requests.iter().map(|requests| requests.failed).sum();
    report.agent_rss_bytes_max = stage.peak_bytes();
    let completed = report.releases.last().is_some_and(|last| last.outcome == Outcome::Completed);
    report.trouble = match outcome {
        Err(problem) => Some(problem.to_string()),
        Ok(()) if completed && options.own.is_none() => wrong_answer(stage),
        Ok(()) => None,
    };
    narrator.hush();
    report.seconds = narrator.seconds();
    let quorum = groundswell_protocol::rollout::quorum::Quorum::of(u32::try_from(report.nodes).unwrap_or(1));
    let terms = Terms {
        exposed_max: if quorum.faulty == 0 { 1 } else { 2 },
        leader_killed: quorum.quorum < quorum.jurors,
        own_trees: options.own.is_none(),
    };
    report.promises = judge(report, terms);
    report.ok = report.trouble.is_none()
        && report.releases.len() == 3
        && report.promises.iter().all(|promise| promise.kept);
}

/// A node whose service does not say that it is the last version.
fn wrong_answer(stage: &Stage) -> Option<String> {
    let said = stage.load.said();
    let place = said.iter().position(|said| said != "4.0")?;
    Some(format!("the service of {} answers {:?}", stage.fleet.machines()[place].name(), said[place]))
}

fn print(report: &Report, json: bool) -> Result<(), Problem> {
    let text = if json {
        serde_json::to_string_pretty(report).expect("BUG: a report that is no JSON") + "\n"
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        table::render(report, table::Style { colour: io::stdout().is_terminal() && !plain })
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Problem::local("cannot print the report", error.to_string(), "check where the output goes"))
        }
        _ => Ok(()),
    }
}

/// Returns when this process is told to end.
async fn interrupted() {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
        // Then a signal ends the process as ever.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
