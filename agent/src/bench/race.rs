//! One run of one contender in one case: build, start, watch, count, compare, remove.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use groundswell_protocol::digest::Digest;
use serde::Serialize;

use super::case::Case;
use super::contender::{Contender, Places};
use super::network::Network;
use super::node::{NodeTask, Role};
use super::processes::{LOOK, Node, PATIENCE, Said, expect, spawn};

/// How often the nodes' files are looked at, for the picture.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
/// The longest a run may take, as a multiple of its bound, on top of [`PATIENCE`].
const BOUND_TIMES: f64 = 12.0;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Until the last judged node had everything.
    pub seconds: f64,
    /// Each judged node.
    pub node_seconds: Vec<f64>,
    /// Payload that the publisher sent, as it says itself.
    pub publisher_payload_bytes: Option<u64>,
    /// All that the publisher sent, headers included, as the kernel counts it.
    pub publisher_wire_bytes: u64,
    /// Payload that the judged receivers took in beyond the blob, as they say themselves.
    pub duplicate_bytes: Option<u64>,
    /// Processor time of all nodes.
    pub cpu_seconds: f64,
    /// Packets that the cap's queue had no room for, of all nodes.
    pub dropped_packets: u64,
    /// How much of the machine's processors was busy meanwhile, others' work included, from 0 to 1.
    pub machine_busy: Option<f64>,
    /// What was seen on the way, from the beginning on.
    pub samples: Vec<Sample>,
}

/// How things stood at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Since the beginning.
    pub seconds: f64,
    /// Bytes on the disk of each receiver.
    pub held: Vec<u64>,
    /// Bytes that each node has sent, the publisher first, headers included, as the kernel counts them.
    pub sent: Vec<u64>,
}

impl Run {
    /// How much of what each node might have sent until the last judged node was done it did send, the publisher first.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn uplinks_used(&self, case: &Case) -> Vec<f64> {
        let Some(last) = self.samples.last().filter(|last| last.seconds > 0.0) else { return Vec::new() };
        let used =
            |(number, sent): (usize, &u64)| Some(*sent as f64 / case.cap_of(number)? as f64 / last.seconds);
        last.sent.iter().enumerate().filter_map(used).collect()
    }
}

/// What is to be run.
pub(super) struct Race<'a> {
    pub(super) case: &'a Case,
    pub(super) contender: Contender,
    pub(super) places: Places<'a>,
    pub(super) blob: Digest,
    pub(super) tcp: bool,
    pub(super) warm: bool,
    pub(super) stop: &'a AtomicBool,
}

