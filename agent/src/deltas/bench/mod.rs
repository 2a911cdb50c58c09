//! Our deltas against other tools', on real releases: sizes, processor time, memory, each as whole processes.
//!
//! One door: [`run`]. Other tools are asked in the ways that make their smallest deltas. Every output is compared with
//! the new file, byte by byte; a figure without that does not exist.
//!
//! | file | its job |
//! |---|---|
//! | `corpus` | which releases: `corpus.toml` |
//! | `fetch` | gets them by the ordinary package clients into a cache |
//! | `tools` | how each tool is asked |
//! | `process` | runs a program and counts what it takes |
//! | `measure` | one pair through one tool |
//! | `kind`, `goals` | what was promised, by kind, and whether it was kept |

mod corpus;
mod fetch;
mod goals;
mod kind;
mod measure;
mod process;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

pub use goals::Goal;
pub use kind::Kind;
pub use measure::Figures;
pub use tools::Tool;

use crate::release::problem::Problem;
use corpus::Pair;
use measure::{Terms, measure};
use tools::{Files, Programs};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Whether to measure the corpus.
    pub corpus: bool,
    /// Only these pairs of it; all for none.
    pub only: Vec<String>,
    /// Other pairs of files, old and new.
    pub pairs: Vec<(PathBuf, PathBuf)>,
    /// How often a delta is applied; the fastest counts.
    pub runs: u32,
    /// Where fetched files are kept.
    pub cache: PathBuf,
    /// Whom to compare with.
    pub peers: Vec<Tool>,
    /// How long one run of one program may take.
    pub limit: Duration,
    /// This program.
    pub swell: PathBuf,
}

/// What happens meanwhile.
#[derive(Debug)]
pub enum BenchEvent<'a> {
    /// This is being done, for the pair with this number, of so many.
    Doing(&'a str, usize, usize),
    /// A pair is done.
    Measured(&'a PairReport),
    /// A pair is left out.
    Skipped(&'a Skipped),
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// The pairs.
    pub pairs: Vec<PairReport>,
    /// Pairs that were left out, and why.
    pub skipped: Vec<Skipped>,
    /// Tools that were left out, and why.
    pub missing: Vec<Missing>,
    /// The goals.
    pub goals: Vec<Goal>,
    /// Whether every output of ours was right and no goal was missed.
    pub ok: bool,
}

/// What all tools reached on a pair.
#[derive(Clone, Debug, Serialize)]
pub struct PairReport {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub what: Option<String>,
    /// Which goals hold for it.
    pub kind: Kind,
    /// Size of the old file.
    pub old_bytes: u64,
    /// Size of the new file.
    pub new_bytes: u64,
    /// The tools.
    pub tools: Vec<ToolReport>,
}

/// What a tool reached on a pair.
#[derive(Clone, Debug, Serialize)]
pub struct ToolReport {
    /// The tool.
    pub tool: Tool,
    /// Its figures,
    pub figures: Option<Figures>,
    /// or why there are none.
    pub failure: Option<String>,
}

/// A pair that was left out.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// A tool that was left out.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    /// The tool.
    pub tool: Tool,
    /// Why.
    pub why: String,
}

/// A pair of files to be measured.
struct Case {
    name: String,
    what: Option<String>,
    kind: Kind,
    old: PathBuf,
    new: PathBuf,
}

impl PairReport {
    /// What a tool reached.
    #[must_use]
    pub fn figures(&self, tool: Tool) -> Option<&Figures> {
        self.tools.iter().find(|report| report.tool == tool)?.figures.as_ref()
    }

    /// The peer with the smallest delta.
    #[must_use]
    pub fn best_peer(&self) -> Option<(Tool, u64)> {
        let peers = Tool::PEERS.into_iter();
        peers.filter_map(|tool| Some((tool, self.figures(tool)?.bytes))).min_by_key(|(_, bytes)| *bytes)
    }

    /// The size of our delta against the best peer's.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        Some(goals::part(self.figures(Tool::SwellBest)?.bytes, self.best_peer()?.1))
    }
}

