//! The shape of the house: which crate may know which, what the core may not know, and what reviewers tire of.

use groundswell_tests::house::{PACKAGES, SECTIONS, module_file, siblings, sources};

/// Lines of one file.
const FILE_LINES_MAX: usize = 600;
/// What the core must not know: clocks, chance, threads, disks, networks, and maps whose order is chance.
const FORBIDDEN_IN_PROTOCOL: [&str; 17] = [
    "std::time",
    "std::thread",
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::process",
    "std::sync::Mutex",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "tokio",
    "libp2p",
    "rand::",
    "getrandom",
    "println!",
];
/// What is left behind while something is being made.
const LEFTOVERS: [&str; 4] = ["todo!(", "unimplemented!(", "dbg!(", "#[allow(dead_code)]"];

fn check(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn delta_and_protocol_know_no_sibling_and_the_simulator_not_the_agent() {
    for section in SECTIONS {
        for package in ["delta", "protocol"] {
            assert_eq!(siblings(package, section), Vec::<String>::new(), "{package}, {section}");
        }
        let of_agent = siblings("agent", section);
        assert!(of_agent.iter().all(|name| ["protocol", "delta"].contains(&name.as_str())), "{of_agent:?}");
        let of_simulator = siblings("simulator", section);
        assert!(
            of_simulator.iter().all(|name| ["protocol", "delta"].contains(&name.as_str())),
            "{of_simulator:?}"
        );
    }
    assert_eq!(siblings("agent", "dependencies"), ["delta", "protocol"]);
}

#[test]
fn the_core_knows_no_clock_no_disk_no_network_and_no_chance() {
    let mut problems = Vec::new();
    for source in sources("protocol/src").iter().filter(|source| !source.is_test) {
        for (number, line) in source.code() {
            for word in FORBIDDEN_IN_PROTOCOL.iter().filter(|word| line.contains(*word)) {
                problems.push(format!("{}:{number}: {word}", source.path.display()));
            }
        }
    }
    check(&problems);
}

#[test]
fn no_file_is_longer_than_a_head_can_hold() {
    let mut problems = Vec::new();
    for source in PACKAGES.iter().flat_map(|package| sources(package)) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{}: {lines} lines", source.path.display()));
        }
    }
    check(&problems);
}

#[test]
fn nothing_half_made_is_left() {
    let mut problems = Vec::new();
    for source in PACKAGES.iter().flat_map(|package| sources(package)) {
        for (number, line) in source.code() {
            // The list of these words is no use of them.
            for word in LEFTOVERS.iter().filter(|word| line.contains(*word) && !line.contains('"')) {
                problems.push(format!("{}:{number}: {word}", source.path.display()));
            }
        }
    }
    check(&problems);
}

#[test]
fn every_room_says_what_it_is() {
    let mut problems = Vec::new();
    let all: Vec<_> = PACKAGES.iter().flat_map(|package| sources(package)).collect();
    for source in &all {
        for (number, name, _) in source.modules() {
            let room = module_file(&source.path, name);
            let room = room.and_then(|path| all.iter().find(|source| source.path == path));
            if room.is_some_and(|room| !room.is_test && !room.text.starts_with("//!")) {
                problems.push(format!("{}:{number}: `{name}` says nothing", source.path.display()));
            }
        }
    }
    check(&problems);
}
