//! Makes a story plain: the usual links and plan, round numbers, early times.
//!
//! It works on the file's form, where every quantity carries its unit: what a future fault counts is
//! rounded without anything being said here.

use toml::{Table, Value};

use super::{Candidate, Failing, Shrinking};
use crate::scenario::words::Rounder;
use crate::scenario::{Scenario, plan};
use crate::world::links::LinkLaw;

pub(super) fn all(shrinking: &mut Shrinking<'_>) {
    usual(shrinking);
    while round(shrinking) {}
}

/// Tries the usual links, plan and overlay: all at once, then each word.
fn usual(shrinking: &mut Shrinking<'_>) {
    let mut alike = shrinking.best.clone();
    alike.scenario.groups.clear();
    shrinking.take_first(vec![Candidate { failing: alike, what: "machines all alike".to_owned() }]);
    let mut all = shrinking.best.clone();
    (all.scenario.links, all.scenario.plan, all.scenario.gossip) = (LinkLaw::default(), plan(), true);
    let usual = all.scenario.clone();
    if shrinking.take_first(vec![Candidate { failing: all, what: "the usual links and plan".to_owned() }]) {
        return;
    }
    let (Some(usual), Some(table)) = (table(&usual), table(&shrinking.best.scenario)) else { return };
    for part in ["gossip", "links", "plan"] {
        let words = match table.get(part) {
            Some(Value::Table(inner)) => inner.keys().map(|key| vec![part.to_owned(), key.clone()]).collect(),
            _ => vec![vec![part.to_owned()]],
        };
        for path in words {
            let Some(value) =
                at(&usual, &path).cloned().or_else(|| (part == "gossip").then_some(Value::Boolean(true)))
            else {
                continue;
            };
            let candidate = replaced(&shrinking.best, &path, value, &format!("the usual {}", path.join(" ")));
            shrinking.take_first(candidate.into_iter().collect());
        }
    }
}

/// Tries a rounder form of each quantity; true if one was taken.
fn round(shrinking: &mut Shrinking<'_>) -> bool {
    let Some(table) = table(&shrinking.best.scenario) else { return false };
    let mut paths = Vec::new();
    for part in ["step", "links", "release", "plan"] {
        if let Some(value) = table.get(part) {
            quantities(value, &mut vec![part.to_owned()], &mut paths);
        }
    }
    let mut taken = false;
    for path in paths {
        let Some(Value::String(text)) = at(&table, &path).cloned() else { continue };
        // Earlier and shorter is plainer; the world that it happens in only gets rounder.
        let candidates = Rounder::of(&text, path.first().is_some_and(|part| part == "step"))
            .into_iter()
            .filter_map(|rounder| {
                let what = format!("{text} is {rounder}");
                replaced(&shrinking.best, &path, Value::String(rounder), &what)
            })
            .collect();
        taken |= shrinking.take_first(candidates);
        if shrinking.hunt.is_over() {
            return false;
        }
    }
    taken
}

fn table(scenario: &Scenario) -> Option<Table> {
    Table::try_from(scenario).ok()
}

/// The paths of all texts that may be quantities.
fn quantities(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::String(_) => found.push(path.clone()),
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                path.push(place.to_string());
                quantities(item, path, found);
                path.pop();
            }
        }
        Value::Table(table) => {
            for (key, item) in table.iter().filter(|(key, _)| *key != "version") {
                path.push(key.clone());
                quantities(item, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn at<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(first)?, |value, word| match value {
        Value::Array(items) => items.get(word.parse::<usize>().ok()?),
        Value::Table(table) => table.get(word),
        _ => None,
    })
}

/// The story with one word replaced; `None` if that is no story.
fn replaced(best: &Failing, path: &[String], value: Value, what: &str) -> Option<Candidate> {
    let mut root = Value::Table(table(&best.scenario)?);
    let mut place = &mut root;
    for word in path {
        place = match place {
            Value::Array(items) => items.get_mut(word.parse::<usize>().ok()?)?,
            Value::Table(table) => table.entry(word).or_insert(Value::Boolean(true)),
            _ => return None,
        };
    }
    *place = value;
    let scenario: Scenario = root.try_into().ok()?;
    Some(Candidate { failing: Failing { scenario, seed: best.seed }, what: what.to_owned() })
}
