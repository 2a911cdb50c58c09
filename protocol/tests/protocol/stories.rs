//! Stories: scenarios as text files in `tests/stories`. A step is a line, then `----`, then what
//! happened, as a person would tell it. `GROUNDSWELL_REWRITE=1` writes what happened anew, to be
//! reviewed as text. Each verb has one handler.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{RolloutId, VoteState};
use groundswell_protocol::node::Event;
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::time::{Span, Time};
use groundswell_protocol::trust::command::Instruction;

use crate::fleet::Fleet;
use crate::fleet::machine::DiskMode;
use crate::fleet::papers::web;
use crate::vectors::rewrites;

/// How long a story waits for what it was told to wait for.
const PATIENCE: Span = Span::seconds(1200);

struct Story {
    fleet: Fleet,
    began: Time,
    told: usize,
    /// What all nodes report and one line tells.
    once: BTreeMap<String, ()>,
    rollouts: BTreeMap<String, RolloutId>,
    newest: Option<RolloutId>,
    counter: u32,
}

type Words<'a> = &'a [&'a str];

impl Story {
    fn tell(line: &str, story: &mut Option<Story>) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (verb, rest) = words.split_first().expect("a step has a verb");
        if *verb == "fleet" {
            *story = Some(Story::fleet(rest));
            return story.as_mut().unwrap().news();
        }
        let story = story.as_mut().expect("a story begins with a fleet");
        match *verb {
            "release" => story.release(rest),
            "sick" => story.health(rest, true),
            "well" => story.health(rest, false),
            "deadly" => story.deadly(rest),
            "crash" => story.crash(rest),
            "start" => story.start(rest),
            "disk" => story.disk(rest),
            "partition" => story.partition(rest),
            "heal" => story.heal(),
            "order" => story.order(rest),
            "advance" => story.advance(rest),
            "until" => story.until(rest),
            "status" => story.status(),
            _ => panic!("no such verb: {verb}"),
        }
    }

    fn fleet(words: Words<'_>) -> Self {
        let mut fleet = Fleet::new(words[0].parse().unwrap());
        let began = fleet.now;
        assert!(fleet.run_until(PATIENCE, Fleet::all_sign));
        fleet.advance(Span::seconds(5));
        let (rollouts, once) = (BTreeMap::new(), BTreeMap::new());
        Self { fleet, began, told: 0, once, rollouts, newest: None, counter: 0 }
    }

    /// `release VERSION SEQUENCE AT`
    fn release(&mut self, words: Words<'_>) -> String {
        let (rollout, fact) = self.fleet.release(words[1].parse().unwrap(), words[0]);
        self.rollouts.insert(words[0].to_owned(), rollout);
        self.newest = Some(rollout);
        let line: Vec<String> = self.fleet.line(rollout).into_iter().map(name).collect();
        let quorum = self.fleet.referee.published[&rollout].roster.quorum;
        let leaders: Vec<String> = (0..3).map(|term| name(self.fleet.leader(rollout, term))).collect();
        let at = self.who(words[2]);
        self.fleet.submit(at, fact);
        format!(
            "line {} · leaders {} · {} of {} jurors open, {} stop\n{}",
            line.join(" "),
            leaders.join(" "),
            quorum.quorum,
            quorum.jurors,
            quorum.stoppers(),
            self.news()
        )
    }

    /// `sick VERSION WHO...`, `well VERSION WHO...`
    fn health(&mut self, words: Words<'_>, sick: bool) -> String {
        for node in self.all(&words[1..]) {
            self.fleet.set_sick(node, words[0], sick);
        }
        self.news()
    }

    /// `deadly VERSION WHO...`: to switch to it takes the machine down.
    fn deadly(&mut self, words: Words<'_>) -> String {
        for node in self.all(&words[1..]) {
            self.fleet.deadly.insert((node, Digest::of(words[0].as_bytes())));
        }
        self.news()
    }

    /// `crash WHO...`
    fn crash(&mut self, words: Words<'_>) -> String {
        let nodes = self.all(words);
        for node in &nodes {
            self.fleet.crash(*node);
        }
        format!("{} is down\n{}", names(&nodes), self.news())
    }

    /// `start WHO...`
    fn start(&mut self, words: Words<'_>) -> String {
        let nodes = self.all(words);
        for node in &nodes {
            self.fleet.start(*node);
        }
        format!("{} is up\n{}", names(&nodes), self.news())
    }

    /// `disk MODE WHO...`
    fn disk(&mut self, words: Words<'_>) -> String {
        let mode = match words[0] {
            "sound" => DiskMode::Sound,
            "held" => DiskMode::Held,
            "failing" => DiskMode::Failing,
            other => panic!("no such disk: {other}"),
        };
        for node in self.all(&words[1..]) {
            self.fleet.set_disk(node, mode);
        }
        self.news()
    }

    /// `partition WHO... | WHO...`
    fn partition(&mut self, words: Words<'_>) -> String {
        let sides: Vec<Vec<usize>> = words.split(|word| *word == "|").map(|side| self.all(side)).collect();
        let sides: Vec<&[usize]> = sides.iter().map(Vec::as_slice).collect();
        self.fleet.partition(&sides);
        let sides: Vec<String> = sides.iter().map(|side| names(side)).collect();
        format!("{}\n{}", sides.join(" | "), self.news())
    }

    fn heal(&mut self) -> String {
        self.fleet.partition(&[]);
        self.news()
    }

    /// `order VERSION pause|resume|abort|promote [OPEN] AT`
    fn order(&mut self, words: Words<'_>) -> String {
        self.counter += 1;
        let instruction = match words[1] {
            "pause" => Instruction::Flow { counter: self.counter, pause: true },
            "resume" => Instruction::Flow { counter: self.counter, pause: false },
            "abort" => Instruction::Stop,
            "promote" => Instruction::Promote(words[2].parse().unwrap()),
            other => panic!("no such order: {other}"),
        };
        let at = self.who(words.last().unwrap());
        self.fleet.order(at, self.rollouts[words[0]], instruction);
        self.news()
    }

    /// `advance SECONDS`
    fn advance(&mut self, words: Words<'_>) -> String {
        self.fleet.advance(Span::seconds(words[0].parse().unwrap()));
        self.news()
    }

    /// `until VERSION STAGE WHO...`, or `stopped`, `done` in place of a stage
    fn until(&mut self, words: Words<'_>) -> String {
        let rollout = self.rollouts[words[0]];
        let nodes = self.all(&words[2..]);
        let there = |fleet: &Fleet, node: usize| {
            let Some(seen) = fleet.machines[node].node.as_ref().and_then(|_| fleet.rollout(node, rollout))
            else {
                return false;
            };
            match words[1] {
                "stopped" => seen.ending == Some(Ending::Stopped),
                "done" => seen.ending == Some(Ending::Done),
                stage => format!("{:?}", seen.my_stage).to_lowercase() == stage,
            }
        };
        let came = self.fleet.run_until(PATIENCE, |fleet| nodes.iter().all(|node| there(fleet, *node)));
        let news = self.news();
        if came { news } else { format!("{news}it never came to that\n") }
    }

    fn status(&mut self) -> String {
        let mut text = String::new();
        for node in 0..self.fleet.machines.len() {
            let _ = write!(text, "{}", name(node));
            if self.fleet.machines[node].node.is_none() {
                let _ = writeln!(text, " is down");
                continue;
            }
            let runs = self.fleet.machines[node].runs.get(&web());
            let _ = write!(text, " runs {}", runs.map_or("nothing".into(), |tree| self.version(*tree)));
            for seen in self.fleet.status(node).rollouts {
                let hold = if seen.hold == Hold::None { String::new() } else { format!(", {:?}", seen.hold) };
                let _ = write!(
                    text,
                    " · {}: {:?}, open {}/{}{hold}",
                    seen.version, seen.my_stage, seen.open, seen.members
                );
            }
            let _ = writeln!(text);
        }
        text
    }

    fn version(&self, tree: Digest) -> String {
        let published = self.fleet.referee.published.values().find(|p| p.tree == tree);
        published.map_or_else(|| crate::fleet::FIRST.to_owned(), |p| p.version.clone())
    }

    /// `n3`; `rank2` and `leader` of the newest release.
    fn who(&self, word: &str) -> usize {
        let newest = || self.newest.expect("a release");
        if word == "leader" {
            let term =
                self.fleet.running().filter_map(|n| self.fleet.rollout(n, newest())).map(|r| r.term).max();
            return self.fleet.leader(newest(), term.unwrap_or(0));
        }
        if let Some(rank) = word.strip_prefix("rank") {
            return self.fleet.line(newest())[rank.parse::<usize>().unwrap()];
        }
        word.strip_prefix('n').and_then(|number| number.parse::<usize>().ok()).expect("a node") - 1
    }

    fn all(&self, words: Words<'_>) -> Vec<usize> {
        match words {
            [] | ["all"] => (0..self.fleet.machines.len()).collect(),
            ["running"] => self.fleet.running().collect(),
            words => words.iter().map(|word| self.who(word)).collect(),
        }
    }

    /// What happened since the last step.
    fn news(&mut self) -> String {
        let mut text = String::new();
        let events: Vec<(Time, usize, Event)> = self.fleet.events[self.told..].to_vec();
        self.told = self.fleet.events.len();
        for (at, node, event) in events {
            let Some((line, once)) = self.words(node, &event) else { continue };
            if once && self.once.insert(line.clone(), ()).is_some() {
                continue;
            }
            let since = at.since(self.began).0;
            let by = if once { format!(" (first to {})", name(node)) } else { String::new() };
            let _ = writeln!(text, "{:>4}.{:03} {line}{by}", since / 1000, since % 1000);
        }
        text
    }

    /// An event in words, and whether all nodes report the same; `None` for what a story passes over.
    fn words(&self, node: usize, event: &Event) -> Option<(String, bool)> {
        let version = |rollout: &RolloutId| self.fleet.referee.published[rollout].version.clone();
        let me = name(node);
        let id = self.fleet.machines[node].id;
        Some(match event {
            Event::Opened { rollout, from, to } => {
                (format!("{}: open rises from {from} to {to}", version(rollout)), true)
            }
            Event::Term { rollout, term, leader } => {
                let leader = self.fleet.machines.iter().position(|m| m.id == *leader)?;
                (format!("{}: term {term}, led by {}", version(rollout), name(leader)), true)
            }
            Event::Stopped { rollout, why } => (format!("{}: stopped: {why}", version(rollout)), true),
            Event::Done { rollout } => (format!("{}: done", version(rollout)), true),
            Event::Commanded { rollout, instruction, .. } => {
                (format!("{}: an operator orders {instruction:?}", version(rollout)), true)
            }
            Event::Conflict { what } => (format!("conflict: {what}"), true),
            Event::Proposed { rollout, term, open } => {
                (format!("{me} leads term {term} and proposes {open} of {}", version(rollout)), false)
            }
            Event::StopBallot { rollout, reason } => {
                (format!("{me} says stop {}: {reason:?}", version(rollout)), false)
            }
            Event::Vote { rollout, node: of, state, attempt, note, .. }
                if *of == id && *state != VoteState::Staged =>
            {
                let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
                let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                (format!("{me} votes on {}: {state:?}{again}{note}", version(rollout)), false)
            }
            Event::Stage { rollout, from, to, note } => {
                let told = [Stage::Trial, Stage::Reverting, Stage::Reverted, Stage::Confirmed, Stage::Stuck];
                if !told.contains(to) {
                    return None;
                }
                let note = if note.is_empty() { String::new() } else { format!(": {note}") };
                (format!("{me} {}: {from:?} → {to:?}{note}", version(rollout)), false)
            }
            Event::Recovered { boot } => (format!("{me} may sign, start {boot}"), false),
            Event::Cloned => (format!("{me} hears its own key elsewhere"), false),
            Event::PersistFailed => (format!("{me} cannot write"), false),
            _ => return None,
        })
    }
}

fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

fn names(nodes: &[usize]) -> String {
    nodes.iter().map(|node| name(*node)).collect::<Vec<_>>().join(" ")
}

/// Retells a story: the text as it should be.
fn retell(text: &str) -> String {
    let mut story = None;
    let mut out = String::new();
    let mut skipping = false;
    for line in text.lines() {
        if line == "----" {
            skipping = true;
            continue;
        }
        if skipping {
            skipping = !line.is_empty();
            if skipping {
                continue;
            }
        }
        if line.is_empty() || line.starts_with('#') {
            let _ = writeln!(out, "{line}");
            continue;
        }
        let told = Story::tell(line, &mut story);
        let _ = write!(out, "{line}\n----\n{told}");
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories")
}

#[test]
fn stories_go_as_they_are_told() {
    let mut stories: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    assert!(stories.len() >= 8, "stories are missing");
    let mut changed = Vec::new();
    for path in stories {
        let text = std::fs::read_to_string(&path).unwrap();
        let told = retell(&text);
        if rewrites() {
            std::fs::write(&path, &told).unwrap();
        } else if told != text {
            let differs = told.lines().zip(text.lines()).find(|(now, then)| now != then);
            changed.push(format!("{}: {differs:?}", path.file_name().unwrap().display()));
        }
    }
    assert!(changed.is_empty(), "told otherwise now (GROUNDSWELL_REWRITE=1 rewrites): {changed:#?}");
}
