use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn put(key: &str, value: &str) -> Write {
    Write { key: key.into(), value: Some(value.into()) }
}

fn delete(key: &str) -> Write {
    Write { key: key.into(), value: None }
}

fn texts(journal: &Journal) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    journal.read_all().unwrap().into_iter().map(|(key, value)| (text(key), text(value))).collect()
}

fn room() -> (TempDir, PathBuf) {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("journal");
    (room, path)
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let (_room, path) = room();
    let journal = Journal::open(&path).unwrap();
    journal.commit(&[put("b", "1"), put("a", "2"), put("c", "3")]).unwrap();
    journal.commit(&[delete("c"), put("b", "4"), delete("never there")]).unwrap();
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert_eq!(texts(&journal), [("a".into(), "2".into()), ("b".into(), "4".into())]);
}

#[test]
fn records_beyond_their_bounds_are_refused_and_nothing_is_written() {
    let (_room, path) = room();
    let journal = Journal::open(&path).unwrap();
    for (key, value) in [(KEY_BYTES_MAX + 1, 0), (1, VALUE_BYTES_MAX + 1)] {
        let large = Write { key: vec![7; key], value: Some(vec![7; value]) };
        let error = journal.commit(&[put("small", ""), large]).unwrap_err();
        assert!(matches!(error, JournalError::TooLarge { .. }), "{error}");
    }
    assert_eq!(texts(&journal), []);
    let largest = Write { key: vec![7; KEY_BYTES_MAX], value: Some(vec![7; VALUE_BYTES_MAX]) };
    journal.commit(std::slice::from_ref(&largest)).unwrap();
    assert_eq!(journal.read_all().unwrap(), [(largest.key, largest.value.unwrap())]);
}

#[test]
fn a_journal_in_use_says_so() {
    let (_room, path) = room();
    let _journal = Journal::open(&path).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
}

#[test]
fn a_newer_or_foreign_journal_is_refused_and_left_as_it_is() {
    let (_room, path) = room();
    drop(Journal::open(&path).unwrap());
    let of_this_format = fs::read(&path).unwrap();
    let rewrite = |change: fn(&redb::WriteTransaction)| {
        fs::write(&path, &of_this_format).unwrap();
        let database = builder().open(&path).unwrap();
        let writing = database.begin_write().unwrap();
        change(&writing);
        writing.commit().unwrap();
        drop(database);
        let before = fs::read(&path).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(fs::read(&path).unwrap() == before, "opening changed the file");
        error
    };
    let newer = rewrite(|writing| {
        writing.open_table(ABOUT).unwrap().insert(FORMAT_KEY, FORMAT + 1).unwrap();
    });
    assert!(matches!(newer, JournalError::Newer { found: 2, known: 1, .. }), "{newer}");
    let foreign = rewrite(|writing| {
        writing.delete_table(ABOUT).unwrap();
    });
    assert!(matches!(foreign, JournalError::Damaged { .. }), "{foreign}");
}

#[test]
fn an_interrupted_creation_leaves_no_journal_or_a_whole_one() {
    let (_room, path) = room();
    fs::write(path.with_extension("new"), b"half of something").unwrap();
    let journal = Journal::open(&path).unwrap();
    assert_eq!(texts(&journal), []);
    assert!(!path.with_extension("new").exists());
}

#[test]
fn a_missing_directory_is_named() {
    let (_room, path) = room();
    let error = Journal::open(&path.join("deeper")).unwrap_err().to_string();
    assert!(error.contains("deeper"), "{error}");
}

