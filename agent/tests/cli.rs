//! The command line as people use it offline: the real binary, real files, and every bad input a clear
//! sentence with its exit code.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const BAD_INPUT: i32 = 3;
const NOT_FOUND: i32 = 4;
const UNREACHABLE: i32 = 5;
const REFUSED: i32 = 6;
const USAGE: i32 = 2;

/// A directory to work in, removed with the test.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temp dir") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn swell(&self, words: &str) -> Output {
        self.swell_words(&words.split_whitespace().collect::<Vec<_>>())
    }

    fn swell_words(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_swell"))
            .args(words)
            .current_dir(self.dir.path())
            .env_remove("SWELL_SOCKET")
            .output()
            .expect("swell runs")
    }

    /// Runs a command that must succeed, and gives its JSON.
    fn json(&self, words: &str) -> Value {
        let output = self.swell(&format!("{words} --json"));
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Runs a command that must fail, and gives what it says.
    fn fails(&self, words: &str, code: i32) -> String {
        let before = self.listing();
        let output = self.swell(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words}: {said}");
        assert!(output.stdout.is_empty(), "{words} answered although it failed");
        assert!(!said.contains("panicked"), "{words}: {said}");
        assert_eq!(self.listing(), before, "{words} left something behind");
        said
    }

    /// As [`Self::fails`], for failures that are told as what, why and what to do.
    fn fails_clearly(&self, words: &str, code: i32) -> String {
        let said = self.fails(words, code);
        assert!(said.starts_with("error: ") && said.contains("\n  hint: "), "{words}: {said}");
        said
    }

    /// Every path below the bench, with its bytes.
    fn listing(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        let mut left = vec![self.dir.path().to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).expect("list") {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    left.push(path.clone());
                    found.push((path, None));
                } else {
                    let bytes = fs::read(&path).ok();
                    found.push((path, bytes));
                }
            }
        }
        found.sort();
        found
    }

    fn tree(&self, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.join("bin")).expect("mkdir");
        let mut bytes: Vec<u8> =
            (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        bytes[5..5 + name.len()].copy_from_slice(name.as_bytes());
        fs::write(path.join("bin/server"), bytes).expect("write");
    }

    /// A fleet with one enrolled node, and the trees of two versions.
    fn ready() -> Self {
        let bench = Self::new();
        bench.json("fleet init --name shop");
        let node = bench.json("identity --data node");
        bench.json(&format!("fleet enrol {} --zone rack-7", text(&node["node"])));
        bench.tree("one");
        bench.tree("two");
        bench
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).expect("write");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("chmod");
}

#[test]
fn from_a_founded_fleet_to_a_signed_release() {
    let bench = Bench::ready();
    let shown = bench.json("fleet show");
    assert_eq!((&shown["name"], &shown["policy"], &shown["census"]), (&"shop".into(), &1.into(), &1.into()));
    assert_eq!(shown["nodes"][0]["zone"], "rack-7");
    assert_eq!(
        fs::metadata(bench.path("fleet/keys/root.key")).expect("key").permissions().mode() & 0o777,
        0o600
    );

    bench.json("release build --component web --release-version 1.0.0 --tree one");
    let built = bench.json(
        "release build --component web --release-version 1.1.0 --tree two --from web-1.0.0.release --note fix",
    );
    assert_eq!(built["sequence"], 2);
    let delta = built["deltas"][0]["bytes"].as_u64().expect("a delta");
    assert!(delta < built["full_bytes"].as_u64().expect("bytes") / 10, "{delta} bytes");

    let before = bench.json("release show web-1.1.0.release");
    assert_eq!(before["signatures"]["valid"], Value::Array(Vec::new()));
    let signed = bench.json("release sign web-1.1.0.release --key fleet/keys/release.key");
    assert_eq!((&signed["enough"], &signed["review"]["members"]), (&true.into(), &1.into()));
    let after = bench.json("release show web-1.1.0.release");
    assert_eq!(after["signatures"]["valid"].as_array().map(Vec::len), Some(1));
    assert_eq!(after["rollout"], built["rollout"], "signing does not change what is signed");

    let human = bench.swell("release show web-1.1.0.release");
    let human = String::from_utf8(human.stdout).expect("text");
    for words in
        ["web 1.1.0, sequence 2", "note      fix", "1 of 1 release keys", "version 1: 1 node, 1 elector;"]
    {
        assert!(human.contains(words), "{words:?} is missing in:\n{human}");
    }
    assert!(!human.contains('\u{1b}'), "no colour into a pipe");
}

#[test]
fn several_signers_sign_one_after_the_other() {
    let bench = Bench::new();
    bench.json("fleet init --name shop --threshold release=2 --keys release=3");
    let node = text(&bench.json("identity --data node")["peer"]);
    bench.json(&format!("fleet enrol {node}"));
    bench.tree("one");
    bench.json("release build --component web --release-version 1.0.0 --tree one");
    let first = bench.json("release sign web-1.0.0.release --key fleet/keys/release.key");
    assert_eq!(first["enough"], false);
    let said = bench.fails_clearly("release publish web-1.0.0.release --socket nowhere.sock", UNREACHABLE);
    assert!(said.contains("nowhere.sock"), "{said}");
    let second = bench.json("release sign web-1.0.0.release --key fleet/keys/release-3.key");
    assert_eq!(second["enough"], true);
}

