//! One pair through one tool: make the delta, apply it, compare every byte.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::process::{Usage, are_equal, command, run};
use super::tools::{Files, Programs, Tool};

/// What a tool reached on a pair, byte for byte right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Size of the delta.
    pub bytes: u64,
    /// Processor time of making it.
    pub make_seconds: f64,
    /// Most memory in making it.
    pub make_memory_bytes: u64,
    /// Processor time of applying it: the least of all runs.
    pub apply_seconds: f64,
    /// Most memory in applying it.
    pub apply_memory_bytes: u64,
}

/// Limits on each run of a program, and how often it is applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) runs: u32,
    pub(super) limit: Duration,
}

/// Measures a tool on a pair: of the ways in which it is asked, the one that makes the smallest delta.
///
/// # Errors
/// In words: a program failed, took too long, or did not give the new file back.
pub(super) fn measure(
    tool: Tool,
    programs: &Programs,
    files: &Files<'_>,
    terms: Terms,
) -> Result<Figures, String> {
    let mut smallest: Option<Figures> = None;
    let mut failure = "BUG: a tool that is asked in no way".to_owned();
    for making in tool.makings(files) {
        match measure_once(tool, programs, files, &making, terms) {
            Ok(figures) if smallest.is_none_or(|smallest| figures.bytes < smallest.bytes) => {
                smallest = Some(figures);
            }
            Ok(_) => {}
            Err(why) => failure = why,
        }
    }
    smallest.ok_or(failure)
}

fn measure_once(
    tool: Tool,
    programs: &Programs,
    files: &Files<'_>,
    making: &[OsString],
    terms: Terms,
) -> Result<Figures, String> {
    clear(files.delta)?;
    let made = run_one(&programs.maker, making, terms.limit)?;
    let bytes = fs::metadata(files.delta).map_err(|error| format!("it left no delta: {error}"))?.len();
    let mut applied: Option<Usage> = None;
    for _ in 0..terms.runs.max(1) {
        clear(files.output)?;
        let usage = run_one(&programs.applier, &tool.applying(files), terms.limit)?;
        let least = applied.unwrap_or(usage);
        applied = Some(Usage {
            cpu: least.cpu.min(usage.cpu),
            memory_bytes: least.memory_bytes.max(usage.memory_bytes),
        });
    }
    let applied = applied.ok_or("BUG: never applied")?;
    match are_equal(files.new, files.output) {
        Ok(true) => {}
        Ok(false) => return Err("it gave other bytes back".to_owned()),
        Err(error) => return Err(format!("what it made cannot be read: {error}")),
    }
    Ok(Figures {
        bytes,
        make_seconds: made.cpu.as_secs_f64(),
        make_memory_bytes: made.memory_bytes,
        apply_seconds: applied.cpu.as_secs_f64(),
        apply_memory_bytes: applied.memory_bytes,
    })
}

fn run_one(program: &Path, arguments: &[OsString], limit: Duration) -> Result<Usage, String> {
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    run(&mut command(program, &arguments), None, limit)
}

fn clear(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{} cannot be removed: {error}", path.display()))
        }
        _ => Ok(()),
    }
}
