//! Every fault begins, ends, and leaves a fleet that comes to its end.

use std::cell::RefCell;
use std::rc::Rc;

use crate::report::Outcome;
use crate::scenario::{Scenario, catalogue, file};
use crate::world::World;

/// A fleet of seven over which a good release goes out, with some words put in at the end of the story.
fn story(words: &str) -> Scenario {
    let calm = file::write(&catalogue::named("calm-day", 7).expect("BUG: the catalogue has this story"));
    let text = format!("{calm}\n{words}");
    file::parse(&text, "test", None).unwrap_or_else(|error| panic!("{error}"))
}

fn told(scenario: Scenario, seed: u64) -> (Outcome, String) {
    let lines = Rc::new(RefCell::new(String::new()));
    let sink = Rc::clone(&lines);
    let tell = move |line: &str| {
        let mut lines = sink.borrow_mut();
        lines.push_str(line);
        lines.push('\n');
    };
    let outcome = World::play(scenario, seed, Box::new(tell));
    (outcome, lines.take())
}

/// Plays a story with a fault: all must hold, and the story must tell these words.
fn holds(fault: &str, words: &[&str]) -> (Outcome, String) {
    let story = story(&format!("[[step]]\nat = \"6s\"\n{fault}\n"));
    let again = file::parse(&file::write(&story), "again", None).expect("what is written is read");
    assert_eq!(again, story);
    let (outcome, lines) = told(story, 3);
    assert!(outcome.violations.is_empty(), "{lines}{}", outcome.summary());
    for word in words {
        assert!(lines.contains(word), "{word}: {lines}");
    }
    (outcome, lines)
}

#[test]
fn cuts_by_zone_by_list_and_one_way_end() {
    holds(
        "cut = { from = [\"zone 1\", 4], lasts = \"30s\" }",
        &[
            "machines 1, 4, 5: cut off from all others for 30 s",
            "36.000 s  the cut around zone 1, machine 4 ends",
        ],
    );
    holds(
        "cut = { from = 3, to = \"50% of fleet\", one-way = true, lasts = \"20s\" }",
        &["is lost for 20 s"],
    );
}

#[test]
fn clogs_and_weather_end() {
    holds(
        "clog = { who = [1, 2], lasts = \"15s\" }",
        &["21.000 s  the clog around machine 1, machine 2 ends"],
    );
    let weather = "weather = { who = \"everybody\", loss = \"20%\", bursts = { begin = \"1%\", end = \"10%\", \
                   loss = \"100%\" }, duplicates = \"10%\", reordered = \"30%\", damage = \"5%\", delay = \"20ms\", \
                   lasts = \"40s\" }";
    let (outcome, _) = holds(weather, &["bad weather", "clears up"]);
    let way = outcome.counters.way;
    assert!(way.lost > 0 && way.doubled > 0 && way.late > 0 && way.damaged > 0, "{way:?}");
    assert!(outcome.counters.refusals > 0, "the core refuses what is damaged");
}

#[test]
fn disks_refuse_fill_up_slow_down_forget_and_are_well_again() {
    for how in ["\"refuses\"", "\"full\"", "{ slow = 200 }", "\"forgets\""] {
        holds(
            &format!("bad-disk = {{ who = \"40% of fleet\", how = {how}, lasts = \"20s\" }}"),
            &["well again"],
        );
    }
}

#[test]
fn a_disk_that_forgot_over_a_crash_is_like_an_old_image() {
    let crash = "[[step]]\nat = \"20s\"\ncrash = { who = 2, back-after = \"1s\" }";
    holds(
        &format!("bad-disk = {{ who = 2, how = \"forgets\", lasts = \"30s\" }}\n{crash}"),
        &["machine 2 loses"],
    );
}

#[test]
fn clocks_go_wrong_and_right_again() {
    for how in [
        "{ drift = 50000 }",
        "{ drift = -50000 }",
        "{ wall-ahead = \"3650d\" }",
        "{ wall-behind = \"3650d\" }",
        "{ leap = \"10s\" }",
    ] {
        holds(&format!("bad-clock = {{ who = [0, 5], how = {how}, lasts = \"40s\" }}"), &["go right again"]);
    }
}

