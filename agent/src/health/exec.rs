//! The exec probe: a command in the release's tree, in a process group of its own, with an end.

use super::monitor::Subject;
use super::note::{last_line, shorten};
use crate::service::{ProcessGroup, base_environment};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

/// How much of the output's end is kept for its last line.
const TAIL_MAX: usize = 1_024;
/// How much is read at a time.
const READ_MAX: usize = 4 * 1024;
/// How much is read after the end: what a pipe holds.
const REST_MAX: usize = 64 * 1024;
/// How much of the command and of its last line go into the note.
const COMMAND_MAX: usize = 60;
const LINE_MAX: usize = 120;

enum Outcome {
    Ended,
    TimedOut,
    Stopped,
}

/// Whether the command exits with 0 within `time`. When it returns, whatever was left of the command's
/// process group has been killed; cancelling `stop` ends it early.
pub(super) async fn run(
    command: &[String],
    subject: &Subject,
    time: Duration,
    stop: &CancellationToken,
) -> Result<(), String> {
    let title = shorten(&command.join(" "), COMMAND_MAX);
    let (group, mut output) =
        start(command, subject).map_err(|error| format!("`{title}` cannot be run: {error}"))?;
    let mut tail = Vec::new();
    let outcome = tokio::select! {
        biased;
        () = group.exited() => Outcome::Ended,
        () = stop.cancelled() => Outcome::Stopped,
        () = tokio::time::sleep(time) => Outcome::TimedOut,
        () = drain(&mut output, &mut tail) => Outcome::Ended,
    };
    let status = group.kill().await;
    read_rest(output, &mut tail);
    let words = last_line(&tail).map(|line| format!(": {}", shorten(&line, LINE_MAX))).unwrap_or_default();
    match (outcome, status) {
        (Outcome::Ended, Some(status)) if status.success() => Ok(()),
        (Outcome::Ended, Some(status)) => Err(format!("`{title}` failed, {status}{words}")),
        (Outcome::Ended, None) => Err(format!("`{title}` could not be ended{words}")),
        (Outcome::TimedOut, _) => Err(format!("`{title}` did not end within {time:?}{words}")),
        (Outcome::Stopped, _) => Err(format!("`{title}` was stopped")),
    }
}

fn start(words: &[String], subject: &Subject) -> io::Result<(ProcessGroup, Receiver)> {
    let (name, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let slot = std::path::absolute(&subject.slot)?;
    let mut command = match name.contains('/') {
        true => Command::new(slot.join(name)),
        false => Command::new(name),
    };
    let (reader, writer) = io::pipe()?;
    command.args(arguments).current_dir(&slot).env_clear().envs(base_environment()).env("SWELL_SLOT", &slot);
    if let Some(port) = subject.first_port {
        command.env("SWELL_PORT", port.to_string());
    }
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let group = ProcessGroup::spawn(&mut command)?;
    Ok((group, Receiver::from_owned_fd(OwnedFd::from(reader))?))
}

/// Keeps the pipe empty, so that a talkative command does not hang on it; never returns.
async fn drain(output: &mut Receiver, tail: &mut Vec<u8>) {
    loop {
        if output.readable().await.is_err() {
            break;
        }
        let mut buffer = [0; READ_MAX];
        match output.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => keep_tail(tail, &buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    // It closed its output; that is not its end.
    std::future::pending::<()>().await;
}

/// Reads what is left in the pipe, without waiting for the runtime to notice that there is something.
fn read_rest(output: Receiver, tail: &mut Vec<u8>) {
    let Ok(mut pipe) = output.into_nonblocking_fd().map(File::from) else { return };
    let mut buffer = [0; READ_MAX];
    for _ in 0..REST_MAX / READ_MAX {
        match pipe.read(&mut buffer) {
            Ok(length) if length > 0 => keep_tail(tail, &buffer[..length]),
            _ => break,
        }
    }
}

fn keep_tail(tail: &mut Vec<u8>, more: &[u8]) {
    tail.extend_from_slice(more);
    let surplus = tail.len().saturating_sub(TAIL_MAX);
    tail.drain(..surplus);
}
