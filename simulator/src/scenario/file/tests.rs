//! Files read as they are written, and mistakes are named with line, word and nearest word.

use super::super::{Act, Scenario, When, Who, catalogue, random};
use super::{Fault, parse, write};

const HEAD: &str = r#"name = "small"
about = "for tests"
nodes = 10
limit = "15m"
goal = { completes = "2.0.0" }

[[release]]
version = "1.0.0"
sequence = 1

[[release]]
version = "2.0.0"
sequence = 2
"#;

fn read(tail: &str) -> Result<Scenario, Box<Fault>> {
    parse(&format!("{HEAD}{tail}"), "small.toml", None)
}

fn fault(tail: &str) -> Fault {
    *read(tail).expect_err(tail)
}

/// A step whose moment is fine.
fn step(words: &str) -> String {
    format!("[[step]]\nat = \"5s\"\n{words}\n")
}

#[test]
fn a_scenario_is_read_back_as_it_was_written() {
    for name in catalogue::names() {
        let scenario = catalogue::named(name, 100).expect("BUG: a shipped story is sound");
        let text = write(&scenario);
        assert_eq!(parse(&text, name, None).as_ref(), Ok(&scenario), "{text}");
    }
    for seed in 1..=50 {
        let scenario = random::story(seed, &(4..=12));
        let text = write(&scenario);
        assert_eq!(parse(&text, "random", None).as_ref(), Ok(&scenario), "{text}");
    }
}

#[test]
fn shipped_stories_are_sound_and_named_after_their_files() {
    for (name, _) in catalogue::SHIPPED {
        match catalogue::find(name, None) {
            Some(Ok(scenario)) => {
                assert_eq!(scenario.name, *name);
                assert!(scenario.about.len() > 20, "{name} says what it shows");
            }
            Some(Err(fault)) => panic!("{fault}"),
            None => panic!("{name} is listed but not there"),
        }
    }
}

#[test]
fn the_command_line_says_how_many_machines() {
    let text = format!("{HEAD}{}", step("crash = { who = 9 }"));
    assert_eq!(parse(&text, "small.toml", Some(50)).map(|s| s.nodes), Ok(50));
    let fault = parse(&text, "small.toml", Some(9)).expect_err("nine have no tenth");
    assert_eq!((fault.line, fault.word.as_str(), fault.nearest.as_deref()), (Some(16), "9", Some("8")));
}

#[test]
fn a_step_is_repeated_as_often_as_it_says() {
    let scenario = read(&step("every = \"2s\"\ntimes = 3\nheal = true")).expect("valid");
    let times: Vec<When> = scenario.steps.iter().map(|step| step.when).collect();
    assert_eq!(times, [When::At(5_000), When::At(7_000), When::At(9_000)]);
    assert_eq!(fault("[[step]]\nafter = \"5s\"\ntimes = 3\nheal = true").word, "times");
    assert_eq!(fault(&step("every = \"2s\"\ntimes = 0\nheal = true")).word, "times");
}

#[test]
fn machines_are_named_by_place_share_and_part() {
    for (word, who) in [("3", Who::Node(3)), ("\"at 50%\"", Who::At(500)), ("\"leader\"", Who::Leader)] {
        let scenario = read(&step(&format!("crash = {{ who = {word} }}"))).expect("valid");
        assert_eq!(scenario.steps[0].act, Act::Crash { who, back_after: None });
    }
}

#[test]
fn an_unknown_word_is_named_with_the_nearest_known_one() {
    for (tail, line, word, near) in [
        ("nodez = 3", 14, "nodez", None),
        (&step("crahs = { who = 3 }"), 16, "crahs", Some("crash")),
        (&step("crash = { whom = 3 }"), 16, "whom", Some("who")),
        (&step("crash = { who = \"leeder\" }"), 16, "leeder", Some("leader")),
        (&step("command = { release = \"2.0.0\", order = \"puase\" }"), 16, "puase", Some("pause")),
        (
            "[[step]]\nrunnning = { release = \"2.0.0\", nodes = 1 }\nheal = true",
            15,
            "runnning",
            Some("running"),
        ),
        ("health = \"god\"", 14, "god", Some("good")),
        ("health = { fail-after = \"2s\" }", 14, "fail-after", Some("fails-after")),
        ("[links]\nlatency = \"5ms\"", 15, "latency", None),
        ("[links]\njiter = \"5ms\"", 15, "jiter", Some("jitter")),
        ("[plan]\nbakes = \"5s\"", 15, "bakes", Some("bake")),
        ("[[liar]]\nwho = 1\nlie = \"flods\"", 16, "flods", Some("floods")),
    ] {
        let fault = fault(tail);
        assert_eq!(
            (fault.line, fault.word.as_str(), fault.nearest.as_deref()),
            (Some(line), word, near),
            "{fault}"
        );
    }
    let top = parse(&HEAD.replace("limit", "limits"), "small.toml", None).expect_err("no such word");
    assert_eq!((top.line, top.word.as_str(), top.nearest.as_deref()), (Some(4), "limits", Some("limit")));
}