/// Measures what is asked for.
///
/// # Errors
/// When what is asked for does not exist, or there is no place to work in. A pair or tool that fails is in the report.
pub fn run(options: &BenchOptions, tell: &dyn Fn(BenchEvent<'_>)) -> Result<BenchReport, Problem> {
    let corpus = if options.corpus { corpus::pairs(&options.only)? } else { Vec::new() };
    let given = options.pairs.iter().map(|(old, new)| given(old, new)).collect::<Result<Vec<_>, _>>()?;
    fs::create_dir_all(&options.cache).map_err(|error| Problem::writing(&options.cache, &error))?;
    let work = tempfile::Builder::new()
        .prefix(".measuring-")
        .tempdir_in(&options.cache)
        .map_err(|error| Problem::writing(&options.cache, &error))?;
    let (tools, missing) = find_tools(options);
    let of = corpus.len() + given.len();
    let mut report =
        BenchReport { pairs: Vec::new(), skipped: Vec::new(), missing, goals: Vec::new(), ok: false };
    let from_corpus = corpus.iter().map(Ok);
    for (number, next) in from_corpus.chain(given.into_iter().map(Err)).enumerate() {
        let doing = |what: &str| tell(BenchEvent::Doing(what, number, of));
        let case = match next {
            Ok(pair) => fetched(&options.cache, pair, &doing),
            Err(case) => Ok(case),
        };
        match case.and_then(|case| measure_pair(&case, &tools, work.path(), options, &doing)) {
            Ok(pair) => {
                tell(BenchEvent::Measured(&pair));
                report.pairs.push(pair);
            }
            Err(skipped) => {
                tell(BenchEvent::Skipped(&skipped));
                report.skipped.push(skipped);
            }
        }
    }
    report.goals = goals::judge(&report.pairs, idle_memory(&options.swell));
    let ours = report.pairs.iter().flat_map(|pair| &pair.tools).filter(|report| report.tool.is_ours());
    let all_right = ours.clone().all(|report| report.failure.is_none());
    report.ok = all_right && report.goals.iter().all(|goal| goal.kept != Some(false));
    Ok(report)
}

fn given(old: &Path, new: &Path) -> Result<Case, Problem> {
    for path in [old, new] {
        let found = fs::metadata(path).map_err(|error| Problem::reading(path, &error))?;
        if !found.is_file() {
            let what = format!("cannot measure {}", path.display());
            return Err(Problem::bad_input(what, "it is not a regular file", "name two files"));
        }
    }
    let name = new.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kind = Kind::of(new).map_err(|error| Problem::reading(new, &error))?;
    Ok(Case { name, what: None, kind, old: old.to_owned(), new: new.to_owned() })
}

fn fetched(cache: &Path, pair: &Pair, tell: &dyn Fn(&str)) -> Result<Case, Skipped> {
    let skipped = |why| Skipped { name: pair.name.clone(), why };
    let [old, new] = pair.wanted();
    Ok(Case {
        old: fetch::fetch(cache, &old, tell).map_err(skipped)?,
        new: fetch::fetch(cache, &new, tell).map_err(skipped)?,
        name: pair.name.clone(),
        what: Some(pair.what.clone()),
        kind: pair.kind,
    })
}

/// Ourselves and the peers that are installed; and those that are not.
fn find_tools(options: &BenchOptions) -> (Vec<(Tool, Programs)>, Vec<Missing>) {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let wanted = |tool: &Tool| tool.is_ours() || options.peers.contains(tool);
    for tool in Tool::ALL.into_iter().filter(wanted) {
        match tool.programs(&options.swell) {
            Ok(programs) => found.push((tool, programs)),
            Err(why) => missing.push(Missing { tool, why }),
        }
    }
    (found, missing)
}

fn measure_pair(
    case: &Case,
    tools: &[(Tool, Programs)],
    work: &Path,
    options: &BenchOptions,
    tell: &dyn Fn(&str),
) -> Result<PairReport, Skipped> {
    let size = |path: &Path| {
        let why = |error| format!("{} cannot be read: {error}", path.display());
        let found = fs::metadata(path).map_err(why);
        found.map(|found| found.len()).map_err(|why| Skipped { name: case.name.clone(), why })
    };
    let (old_bytes, new_bytes) = (size(&case.old)?, size(&case.new)?);
    let files = Files {
        old: &case.old,
        new: &case.new,
        bytes: old_bytes.max(new_bytes),
        delta: &work.join("delta"),
        output: &work.join("output"),
    };
    let terms = Terms { runs: options.runs, limit: options.limit };
    let mut reports = Vec::new();
    for (tool, programs) in tools {
        tell(&format!("{}: {}", case.name, tool.name()));
        let (figures, failure) = match measure(*tool, programs, &files, terms) {
            Ok(figures) => (Some(figures), None),
            Err(why) => (None, Some(why)),
        };
        reports.push(ToolReport { tool: *tool, figures, failure });
    }
    Ok(PairReport {
        name: case.name.clone(),
        what: case.what.clone(),
        kind: case.kind,
        old_bytes,
        new_bytes,
        tools: reports,
    })
}

/// What this program takes to do nothing: 0 if that cannot be told, which makes the goal harder.
fn idle_memory(swell: &Path) -> u64 {
    const LIMIT: Duration = Duration::from_secs(60);
    process::run(Command::new(swell).arg("--version"), None, LIMIT).map_or(0, |usage| usage.memory_bytes)
}
