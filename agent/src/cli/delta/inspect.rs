//! `swell delta inspect`: what is in a delta.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use groundswell_delta::inspect::{Inspection, Origin, Subject};
use serde::Serialize;
use serde_json::{Value, json};

use super::picture::{self, percent};
use crate::cli::failure::Failure;
use crate::cli::screen::{Answer, Screen, table};
use crate::cli::words::{bytes, count};
use crate::deltas::engine;
use crate::deltas::output::NewFile;
use crate::release::problem::Problem;

const MODE: u32 = 0o644;

/// Shows what is in a delta: where its bytes go, and what the new file is made of
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell delta inspect app.delta
  swell delta inspect app.delta --old app-1.0 --svg app.svg
  swell delta inspect app.delta --json
  swell delta inspect release.delta --old release-1.0")]
pub(in crate::cli) struct InspectArgs {
    /// The delta
    delta: PathBuf,
    /// The old file or directory that it was made from, for figures that need it; a delta between directories is
    /// read with the old one only
    #[arg(long, value_name = "OLD")]
    old: Option<PathBuf>,
    /// Draw it here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Replace the picture that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &InspectArgs, screen: Screen) -> Result<Answer, Failure> {
    let found = engine::inspect(&args.delta, args.old.as_deref())?;
    let mut text = words(&found, screen);
    if let Some(path) = &args.svg {
        let name =
            args.delta.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut file = NewFile::begin(path, args.force, MODE)?;
        file.write_all(picture::draw(&name, &found).as_bytes())
            .map_err(|error| Problem::writing(path, &error))?;
        file.finish()?;
        let _ = writeln!(text, "{}", screen.faint(&format!("drawn in {}", path.display())));
    }
    Ok(Answer::new(text, &View::of(&found)))
}

fn words(found: &Inspection, screen: Screen) -> String {
    let mut text = String::new();
    let new_size = percent(found.delta_bytes, found.new_bytes);
    let _ = writeln!(text, "delta       {}, {new_size} of the new size", bytes(found.delta_bytes));
    let _ = writeln!(text, "engine      {}, format {}", found.engine, found.format);
    let old = found.old_bytes.map_or_else(|| "unknown".to_owned(), bytes);
    let _ = writeln!(text, "leads       from {old} to {}{}", bytes(found.new_bytes), subject(found.subject));
    let regions = found.windows.iter().map(|window| window.regions).sum::<u64>();
    let windows = count(found.windows.len() as u64, "window");
    let _ = writeln!(text, "made of     {windows}, {}", count(regions, "region"));
    let _ = writeln!(text, "memory      {} to follow it", bytes(found.apply_memory_bytes));

    let mut rows: Vec<[String; 5]> = found
        .streams
        .iter()
        .map(|stream| {
            [
                stream.name.clone(),
                stream.method.clone(),
                bytes(stream.raw_bytes),
                bytes(stream.packed_bytes),
                percent(stream.packed_bytes, found.delta_bytes),
            ]
        })
        .collect();
    rows.push([
        "header and tables".to_owned(),
        String::new(),
        String::new(),
        bytes(found.framing_bytes),
        percent(found.framing_bytes, found.delta_bytes),
    ]);
    let _ = write!(text, "\n{}", table(screen, ["STREAM", "PACKED BY", "UNPACKED", "BYTES", "SHARE"], &rows));

    if let Some(map) = &found.map {
        // Containers are open in it: together they may be more than the new file.
        let all = Origin::ALL.map(|origin| map.of(origin)).iter().sum();
        let row = |words: &str, amount| [words.to_owned(), bytes(amount), percent(amount, all)];
        let mut rows: Vec<[String; 3]> =
            Origin::ALL.map(|origin| row(picture::words_of(origin), map.of(origin))).into();
        rows.push(row("in opened containers", map.opened()));
        rows.retain(|[_, amount, _]| *amount != bytes(0));
        let _ = write!(text, "\n{}", table(screen, ["THE NEW FILE IS", "BYTES", "SHARE"], &rows));
    }
    if !found.references.is_empty() {
        let rows: Vec<_> = found
            .references
            .iter()
            .map(|each| {
                let total = each.predicted.saturating_add(each.wrong);
                let right = percent(each.predicted, total);
                [each.kind.clone(), each.predicted.to_string(), each.wrong.to_string(), right]
            })
            .collect();
        let _ = write!(text, "\n{}", table(screen, ["REFERENCES", "PREDICTED", "WRONG", "RIGHT"], &rows));
    }
    if !found.containers.is_empty() {
        let rows: Vec<_> = found
            .containers
            .iter()
            .map(|each| [each.kind.clone(), each.count.to_string(), bytes(each.bytes)])
            .collect();
        let _ = write!(text, "\n{}", table(screen, ["CONTAINERS", "OPENED", "HOLD"], &rows));
    }
    text
}

fn subject(subject: Subject) -> String {
    match subject {
        Subject::File => String::new(),
        Subject::Tree { same, patched, whole } => {
            format!(", in files: {same} the same, {patched} patched, {whole} whole")
        }
    }
}

/// An inspection, as programs read it.
#[derive(Serialize)]
struct View {
    engine: String,
    format: u16,
    subject: Value,
    delta_bytes: u64,
    old_bytes: Option<u64>,
    new_bytes: u64,
    framing_bytes: u64,
    apply_memory_bytes: u64,
    streams: Vec<Value>,
    windows: Vec<Value>,
    map: Option<Value>,
    references: Vec<Value>,
    containers: Vec<Value>,
}

impl View {
    fn of(found: &Inspection) -> Self {
        let origins = |of: &dyn Fn(Origin) -> u64| -> Value {
            let figures = Origin::ALL.map(|origin| (picture::class_of(origin).to_owned(), of(origin).into()));
            Value::Object(figures.into_iter().collect())
        };
        let with_opened = |mut value: Value, opened: u64| {
            value["opened"] = opened.into();
            value
        };
        Self {
            engine: found.engine.clone(),
            format: found.format,
            subject: match found.subject {
                Subject::File => json!("file"),
                Subject::Tree { same, patched, whole } => {
                    json!({ "tree": { "same": same, "patched": patched, "whole": whole } })
                }
            },
            delta_bytes: found.delta_bytes,
            old_bytes: found.old_bytes,
            new_bytes: found.new_bytes,
            framing_bytes: found.framing_bytes,
            apply_memory_bytes: found.apply_memory_bytes,
            streams: found
                .streams
                .iter()
                .map(|it| {
                    json!({
                        "name": it.name,
                        "method": it.method,
                        "raw_bytes": it.raw_bytes,
                        "packed_bytes": it.packed_bytes,
                    })
                })
                .collect(),
            windows: found
                .windows
                .iter()
                .map(|it| {
                    json!({
                        "new_bytes": it.new_bytes,
                        "packed_bytes": it.packed_bytes,
                        "regions": it.regions,
                    })
                })
                .collect(),
            map: found.map.as_ref().map(|map| {
                let parts = map.parts().iter();
                let parts: Vec<_> =
                    parts.map(|part| with_opened(origins(&|origin| part.of(origin)), part.opened)).collect();
                json!({ "total": with_opened(origins(&|origin| map.of(origin)), map.opened()), "parts": parts })
            }),
            references: found
                .references
                .iter()
                .map(|it| json!({ "kind": it.kind, "predicted": it.predicted, "wrong": it.wrong }))
                .collect(),
            containers: found
                .containers
                .iter()
                .map(|it| json!({ "kind": it.kind, "count": it.count, "bytes": it.bytes }))
                .collect(),
        }
    }
}
