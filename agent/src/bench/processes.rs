//! The programs that a bench starts: what they are told, what they say, what they used.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::courtesy::Line;

/// How long things may take that take no time when all is well.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How often what they said is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// A started program; dropping it ends it.
pub(super) struct Node {
    child: Child,
    pub(super) number: usize,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    pub(super) fn tell(&mut self) {
        // A node that has ended is noticed by what it does not say.
        let _ = self.child.stdin.as_mut().map(|stdin| stdin.write_all(b"\n"));
    }

    /// Bytes that have left its namespace, headers included.
    pub(super) fn sent_bytes(&self) -> u64 {
        Line::of_process(self.child.id(), "eth0").sent_bytes().unwrap_or(0)
    }

    /// Processor time so far, in hundredths of a second as the kernel tells it.
    pub(super) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let ticks: u32 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u32>().ok())
            .sum();
        f64::from(ticks) / 100.0
    }
}

/// Who said a line, and the line.
pub(super) type Said = (usize, String);

/// Starts a program; each line that it prints is sent to `said`.
pub(super) fn spawn(mut command: Command, number: usize, said: &Sender<Said>) -> Result<Node, String> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("node {number} cannot be started: {error}"))?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let outputs =
        [output.map(|it| Box::new(it) as Box<dyn std::io::Read + Send>), errors.map(|it| Box::new(it) as _)];
    for output in outputs.into_iter().flatten() {
        let said = said.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if said.send((number, line)).is_err() {
                    return;
                }
            }
        });
    }
    Ok(Node { child, number })
}

/// Waits until `times` programs have said a line that begins with `word`.
///
/// # Errors
/// In words: one failed, it took too long, or `stop` was set.
pub(super) fn expect(
    hear: &Receiver<Said>,
    word: &str,
    times: usize,
    stop: &AtomicBool,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let mut heard = 0;
    while heard < times {
        match hear.recv_timeout(LOOK) {
            Ok((_, line)) if line.starts_with(word) => heard += 1,
            Ok((number, line)) if line.starts_with("failed") => return Err(format!("node {number}: {line}")),
            _ if stop.load(Ordering::Relaxed) => return Err("interrupted".to_owned()),
            _ if Instant::now() > deadline => {
                return Err(format!("took too long: {heard} of {times} nodes were {word}"));
            }
            _ => {}
        }
    }
    Ok(())
}
