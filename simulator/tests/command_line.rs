//! The program as a person meets it: what it prints, and its exit codes.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::{KeyPair, PublicKey};
use groundswell_protocol::node::{Config, Entropy, Input, Node, Via};
use groundswell_protocol::recording::format::{append, opening};
use groundswell_protocol::recording::{Block, Closing, Effects, Head};
use groundswell_protocol::time::Time;
use groundswell_protocol::trust::policy::FleetId;

fn swell_sim(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swell-sim")).args(words).output().expect("BUG: the program is built")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_tells_its_story_and_how_to_repeat_it() {
    let run = swell_sim(&["run", "calm-day", "--nodes", "4", "--seed", "3"]);
    let text = said(&run);
    assert_eq!(run.status.code(), Some(0), "{text}");
    assert!(text.contains("2.0.0: done"), "{text}");
    assert!(text.contains("again      swell-sim run calm-day --nodes 4 --seed 3"), "{text}");
}

#[test]
fn a_quiet_run_prints_the_summary_and_json_one_object() {
    let quiet = said(&swell_sim(&["run", "calm-day", "--nodes", "4", "--quiet"]));
    assert!(!quiet.contains("is published"), "{quiet}");
    let json = said(&swell_sim(&["run", "calm-day", "--nodes", "4", "--json"]));
    let object: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(object["ok"], true);
    assert_eq!(object["run"]["again"], "swell-sim run calm-day --nodes 4 --seed 1");
}

#[test]
fn a_blob_spreads_and_what_it_came_to_is_told_in_words_and_as_one_object() {
    let words = ["spread", "--nodes", "6", "--bytes", "1MiB", "--sites", "2"];
    let text = said(&swell_sim(&words));
    assert!(text.contains("of the bound") && text.contains("copies entered each"), "{text}");
    assert!(text.contains("again      swell-sim spread --nodes 6 --bytes 1048576B"), "{text}");
    let json = swell_sim(&[&words[..], &["--json"]].concat());
    let object: serde_json::Value = serde_json::from_str(&said(&json)).expect("one object");
    assert_eq!((json.status.code(), object["ok"].as_bool()), (Some(0), Some(true)));
    assert_eq!(object["outcome"]["entered"].as_array().map(Vec::len), Some(2));
}

#[test]
fn wrong_usage_is_said_before_anything_is_played() {
    for (words, hint) in [
        (vec!["run", "split-brian"], "did you mean `split-brain`?"),
        (vec!["run", "leader-killed", "--nodes", "2"], "did you mean `3`?"),
        (vec!["run", "no-such-file.toml"], "cannot be read"),
        (vec!["run", "calm-day", "--report", "no such folder/page.html"], "folder that exists"),
        (vec!["swarm", "--seeds", "1", "--nodes", "9..4"], "the smaller first"),
        (vec!["swarm", "--seeds", "1", "--from", "not a commit"], "is no commit"),
        (vec!["spread", "--bytes", "20"], "did you mean 20B?"),
        (vec!["spread", "--nodes", "3", "--sites", "4"], "each of a machine at least"),
        (vec!["replay", "no-such-story"], "swell-sim list"),
    ] {
        let refused = swell_sim(&words);
        assert_eq!(refused.status.code(), Some(2), "{words:?}");
        assert!(complained(&refused).contains(hint), "{words:?}: {}", complained(&refused));
        assert_eq!(said(&refused), "", "{words:?} played nothing");
    }
}

#[test]
fn a_swarm_starts_at_a_commit_and_its_seeds_can_be_replayed() {
    let commit = "00000000002aaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let swarm = swell_sim(&["swarm", "--seeds", "2", "--from", commit, "--nodes", "4..5", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&said(&swarm)).expect("one object");
    assert_eq!((object["first"].as_u64(), object["played"].as_u64()), (Some(0x2a), Some(2)));
    let replay = said(&swell_sim(&["replay", "42", "--nodes", "4..5", "--quiet"]));
    assert!(replay.contains("again      swell-sim replay 42 --nodes 4..5"), "{replay}");
}

#[test]
fn a_seeds_story_can_be_kept_as_a_file() {
    let text = said(&swell_sim(&["replay", "5", "--toml"]));
    assert!(text.contains("seed = 5") && text.contains("[[release]]"), "{text}");
}

