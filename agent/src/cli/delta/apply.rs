//! `swell delta apply`: the new file or directory, from the old one and a delta.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::cli::screen::{Answer, Screen};
use crate::cli::words::{bytes, span};
use crate::deltas::engine::{self, Ends, Tell};
use crate::deltas::output::NewFile;
use crate::release::disk::NewDirectory;
use crate::release::problem::Problem;

/// What `swell delta diff` adds to a name.
const SUFFIX: &str = "delta";

/// Makes the new file or directory from OLD and a delta
#[derive(Args, Debug)]
#[command(
    after_help = "The new version appears under its name when every byte of it was verified and is on the disk, not before.

EXAMPLES:
  swell delta apply app-1.0 app-1.1.delta
  swell delta apply app-1.0 app-1.1.delta -o app
  swell delta apply ./build-1.0 build.delta -o ./build-1.1"
)]
pub(in crate::cli) struct ApplyArgs {
    /// The old file or directory, as it was when the delta was made
    old: PathBuf,
    /// The delta
    delta: PathBuf,
    /// Where to put the new version [default: DELTA's name without .delta, here]
    #[arg(short, long, value_name = "NEW")]
    output: Option<PathBuf>,
    /// Replace a file that is there (directories are never replaced)
    #[arg(long)]
    force: bool,
    /// Say nothing when all goes well
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Serialize)]
struct AppliedAnswer {
    new: PathBuf,
    new_bytes: u64,
    seconds: f64,
}

pub(super) fn run(args: &ApplyArgs, screen: Screen) -> Result<Answer, Failure> {
    let ends = engine::ends(&args.delta)?;
    check_old(&args.old, ends, &args.delta)?;
    let target = args.target()?;
    let began = Instant::now();
    let progress = Progress::unless(args.quiet, screen);
    let tell = |label: &str, done, total| progress.tell(label, done, total);
    let new_bytes = match ends {
        Ends::Files => file(args, &target, &tell)?,
        Ends::Directories => directory(args, &target, &tell)?,
    };
    drop(progress);
    let took = began.elapsed();
    let answer = AppliedAnswer { new: target, new_bytes, seconds: took.as_secs_f64() };
    let text = format!(
        "{}: {}, verified, took {}\n",
        screen.strong(&answer.new.display().to_string()),
        bytes(new_bytes),
        span(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    );
    Ok(Answer::new(if args.quiet { String::new() } else { text }, &answer))
}

fn file(args: &ApplyArgs, target: &Path, tell: Tell<'_>) -> Result<u64, Failure> {
    let mut out = NewFile::begin(target, args.force, engine::mode_of(&args.old)?)?;
    let new_bytes = engine::apply_file(&args.old, &args.delta, target, &mut out, tell)?;
    out.finish()?;
    Ok(new_bytes)
}

fn directory(args: &ApplyArgs, target: &Path, tell: Tell<'_>) -> Result<u64, Failure> {
    let making = NewDirectory::begin(target)?;
    let new_bytes = engine::apply_directory(&args.old, &args.delta, target, making.path(), tell)?;
    making.finish()?;
    Ok(new_bytes)
}

/// Says so when a file is given where a directory is needed, or the other way round.
fn check_old(old: &Path, ends: Ends, delta: &Path) -> Result<(), Failure> {
    if !old.exists() {
        return Err(Problem::reading(old, &std::io::ErrorKind::NotFound.into()).into());
    }
    let (wanted, is_directory) = match ends {
        Ends::Files => ("a file", false),
        Ends::Directories => ("a directory", true),
    };
    if old.is_dir() == is_directory {
        return Ok(());
    }
    Err(Failure::new(
        Code::BadInput,
        format!("cannot use the delta {}", delta.display()),
        format!("it begins at {wanted}, and {} is none", old.display()),
        "name the old version that it was made from",
    ))
}

impl ApplyArgs {
    fn target(&self) -> Result<PathBuf, Failure> {
        if let Some(target) = &self.output {
            return Ok(target.clone());
        }
        let name = self.delta.file_name().map(Path::new);
        match name.filter(|name| name.extension().is_some_and(|found| found == SUFFIX)) {
            Some(name) => Ok(name.with_extension("")),
            None => Err(Failure::new(
                Code::Usage,
                "cannot choose a name for the new version",
                format!("{} does not end in .{SUFFIX}", self.delta.display()),
                "name the new version with -o",
            )),
        }
    }
}
