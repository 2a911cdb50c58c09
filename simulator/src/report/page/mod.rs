//! The page of a run: one file that needs nothing else, neither the network nor a script to be read.
//!
//! Everything on it comes from the outcome and the trace, so equal runs give equal bytes. Whatever a
//! scenario brings along (names, versions, notes) is untrusted text and is escaped where it is put in.

mod bars;
mod chain;
mod curves;
mod html;
mod lanes;
mod raster;
mod scale;
mod summary;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use self::html::{Text, count};
use self::scale::TimeAxis;
use super::Outcome;
use super::trace::Trace;
use crate::world::queue::Moment;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

/// After everybody has settled so much of the run is shown: a twelfth of it, but no less than this.
const AFTERMATH_MILLISECONDS: u64 = 3_000;

/// Where the page is made before it takes its place.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// Sees before a run whether its page can be written to `path` after it. Leaves nothing behind.
///
/// # Errors
/// Why it cannot.
pub fn check_writable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if path.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    }
    let probe = beside(path);
    OpenOptions::new().write(true).create(true).truncate(true).open(&probe)?;
    fs::remove_file(&probe)
}

/// Writes the page of a run: whole, or not at all.
///
/// # Errors
/// Why it could not be written; what was at `path` before is still there.
pub fn write(path: &Path, outcome: &Outcome, trace: &Trace) -> io::Result<()> {
    let page = render(outcome, trace);
    let new = beside(path);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(page.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        // Nothing is to be left beside the page; that this fails too changes nothing.
        let _ = fs::remove_file(&new);
    })
}

/// How far the charts go: the quiet at the end of a run, in which nothing happens, is not worth its width.
fn shown_until(outcome: &Outcome, trace: &Trace) -> Moment {
    let breach = outcome.violations.iter().map(|violation| violation.at_ms).max();
    match outcome.settled_ms {
        Some(settled) => {
            let busy = settled.max(breach.unwrap_or(0));
            let end = busy.saturating_add((busy / 12).max(AFTERMATH_MILLISECONDS));
            Moment::milliseconds(end).min(trace.ended)
        }
        None => trace.ended,
    }
}

/// The page.
pub fn render(outcome: &Outcome, trace: &Trace) -> String {
    let time = TimeAxis::to(shown_until(outcome, trace));
    let mut page = String::new();
    let title = format!("{} · {} machines · seed {}", outcome.scenario, outcome.nodes, outcome.seed);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<meta name=\"color-scheme\" content=\"light dark\"/>\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\"/>\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        Text(&title)
    );
    summary::head(&mut page, outcome, trace);
    charts(&mut page, trace, &time);
    causes(&mut page, outcome, trace);
    section(&mut page, "How long facts took to arrive", LATENCY, |out| bars::latency(out, trace));
    section(
        &mut page,
        "What was sent",
        "Every copy on every link is counted, also those that were lost.",
        |out| {
            curves::bytes_over_time(out, trace, &time);
            bars::traffic(out, trace);
        },
    );
    summary::foot(&mut page, outcome, trace);
    let _ = write!(page, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

const LATENCY: &str = "From the first sending of a fact to each of its arrivals, on a logarithmic axis; each row has its own height. Solid line: half arrived by then. Dashed: 99 %.";
const EXPOSURE: &str = "Line: ranks that a quorum of jurors had opened. Filled: machines that ran the release, once or longer. Dotted: the sizes of the plan’s waves. The filled part must never rise above the line.";
const LANES: &str = "Who led and what was opened, what the jurors waited for, verdicts of machines on themselves, and what went wrong.";

fn charts(page: &mut String, trace: &Trace, time: &TimeAxis) {
    let Some(journey) = trace.journeys.get(trace.goal) else { return };
    let about = if time.end_micros() < trace.ended.0 {
        format!(
            "Machines by the version that runs on them. The run went on to {} s; nothing moved any more, and it is not shown.",
            trace.ended.to_string().trim()
        )
    } else {
        "Machines by the version that runs on them.".to_owned()
    };
    section(page, "What runs where", &about, |out| curves::adoption(out, trace, time));
    section(page, "Exposure against the plan", EXPOSURE, |out| {
        if journey.gates.is_empty() {
            out.push_str("<p class=\"empty\">No gate opened: no machine was allowed to run the release.</p>");
        } else {
            curves::exposure(out, trace, journey, time);
        }
    });
    let rows = if trace.is_sampled() {
        format!(
            "A row a machine, by its rank in the line: {} of {}, the first ones all, the others evenly.",
            trace.rows.len(),
            count(u64::from(trace.nodes))
        )
    } else {
        "A row a machine, by its rank in the line.".to_owned()
    };
    section(page, "Every machine", &rows, |out| {
        raster::legend(out, trace);
        raster::draw(out, trace, time);
    });
    section(page, "Leaders, verdicts and faults", LANES, |out| lanes::draw(out, trace, journey, time));
}

fn causes(page: &mut String, outcome: &Outcome, trace: &Trace) {
    let about = "Read downwards. ↘ a fact came from the machine above; ↓ the same machine, later.";
    section(page, "The chain of causes", about, |out| {
        if trace.chains.is_empty() {
            let words = if outcome.ending.is_none() { "The release has not ended" } else { "Nothing failed" };
            let _ = write!(out, "<p class=\"empty\">{words}: there is no chain to show.</p>");
        }
        trace.chains.iter().for_each(|one| chain::draw(out, one));
    });
}

fn section(page: &mut String, title: &str, about: &str, body: impl FnOnce(&mut String)) {
    let _ = writeln!(page, "<section><h2>{title}</h2><p class=\"about\">{}</p>", Text(about));
    body(page);
    page.push_str("</section>\n");
}
