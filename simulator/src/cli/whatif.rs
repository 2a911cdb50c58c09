//! `swell-sim what-if`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use groundswell_protocol::trust::plan::Plan;
use groundswell_simulator::scenario::{file, words};
use groundswell_simulator::whatif::{Answer, Question, Spread, ask, read_roster};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, say, say_json};

/// Bytes of a plan or roster at most.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Args)]
pub(crate) struct WhatIf {
    /// The plan file that `swell release build` takes.
    #[arg(long, value_name = "PLAN.toml")]
    plan: PathBuf,
    /// The fleet: what `swell fleet show --json` prints.
    #[arg(long, value_name = "ROSTER.json")]
    fleet: PathBuf,
    /// Seeds for each situation; of fewer than 20 the middle 90 % are all.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: u64,
    /// Size of the new version.
    #[arg(long, default_value = "20MB", value_parser = words::size)]
    bytes: u64,
    /// Size of the delta to it; without, machines fetch the whole version.
    #[arg(long, value_parser = words::size)]
    delta: Option<u64>,
    /// Runs at once. [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

impl WhatIf {
    /// Plays the plan and says what to expect.
    pub(crate) fn answer(&self) -> Result<u8, Failure> {
        let plan = read_plan(&self.plan)?;
        let roster = read(&self.fleet)?;
        let groups = read_roster(&roster).map_err(|bad| {
            let what = format!("the roster {} cannot be used: {bad}", self.fleet.display());
            Failure::new(what, "make one with `swell fleet show --json`")
        })?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let question = Question {
            plan,
            groups,
            bytes: self.bytes,
            delta_bytes: self.delta,
            seeds: self.seeds,
            threads: self.threads.unwrap_or(cores),
        };
        let bar = self.bar();
        let answers = ask(&question, &mut || bar.inc(1));
        bar.finish_and_clear();
        let nodes: u32 = question.groups.iter().map(|group| group.nodes).sum();
        if self.json {
            say_json(&serde_json::json!({
                "nodes": nodes, "seeds": self.seeds, "targets": question.plan.targets(nodes),
                "interval": "5th to 95th percentile of the runs, by nearest rank", "answers": answers,
            }));
        } else {
            say(&told(&question.plan, nodes, &answers));
        }
        // A breach is no property of the plan: it is somebody's bug, and must not go unseen.
        Ok(if answers.iter().any(|answer| answer.breached > 0) { 3 } else { 0 })
    }

    fn bar(&self) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("[{bar:24}] {pos}/{len} {per_sec} {eta}")
            .expect("BUG: the template is a constant that parses")
            .progress_chars("##.");
        let runs = self.seeds * groundswell_simulator::whatif::Situation::ALL.len() as u64;
        ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr()).with_style(style)
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |why: String| Failure::new(format!("{} cannot be read: {why}", path.display()), "");
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(format!("it has {size} bytes, more than {FILE_BYTES_MAX}")));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}

fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let plan: Plan = file::read_as(&read(path)?, &path.display().to_string())
        .map_err(|fault| Failure::new(fault.to_string(), "see every field with `swell release plan`"))?;
    plan.check().map_err(|bad| {
        Failure::new(format!("the plan {} is not valid: {bad}", path.display()), "see `swell release plan`")
    })?;
    Ok(plan)
}

fn told(plan: &Plan, nodes: u32, answers: &[Answer]) -> String {
    let targets: Vec<String> = plan.targets(nodes).iter().map(u32::to_string).collect();
    let mut text = format!("{nodes} machines, waves up to {}\n", targets.join(", "));
    for answer in answers {
        let Answer { runs, completed, stopped, .. } = *answer;
        text.push_str(&format!(
            "\n{}\n  ends       {runs} runs: {completed} completed, {stopped} stopped{}\n",
            answer.situation.words(),
            if answer.breached > 0 {
                format!(", {} BREACHED a property", answer.breached)
            } else {
                String::new()
            }
        ));
        for (name, spread, unit) in [
            ("settled", &answer.milliseconds, duration as fn(u64) -> String),
            ("exposed", &answer.exposed, |machines| format!("{machines} machines")),
            ("payload", &answer.payload_bytes, bytes),
            ("talk", &answer.talk_bytes, bytes),
        ] {
            text.push_str(&format!("  {name:<10} {}\n", spread_in_words(spread, unit)));
        }
    }
    text.push_str("\nmedian, [5th to 95th percentile of the runs] by nearest rank, worst of all runs");
    text
}

fn spread_in_words(spread: &Spread, unit: fn(u64) -> String) -> String {
    format!(
        "{} [{} to {}], worst {}",
        unit(spread.median),
        unit(spread.p5),
        unit(spread.p95),
        unit(spread.worst)
    )
}

fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} KB", count / 1_000),
        10_000_000..10_000_000_000 => format!("{} MB", count / 1_000_000),
        _ => format!("{} GB", count / 1_000_000_000),
    }
}
