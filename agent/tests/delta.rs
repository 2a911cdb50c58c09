//! `swell delta` as people use it: the real binary, real files, and every bad input a clear sentence with its exit
//! code and nothing left behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const USAGE: i32 = 2;
const BAD_INPUT: i32 = 3;
const NOT_FOUND: i32 = 4;

/// A directory to work in, removed with the test.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// With `old` and `new`, two files that are much alike.
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("temp dir") };
        let old: Vec<u8> =
            (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let mut new = old[70_000..].to_vec();
        new[5..20].fill(7);
        new.extend_from_slice(&old[..60_000]);
        place.write("old", &old);
        place.write("new", &new);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(path, bytes).expect("write");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("read")
    }

    fn swell(&self, words: &str) -> Output {
        self.swell_with(words, |_| {})
    }

    fn swell_with(&self, words: &str, change: impl FnOnce(&mut Command)) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swell"));
        command.arg("delta").args(words.split_whitespace()).current_dir(self.dir.path());
        change(&mut command);
        command.output().expect("swell runs")
    }

    /// Runs a command that must succeed, and gives what it says.
    fn says(&self, words: &str) -> String {
        let output = self.swell(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.says(&format!("{words} --json"))).expect("JSON")
    }

    /// Runs a command that must fail clearly and leave everything as it is.
    fn fails(&self, words: &str, code: i32) -> String {
        let before = self.names();
        let output = self.swell(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words}: {said}");
        assert!(said.starts_with("error: ") && said.contains("\n  hint: "), "{words}: {said}");
        assert!(output.stdout.is_empty(), "{words} answered although it failed");
        assert_eq!(self.names(), before, "{words} left something behind");
        said
    }

    fn names(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut left = vec![self.dir.path().to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).expect("list") {
                let path = entry.expect("entry").path();
                if path.is_dir() && !path.is_symlink() {
                    left.push(path.clone());
                }
                found.push(path);
            }
        }
        found.sort();
        found
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

