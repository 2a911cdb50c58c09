//! `swell-sim replay RECORDING`: what an agent was told, played through the core again.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use groundswell_protocol::node::{Event, Input};
use groundswell_protocol::recording::format::MAGIC;
use groundswell_protocol::recording::{Closing, Effect, Effects, Head, Recording, Replayed};
use groundswell_protocol::recording::{input_words, replay};
use groundswell_protocol::time::Time;
use groundswell_simulator::report::{EXIT_DIFFERS, EXIT_OK};

use super::{Failure, say, say_json, story::Telling};

/// Recordings that are larger were not written by an agent.
const BYTES_MAX: u64 = 1 << 30;

/// The bytes of the file at `path`, if it is a recording.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", path.display()), "");
    let mut file = match File::open(path) {
        Ok(file) => file.take(BYTES_MAX),
        // Whoever reads scenarios has better words for a file that is not there.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    match file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut bytes) {
        Ok(_) if Recording::is_recording(&bytes) => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::IsADirectory => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Plays a recording and tells what the node did.
pub(super) fn play(bytes: &[u8], telling: Telling, inputs: bool) -> Result<u8, Failure> {
    let tells = matches!(telling, Telling::Whole);
    let unreadable = |error: groundswell_protocol::recording::Unreadable| Failure::new(error.to_string(), "");
    let head = Recording::open(bytes).map_err(unreadable)?.head().clone();
    if tells {
        say(&format!("node {} with {} records", head.node.short(), head.restored.len()));
    }
    let tell = |now: Time, input: &Input<'_>, effects: &Effects| {
        if !tells {
            return;
        }
        if inputs {
            say(&format!("{}  < {}", seconds(now), input_words(input)));
        }
        for effect in &effects.list {
            if let Effect::Report(event) = effect
                && let Some(words) = event_words(event)
            {
                say(&format!("{}  {words}", seconds(now)));
            }
        }
    };
    let replayed = replay(bytes, tell).map_err(unreadable)?;
    match telling {
        Telling::Json => say_json(&in_json(&head, &replayed)),
        Telling::Whole | Telling::Summary => say(summary(&head, &replayed).trim_end()),
    }
    Ok(if replayed.difference.is_none() { EXIT_OK } else { EXIT_DIFFERS })
}

fn seconds(now: Time) -> String {
    format!("{}.{:03} s", now.0 / 1000, now.0 % 1000)
}

fn ending(replayed: &Replayed) -> &'static str {
    match replayed.closing {
        _ if replayed.difference.is_some() => "differed",
        Some(Closing::Ended) => "the agent ended",
        Some(Closing::Full) => "the recording was full",
        None if replayed.cut_short => "it breaks off before the effects of its last input",
        None => "it breaks off: the agent was killed or runs still",
    }
}

fn summary(head: &Head, replayed: &Replayed) -> String {
    let mut text = format!(
        "node {}, recorded by {}\n  played     {} inputs, {} effects and {} signatures, the same byte for byte\n  until      {}: {}\n",
        head.node.short(),
        head.program,
        replayed.inputs - u64::from(replayed.difference.is_some()),
        replayed.effects,
        replayed.signatures,
        seconds(replayed.last),
        ending(replayed),
    );
    if replayed.unread_bytes > 0 && replayed.difference.is_none() {
        text += &format!("  unread     {} bytes, torn or damaged\n", replayed.unread_bytes);
    }
    if let Some(difference) = &replayed.difference {
        text += &format!(
            "  DIFFERENCE at input {}, {}: the node {}\n  recorded   effect {}: {}\n  replayed   effect {}: {}\n",
            difference.input,
            seconds(difference.now),
            difference.words,
            difference.effect,
            difference.recorded,
            difference.effect,
            difference.replayed,
        );
    }
    text
}

fn in_json(head: &Head, replayed: &Replayed) -> serde_json::Value {
    let difference = replayed.difference.as_ref().map(|difference| {
        serde_json::json!({
            "input": difference.input,
            "now_ms": difference.now.0,
            "words": difference.words,
            "effect": difference.effect,
            "recorded": difference.recorded,
            "replayed": difference.replayed,
        })
    });
    serde_json::json!({
        "ok": replayed.difference.is_none(),
        "recording": {
            "node": head.node,
            "fleet": head.fleet,
            "program": head.program,
            "origin_unix_ms": head.origin_unix_ms,
            "records": head.restored.len(),
        },
        "inputs": replayed.inputs,
        "effects": replayed.effects,
        "signatures": replayed.signatures,
        "last_ms": replayed.last.0,
        "ending": ending(replayed),
        "unread_bytes": replayed.unread_bytes,
        "difference": difference,
    })
}

/// What a person wants to know of one node's life; `None` for what is said too often.
fn event_words(event: &Event) -> Option<String> {
    Some(match event {
        Event::Recovered { boot } => format!("may sign; this is its start {boot}"),
        Event::Policy { version } => format!("policy {version} holds"),
        Event::Census { version, members } => format!("census {version} holds, with {members} members"),
        Event::Conflict { what } => format!("conflict: {what}"),
        Event::Cloned => "its key speaks elsewhere: it signs nothing more".to_owned(),
        Event::Rollout { rollout, component, version, members, .. } => {
            format!("{}: {component} {version} for {members} machines", rollout.0.short())
        }
        Event::Vote { rollout, node, state, note, .. } => {
            format!("{}: {} votes {state:?} {note}", rollout.0.short(), node.short())
        }
        Event::Opened { rollout, from, to } => format!("{}: open {from} -> {to}", rollout.0.short()),
        Event::Term { rollout, term, leader } => {
            format!("{}: term {term}, led by {}", rollout.0.short(), leader.short())
        }
        Event::Proposed { rollout, open, .. } => format!("{}: proposes to open {open}", rollout.0.short()),
        Event::StopBallot { rollout, reason } => format!("{}: says stop: {reason:?}", rollout.0.short()),
        Event::Stopped { rollout, why } => format!("{}: stopped: {why}", rollout.0.short()),
        Event::Done { rollout } => format!("{}: done", rollout.0.short()),
        Event::Commanded { rollout, instruction, note } => {
            format!("{}: ordered {instruction:?}: {note}", rollout.0.short())
        }
        Event::Holding { rollout, hold } => format!("{}: holds: {hold:?}", rollout.0.short()),
        Event::Stage { rollout, from, to, note } => {
            format!("{}: {from:?} -> {to:?} {note}", rollout.0.short())
        }
        Event::Switched { component, tree, revert } => {
            let back = if *revert { "back " } else { "" };
            format!("{component} is switched {back}to {}", tree.short())
        }
        Event::Health { component, report } => format!("{component} is {:?} {}", report.health, report.note),
        Event::Trouble { rollout, what } => format!("{}: trouble: {what}", rollout.0.short()),
        Event::PersistFailed => "the disk refused a write".to_owned(),
        Event::FreezeSuspected { heard, needed } => {
            format!("has fresh news of {heard} electors, of {needed} that it needs")
        }
        Event::Refused { .. } | Event::Synced { .. } => return None,
    })
}