#[test]
fn a_negative_time_is_refused_with_the_positive_one() {
    let negative = fault("[[step]]\nat = \"-5s\"\nheal = true");
    assert_eq!(
        (negative.line, negative.word.as_str(), negative.nearest.as_deref()),
        (Some(15), "-5s", Some("5s"))
    );
    assert!(negative.what.contains("negative"), "{negative}");
    assert!(fault("[[step]]\nat = -5\nheal = true").what.contains("negative"));
    let bare = fault("[[step]]\nat = 5000\nheal = true");
    assert_eq!((bare.word.as_str(), bare.nearest.as_deref()), ("5000", Some("5000ms")));
}

#[test]
fn a_machine_or_a_release_that_is_not_there_is_refused_with_the_nearest() {
    let node = fault(&step("crash = { who = 10 }"));
    assert_eq!((node.line, node.word.as_str(), node.nearest.as_deref()), (Some(16), "10", Some("9")));
    let release = fault(&step("publish = { release = \"2.0.1\", on = 0 }"));
    assert_eq!(
        (release.line, release.word.as_str(), release.nearest.as_deref()),
        (Some(16), "2.0.1", Some("2.0.0"))
    );
    let goal = parse(&HEAD.replace("completes = \"2.0.0\"", "completes = \"3\""), "small.toml", None);
    assert_eq!(goal.map_err(|fault| (fault.line, fault.word)), Err((Some(5), "3".to_owned())));
    let zone = fault("[[liar]]\nwho = \"zone 7\"\nlie = \"floods\"");
    assert_eq!((zone.line, zone.nearest.as_deref()), (Some(15), Some("zone 3")));
}

#[test]
fn groups_give_machines_their_labels_in_any_fleet() {
    let groups =
        "[[group]]\nnodes = 6\nzone = \"east\"\n\n[[group]]\nnodes = 4\nzone = \"west\"\nclass = \"arm\"";
    let scenario = read(groups).expect("valid");
    assert_eq!(scenario.zones(), ["east", "west"]);
    let arms = |nodes| {
        let scenario = Scenario { nodes, ..scenario.clone() };
        scenario.labels().iter().filter(|labels| labels.class == "arm").count()
    };
    assert_eq!((arms(10), arms(5), arms(1000)), (4, 2, 400));
    assert_eq!(fault("[[group]]\nnodes = 0").word, "0");
    assert_eq!(fault("[[group]]\nnodes = 1\nclass = \"a b\"").word, "a b");
}

#[test]
fn a_step_has_one_moment_and_one_act() {
    assert!(fault("[[step]]\nheal = true").what.contains("one moment"));
    assert!(fault("[[step]]\nat = \"1s\"").what.contains("one act"));
    assert!(fault(&step("heal = true\ncrash = { who = 1 }")).what.contains("one act"));
    assert!(fault("[[step]]\nafter = \"1s\"\nheal = true").what.contains("no other"));
}

#[test]
fn what_is_missing_is_named() {
    let missing = fault(&step("crash = {}"));
    assert_eq!((missing.line, missing.word.as_str()), (Some(16), "who"));
    assert_eq!(parse("", "small.toml", None).expect_err("empty").word, "name");
    assert!(parse("name = ", "small.toml", None).expect_err("no TOML").line.is_some());
}

#[test]
fn a_refusal_shows_the_line_and_marks_the_word() {
    let text = fault(&step("crahs = { who = 3 }")).to_string();
    assert_eq!(
        text.replace(&text[text.find("; known").unwrap_or(0)..text.find("\n").unwrap_or(0)], ""),
        "small.toml:16:1: `crahs`: unknown word\n     |\n  16 | crahs = { who = 3 }\n     | ^^^^^\n  hint: did you mean `crash`?"
    );
}