/// A journal with enough in it that damage anywhere may hit something.
fn filled() -> &'static [u8] {
    static FILLED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FILLED.get_or_init(|| {
        let (_room, path) = room();
        let journal = Journal::open(&path).unwrap();
        for round in 0..20 {
            let batch: Vec<Write> =
                (0..20).map(|n| put(&format!("{round}/{n}"), &"value ".repeat(n * round))).collect();
            journal.commit(&batch).unwrap();
        }
        drop(journal);
        fs::read(&path).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damage_is_refused_or_harmless_and_never_changes_a_record(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 1_u8..), 0..8),
        in_header in proptest::collection::vec((0_usize..512, 1_u8..), 0..3),
        cut in proptest::option::weighted(0.3, any::<proptest::sample::Index>()),
    ) {
        let (_room, path) = room();
        let mut bytes = filled().to_vec();
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        for (at, flip) in in_header {
            bytes[at] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&path, &bytes).unwrap();
        match Journal::open(&path) {
            Err(error) => {
                prop_assert!(matches!(error, JournalError::Damaged { .. }), "{}", error);
                prop_assert!(fs::read(&path).unwrap() == bytes, "the damaged file was changed: {}", error);
            }
            Ok(journal) => if let Ok(records) = journal.read_all() {
                prop_assert_eq!(records.len(), 400);
                for (key, value) in records {
                    let key = String::from_utf8(key).unwrap();
                    let (round, n) = key.split_once('/').unwrap();
                    let (round, n): (usize, usize) = (round.parse().unwrap(), n.parse().unwrap());
                    prop_assert_eq!(value, "value ".repeat(n * round).into_bytes());
                }
            }
        }
    }
}

/// Where a journal is kept, in a process that a test started: see [`child`].
const ROOM: &str = "JOURNAL_ROOM";

/// This test once more, in a process of its own that can be killed, or run out of disk: there [`room_of_child`] is set.
fn child(name: &str, room: &Path, file_blocks_max: Option<u32>) -> Child {
    // The shell's children inherit that it ignores the signal, so that they see the error instead.
    let limit = file_blocks_max.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    Command::new("sh")
        .arg("-c")
        .arg(format!("{limit}exec \"$0\" --exact store::journal::tests::{name} --nocapture"))
        .arg(std::env::current_exe().unwrap())
        .env(ROOM, room)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The journal's place, in a child.
fn room_of_child() -> Option<PathBuf> {
    std::env::var_os(ROOM).map(|room| PathBuf::from(room).join("journal"))
}

/// The lines that a child prints, as far as they are its own.
fn said_by(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("said ").map(str::to_owned))
}

