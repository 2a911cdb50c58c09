//! A failure at every change of the disk, one after the other, for each thing that can be done.

use std::path::PathBuf;

use tempfile::TempDir;

use super::super::disk::Step;
use super::injection::{Failure, with_failure};
use super::*;

/// Three versions: the first is active and the anchor, the second is staged, the third is not.
struct Story {
    room: TempDir,
    versions: [Version; 3],
    delta: Vec<u8>,
}

impl Story {
    fn new() -> Self {
        // In memory where there is such a place: the order of changes is what counts here, and there are thousands.
        let room = tempfile::tempdir_in("/dev/shm").or_else(|_| tempdir()).unwrap();
        let versions = [1, 2, 3].map(|number| Version::sized(number, 40_000, 20_000));
        let delta = versions[2].delta_from(&versions[0]);
        let story = Self { room, versions, delta };
        story.set_up();
        story
    }

    /// The beginning, whatever happened before.
    fn set_up(&self) {
        let component = open(&self.room);
        for version in &self.versions[..2] {
            version.stage_by_chunks(&component).unwrap();
        }
        component.deactivate().unwrap();
        let _ = fs::remove_file(self.room.path().join("components/web/previous"));
        component.activate(&self.versions[0].digest).unwrap();
        component.set_anchor(&self.versions[0].digest).unwrap();
        component.collect(&[self.versions[1].digest]).unwrap();
    }

    /// Does something with a failure at each change it makes, in turn, and after each looks at the disk as a start would.
    fn fail_everywhere(&self, failure: Failure, act: impl Fn(&Component) -> Result<(), String>) {
        for at in 0.. {
            let component = open(&self.room);
            let (done, _) = with_failure(Some((at, failure)), || act(&component));
            if failure == Failure::Full {
                self.check(&component);
            }
            drop(component);
            self.check(&open(&self.room));
            if done.is_ok() && at > 0 && !self.meets(at, &act) {
                return;
            }
            // What was interrupted can be done.
            act(&open(&self.room)).unwrap();
            self.check(&open(&self.room));
            self.set_up();
        }
    }

    /// Whether the act, from the beginning, makes a change of this number at all.
    fn meets(&self, at: usize, act: &impl Fn(&Component) -> Result<(), String>) -> bool {
        self.set_up();
        let component = open(&self.room);
        let (_, trace) = with_failure(None, || act(&component));
        self.set_up();
        trace.len() > at
    }

    /// What must hold at any time: some good slot is active, and every slot that is seen is whole.
    fn check(&self, component: &Component) {
        let active = component.active().expect("a slot is active");
        assert!(active.tree == self.versions[0].digest || active.tree == self.versions[1].digest);
        assert_eq!(component.anchor().unwrap().tree, self.versions[0].digest);
        for slot in component.slots() {
            let version = self.versions.iter().find(|version| version.digest == slot.tree).unwrap();
            version.assert_in(&slot.path);
        }
    }

    fn both(&self, act: impl Fn(&Component) -> Result<(), String>) {
        self.fail_everywhere(Failure::Crash, &act);
        self.fail_everywhere(Failure::Full, &act);
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[test]
fn staging_by_chunks_may_fail_anywhere() {
    let story = Story::new();
    story.both(|component| story.versions[2].stage_by_chunks(component).map(drop).map_err(text));
}

#[test]
fn staging_by_delta_may_fail_anywhere() {
    let story = Story::new();
    let [one, _, three] = &story.versions;
    story
        .both(|component| three.stage_by_delta(component, &one.digest, &story.delta).map(drop).map_err(text));
}

#[test]
fn a_switch_may_fail_anywhere() {
    let story = Story::new();
    let [one, two, _] = &story.versions;
    story.both(|component| {
        component.activate(&two.digest).map_err(text)?;
        let links = [component.active(), component.previous()].map(|slot| slot.unwrap().tree);
        assert_eq!(links, [two.digest, one.digest]);
        Ok(())
    });
    story.both(|component| {
        component.activate(&two.digest).map_err(text)?;
        let back = component.revert().map_err(text)?;
        assert_eq!(back.tree, one.digest);
        Ok(())
    });
}

#[test]
fn collecting_may_fail_anywhere() {
    let story = Story::new();
    story.both(|component| component.collect(&[]).map(drop).map_err(text));
}

#[test]
fn replacing_a_damaged_slot_may_fail_anywhere() {
    let story = Story::new();
    let one = &story.versions[0];
    story.fail_everywhere(Failure::Crash, |component| {
        let path = component.active().unwrap().path;
        fs::write(path.join("stranger"), "").unwrap();
        assert!(component.verify(&one.digest).is_err());
        let done = one.stage_by_chunks(component).map(drop).map_err(text);
        let _ = fs::remove_file(path.join("stranger"));
        done
    });
}

#[test]
fn opening_may_fail_anywhere() {
    let story = Story::new();
    let slots = story.room.path().join("components/web/slots");
    story.both(|_| {
        fs::create_dir_all(slots.join("staging-0123456789abcdef")).unwrap();
        fs::create_dir_all(slots.join("0123456789abcdef")).unwrap();
        let opened =
            Slots::open(&story.room.path().join("components")).and_then(|slots| slots.component("web"));
        opened.map(|component| story.check(&component)).map_err(text)
    });
}

#[test]
fn everything_is_synced_before_it_is_shown() {
    let story = Story::new();
    let component = open(&story.room);
    let three = &story.versions[2];
    let (staged, trace) = with_failure(None, || three.stage_by_chunks(&component).unwrap());
    let slots = story.room.path().join("components/web/slots");
    let short = &three.digest.to_string()[..16];
    let (staging, index) = (slots.join(format!("staging-{short}")), slots.join(format!("{short}.tree")));
    let at = |wanted: &(Step, PathBuf)| {
        trace.iter().position(|step| step == wanted).unwrap_or_else(|| panic!("{wanted:?} is missing"))
    };
    let shown = at(&(Step::Rename, staged.path.clone()));
    for entry in three.tree.entries() {
        let path = staging.join(&entry.path);
        match entry.kind {
            groundswell_delta::EntryKind::File { .. } => assert!(at(&(Step::Sync, path)) < shown),
            groundswell_delta::EntryKind::Directory => assert!(at(&(Step::SyncDirectory, path)) < shown),
            groundswell_delta::EntryKind::Symlink { .. } => {}
        }
    }
    assert!(at(&(Step::SyncDirectory, staging)) < shown);
    let marked = at(&(Step::Rename, index));
    assert_eq!(trace[shown + 1], (Step::SyncDirectory, slots.clone()));
    assert!(shown + 1 < marked);
    assert_eq!(trace[marked + 1], (Step::SyncDirectory, slots));

    let (_, trace) = with_failure(None, || component.activate(&three.digest).unwrap());
    let directory = story.room.path().join("components/web");
    let order: Vec<&(Step, PathBuf)> = trace.iter().filter(|(step, _)| *step != Step::Link).collect();
    let rename = |link: &str| (Step::Rename, directory.join(link));
    let sync = (Step::SyncDirectory, directory.clone());
    assert_eq!(order, [&rename("previous"), &sync, &rename("active"), &sync]);
}