impl Race<'_> {
    /// Runs it.
    ///
    /// # Errors
    /// In words. Everything is removed in any case.
    pub(super) fn run(&self) -> Result<Run, String> {
        let _ = fs::remove_dir_all(self.places.work);
        let outcome = self.run_once();
        let _ = fs::remove_dir_all(self.places.work);
        outcome
    }

    fn run_once(&self) -> Result<Run, String> {
        let nodes = self.case.receivers + 1;
        self.places.prepare(self.contender, nodes)?;
        let network = Network::build(self.case)?;
        let (said, hear) = channel();
        let mut running = Vec::new();
        let _tracker = self.contender.is_torrent().then(|| self.tracker(&network, &said)).transpose()?;
        if self.contender.is_torrent() {
            expect(&hear, "ready", 1, self.stop)?;
        }
        let first = if self.contender.talks() { nodes } else { 1 };
        for number in 0..first {
            running.push(self.start(&network, number, &said)?);
        }
        if self.contender.talks() {
            expect(&hear, "ready", nodes, self.stop)?;
        } else {
            // Its first announcement says that the publisher serves.
            expect(&hear, "announced", 1, self.stop)?;
        }
        let began = now_ns();
        for number in first..nodes {
            running.push(self.start(&network, number, &said)?);
        }
        running.iter_mut().filter(|_| self.contender.talks()).for_each(Node::tell);
        let ticks = machine_ticks();
        let mut run = self.watch(&hear, &mut running, began)?;
        run.machine_busy = ticks.zip(machine_ticks()).map(|(before, after)| busy_between(before, after));
        run.cpu_seconds = running.iter().map(Node::cpu_seconds).sum();
        run.publisher_wire_bytes = network.sent_bytes(0)?;
        run.dropped_packets = network.dropped_packets();
        if self.contender.talks() && self.contender.keeps() {
            running.iter_mut().for_each(Node::tell);
            self.hear_what_moved(&hear, &mut run, running.len());
        }
        drop(running);
        self.compare()?;
        Ok(run)
    }

    fn task(&self, number: usize) -> NodeTask {
        NodeTask {
            role: Role::Swarm,
            number,
            nodes: self.case.receivers + 1,
            blob: self.blob,
            bytes: self.case.bytes,
            directory: self.places.directory(number),
            file: self.places.file.to_owned(),
            tcp: self.tcp,
            warm: self.warm,
            yields: false,
            requests: 0,
        }
    }

    fn tracker(&self, network: &Network, said: &Sender<Said>) -> Result<Node, String> {
        spawn(self.places.tracker(network, &self.task(0)), usize::MAX, said)
    }

    fn start(&self, network: &Network, number: usize, said: &Sender<Said>) -> Result<Node, String> {
        spawn(self.places.command(self.contender, network, &self.task(number)), number, said)
    }

    fn check(&self, deadline: Instant, so_far: impl FnOnce() -> String) -> Result<(), String> {
        if self.stop.load(Ordering::Relaxed) {
            return Err("interrupted".to_owned());
        }
        if Instant::now() > deadline {
            return Err(format!("took too long: {}", so_far()));
        }
        Ok(())
    }

    fn watch(&self, hear: &Receiver<Said>, running: &mut Vec<Node>, began: u128) -> Result<Run, String> {
        let bound = self.case.bound_seconds().unwrap_or(1.0);
        let started = Instant::now();
        let deadline = started + PATIENCE + Duration::from_secs_f64(bound * BOUND_TIMES);
        let kill_at = started + Duration::from_secs_f64(bound / 2.0);
        let mut stored: Vec<Option<f64>> = vec![None; self.case.receivers + 1];
        let mut samples = Vec::new();
        let mut sample_at = started;
        while (1..=self.case.judged()).any(|number| stored[number].is_none()) {
            self.check(deadline, || {
                format!("{} of {} nodes had everything", stored.iter().flatten().count(), self.case.receivers)
            })?;
            match hear.recv_timeout(LOOK) {
                Ok((number, line)) if line.starts_with("stored ") => {
                    stored[number] = seconds_of(&line[7..], began);
                }
                Ok((number, line)) if line.starts_with("failed") && number <= self.case.judged() => {
                    return Err(format!("node {number}: {line}"));
                }
                _ => {}
            }
            if !self.contender.talks() {
                for number in
                    (1..=self.case.judged()).filter(|number| stored[*number].is_none()).collect::<Vec<_>>()
                {
                    let written = fs::read_to_string(self.places.hook_file(number)).unwrap_or_default();
                    stored[number] = seconds_of(written.trim(), began);
                }
            }
            if Instant::now() >= kill_at {
                let alive = self.case.receivers - self.case.killed;
                running.retain(|node| node.number <= alive);
            }
            if Instant::now() >= sample_at {
                sample_at += SAMPLE_EVERY;
                samples.push(self.sample(started, running));
            }
        }
        samples.push(self.sample(started, running));
        let node_seconds: Vec<f64> = stored[1..=self.case.judged()].iter().copied().flatten().collect();
        let seconds = node_seconds.iter().copied().fold(0.0, f64::max);
        Ok(Run {
            seconds,
            node_seconds,
            publisher_payload_bytes: None,
            publisher_wire_bytes: 0,
            duplicate_bytes: None,
            cpu_seconds: 0.0,
            dropped_packets: 0,
            machine_busy: None,
            samples,
        })
    }

    fn sample(&self, started: Instant, running: &[Node]) -> Sample {
        let held = |number| on_disk(&self.places.directory(number)).min(self.case.bytes);
        let mut sent = vec![0; self.case.receivers + 1];
        for node in running {
            if let Some(sent) = sent.get_mut(node.number) {
                *sent = node.sent_bytes();
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        Sample { seconds, held: (1..=self.case.receivers).map(held).collect(), sent }
    }

    fn hear_what_moved(&self, hear: &Receiver<Said>, run: &mut Run, nodes: usize) {
        let (mut heard, mut taken) = (0, 0_u64);
        let deadline = Instant::now() + PATIENCE;
        while heard < nodes && Instant::now() < deadline {
            let Ok((number, line)) = hear.recv_timeout(LOOK) else { continue };
            let Some(figures) = line.strip_prefix("moved ") else { continue };
            let figures: Vec<u64> = figures.split(' ').filter_map(|figure| figure.parse().ok()).collect();
            let [sent, received] = figures[..] else { continue };
            heard += 1;
            match number {
                0 => run.publisher_payload_bytes = Some(sent),
                _ if number <= self.case.judged() => taken += received,
                _ => {}
            }
        }
        if heard == nodes {
            run.duplicate_bytes = Some(taken.saturating_sub(self.case.bytes * self.case.judged() as u64));
        }
    }

    /// Compares every byte of every judged node with the blob's name.
    fn compare(&self) -> Result<(), String> {
        for number in (1..=self.case.judged()).filter(|_| self.contender.keeps()) {
            let directory = self.places.directory(number);
            let mut right = false;
            each_file(&directory, &mut |path, metadata| {
                right |= metadata.len() == self.case.bytes && digest_of(path) == Some(self.blob);
            });
            if !right {
                return Err(format!("node {number} does not hold the blob"));
            }
        }
        Ok(())
    }
}

/// Ticks that all processors spent, and those among them that were idle.
fn machine_ticks() -> Option<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = stat
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    Some((ticks.iter().sum(), ticks.get(3)? + ticks.get(4)?))
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn busy_between(before: (u64, u64), after: (u64, u64)) -> f64 {
    let (all, idle) = (after.0.saturating_sub(before.0).max(1), after.1.saturating_sub(before.1));
    1.0 - idle as f64 / all as f64
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn seconds_of(nanoseconds: &str, began: u128) -> Option<f64> {
    Some(nanoseconds.parse::<u128>().ok()?.saturating_sub(began) as f64 / 1e9)
}

/// Bytes that a folder's largest file has on disk: clients write into a sparse file.
fn on_disk(directory: &Path) -> u64 {
    let mut most = 0;
    each_file(directory, &mut |_, metadata| most = most.max(metadata.blocks() * 512));
    most
}

fn each_file(directory: &Path, look: &mut impl FnMut(&Path, &fs::Metadata)) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => each_file(&entry.path(), look),
            Ok(metadata) => look(&entry.path(), &metadata),
            Err(_) => {}
        }
    }
}

fn digest_of(path: &Path) -> Option<Digest> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).ok()?).ok()?;
    Some(Digest(*hasher.finalize().as_bytes()))
}