fn commit_until_killed(path: &Path) {
    let journal = Journal::open(path).unwrap();
    let last = texts(&journal).last().map_or(0, |(_, value)| value.parse::<u64>().unwrap());
    for round in last + 1.. {
        let batch: Vec<Write> = (0..8).map(|n| put(&format!("key {n}"), &round.to_string())).collect();
        journal.commit(&batch).unwrap();
        writeln!(io::stdout().lock(), "said {round}").unwrap();
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_and_batches_are_whole() {
    if let Some(path) = room_of_child() {
        return commit_until_killed(&path);
    }
    let (room, path) = room();
    let mut acknowledged = 0;
    for kill in 0..6 {
        let mut running =
            child("what_was_acknowledged_before_a_kill_is_there_and_batches_are_whole", room.path(), None);
        let mut said = said_by(&mut running);
        for _ in 0..=kill * 3 {
            acknowledged = said.next().expect("the child goes on").parse::<u64>().unwrap();
        }
        running.kill().unwrap();
        assert_eq!(running.wait().unwrap().signal(), Some(9));
        acknowledged = said.last().map_or(acknowledged, |last| last.parse().unwrap());

        let journal = Journal::open(&path).unwrap();
        let records = texts(&journal);
        assert_eq!(records.len(), 8);
        let round: u64 = records[0].1.parse().unwrap();
        assert!(records.iter().all(|(_, value)| *value == records[0].1), "a batch was torn: {records:?}");
        assert!((acknowledged..=acknowledged + 1).contains(&round), "{acknowledged} was lost: {round}");
    }
}

fn run_to_end<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn write_on_a_full_disk(path: &Path) {
    let journal = Journal::open(path).unwrap();
    journal.commit(&[put("small", "kept")]).unwrap();
    let large = Write { key: b"large".to_vec(), value: Some(vec![7; VALUE_BYTES_MAX]) };
    for _ in 0..2 {
        let error = journal.commit(&[put("lost", ""), large.clone()]).unwrap_err();
        assert!(matches!(error, JournalError::DiskFull { .. }), "{error:?}");
    }
    journal.commit(&[put("later", "kept")]).unwrap();
    assert_eq!(texts(&journal), [("later".into(), "kept".into()), ("small".into(), "kept".into())]);

    let (writer, mut outcomes) = Writer::start(journal).unwrap();
    writer.write(1, vec![large]);
    writer.write(2, vec![put("lost", "")]);
    let outcome = run_to_end(outcomes.next());
    let Some(Outcome::Failed { first: 1, error: JournalError::DiskFull { .. } }) = outcome else {
        panic!("{outcome:?}");
    };
    writer.write(3, vec![put("later", "written")]);
    let outcome = run_to_end(outcomes.next());
    assert!(matches!(outcome, Some(Outcome::Persisted(3))), "{outcome:?}");
    writeln!(io::stdout().lock(), "said done").unwrap();
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged_and_writing_goes_on() {
    if let Some(path) = room_of_child() {
        return write_on_a_full_disk(&path);
    }
    let (room, path) = room();
    let mut running = child(
        "a_full_disk_loses_nothing_that_was_acknowledged_and_writing_goes_on",
        room.path(),
        Some(6 << 10),
    );
    assert_eq!(said_by(&mut running).last().as_deref(), Some("done"));
    assert!(running.wait().unwrap().success());
    assert_eq!(texts(&Journal::open(&path).unwrap()).len(), 2);
}

#[tokio::test]
async fn writes_queued_together_become_durable_in_fewer_commits_than_batches() {
    let (_room, path) = room();
    let (writer, mut outcomes) = Writer::start(Journal::open(&path).unwrap()).unwrap();
    for id in 1..=1_000 {
        writer.write(id, vec![put(&format!("key {}", id % 100), &id.to_string())]);
    }
    writer.forget(b"key 7".to_vec());
    let (mut reached, mut commits) = (0, 0);
    while reached < 1_000 {
        match outcomes.next().await {
            Some(Outcome::Persisted(id)) => {
                assert!(id > reached, "{id} after {reached}");
                (reached, commits) = (id, commits + 1);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(commits < 100, "{commits} commits");
    drop(writer);
    assert!(outcomes.next().await.is_none());
    let records: BTreeMap<_, _> = texts(&Journal::open(&path).unwrap()).into_iter().collect();
    assert_eq!(records.len(), 99);
    assert_eq!(records["key 99"], "999");
    assert!(!records.contains_key("key 7"));
}

#[tokio::test]
async fn after_a_failure_nothing_is_written_until_it_was_taken() {
    let (_room, path) = room();
    let (writer, mut outcomes) = Writer::start(Journal::open(&path).unwrap()).unwrap();
    writer.write(1, vec![put("a", "1")]);
    assert!(matches!(outcomes.next().await, Some(Outcome::Persisted(1))));
    // Three writes in one batch: the failure is that of the first of them.
    writer
        .write(4, vec![put("a", "2"), put("a", "3"), Write { key: vec![0; KEY_BYTES_MAX + 1], value: None }]);
    writer.write(5, vec![put("a", "5")]);
    writer.forget(b"a".to_vec());
    match outcomes.next().await {
        Some(Outcome::Failed { first: 2, error: JournalError::TooLarge { .. } }) => {}
        other => panic!("{other:?}"),
    }
    // The deletion was not lost, and goes before what is written later.
    writer.write(6, vec![put("b", "6")]);
    assert!(matches!(outcomes.next().await, Some(Outcome::Persisted(6))));
    drop(writer);
    assert_eq!(texts(&Journal::open(&path).unwrap()), [("b".into(), "6".into())]);
}

#[tokio::test]
async fn a_backlog_beyond_the_bound_is_a_failure_of_the_later_writes_alone() {
    let (_room, path) = room();
    let (writer, mut outcomes) = Writer::start(Journal::open(&path).unwrap()).unwrap();
    let batch = || vec![put("key", "value"); QUEUE_RECORDS_MAX / 2 + 1];
    let ids = 1..=40;
    ids.clone().for_each(|id| writer.write(id, batch()));
    let (mut persisted, mut failed) = (0, None);
    while failed.is_none_or(|first| persisted + 1 < first) {
        match outcomes.next().await {
            Some(Outcome::Persisted(to)) => persisted = to,
            Some(Outcome::Failed { first, error: JournalError::Backlog { .. } }) => failed = Some(first),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(failed, Some(persisted + 1));
    assert!((1..40).contains(&persisted), "{persisted}");
}
