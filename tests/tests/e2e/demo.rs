//! The demo, as a user and a script see it. What it promises in seconds is its own to judge: here others run too.

use std::path::Path;
use std::process::{Command, Output};

use groundswell_tests::binary::swell;
use groundswell_tests::turn::Turn;
use serde_json::Value;

fn demo(place: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(swell());
    command.arg("demo").args(arguments).env("TMPDIR", place);
    command.output().expect("swell runs")
}

#[test]
fn the_demo_tells_its_story_in_json_and_leaves_nothing() {
    let _turn = Turn::take();
    let place = tempfile::Builder::new().prefix("gsw-").tempdir().expect("a directory");
    let output = demo(place.path(), &["--nodes", "3", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}\n{}", String::from_utf8_lossy(&output.stderr));
    });
    assert_eq!(output.status.success(), report["ok"] == true, "{report:#}");
    assert_eq!(report["trouble"], Value::Null, "{report:#}");
    assert_eq!(report["nodes"], 3);
    let stories = [("2.0", "completed"), ("3.0", "rolled_back"), ("4.0", "completed")];
    let releases = report["releases"].as_array().expect("releases");
    assert_eq!(releases.len(), stories.len());
    for (release, (version, outcome)) in releases.iter().zip(stories) {
        assert_eq!(
            (&release["version"], &release["outcome"]),
            (&version.into(), &outcome.into()),
            "{report:#}"
        );
        assert_eq!(release["requests_failed_elsewhere"], 0, "{report:#}");
        assert!(release["delta_bytes"].as_u64() < release["full_bytes"].as_u64(), "{report:#}");
    }
    assert_eq!(releases[0]["requests_failed"], 0, "{report:#}");
    assert_eq!(releases[1]["nodes_exposed"], 1, "of three nodes none may lie, so one failure is enough");
    assert!(releases[1]["rollback_seconds"].is_number() && report["leader_failover_seconds"].is_number());
    assert!(report["requests_total"].as_u64() > Some(0) && report["agent_rss_bytes_max"].as_u64() > Some(0));
    let left: Vec<_> = std::fs::read_dir(place.path()).expect("the directory").collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!is_named_by_a_process(place.path()), "a process of the demo runs on");
}

/// Whether any process was started with this path in its arguments, as agents are with their configuration.
fn is_named_by_a_process(path: &Path) -> bool {
    let path = path.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|words| String::from_utf8_lossy(&words).contains(&path))
}

#[test]
fn what_cannot_be_shown_is_refused_before_anything_is_made() {
    let place = tempfile::tempdir().expect("a directory");
    let deep = place.path().join("d".repeat(100)).display().to_string();
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--nodes", "0"], 2, "0"),
        (&["--keep", "/"], 2, "exists"),
        (&["--keep", &deep], 2, "shorter"),
        (&["--old", "/nowhere", "--new", "/tmp", "--trial", "true"], 4, "/nowhere"),
    ];
    for (arguments, code, word) in cases {
        let output = demo(place.path(), arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
        assert!(words.contains(word), "{arguments:?}: {words}");
        assert_eq!(std::fs::read_dir(place.path()).expect("the directory").count(), 0);
    }
}
