//! Transfers measured: ourselves and other clients, one after the other, on the same network of namespaces.
//!
//! Three doors: [`run`] for swarms, [`caps_held`] for how exactly caps hold, [`courtesies`] for what other programs on
//! the line notice. A [`Case`] says what is measured, a [`Contender`] who; `network` builds namespaces with capped
//! links, `race` runs one contender once and compares every byte, `node` is one of our own nodes, `tracker` and
//! `torrent` are what other clients need. Everything is removed afterwards, also when the run is interrupted.
//!
//! Deliberately absent: what people read. Verbs print it.

mod caps;
mod case;
mod contender;
mod courtesy;
mod foreground;
mod network;
mod node;
mod picture;
mod processes;
mod race;
mod torrent;
mod tracker;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use groundswell_protocol::digest::Digest;
use serde::Serialize;

pub use caps::{CapHeld, caps_held};
pub use case::{CAP, Case, size};
pub use contender::Contender;
pub use courtesy::{Courtesies, CourtesyOptions, Shared, courtesies};
pub use node::run as run_node;
pub use picture::draw;
pub use race::{Run, Sample};

use contender::Places;
use race::Race;

/// What to measure.
pub struct Options {
    /// The situations.
    pub cases: Vec<Case>,
    /// With whom to compare.
    pub against: Vec<Contender>,
    /// How often each.
    pub runs: u32,
    /// Where blobs are kept meanwhile; memory, if disks are not to be measured.
    pub directory: PathBuf,
    /// This program.
    pub swell: PathBuf,
    /// Our link over TCP in place of QUIC.
    pub tcp: bool,
    /// Our connections are there before the clock starts, as in a fleet that runs.
    pub warm: bool,
}

/// One contender in one case.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// The case.
    pub case: Case,
    /// Who.
    pub contender: Contender,
    /// Seconds that no swarm can beat, if there is a cap.
    pub bound_seconds: Option<f64>,
    /// The size of the blob.
    pub bytes: u64,
    /// Each run that went well, in order.
    pub runs: Vec<Run>,
    /// Each run that did not, in words.
    pub failures: Vec<String>,
}

/// Least, middle and most of several figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Least.
    pub least: f64,
    /// In the middle.
    pub median: f64,
    /// Most.
    pub most: f64,
}

impl Measured {
    /// Seconds until the last node had everything.
    #[must_use]
    pub fn seconds(&self) -> Option<Spread> {
        spread(self.runs.iter().map(|run| run.seconds))
    }

    /// The same as a multiple of the bound.
    #[must_use]
    pub fn ratio(&self) -> Option<Spread> {
        let bound = self.bound_seconds?;
        spread(self.runs.iter().map(|run| run.seconds / bound))
    }

    /// Payload from the publisher, in blobs.
    #[must_use]
    pub fn publisher_payload(&self) -> Option<Spread> {
        spread(self.runs.iter().filter_map(|run| Some(ratio(run.publisher_payload_bytes?, self.bytes))))
    }

    /// All bytes from the publisher, in blobs.
    #[must_use]
    pub fn publisher_wire(&self) -> Option<Spread> {
        spread(self.runs.iter().map(|run| ratio(run.publisher_wire_bytes, self.bytes)))
    }

    /// Payload that came twice, as a part of what was needed.
    #[must_use]
    pub fn duplicates(&self) -> Option<Spread> {
        let needed = self.bytes * self.case.judged() as u64;
        spread(self.runs.iter().filter_map(|run| Some(ratio(run.duplicate_bytes?, needed))))
    }

    /// How much of all that could have been sent until the end was sent, in the middle run.
    #[must_use]
    pub fn uplinks_used(&self) -> Option<f64> {
        let mean = |run: &Run| {
            let used = run.uplinks_used(&self.case);
            let nodes = u32::try_from(used.len()).ok().filter(|nodes| *nodes > 0)?;
            Some(used.iter().sum::<f64>() / f64::from(nodes))
        };
        spread(self.runs.iter().filter_map(mean)).map(|used| used.median)
    }

    /// Processor seconds for each GiB that a node received.
    #[must_use]
    pub fn cpu_per_gib(&self) -> Option<Spread> {
        let gib = ratio(self.bytes * self.case.receivers as u64, 1 << 30);
        spread(self.runs.iter().map(|run| run.cpu_seconds / gib))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn spread(figures: impl Iterator<Item = f64>) -> Option<Spread> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let median = figures.get(figures.len() / 2).zip(figures.get(figures.len().checked_sub(1)? / 2));
    let (high, low) = median?;
    Some(Spread { least: *figures.first()?, median: f64::midpoint(*high, *low), most: *figures.last()? })
}

/// Measures every contender in every case, in turns, so that a noisy hour is everybody's. `tell` hears what is done.
///
/// # Errors
/// What prevents all measuring. A run that fails is noted in its place.
pub fn run(options: &Options, stop: &AtomicBool, tell: &dyn Fn(&str)) -> Result<Vec<Measured>, String> {
    let work = tempfile::Builder::new().prefix("swell-bench-").tempdir_in(&options.directory);
    let work = work.map_err(|error| format!("no folder in {}: {error}", options.directory.display()))?;
    let contenders: Vec<Contender> =
        [Contender::Swell].into_iter().chain(options.against.iter().copied()).collect();
    let mut all = Vec::new();
    for case in &options.cases {
        let (file, torrent) = (work.path().join("blob"), work.path().join("blob.torrent"));
        let blob =
            write_blob(&file, case.bytes).map_err(|error| format!("cannot write the blob: {error}"))?;
        let metainfo = torrent::metainfo(&file).and_then(|metainfo| fs::write(&torrent, metainfo));
        metainfo.map_err(|error| format!("cannot write the metainfo: {error}"))?;
        let begin = all.len();
        all.extend(contenders.iter().map(|contender| Measured {
            case: case.clone(),
            contender: *contender,
            bound_seconds: case.bound_seconds(),
            bytes: case.bytes,
            runs: Vec::new(),
            failures: Vec::new(),
        }));
        for number in 1..=options.runs {
            for measured in &mut all[begin..] {
                tell(&format!("{case}: {}, run {number} of {}", measured.contender.name(), options.runs));
                let nodes = work.path().join("nodes");
                let places = Places { swell: &options.swell, work: &nodes, file: &file, torrent: &torrent };
                let (tcp, warm) = (options.tcp, options.warm);
                let race = Race { case, contender: measured.contender, places, blob, tcp, warm, stop };
                match race.run() {
                    Ok(run) => measured.runs.push(run),
                    Err(_) if stop.load(std::sync::atomic::Ordering::Relaxed) => {
                        return Err("interrupted".to_owned());
                    }
                    Err(why) => measured.failures.push(why),
                }
            }
        }
    }
    Ok(all)
}

/// Bytes that no one can compress, the same in every run.
fn write_blob(path: &Path, bytes: u64) -> io::Result<Digest> {
    let mut source = blake3::Hasher::new().update(b"swell bench").finalize_xof();
    let mut file = fs::File::create(path)?;
    io::copy(&mut io::Read::take(&mut source, bytes), &mut file)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(path)?)?;
    Ok(Digest(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_of_an_even_number_between_two() {
        let of = |figures: &[f64]| spread(figures.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0]), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(of(&[5.0, 1.0, 2.0]), Some(Spread { least: 1.0, median: 2.0, most: 5.0 }));
    }
}
