//! `swell bench transfer`: one publisher, many receivers, capped links; ourselves and other clients in turn.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::ground::{blob_directory, needs_root, stop_on_signal, this_program};
use crate::bench::{CAP, Case, Contender, Measured, Options, Spread, draw, run as measure};
use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::cli::screen::{Answer, Screen, table};
use crate::cli::words::bytes;
use crate::release::nearest::nearest;

/// What the goals are about.
const CASES: [&str; 4] = ["8x64MiB", "16x32MiB", "8x16MiB", "8x64MiB:publisher=1MiB"];
/// Measures the swarm against aria2 and libtorrent, each node in a network namespace of its own
#[derive(Args, Debug)]
#[command(
    after_help = "A case is RECEIVERSxSIZE, and after colons: cap=RATE and publisher=RATE (bytes a second that the kernel lets a
receiver or the publisher send, 4MiB if not said, or none), kill=COUNT (receivers that are killed half-way),
slow=COUNT (receivers that send at a hundredth of the cap and are not waited for).
The bound is the time that no swarm can beat: the larger of F/u of the publisher and N·F/Σu of all.
Beside other clients it can be held against `stream`, one stream of our link to each receiver, and `star`,
plain TCP to each receiver: neither is a swarm, verifies or keeps anything.
Needs root, Linux, iproute2 and util-linux. All is removed afterwards, also when it is interrupted.

EXAMPLES:
  swell bench transfer --against aria2,libtorrent
  swell bench transfer --case 8x16MiB --runs 3 --picture swarm.svg
  swell bench transfer --case 1x1GiB:cap=none --against stream,libtorrent --json"
)]
pub(in crate::cli) struct TransferArgs {
    /// Compare with these: aria2, libtorrent, libtorrent-super, stream, star
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = parse_contender)]
    against: Vec<Contender>,
    /// What to measure; may be repeated [default: 8x64MiB, 16x32MiB, 8x16MiB and 8x64MiB:publisher=1MiB]
    #[arg(long, value_name = "CASE")]
    case: Vec<Case>,
    /// How often each
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Draw how the blob fills each node over time
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Where blobs are kept meanwhile [default: memory]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Our link over TCP in place of QUIC
    #[arg(long)]
    tcp: bool,
    /// Our connections are there before the clock starts, as in a fleet that runs
    #[arg(long)]
    warm: bool,
}

#[derive(Serialize)]
struct Report {
    measured: Vec<Measured>,
    skipped: Vec<Skipped>,
}

#[derive(Serialize)]
struct Skipped {
    contender: Contender,
    why: String,
}

fn parse_contender(text: &str) -> Result<Contender, String> {
    let names = Contender::OTHERS.map(Contender::name);
    Contender::OTHERS.into_iter().find(|other| other.name() == text).ok_or_else(|| {
        let hint = nearest(text, &names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("the others are {}{hint}", names.join(", "))
    })
}

pub(super) fn run(args: &TransferArgs, screen: Screen) -> Result<Answer, Failure> {
    needs_root()?;
    let (skipped, options) = args.options()?;
    let progress = Progress::new(screen);
    let stop = stop_on_signal()?;
    let total = options.cases.len() * (options.against.len() + 1) * options.runs as usize;
    let done = std::cell::Cell::new(0);
    let tell = |what: &str| {
        progress.step(what, done.get(), total as u64);
        done.set(done.get() + 1);
    };
    let measured = measure(&options, &stop, &tell).map_err(|why| {
        Failure::new(
            Code::Local,
            "cannot measure",
            why,
            "see `swell bench transfer --help` for what it needs",
        )
    })?;
    drop(progress);
    if let Some(path) = &args.picture {
        std::fs::write(path, draw(&measured)).map_err(|error| {
            Failure::new(
                Code::Local,
                format!("cannot write {}", path.display()),
                error.to_string(),
                "choose another place with --picture",
            )
        })?;
    }
    let failed = measured
        .iter()
        .any(|measured| measured.contender == Contender::Swell && !measured.failures.is_empty());
    let report = Report { measured, skipped };
    Ok(Answer::new(words(&report, screen), &report).judged(!failed))
}

impl TransferArgs {
    fn options(&self) -> Result<(Vec<Skipped>, Options), Failure> {
        let swell = this_program()?;
        let mut skipped = Vec::new();
        let mut against = Vec::new();
        for contender in &self.against {
            match contender.missing() {
                Some(why) => skipped.push(Skipped { contender: *contender, why }),
                None => against.push(*contender),
            }
        }
        let default =
            || CASES.iter().map(|case| case.parse().expect("BUG: our own cases are cases")).collect();
        let cases = if self.case.is_empty() { default() } else { self.case.clone() };
        let directory = blob_directory(self.directory.as_ref());
        let options =
            Options { cases, against, runs: self.runs, directory, swell, tcp: self.tcp, warm: self.warm };
        Ok((skipped, options))
    }
}

fn words(report: &Report, screen: Screen) -> String {
    let mut text = String::new();
    let rows: Vec<[String; 10]> = report.measured.iter().map(row).collect();
    let heading = [
        "CASE",
        "WHO",
        "LAST NODE",
        "OF THE BOUND",
        "SPREAD",
        "PUBLISHER SENT",
        "ON THE WIRE",
        "DUPLICATES",
        "UPLINKS USED",
        "CPU PER GiB",
    ];
    text.push_str(&table(screen, heading, &rows));
    let _ = writeln!(
        text,
        "{}",
        screen.faint(&format!(
            "Medians; caps of {} a second unless the case says otherwise. What the publisher sent is in blobs: payload as it says itself, \
             and all bytes as the kernel counts them. Uplinks used: of what all nodes could have sent until the end, with headers.",
            bytes(CAP)
        ))
    );
    for skipped in &report.skipped {
        let _ = writeln!(
            text,
            "{}",
            screen.warn(&format!("skipped {}: {}", skipped.contender.name(), skipped.why))
        );
    }
    for measured in &report.measured {
        for why in &measured.failures {
            let line = format!("{}, {}: {why}", measured.case, measured.contender.name());
            let _ = writeln!(
                text,
                "{}",
                if measured.contender == Contender::Swell { screen.bad(&line) } else { screen.warn(&line) }
            );
        }
    }
    text
}

fn row(measured: &Measured) -> [String; 10] {
    let middle = |figure: Option<Spread>, unit: &str| {
        figure.map_or("-".to_owned(), |it| format!("{:.2}{unit}", it.median))
    };
    let ratio = measured.ratio().or(measured.seconds());
    [
        measured.case.to_string(),
        measured.contender.name().to_owned(),
        middle(measured.seconds(), " s"),
        middle(measured.ratio(), ""),
        ratio.map_or("-".to_owned(), |it| format!("{:.2}–{:.2}", it.least, it.most)),
        middle(measured.publisher_payload(), " F"),
        middle(measured.publisher_wire(), " F"),
        measured.duplicates().map_or("-".to_owned(), |it| format!("{:.2} %", it.median * 100.0)),
        measured.uplinks_used().map_or("-".to_owned(), |used| format!("{:.0} %", used * 100.0)),
        middle(measured.cpu_per_gib(), " s"),
    ]
}