#[test]
fn nodes_come_move_and_go() {
    let bench = Bench::ready();
    let node = text(&bench.json("identity --data node")["node"]);
    let other = text(&bench.json("identity --data other")["node"]);
    let same = bench.json(&format!("fleet enrol {node}"));
    assert_eq!((&same["census"], &same["changed"]), (&1.into(), &0.into()), "what is not said stays");
    let moved = bench.json(&format!("fleet enrol {node} {other} --ring test --no-elector"));
    assert_eq!((&moved["census"], &moved["added"], &moved["changed"]), (&2.into(), &1.into(), &1.into()));
    let shown = bench.json("fleet show");
    let moved = shown["nodes"].as_array().expect("nodes").iter().find(|it| it["node"] == node.as_str());
    assert_eq!(moved.expect("enrolled")["zone"], "rack-7");
    let gone = bench.json(&format!("fleet retire {node}"));
    assert_eq!((&gone["nodes"], &gone["removed"]), (&1.into(), &1.into()));
    let said = bench.fails_clearly(&format!("fleet retire {other}"), REFUSED);
    assert!(said.contains("nobody would be left"), "{said}");
    bench.fails_clearly(&format!("fleet retire {node}"), NOT_FOUND);
}

#[test]
fn a_policy_rotates_under_the_root_keys() {
    let bench = Bench::ready();
    let old = text(&bench.json("fleet show")["roles"][1]["keys"][0]);
    let rotated = bench.json(&format!("fleet rotate --new release --remove release={old}"));
    assert_eq!(rotated["policy"], 2);
    bench.json("release build --component web --release-version 1.0.0 --tree one");
    let said = bench.fails_clearly("release sign web-1.0.0.release --key fleet/keys/release.key", BAD_INPUT);
    assert!(said.contains("in no role"), "{said}");
    bench.json("release sign web-1.0.0.release --key fleet/keys/release-2.key");

    fs::rename(bench.path("fleet/keys/root.key"), bench.path("root.key")).expect("offline");
    let said = bench.fails_clearly("fleet rotate --new operator", REFUSED);
    assert!(said.contains("root keys"), "{said}");
    bench.json("fleet rotate --new operator --key root.key");
}

#[test]
fn what_exists_is_not_overwritten() {
    let bench = Bench::ready();
    bench.fails_clearly("fleet init --name again", USAGE);
    bench.json("release build --component web --release-version 1.0.0 --tree one");
    let said = bench.fails_clearly("release build --component web --release-version 1.0.0 --tree two", USAGE);
    assert!(said.contains("never overwritten"), "{said}");
    let first = bench.json("identity --data node");
    assert_eq!(
        (&first["made"], bench.json("identity --data node")["node"].as_str()),
        (&false.into(), first["node"].as_str())
    );
}

#[test]
fn wrong_command_lines_are_usage() {
    let bench = Bench::ready();
    for words in [
        "",
        "nonsense",
        "fleet init",
        "fleet init --name x --threshold relase=2",
        "fleet enrol",
        "fleet enrol xyz",
        "release build --component Web --release-version 1 --tree one",
        "release build --component web --release-version 1 --tree one --kind servce",
        "release sign web.release",
        "demo --nodes 0",
        "demo --old one",
    ] {
        bench.fails(words, USAGE);
    }
    let two_words = ["release", "build", "--component", "web", "--release-version", "1 0", "--tree", "one"];
    assert_eq!(bench.swell_words(&two_words).status.code(), Some(USAGE));
    let said = bench.fails("fleet init --name x --threshold relase=2", USAGE);
    assert!(said.contains("did you mean `release`?"), "{said}");
}

#[test]
fn missing_things_are_named() {
    let bench = Bench::ready();
    for words in [
        "fleet show --dir nowhere",
        "fleet enrol 00 --dir nowhere",
        "release build --component web --release-version 1 --tree nowhere",
        "release build --component web --release-version 1 --tree one --from nowhere",
        "release build --component web --release-version 1 --tree one --plan nowhere.toml",
        "release build --component web --release-version 1 --tree one --dir nowhere",
        "release show nowhere",
        "release sign nowhere --key fleet/keys/release.key",
        "release publish nowhere",
        "agent --config nowhere.toml",
    ] {
        if words.contains("enrol 00") {
            bench.fails_clearly(&words.replace("00", &"00".repeat(32)), NOT_FOUND);
        } else {
            bench.fails_clearly(words, NOT_FOUND);
        }
    }
    for words in ["status", "rollout list", "rollout explain", "rollout abort --yes"] {
        let said = bench.fails_clearly(&format!("{words} --socket gone.sock"), UNREACHABLE);
        assert!(said.contains("gone.sock"), "{said}");
    }
}