#[test]
fn a_file_comes_back_as_it_was() {
    let place = Place::new();
    fs::set_permissions(place.path("old"), Permissions::from_mode(0o755)).expect("chmod");
    let made = place.json("diff old new");
    assert_eq!((&made["delta"], &made["new_bytes"]), (&"new.delta".into(), &190_000.into()));
    let bytes = made["delta_bytes"].as_u64().expect("a size");
    assert!(bytes < 2_000 && bytes == place.read("new.delta").len() as u64, "{bytes}");

    fs::rename(place.path("new"), place.path("wanted")).expect("rename");
    let applied = place.json("apply old new.delta");
    assert_eq!((&applied["new"], &applied["new_bytes"]), (&"new".into(), &190_000.into()));
    assert_eq!(place.read("new"), place.read("wanted"));
    assert_eq!(mode(&place.path("new")), 0o755, "what could be run still can");

    let said = place.says("diff old new -o other.delta --fast --threads 1");
    assert!(said.contains("200 kB to 190 kB in ") && said.contains("next: swell delta apply"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colour into a pipe");
    assert_eq!(place.says("apply old other.delta -o fourth --quiet"), "");
    assert_eq!(place.read("fourth"), place.read("wanted"));
}

#[test]
fn a_directory_comes_back_as_it_was() {
    let place = Place::new();
    let (old, new) = (place.read("old"), place.read("new"));
    place.write("one/bin/server", &old);
    place.write("one/readme", b"one");
    place.write("two/bin/server", &new);
    place.write("two/sub/readme", b"two");
    fs::set_permissions(place.path("two/bin/server"), Permissions::from_mode(0o755)).expect("chmod");
    symlink("bin/server", place.path("two/run")).expect("link");
    fs::create_dir(place.path("two/empty")).expect("mkdir");

    let made = place.json("diff one two -o d");
    assert!(made["delta_bytes"].as_u64().expect("a size") < 3_000, "{made}");
    place.says("apply one d -o three");
    assert_eq!(place.read("three/bin/server"), new);
    assert_eq!(place.read("three/sub/readme"), b"two");
    assert_eq!(mode(&place.path("three/bin/server")), 0o755);
    assert_eq!(fs::read_link(place.path("three/run")).expect("a link"), Path::new("bin/server"));
    assert!(place.path("three/empty").is_dir() && !place.path("three/readme").exists());

    let said = place.fails("apply one d -o three", USAGE);
    assert!(said.contains("never overwritten"), "{said}");
    place.fails("apply old d -o four", BAD_INPUT);
    place.fails("apply two d -o four", BAD_INPUT);
    place.write("one/readme", b"changed");
    let said = place.fails("apply one d -o four", BAD_INPUT);
    assert!(said.contains("is not what it was made from"), "{said}");
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let place = Place::new();
    place.says("diff old new -o d");
    let delta = place.read("d");
    let said = place.fails("diff old new -o d", USAGE);
    assert!(said.contains("--force"), "{said}");
    place.fails("apply old d -o new", USAGE);
    place.fails("diff old new -o .", USAGE);
    place.says("diff new old -o d --force");
    assert_ne!(place.read("d"), delta);
    place.says("apply new d -o new --force");
    assert_eq!(place.read("new"), place.read("old"), "even over what it is made from");
}

#[test]
fn bad_deltas_are_refused_in_clear_words() {
    let place = Place::new();
    place.says("diff old new -o d");
    let good = place.read("d");
    let mut other_version = good.clone();
    other_version[4] = 99;
    let mut flipped = good.clone();
    let last = flipped.len() - 20;
    flipped[last] ^= 1;
    for (bytes, words) in [
        (Vec::new(), "not a delta"),
        (b"something else".to_vec(), "not a delta"),
        (good[..good.len() / 2].to_vec(), "ends too early"),
        (good[..20].to_vec(), "ends too early"),
        (other_version, "format 99"),
        ([&good[..], b"more"].concat(), "bytes follow"),
        (flipped, ""),
    ] {
        place.write("bad", &bytes);
        let said = place.fails("apply old bad -o made", BAD_INPUT);
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = place.fails("apply new d -o made", BAD_INPUT);
    assert!(said.contains("new is not what it was made from"), "{said}");
    place.fails("apply nowhere d -o made", NOT_FOUND);
    place.fails("apply old nowhere -o made", NOT_FOUND);
    place.fails("apply old d -o nowhere/made", NOT_FOUND);
    place.fails("apply old d", USAGE);
    place.fails("diff old nowhere", NOT_FOUND);
    place.fails("diff old . -o e", USAGE);
}

/// Streams and framing together are the delta.
#[track_caller]
fn assert_every_byte_is_accounted_for(found: &Value) {
    let packed: u64 = found["streams"]
        .as_array()
        .expect("streams")
        .iter()
        .filter_map(|it| it["packed_bytes"].as_u64())
        .sum();
    assert_eq!(found["delta_bytes"].as_u64(), found["framing_bytes"].as_u64().map(|it| it + packed));
}

#[test]
fn a_delta_is_explained_and_drawn() {
    let place = Place::new();
    place.says("diff old new -o d");
    let found = place.json("inspect d");
    assert_eq!(found["delta_bytes"], place.read("d").len());
    assert_eq!((&found["old_bytes"], &found["new_bytes"]), (&200_000.into(), &190_000.into()));
    assert_every_byte_is_accounted_for(&found);
    assert_eq!(found["map"]["parts"].as_array().map(Vec::len), Some(512));

    let said = place.says("inspect d --old old --svg d.svg");
    assert!(said.contains("STREAM") && said.contains("copied from elsewhere"), "{said}");
    let picture = String::from_utf8(place.read("d.svg")).expect("text");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    place.fails("inspect d --svg d.svg", USAGE);
    place.fails("inspect old", BAD_INPUT);
    place.fails("inspect nowhere", NOT_FOUND);
}

#[test]
fn a_delta_between_directories_is_explained_with_the_old_one() {
    let place = Place::new();
    let (old, new) = (place.read("old"), place.read("new"));
    place.write("before/kept", &old);
    place.write("before/app", &old);
    place.write("after/kept", &old);
    place.write("after/app", &new);
    place.write("after/added", b"something else");
    place.says("diff before after -o d");
    let found = place.json("inspect d --old before");
    assert_eq!(found["subject"]["tree"], serde_json::json!({ "same": 1, "patched": 1, "whole": 1 }));
    assert_eq!(found["delta_bytes"], place.read("d").len());
    assert_eq!(found["new_bytes"], 200_000 + 190_000 + 14);
    assert_every_byte_is_accounted_for(&found);
    assert!(found["map"]["total"]["copied"].as_u64().is_some_and(|bytes| bytes >= 200_000), "{found}");

    let said = place.says("inspect d --old before --svg d.svg");
    assert!(said.contains("1 the same, 1 patched, 1 whole"), "{said}");
    let said = place.fails("inspect d", BAD_INPUT);
    assert!(said.contains("--old"), "{said}");
    place.fails("inspect d --old after", BAD_INPUT);
}

#[test]
fn a_pair_is_measured_and_missing_peers_are_named() {
    let place = Place::new();
    let output = place.swell_with("bench --pair old new --runs 1 --cache cache --json", |command| {
        command.env("PATH", place.path("nothing"));
    });
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["missing"].as_array().map(Vec::len), Some(4));
    assert_eq!(report["missing"][0]["why"], "bsdiff is not installed");
    let pair = &report["pairs"][0];
    assert_eq!((&pair["name"], &pair["kind"]), (&"new".into(), &"other".into()));
    for tool in pair["tools"].as_array().expect("tools") {
        assert!(tool["figures"]["bytes"].as_u64().is_some_and(|bytes| bytes < 2_000), "{tool}");
        assert!(tool["figures"]["apply_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    }
    assert_eq!(fs::read_dir(place.path("cache")).expect("list").count(), 0, "nothing is left");

    place.fails("bench", USAGE);
    place.fails("bench --pair old nowhere", NOT_FOUND);
    place.fails("bench --pair old .", BAD_INPUT);
    let said = place.fails("bench --corpus --only rufff --cache cache", USAGE);
    assert!(said.contains("did you mean `ruff`?"), "{said}");
}

#[test]
fn pairs_of_the_corpus_that_cannot_be_had_are_skipped_with_the_reason() {
    let place = Place::new();
    let output =
        place.swell_with("bench --corpus --only libcrypto,minilm-bf16 --cache cache --json", |command| {
            command.env("PATH", place.path("nothing"));
        });
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let skipped = report["skipped"].as_array().expect("a list");
    assert_eq!(skipped.len(), 2);
    assert_eq!(skipped[0]["why"], "apt-get is not installed");
    assert!(skipped[1]["why"].as_str().is_some_and(|why| why.contains("minilm-bf16.old")), "{skipped:?}");
}
