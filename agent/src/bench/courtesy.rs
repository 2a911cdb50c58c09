//! What the agent does to other programs on its line: their requests alone, beside a publisher that takes what it can
//! get, and beside one that yields.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use groundswell_protocol::digest::Digest;
use serde::Serialize;

use super::foreground::EVERY;
use super::network::Network;
use super::node::{NodeTask, Role};
use super::processes::{LOOK, Node, PATIENCE, Said, expect, spawn};
use super::{CAP, Case, write_blob};

/// Nodes that fetch; one more makes requests.
const FETCHING: usize = 3;
/// Lasts longer than the longest that is measured, at the publisher's cap.
const BLOB_BYTES: u64 = 320 << 20;
/// How long the transfer runs before others come, and how long after they have gone it is looked at again.
const RUN_IN: Duration = Duration::from_secs(4);
/// How long it may take to go on, then; and for how long what it sends is counted.
const GO_ON: Duration = Duration::from_secs(3);
const COUNTED: Duration = Duration::from_secs(3);

/// How requests went, and what the publisher sent meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// Half of the requests took no longer, in microseconds.
    pub median_us: u64,
    /// 99 of 100 took no longer, in microseconds.
    pub p99_us: u64,
    /// Each request, in order, in microseconds.
    pub took_us: Vec<u64>,
    /// What left the publisher's line a second while they were made, answers and headers included.
    pub line_bytes_per_second: u64,
    /// What leaves it a second some seconds after the last of them.
    pub afterwards_bytes_per_second: u64,
}

/// Requests alone, beside a transfer, and beside one that yields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Courtesies {
    /// What the publisher's line carries a second, in bytes.
    pub cap: u64,
    /// Nobody else sends.
    pub alone: Shared,
    /// The transfer takes what it can get.
    pub greedy: Shared,
    /// The transfer yields.
    pub yielding: Shared,
}

impl Courtesies {
    /// How much longer the slowest requests take beside a transfer that yields, in thousandths.
    #[must_use]
    pub fn growth_permille(&self) -> u64 {
        (self.yielding.p99_us * 1000 / self.alone.p99_us.max(1)).saturating_sub(1000)
    }
}

/// What the publisher does meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transfer {
    None,
    Greedy,
    Yielding,
}

/// How it is measured.
pub struct CourtesyOptions<'a> {
    /// This program.
    pub swell: &'a Path,
    /// Where blobs are kept meanwhile.
    pub directory: &'a Path,
    /// How long requests are made, in each of the three parts.
    pub seconds: u32,
    /// Ends it early when it is set.
    pub stop: &'a AtomicBool,
}

/// Measures it; `tell` is told what begins.
///
/// # Errors
/// In words. Everything is removed in any case.
pub fn courtesies(options: &CourtesyOptions<'_>, tell: &dyn Fn(&str)) -> Result<Courtesies, String> {
    let work = options.directory.join(format!("swell-courtesy-{}", std::process::id()));
    let measured = measure(options, &work, tell);
    // What is left there is ours alone, and no result.
    let _ = fs::remove_dir_all(&work);
    measured
}

fn measure(options: &CourtesyOptions<'_>, work: &Path, tell: &dyn Fn(&str)) -> Result<Courtesies, String> {
    let failed = |error| format!("{} cannot be used: {error}", work.display());
    fs::create_dir_all(work).map_err(failed)?;
    let blob = write_blob(&work.join("blob"), BLOB_BYTES).map_err(failed)?;
    let part = |transfer| Part { options, work, blob, transfer }.measure();
    tell("requests alone");
    let alone = part(Transfer::None)?;
    tell("beside a transfer that takes what it can get");
    let greedy = part(Transfer::Greedy)?;
    tell("beside a transfer that yields");
    let yielding = part(Transfer::Yielding)?;
    Ok(Courtesies { cap: CAP, alone, greedy, yielding })
}

struct Part<'a> {
    options: &'a CourtesyOptions<'a>,
    work: &'a Path,
    blob: Digest,
    transfer: Transfer,
}

