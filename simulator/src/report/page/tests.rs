//! What a page must be: whole, closed off from the world, honest about hostile text, small, repeatable.

use std::path::PathBuf;

use super::{check_writable, render, write};
use crate::checkers::{Property, Violation};
use crate::fleet::{Fleet, Release};
use crate::generator::Generator;
use crate::report::Outcome;
use crate::report::trace::{SPANS_MAX, Trace};
use crate::scenario::{Scenario, catalogue};
use crate::world::World;
use crate::world::queue::Moment;

/// A page of the largest fleet stays below this.
const PAGE_BYTES_MAX: usize = 2_000_000;
/// Elements without an end.
const VOID: [&str; 2] = ["meta", "!doctype"];

fn story(name: &str, nodes: u32) -> Scenario {
    catalogue::named(name, nodes).expect("BUG: the test names a story of the catalogue")
}

fn recorded(scenario: Scenario, seed: u64) -> (Outcome, Trace) {
    let (outcome, trace) = World::play_recorded(scenario, seed, Box::new(|_| {}));
    (outcome, trace.expect("BUG: a recorded run has a trace"))
}

/// Every element that is opened is closed, in order; returns the text outside of elements.
fn well_formed(page: &str) -> String {
    let (mut open, mut text, mut rest) = (Vec::new(), String::new(), page);
    while let Some(begin) = rest.find('<') {
        text.push_str(&rest[..begin]);
        let end = begin + rest[begin..].find('>').expect("an element ends");
        let element = &rest[begin + 1..end];
        rest = &rest[end + 1..];
        let name: String =
            element.trim_start_matches('/').chars().take_while(|c| !" />".contains(*c)).collect();
        if let Some(closed) = element.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "closed where another is open");
        } else if !element.ends_with('/') && !VOID.contains(&name.as_str()) {
            assert_eq!(element.matches('"').count() % 2, 0, "a quote is left open: {element}");
            if ["style", "script"].contains(&name.as_str()) {
                let close = rest.find(&format!("</{name}>")).expect("a raw element ends");
                rest = &rest[close..];
            }
            open.push(name);
        }
    }
    text.push_str(rest);
    assert!(open.is_empty(), "left open: {open:?}");
    for (place, _) in text.match_indices('&') {
        let entity = text[place..].split_once(';').map(|(entity, _)| entity);
        assert!(matches!(entity, Some("&amp" | "&lt" | "&gt" | "&quot" | "&#39")), "{entity:?}");
    }
    text
}

#[test]
fn every_page_is_well_formed_and_names_nothing_outside_of_itself() {
    for (name, nodes) in
        [("calm-day", 4), ("bad-release", 7), ("split-brain", 4), ("leader-killed", 4), ("genesis", 1)]
    {
        let (outcome, trace) = recorded(story(name, nodes), 1);
        let page = render(&outcome, &trace);
        let text = well_formed(&page);
        assert!(text.contains(&outcome.again), "the command that repeats the run is on it");
        for outside in ["://", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn hostile_names_stay_text() {
    let mut scenario = story("bad-release", 4);
    let hostile = "</title></pre><script>alert(1)</script><img onerror='x' \"&\u{202e}";
    hostile.clone_into(&mut scenario.name);
    hostile.clone_into(&mut scenario.about);
    let (mut outcome, trace) = recorded(scenario, 1);
    outcome.violations.push(Violation {
        property: Property::S4,
        at_ms: 6_000,
        machine: Some(1),
        what: hostile.to_owned(),
    });
    let page = render(&outcome, &trace);
    well_formed(&page);
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(!page.contains("<img") && !page.contains("onerror=\'"));
    assert!(page.contains("Safety was breached: S4"));
}

#[test]
fn equal_runs_give_equal_pages() {
    let page = |real_ms| {
        let (mut outcome, trace) = recorded(story("black-friday", 5), 2);
        outcome.real_ms = real_ms;
        render(&outcome, &trace)
    };
    assert_eq!(page(1), page(99));
}

#[test]
fn a_run_in_which_nothing_happens_has_a_page_too() {
    let mut scenario = story("calm-day", 1);
    scenario.steps.clear();
    scenario.limit_seconds = 1;
    let (outcome, trace) = recorded(scenario, 1);
    let text = well_formed(&render(&outcome, &trace));
    for words in ["was never published", "No gate opened", "No fact travelled"] {
        assert!(text.contains(words), "{words}");
    }
}

#[test]
fn the_page_of_a_huge_run_is_small() {
    let (outcome, _) = recorded(story("calm-day", 1), 1);
    let scenario = story("calm-day", 1_000);
    let fleet = Fleet::found(scenario.nodes, &Generator::new(1));
    let releases: Vec<Release> =
        scenario.releases.iter().map(|law| fleet.release(law, &scenario.plan, None)).collect();
    let mut trace = Trace::new(&scenario, &fleet, &releases);
    // Every row changes its state in every bucket, and faults fill their lanes.
    let states = crate::report::trace::State::ALL;
    for row in &mut trace.rows {
        row.runs = (0..2_000).map(|bucket| (bucket, states[bucket as usize % states.len()])).collect();
    }
    for node in 0..10_000 {
        trace.faults.began(Moment::seconds(1), "power", Some(node % 1_000), &"off");
    }
    trace.ended = Moment::seconds(20);
    assert_eq!(trace.faults.spans().len(), SPANS_MAX);
    let page = render(&outcome, &trace);
    well_formed(&page);
    assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
}

fn place(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("groundswell-page-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}

#[test]
fn a_page_is_written_whole_and_leaves_nothing_beside_it() {
    let folder = place("whole");
    let path = folder.join("out.html");
    std::fs::write(&path, "what was there before").expect("a file of before");
    check_writable(&path).expect("the folder can be written to");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "what was there before");
    let (outcome, trace) = recorded(story("calm-day", 1), 1);
    write(&path, &outcome, &trace).expect("the page is written");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), render(&outcome, &trace));
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1);
    std::fs::remove_dir_all(folder).expect("the test cleans up");
}

#[test]
fn a_path_that_cannot_be_written_is_said_before_the_run() {
    let folder = place("refused");
    assert!(check_writable(&folder).is_err(), "a folder is no file");
    assert!(check_writable(&folder.join("missing").join("out.html")).is_err(), "its folder is missing");
    assert!(check_writable(std::path::Path::new("/")).is_err());
    std::fs::remove_dir_all(folder).expect("the test cleans up");
}