#[test]
fn a_failing_story_is_shrunk_into_a_file_that_fails_alike() {
    let folder = std::env::temp_dir().join(format!("swell-sim-shrink-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("BUG: the temporary folder can be written");
    let (story, small) = (folder.join("impossible.toml"), folder.join("small.toml"));
    let text = said(&swell_sim(&["replay", "2", "--nodes", "4..4", "--toml"]));
    let impossible = text.replace("goal = { completes", "goal = { stops");
    assert_ne!(text, impossible, "seed 2 has a good release");
    std::fs::write(&story, impossible).expect("BUG: the temporary folder can be written");
    let [story, out] = [&story, &small].map(|path| path.display().to_string());
    let shrink = swell_sim(&["shrink", &story, "--out", &out, "--budget", "60s"]);
    assert_eq!(shrink.status.code(), Some(0), "{}", complained(&shrink));
    let replay = swell_sim(&["replay", &out, "--quiet"]);
    assert_eq!(replay.status.code(), Some(3), "{}", said(&replay));
    assert!(std::fs::read_to_string(&small).expect("it is there").contains("nodes = 1\n"));
    assert!(
        std::fs::read_to_string(small.with_extension("log"))
            .expect("it is there")
            .contains("The smallest story")
    );
    assert_eq!(swell_sim(&["shrink", "1", "--out", &out]).status.code(), Some(2), "nothing to shrink");
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_plan_is_tried_on_a_fleet() {
    let folder = std::env::temp_dir().join(format!("swell-sim-what-if-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("BUG: the temporary folder can be written");
    let node = r#"{ "zone": "z", "ring": "r", "class": "c", "elector": true }"#;
    let roster = format!(r#"{{ "nodes": [{node}, {node}, {node}, {node}] }}"#);
    let plan = "ladder = [{ nodes = 1 }]\ntrial_s = 4\nbake_s = 2\nhold_s = 60\n";
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("BUG: the temporary folder can be written");
        path.display().to_string()
    };
    let (roster, plan) = (put("roster.json", &roster), put("plan.toml", plan));
    let asked = swell_sim(&["what-if", "--plan", &plan, "--fleet", &roster, "--seeds", "1", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&said(&asked)).expect("one object");
    assert_eq!(asked.status.code(), Some(0), "{object}");
    assert_eq!((object["nodes"].as_u64(), object["answers"][0]["completed"].as_u64()), (Some(4), Some(1)));
    let wrong = put("wrong.toml", "ladder = [{ nodes = 1 }]\ntrials_s = 4\n");
    let refused = swell_sim(&["what-if", "--plan", &wrong, "--fleet", &roster]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(complained(&refused).contains("wrong.toml:2:1: `trials_s`"), "{}", complained(&refused));
    assert!(complained(&refused).contains("did you mean `trial_s`?"), "{}", complained(&refused));
    let _ = std::fs::remove_dir_all(&folder);
}

/// What an agent would have recorded that heard rubbish twice, where its second answer is left out on demand.
fn recording(forgets: bool) -> Vec<u8> {
    let (key, fleet) = (KeyPair::from_seed(&[3; 32]), FleetId(Digest([1; 32])));
    let head = Head {
        fleet,
        node: key.public(),
        components: Vec::new(),
        program: "0.0.0".to_owned(),
        origin_unix_ms: 1,
        entropy: [7; 32],
        restored: Vec::new(),
    };
    let config = Config { fleet, key, components: BTreeSet::new() };
    let mut node = Node::new(config, Vec::new(), Entropy([7; 32]));
    let mut bytes = opening(head);
    for second in 1..=2 {
        let now = Time(second * 1_000);
        let input = Input::Received { from: PublicKey([9; 32]), via: Via::Direct, frame: b"rubbish" };
        let mut effects = Effects::default();
        append(&mut bytes, &Block::Input { now, input: input.clone() });
        node.handle(now, input, &mut effects);
        if forgets && second == 2 {
            effects.list.clear();
        }
        append(&mut bytes, &Block::Effects(effects));
    }
    append(&mut bytes, &Block::Closing(Closing::Ended));
    bytes
}

#[test]
fn a_recording_is_played_again_and_a_difference_is_named() {
    let folder = std::env::temp_dir().join(format!("swell-sim-recording-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("BUG: the temporary folder can be written");
    let path = folder.join("one.rec");
    let replay = |bytes: &[u8], words: &[&str]| {
        std::fs::write(&path, bytes).expect("BUG: the temporary folder can be written");
        let name = path.display().to_string();
        swell_sim(&[&["replay", name.as_str()], words].concat())
    };
    let same = replay(&recording(false), &["--inputs"]);
    let text = said(&same);
    assert_eq!(same.status.code(), Some(0), "{text}");
    assert!(text.contains("is sent by 09090909") && text.contains("2 inputs, 2 effects"), "{text}");

    let differs = replay(&recording(true), &["--json"]);
    assert_eq!(differs.status.code(), Some(5));
    let object: serde_json::Value = serde_json::from_str(&said(&differs)).expect("one object");
    assert_eq!((object["ok"].as_bool(), object["difference"]["input"].as_u64()), (Some(false), Some(2)));
    assert_eq!(object["difference"]["recorded"], "nothing more");

    let torn = said(&replay(&recording(false)[..300], &[]));
    assert!(torn.contains("torn or damaged") || torn.contains("breaks off"), "{torn}");
    let other = replay(b"swell-rec\x09", &[]);
    assert_eq!(other.status.code(), Some(2));
    assert!(complained(&other).contains("format 9"), "{}", complained(&other));
    std::fs::remove_dir_all(&folder).expect("BUG: the temporary folder can be written");
}
