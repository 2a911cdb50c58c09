//! `swell delta diff`: a delta between two files or two directories.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::picture::percent;
use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::cli::screen::{Answer, Screen};
use crate::cli::words::{bytes, span};
use crate::deltas::engine::{self, Effort, Making};
use crate::deltas::output::NewFile;

const MODE: u32 = 0o644;

/// Makes the delta that leads from OLD to NEW: two files, or two directories
#[derive(Args, Debug)]
#[command(after_help = "The delta appears under its name when it is whole and on the disk, not before.

EXAMPLES:
  swell delta diff app-1.0 app-1.1
  swell delta diff app-1.0 app-1.1 -o app.delta --fast
  swell delta diff ./build-1.0 ./build-1.1 -o build.delta --threads 1 --apply-memory 33554432")]
pub(in crate::cli) struct DiffArgs {
    /// The old file or directory
    old: PathBuf,
    /// The new file or directory
    new: PathBuf,
    /// Where to put the delta [default: NEW's name and .delta, here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A good delta soon
    #[arg(long, conflicts_with = "best")]
    fast: bool,
    /// The smallest delta (the default)
    #[arg(long)]
    best: bool,
    /// Work in at most so many threads [default: as many as this machine has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Memory that following the delta may take [default: the format's own bound]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1 << 20..))]
    apply_memory: Option<u64>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// Say nothing when all goes well
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Serialize)]
struct MadeAnswer {
    delta: PathBuf,
    old_bytes: u64,
    new_bytes: u64,
    delta_bytes: u64,
    ratio: f64,
    seconds: f64,
}

pub(super) fn run(args: &DiffArgs, screen: Screen) -> Result<Answer, Failure> {
    let directories = are_directories(&args.old, &args.new)?;
    let target = args.target()?;
    let began = Instant::now();
    let mut out = NewFile::begin(&target, args.force, MODE)?;
    let progress = Progress::unless(args.quiet, screen);
    let tell = |label: &str, done, total| progress.tell(label, done, total);
    let diff = if directories { engine::diff_directories } else { engine::diff_files };
    let made = diff(&args.old, &args.new, &args.making(), &mut out, &target, &tell)?;
    out.finish()?;
    drop(progress);
    let took = began.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let answer = MadeAnswer {
        ratio: made.delta_bytes as f64 / made.new_bytes.max(1) as f64,
        delta: target,
        old_bytes: made.old_bytes,
        new_bytes: made.new_bytes,
        delta_bytes: made.delta_bytes,
        seconds: took.as_secs_f64(),
    };
    let took = span(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let next = format!("next: swell delta apply {} {}", args.old.display(), answer.delta.display());
    let text = format!(
        "{}: {} to {} in {}, {} of the new size, took {took}\n{}\n",
        screen.strong(&answer.delta.display().to_string()),
        bytes(made.old_bytes),
        bytes(made.new_bytes),
        bytes(made.delta_bytes),
        percent(made.delta_bytes, made.new_bytes),
        screen.faint(&next),
    );
    Ok(Answer::new(if args.quiet { String::new() } else { text }, &answer))
}

/// Whether both are directories; neither, and they are files.
fn are_directories(old: &Path, new: &Path) -> Result<bool, Failure> {
    match (old.is_dir(), new.is_dir()) {
        (true, true) => Ok(true),
        (false, false) => Ok(false),
        (old_is, _) => {
            let (directory, other) = if old_is { (old, new) } else { (new, old) };
            if !other.exists() {
                return Err(crate::release::problem::Problem::reading(
                    other,
                    &std::io::ErrorKind::NotFound.into(),
                )
                .into());
            }
            Err(Failure::new(
                Code::Usage,
                format!("cannot make a delta from {} to {}", old.display(), new.display()),
                format!("{} is a directory and {} is not", directory.display(), other.display()),
                "name two files or two directories",
            ))
        }
    }
}

impl DiffArgs {
    fn target(&self) -> Result<PathBuf, Failure> {
        if let Some(target) = &self.output {
            return Ok(target.clone());
        }
        let Some(name) = self.new.file_name() else {
            return Err(Failure::new(
                Code::Usage,
                "cannot choose a name for the delta",
                format!("{} has none itself", self.new.display()),
                "name the delta with -o",
            ));
        };
        let mut name = name.to_owned();
        name.push(".delta");
        Ok(name.into())
    }

    fn making(&self) -> Making {
        Making {
            effort: if self.fast { Effort::Fast } else { Effort::Best },
            threads: self.threads.map(usize::from),
            apply_memory_bytes: self.apply_memory,
        }
    }
}
