//! What the swarm has found so far, each as the smallest story that showed it, with what was wrong in its first lines.

use std::path::Path;

use groundswell_simulator::report::Outcome;
use groundswell_simulator::scenario::file;
use groundswell_simulator::world::World;

fn play(name: &str) -> Outcome {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/found").join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path).expect("a story");
    let story = file::parse(&text, name, None).unwrap_or_else(|error| panic!("{error}"));
    let seed = story.seed.expect("a story that was found has its seed");
    World::play(story, seed, Box::new(|_| {}))
}

#[test]
fn what_was_found_once_holds_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/found");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of stories") {
        let path = entry.expect("an entry of the folder").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let outcome = play(name);
        assert!(outcome.violations.is_empty(), "{name}: {}", outcome.summary());
        played += 1;
    }
    assert!(played >= 9);
}

#[test]
fn what_only_some_would_open_ends_when_its_time_is_over() {
    let outcome = play("one-stop-and-no-quorum");
    assert_eq!(outcome.ending.as_deref(), Some("stopped"), "{}", outcome.summary());
}

#[test]
fn who_is_not_heard_is_heard_of() {
    let outcome = play("unheard-without-gossip");
    assert_eq!(outcome.ending.as_deref(), Some("stopped"), "{}", outcome.summary());
}
