//! `swell delta bench`: our deltas against other tools'.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::cli::screen::{Answer, Screen, table};
use crate::cli::words::bytes;
use crate::deltas::bench::{
    BenchEvent, BenchOptions, BenchReport, Figures, Goal, PairReport, Tool, run as measure,
};
use crate::release::nearest::nearest;

/// Where the corpus is kept, below the user's cache.
const CACHE: &str = "groundswell/corpus";

/// Measures our deltas against bsdiff, xdelta3, zstd and HDiffPatch: size, time, memory
#[derive(Args, Debug)]
#[command(
    after_help = "The corpus is pairs of successive releases of programs, libraries, packages and texts. They are fetched by
pip, npm and apt-get, by name and version, and checked against their digests. A file that cannot be
fetched is measured all the same once it is in the cache as NAME.old or NAME.new.
Each tool is run as whole processes, one at a time; times are processor time, sizes are of deltas that gave
every byte back. The whole corpus takes hours, most of them for other tools: begin with --only.

EXAMPLES:
  swell delta bench --corpus
  swell delta bench --corpus --only libcrypto,esbuild --peers bsdiff,zstd
  swell delta bench --pair app-1.0 app-1.1 --pair app-1.1 app-1.2 --json"
)]
pub(in crate::cli) struct BenchArgs {
    /// Measure the corpus
    #[arg(long)]
    corpus: bool,
    /// Measure these two files; may be repeated
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pair: Vec<PathBuf>,
    /// Only these pairs of the corpus
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "corpus")]
    only: Vec<String>,
    /// Compare with these: bsdiff, xdelta3, zstd, hdiffpatch [default: all that are installed]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = parse_peer)]
    peers: Option<Vec<Tool>>,
    /// Apply each delta so often; the fastest counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Seconds that one program may run at a time
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
    /// Where fetched files are kept [default: groundswell/corpus in your cache directory]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