#[test]
fn who_stands_still_takes_in_all_that_waited() {
    holds("freeze = { who = [0, 6], lasts = \"25s\" }", &["stand still for 25 s", "they go on"]);
    let crash = "[[step]]\nat = \"10s\"\ncrash = { who = 6, back-after = \"5s\" }";
    holds(&format!("freeze = {{ who = 6, lasts = \"25s\" }}\n{crash}"), &["machine 6 loses its power"]);
}

#[test]
fn who_lost_its_disk_keeps_its_name_and_contradicts_nothing() {
    for at in ["9s", "14s", "25s"] {
        let wipe = "wipe = { who = [1, 3], lasts = \"3s\" }";
        holds(
            &format!("freeze = {{ who = 0, lasts = \"1ms\" }}\n[[step]]\nat = \"{at}\"\n{wipe}"),
            &["lose power"],
        );
    }
}

#[test]
fn churn_ends_and_attrition_is_bounded() {
    let (_, lines) = holds(
        "churn = { who = \"everybody\", every = \"2s\", away = \"3s\", lasts = \"30s\" }",
        &["no more coming and going"],
    );
    assert!(lines.matches("loses its power for").count() > 8, "{lines}");
    let (_, lines) = holds(
        "attrition = { who = [4, 5, 6], every = \"5s\", most = \"30%\", lasts = \"60s\" }",
        &["for good"],
    );
    assert_eq!(lines.matches("loses its power for good").count(), 2, "{lines}");
}

#[test]
fn a_crash_at_any_point_of_the_work_costs_time_alone() {
    for point in ["before-persist", "in-commit", "after-commit", "before-switch", "after-switch"] {
        for nth in 1..=3 {
            let fault = format!(
                "crash-point = {{ who = [0, 2, 5], point = \"{point}\", nth = {nth}, back-after = \"2s\", \
                 lasts = \"120s\" }}"
            );
            let (_, lines) = holds(&fault, &[]);
            let crashes = lines.matches("loses its power").count();
            assert_eq!(
                crashes,
                if point.ends_with("switch") && nth > 1 { 0 } else { 3 },
                "{point} {nth}: {lines}"
            );
        }
    }
}

#[test]
fn who_is_surrounded_is_late_and_never_wrong() {
    holds("eclipse = { who = 2, lasts = \"40s\" }", &["machine 2: surrounded", "no longer surrounded"]);
}

#[test]
fn a_story_is_the_same_every_time_with_every_fault() {
    let all = "[[step]]\nat = \"6s\"\nchurn = { who = \"everybody\", every = \"5s\", away = \"2s\", lasts = \"20s\" }\n\
               [[step]]\nat = \"7s\"\nweather = { who = \"zone 1\", loss = \"10%\", damage = \"10%\", lasts = \"20s\" }\n\
               [[step]]\nat = \"8s\"\nfreeze = { who = \"any\", lasts = \"9s\" }";
    let run = |seed| told(story(all), seed).0.fingerprint;
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn what_cannot_be_is_refused_with_its_word() {
    let calm = file::write(&catalogue::named("calm-day", 7).expect("BUG: the catalogue has this story"));
    for (fault, word) in [
        ("cut = { from = \"zone 9\", lasts = \"3s\" }", "zone 9"),
        ("cut = { from = [1, 99], lasts = \"3s\" }", "99"),
        ("clog = { who = 1, lasts = \"0s\" }", "lasts"),
        ("churn = { who = 1, every = \"0s\", away = \"1s\", lasts = \"3s\" }", "every"),
        ("weather = { who = 1, loss = \"200%\", lasts = \"3s\" }", "loss"),
        ("bad-clock = { who = 1, how = { drift = 900000 }, lasts = \"3s\" }", "drift"),
        ("cutt = { from = 1, lasts = \"3s\" }", "cutt"),
        ("crash-point = { who = 1, point = \"in-comit\", back-after = \"1s\", lasts = \"3s\" }", "in-comit"),
    ] {
        let text = format!("{calm}\n[[step]]\nat = \"6s\"\n{fault}\n");
        let refusal = file::parse(&text, "test", None).expect_err(fault);
        assert_eq!(refusal.word, word, "{refusal}");
        assert!(refusal.line.is_some(), "{refusal}");
    }
}