#[test]
fn hostile_files_are_refused_and_change_nothing() {
    let bench = Bench::ready();
    bench.json("release build --component web --release-version 1.0.0 --tree one");
    let sign = "release sign web-1.0.0.release --key fleet/keys/release.key";

    let manifest = bench.path("web-1.0.0.release/manifest");
    let good = fs::read(&manifest).expect("read");
    for bytes in [Vec::new(), good[..good.len() / 2].to_vec(), vec![0xff; good.len()], vec![0; 1 << 20]] {
        write(&manifest, &bytes);
        bench.fails_clearly(sign, BAD_INPUT);
        bench.fails_clearly("release publish web-1.0.0.release", BAD_INPUT);
    }
    write(&manifest, &good);

    let bundle = bench.path("fleet/fleet.bundle");
    let good = fs::read(&bundle).expect("read");
    for bytes in [Vec::new(), good[..good.len() - 1].to_vec(), b"GSWBUNDLE1\n".to_vec(), vec![b'G'; 9 << 20]]
    {
        write(&bundle, &bytes);
        bench.fails_clearly("fleet show", BAD_INPUT);
        bench.fails_clearly(sign, BAD_INPUT);
    }
    write(&bundle, &good);

    write(&bench.path("plan.toml"), "bakes = 3");
    let said = bench.fails_clearly(
        "release build --component web --release-version 2 --tree two --plan plan.toml",
        BAD_INPUT,
    );
    assert!(said.contains("did you mean `bake_s`?"), "{said}");

    let pipe = bench.path("two/pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let output = bench.swell("release build --component web --release-version 2 --tree two");
    assert_eq!(output.status.code(), Some(BAD_INPUT), "a pipe in the tree");
    fs::remove_file(&pipe).expect("remove");

    let census = bench.path("web-1.0.0.release/census");
    write(&census, b"other");
    fs::remove_file(bench.path("web-1.0.0.release/blobs").join(index_of(&bench))).expect("remove");
    bench.fails_clearly(sign, NOT_FOUND);
}

/// The name of the first release's index.
fn index_of(bench: &Bench) -> String {
    text(&bench.json("release show web-1.0.0.release")["manifest"]["tree"])
}

#[test]
fn wrong_keys_are_told_what_is_wrong_with_them() {
    let bench = Bench::ready();
    bench.json("release build --component web --release-version 1.0.0 --tree one");
    let sign = |key: &str| format!("release sign web-1.0.0.release --key {key}");
    let said = bench.fails_clearly(&sign("fleet/keys/operator.key"), BAD_INPUT);
    assert!(said.contains("a key of the role operator"), "{said}");

    let key = bench.path("fleet/keys/release.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("chmod");
    let said = bench.fails_clearly(&sign("fleet/keys/release.key"), BAD_INPUT);
    assert!(said.contains("chmod 600"), "{said}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("chmod");

    let good = fs::read_to_string(&key).expect("read");
    for (text, words) in [("", "begin"), (&good[..50], "64"), (&good.replace("key 1", "key 9"), "newer")] {
        write(&bench.path("bad.key"), text);
        let said = bench.fails_clearly(&sign("bad.key"), BAD_INPUT);
        assert!(said.contains(words), "{said}");
    }
    bench.fails_clearly(&sign("fleet/keys"), BAD_INPUT);
    let node = "00".repeat(32);
    let said = bench.fails_clearly(&format!("fleet enrol {node} --key fleet/keys/release.key"), BAD_INPUT);
    assert!(said.contains("policy 1 names"), "{said}");
}

#[test]
fn releases_of_another_fleet_are_refused() {
    let bench = Bench::ready();
    bench.json("fleet init --name other --dir other");
    bench.json(&format!("fleet enrol {} --dir other", "01".repeat(32)));
    bench.json("release build --component web --release-version 1.0.0 --tree one");
    let from =
        "release build --component web --release-version 2 --tree two --dir other --from web-1.0.0.release";
    assert!(bench.fails_clearly(from, BAD_INPUT).contains("belongs to fleet"));
    let sign = "release sign web-1.0.0.release --key other/keys/release.key --dir other";
    assert!(bench.fails_clearly(sign, BAD_INPUT).contains("belongs to fleet"));
    let lower =
        "release build --component web --release-version 2 --tree two --from web-1.0.0.release --sequence 1";
    assert!(bench.fails_clearly(lower, REFUSED).contains("never go back"));
}

#[test]
fn failures_are_json_on_demand() {
    let bench = Bench::new();
    let output = bench.swell("status --socket gone.sock --json");
    assert_eq!(output.status.code(), Some(UNREACHABLE));
    let error: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(error["error"]["code"], UNREACHABLE);
    for field in ["what", "why", "todo"] {
        assert!(error["error"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
}

#[test]
fn the_default_plan_is_printed_and_checked() {
    let bench = Bench::new();
    let printed = bench.swell("release plan");
    write(&bench.path("plan.toml"), printed.stdout);
    let checked = bench.json("release plan --check plan.toml --members 40");
    assert_eq!(checked["targets"], serde_json::json!([1, 4, 16, 20, 40]));
}
