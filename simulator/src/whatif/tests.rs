//! A small fleet, a quick plan, and what is to be expected of them.

use super::{Question, Situation, ask, read_roster, story};
use crate::scenario::plan;

const ROSTER: &str = r#"{ "fleet": "f", "nodes": [
    { "node": "a", "zone": "east", "ring": "production", "class": "arm", "elector": true },
    { "node": "b", "zone": "west", "ring": "production", "class": "arm", "elector": true },
    { "node": "c", "zone": "east", "ring": "production", "class": "arm", "elector": true },
    { "node": "d", "zone": "west", "ring": "production", "class": "amd", "elector": true },
    { "node": "e", "zone": "west", "ring": "production", "class": "amd", "elector": false }
] }"#;

fn question() -> Question {
    let groups = read_roster(ROSTER).expect("a roster");
    Question { plan: plan(), groups, bytes: 20_000_000, delta_bytes: None, seeds: 2, threads: 2 }
}

#[test]
fn nodes_with_the_same_labels_are_one_group() {
    let groups = read_roster(ROSTER).expect("a roster");
    let told: Vec<_> =
        groups.iter().map(|g| (g.zone.as_str(), g.class.as_str(), g.elector, g.nodes)).collect();
    assert_eq!(
        told,
        [
            ("east", "arm", true, 2),
            ("west", "amd", false, 1),
            ("west", "amd", true, 1),
            ("west", "arm", true, 1)
        ]
    );
}

#[test]
fn what_is_no_roster_is_refused_with_the_reason() {
    for (text, why) in [
        ("{", "swell fleet show"),
        ("{}", "swell fleet show"),
        ("[]", "0 nodes"),
        (r#"[{ "zone": "z", "ring": "r", "class": "c", "elector": false }]"#, "elector"),
    ] {
        let bad = read_roster(text).expect_err(text).to_string();
        assert!(bad.contains(why), "{bad}");
    }
}

#[test]
fn every_situation_is_a_sound_story() {
    for situation in Situation::ALL {
        assert_eq!(story(&question(), situation).check(), Ok(()));
    }
}

#[test]
fn a_good_release_completes_and_a_bad_one_is_contained() {
    let answers = ask(&question(), &mut || {});
    let of = |situation| answers.iter().find(|a| a.situation == situation).expect("all were asked");
    assert!(answers.iter().all(|a| a.runs == 2 && a.breached == 0), "{answers:?}");
    let good = of(Situation::Good);
    assert_eq!((good.completed, good.exposed.median), (2, 5));
    assert!(good.payload_bytes.median >= 4 * 20_000_000, "four of five fetch it");
    let bad = of(Situation::FailsAtOnce);
    assert_eq!(bad.stopped, 2);
    assert!(bad.exposed.worst <= 2 && bad.milliseconds.worst < good.milliseconds.median, "{bad:?}");
}