impl Part<'_> {
    fn measure(&self) -> Result<Shared, String> {
        let case: Case = format!("{}x{}B:cap=none:publisher={CAP}B", FETCHING + 1, BLOB_BYTES).parse()?;
        let network = Network::build(&case)?;
        let (said, hear) = channel();
        let _server = self.start(&network, 0, Role::Answers, &said)?;
        expect(&hear, "ready", 1, self.options.stop)?;
        let mut swarm = Vec::new();
        if self.transfer != Transfer::None {
            for number in 0..=FETCHING {
                swarm.push(self.start(&network, number, Role::Swarm, &said)?);
            }
            expect(&hear, "ready", FETCHING + 1, self.options.stop)?;
            swarm.iter_mut().for_each(Node::tell);
            self.pass(RUN_IN)?;
        }
        let (took_us, line_bytes_per_second) = carried(&network, || {
            let _client = self.start(&network, FETCHING + 1, Role::Asks, &said)?;
            self.hear_how_long(&hear)
        })?;
        self.pass(GO_ON)?;
        let ((), afterwards_bytes_per_second) = carried(&network, || self.pass(COUNTED))?;
        let mut sorted = took_us.clone();
        sorted.sort_unstable();
        let within =
            |permille: usize| sorted.get(sorted.len() * permille / 1000).copied().unwrap_or_default();
        Ok(Shared {
            median_us: within(500),
            p99_us: within(990),
            took_us,
            line_bytes_per_second,
            afterwards_bytes_per_second,
        })
    }

    fn start(
        &self,
        network: &Network,
        number: usize,
        role: Role,
        said: &Sender<Said>,
    ) -> Result<Node, String> {
        let directory = self.work.join(format!("node{number}"));
        if role == Role::Swarm {
            // Nothing may be there from the part before.
            let _ = fs::remove_dir_all(&directory);
        }
        let task = NodeTask {
            role,
            number,
            nodes: FETCHING + 1,
            blob: self.blob,
            bytes: BLOB_BYTES,
            directory,
            file: self.work.join("blob"),
            tcp: false,
            warm: false,
            yields: self.transfer == Transfer::Yielding,
            requests: self.options.seconds * 1000 / u32::try_from(EVERY.as_millis()).unwrap_or(1),
        };
        let task = serde_json::to_string(&task).map_err(|error| error.to_string())?;
        let mut command = network.command(number, self.options.swell);
        command.args(["bench", "node", &task]);
        spawn(command, number, said)
    }

    fn hear_how_long(&self, hear: &Receiver<Said>) -> Result<Vec<u64>, String> {
        let deadline = Instant::now() + PATIENCE + Duration::from_secs(u64::from(self.options.seconds));
        loop {
            self.check()?;
            if Instant::now() > deadline {
                return Err("requests took too long".to_owned());
            }
            match hear.recv_timeout(LOOK) {
                Ok((_, line)) if line.starts_with("took ") => {
                    return Ok(line[5..].split(' ').filter_map(|us| us.parse().ok()).collect());
                }
                Ok((number, line)) if line.starts_with("failed") => {
                    return Err(format!("node {number}: {line}"));
                }
                Ok((_, line)) if line.starts_with("stored") => {
                    return Err(
                        "the transfer ended before the requests: measure for fewer seconds".to_owned()
                    );
                }
                _ => {}
            }
        }
    }

    fn pass(&self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.check()?;
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.options.stop.load(Ordering::Relaxed) { Err("interrupted".to_owned()) } else { Ok(()) }
    }
}

/// What `during` comes to, and what left the publisher's line a second meanwhile.
fn carried<T>(network: &Network, during: impl FnOnce() -> Result<T, String>) -> Result<(T, u64), String> {
    let (began, before) = (Instant::now(), network.sent_bytes(0)?);
    let outcome = during()?;
    let bytes = network.sent_bytes(0)? - before;
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    Ok((outcome, bytes.saturating_mul(1000) / milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_of_the_slowest_and_never_less_than_none() {
        let shared = |p99_us| Shared {
            median_us: 1,
            p99_us,
            took_us: vec![1],
            line_bytes_per_second: 1,
            afterwards_bytes_per_second: 1,
        };
        let growth = |alone, yielding| {
            let (alone, greedy, yielding) = (shared(alone), shared(1), shared(yielding));
            Courtesies { cap: CAP, alone, greedy, yielding }.growth_permille()
        };
        assert_eq!((growth(1_000, 1_100), growth(1_000, 900), growth(0, 0)), (100, 0, 0));
    }
}
