//! Writes a scenario as a person would: short forms, the head first, then releases, liars and steps.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::super::{Scenario, plan};
use crate::world::links::LinkLaw;

/// The words of the head, in the order in which they are read best.
const HEAD: [&str; 11] =
    ["name", "about", "nodes", "nodes-min", "seed", "limit", "goal", "back-to", "installed", "gossip", ""];
/// The parts that are lists of blocks.
const BLOCKS: [&str; 5] = ["group", "class", "release", "liar", "step"];
/// What a block begins with.
const FIRST: [&str; 9] =
    ["name", "version", "sequence", "bytes", "delta", "at", "after", "opened", "running"];

pub(super) fn text(scenario: &Scenario) -> String {
    let mut table = Table::try_from(scenario).expect("BUG: a scenario is made of tables, texts and numbers");
    let mut usual = scenario.clone();
    (usual.links, usual.plan) = (LinkLaw::default(), plan());
    let usual = Table::try_from(usual).expect("BUG: a scenario is made of tables, texts and numbers");
    let versions: Vec<&str> = scenario.releases.iter().map(|release| release.version.as_str()).collect();
    for (key, value) in &mut table {
        match key.as_str() {
            "release" => {}
            "goal" | "back-to" => name_all(value, &versions),
            _ => name_releases(value, &versions),
        }
    }
    let mut text = String::new();
    let known = |key: &str| HEAD.contains(&key) || BLOCKS.contains(&key) || table[key].is_table();
    let rest = table.keys().map(String::as_str).filter(|key| !known(key));
    for key in HEAD.into_iter().chain(rest) {
        if let Some(value) = table.get(key) {
            line(&mut text, key, value);
        }
    }
    for (key, value) in &table {
        if let (Value::Table(part), false) = (value, HEAD.contains(&key.as_str())) {
            section(&mut text, key, part, usual.get(key).and_then(Value::as_table));
        }
    }
    for key in BLOCKS {
        for block in
            table.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
        {
            let _ = writeln!(text, "\n[[{key}]]");
            let block = if key == "step" { shorten(block) } else { block.clone() };
            for key in FIRST.into_iter().filter(|key| block.contains_key(*key)) {
                line(&mut text, key, &block[key]);
            }
            for (key, value) in block.iter().filter(|(key, _)| !FIRST.contains(&key.as_str())) {
                line(&mut text, key, value);
            }
        }
    }
    text
}

fn line(text: &mut String, key: &str, value: &Value) {
    let _ = writeln!(text, "{key} = {value}");
}

/// A table of its own; what is as usual is left out.
fn section(text: &mut String, name: &str, part: &Table, usual: Option<&Table>) {
    let mut said =
        part.iter().filter(|(key, value)| usual.and_then(|usual| usual.get(*key)) != Some(value)).peekable();
    if said.peek().is_some() {
        let _ = writeln!(text, "\n[{name}]");
    }
    for (key, value) in said {
        line(text, key, value);
    }
}

/// A step's moment and act side by side.
fn shorten(step: &Table) -> Table {
    let mut short = Table::new();
    for part in ["when", "act"] {
        match step.get(part) {
            Some(Value::Table(inner)) => match inner.get("fault") {
                Some(Value::Table(fault)) => short.extend(fault.clone()),
                _ => short.extend(inner.clone()),
            },
            Some(Value::String(word)) => {
                short.insert(word.clone(), Value::Boolean(true));
            }
            _ => {}
        }
    }
    short
}

fn name_releases(value: &mut Value, versions: &[&str]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| name_releases(item, versions)),
        Value::Table(table) => {
            for (key, value) in table {
                if key == "release" { name_all(value, versions) } else { name_releases(value, versions) }
            }
        }
        _ => {}
    }
}

fn name_all(value: &mut Value, versions: &[&str]) {
    match value {
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| name_all(value, versions)),
        Value::Integer(place) => {
            if let Some(version) = usize::try_from(*place).ok().and_then(|place| versions.get(place)) {
                *value = Value::String((*version).to_owned());
            }
        }
        _ => {}
    }
}