fn parse_peer(text: &str) -> Result<Tool, String> {
    let names = Tool::PEERS.map(Tool::name);
    Tool::PEERS.into_iter().find(|tool| tool.name() == text).ok_or_else(|| {
        let hint = nearest(text, &names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("the peers are {}{hint}", names.join(", "))
    })
}

pub(super) fn run(args: &BenchArgs, screen: Screen) -> Result<Answer, Failure> {
    if !args.corpus && args.pair.is_empty() {
        return Err(Failure::new(
            Code::Usage,
            "there is nothing to measure",
            "neither the corpus nor a pair of files was named",
            "use --corpus, or --pair OLD NEW",
        ));
    }
    let options = args.options()?;
    let progress = Progress::new(screen);
    let report = measure(&options, &|event| tell(&progress, screen, &event))?;
    drop(progress);
    let ok = report.ok;
    Ok(Answer::new(words(&report, screen), &report).judged(ok))
}

impl BenchArgs {
    fn options(&self) -> Result<BenchOptions, Failure> {
        let swell = std::env::current_exe().map_err(|error| {
            Failure::new(Code::Local, "cannot find this program", error.to_string(), "run it from its file")
        })?;
        let (pairs, _) = self.pair.as_chunks::<2>();
        Ok(BenchOptions {
            corpus: self.corpus,
            only: self.only.clone(),
            pairs: pairs.iter().map(|[old, new]| (old.clone(), new.clone())).collect(),
            runs: self.runs,
            cache: self.cache.clone().map_or_else(default_cache, Ok)?,
            peers: self.peers.clone().unwrap_or_else(|| Tool::PEERS.to_vec()),
            limit: Duration::from_secs(self.limit),
            swell,
        })
    }
}

/// The XDG base directory specification's place for what can be fetched again.
fn default_cache() -> Result<PathBuf, Failure> {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")));
    cache.map(|cache| cache.join(CACHE)).ok_or_else(|| {
        Failure::new(
            Code::Usage,
            "cannot choose a place for the corpus",
            "neither XDG_CACHE_HOME nor HOME is set",
            "name a directory with --cache",
        )
    })
}

fn tell(progress: &Progress, screen: Screen, event: &BenchEvent<'_>) {
    match event {
        BenchEvent::Doing(what, number, of) => progress.step(what, *number as u64, *of as u64),
        _ if screen.json => {}
        BenchEvent::Measured(pair) => {
            let ours = pair.figures(Tool::SwellBest).map_or("failed".to_owned(), |it| bytes(it.bytes));
            let peer = pair.best_peer().map_or_else(String::new, |(tool, theirs)| {
                format!(", {} of {}'s {}", ratio(pair.ratio()), tool.name(), bytes(theirs))
            });
            progress.say(&format!("{}: {ours}{peer}", pair.name));
        }
        BenchEvent::Skipped(skipped) => progress.say(&format!("{}: skipped: {}", skipped.name, skipped.why)),
    }
}

/// The tables.
fn words(report: &BenchReport, screen: Screen) -> String {
    let mut text = String::new();
    if !report.pairs.is_empty() {
        let _ = writeln!(text, "{}", screen.strong("Bytes of the delta"));
        text.push_str(&sizes(report, screen));
        let per_tool = [
            ("Seconds of processor time to make it", of_make as fn(&PairReport, &Figures) -> String),
            ("Megabytes of the new file in a second of processor time to apply it", of_apply),
            ("Memory to make it", of_make_memory),
            ("Memory to apply it", of_apply_memory),
        ];
        for (heading, figure) in per_tool {
            let _ = writeln!(text, "\n{}", screen.strong(heading));
            text.push_str(&by_tool(report, figure, screen));
        }
        let _ = writeln!(text, "\n{}", screen.strong("Goals"));
        text.push_str(&goals(&report.goals, screen));
    }
    troubles(report, screen, &mut text);
    text
}

fn sizes(report: &BenchReport, screen: Screen) -> String {
    let row = |pair: &PairReport| {
        let of = |tool| pair.figures(tool).map_or("-".to_owned(), |it| it.bytes.to_string());
        let [best, fast, bsdiff, xdelta3, zstd, hdiffpatch] = Tool::ALL.map(of);
        let kind = pair.kind.name().to_owned();
        let new = bytes(pair.new_bytes);
        [pair.name.clone(), kind, new, best, fast, bsdiff, xdelta3, zstd, hdiffpatch, ratio(pair.ratio())]
    };
    let rows: Vec<_> = report.pairs.iter().map(row).collect();
    let [best, fast, bsdiff, xdelta3, zstd, hdiffpatch] = Tool::ALL.map(Tool::name);
    let heading = ["PAIR", "KIND", "NEW", best, fast, bsdiff, xdelta3, zstd, hdiffpatch, "OF BEST PEER"];
    table(screen, heading, &rows)
}

fn by_tool(report: &BenchReport, figure: fn(&PairReport, &Figures) -> String, screen: Screen) -> String {
    let row = |pair: &PairReport| {
        let of = |tool| pair.figures(tool).map_or("-".to_owned(), |it| figure(pair, it));
        let [best, fast, bsdiff, xdelta3, zstd, hdiffpatch] = Tool::ALL.map(of);
        [pair.name.clone(), best, fast, bsdiff, xdelta3, zstd, hdiffpatch]
    };
    let rows: Vec<_> = report.pairs.iter().map(row).collect();
    let [best, fast, bsdiff, xdelta3, zstd, hdiffpatch] = Tool::ALL.map(Tool::name);
    table(screen, ["PAIR", best, fast, bsdiff, xdelta3, zstd, hdiffpatch], &rows)
}

fn of_make(_: &PairReport, figures: &Figures) -> String {
    format!("{:.2}", figures.make_seconds)
}

#[expect(clippy::cast_precision_loss, reason = "a speed for people")]
fn of_apply(pair: &PairReport, figures: &Figures) -> String {
    format!("{:.0}", pair.new_bytes as f64 / 1e6 / figures.apply_seconds.max(1e-6))
}

fn of_make_memory(_: &PairReport, figures: &Figures) -> String {
    bytes(figures.make_memory_bytes)
}

fn of_apply_memory(_: &PairReport, figures: &Figures) -> String {
    bytes(figures.apply_memory_bytes)
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"))
}

fn goals(goals: &[Goal], screen: Screen) -> String {
    let row = |goal: &Goal| {
        let bound = if goal.at_least { "≥" } else { "≤" };
        let verdict = match goal.kept {
            Some(true) => "✓ reached",
            Some(false) => "✗ missed",
            None => "- not measured",
        };
        [
            goal.what.clone(),
            format!("{bound} {:.2}", goal.promised),
            ratio(goal.measured),
            verdict.to_owned(),
            goal.worst.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = goals.iter().map(row).collect();
    let text = table(screen, ["GOAL", "PROMISED", "MEASURED", "VERDICT", "FURTHEST FROM IT"], &rows);
    text.replace("✓ reached", &screen.good("✓ reached")).replace("✗ missed", &screen.bad("✗ missed"))
}

/// What was not measured, and why.
fn troubles(report: &BenchReport, screen: Screen, text: &mut String) {
    for missing in &report.missing {
        let _ = writeln!(
            text,
            "{}",
            screen.warn(&format!("not compared with {}: {}", missing.tool.name(), missing.why))
        );
    }
    for skipped in &report.skipped {
        let _ = writeln!(text, "{}", screen.warn(&format!("skipped {}: {}", skipped.name, skipped.why)));
    }
    for pair in &report.pairs {
        for tool in &pair.tools {
            let Some(why) = &tool.failure else { continue };
            let line = format!("{}, {}: {why}", pair.name, tool.tool.name());
            let line = if tool.tool.is_ours() { screen.bad(&line) } else { screen.warn(&line) };
            let _ = writeln!(text, "{line}");
        }
    }
}
