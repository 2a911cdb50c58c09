mod crashes;
mod files;
pub(super) mod injection;
mod version;

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;

use groundswell_delta::{CHUNK_BYTES_MAX, TREE_BYTES_MAX};
use groundswell_protocol::node::Trouble;
use tempfile::tempdir;

use super::*;
use version::{Thing, Version, names, noise, open};

#[test]
fn a_version_staged_by_chunks_and_the_next_by_delta_are_what_was_published() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let (one, two) = (Version::numbered(1), Version::numbered(2));

    let staged = one.stage_by_chunks(&component).unwrap();
    assert!(!staged.was_here);
    one.assert_in(&staged.path);
    component.verify(&one.digest).unwrap();
    assert!(one.stage_with(&component, &|_| panic!("it is here")).unwrap().was_here);

    let staged = two.stage_by_delta(&component, &one.digest, &two.delta_from(&one)).unwrap();
    two.assert_in(&staged.path);
    assert_eq!(component.tree(&two.digest).unwrap(), two.tree);
    let mode = |path: &str| fs::metadata(staged.path.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("bin/server"), mode("share/data"), mode("etc")), (0o755, 0o644, 0o755));
    assert_eq!(names(&room).len(), 4);
}

#[test]
fn a_version_is_staged_by_deltas_in_turn_and_those_between_leave_nothing() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let [one, two, three] = [1, 2, 3].map(Version::numbered);
    one.stage_by_chunks(&component).unwrap();
    let (first, second) = (two.delta_from(&one), three.delta_from(&two));

    let stage = |steps: &[(&Version, &[u8])]| three.stage_by_deltas(&component, &one.digest, steps);
    let error = stage(&[(&three, &second), (&two, &first)]).unwrap_err();
    assert!(matches!(error.trouble(), Trouble::BadBytes(_)), "{error}");
    assert!(stage(&[(&two, &first)]).is_err(), "it ends at another version");
    assert_eq!(names(&room).len(), 2);

    let staged = stage(&[(&two, &first), (&three, &second)]).unwrap();
    three.assert_in(&staged.path);
    component.verify(&three.digest).unwrap();
    assert_eq!(names(&room).len(), 4);
}

#[test]
fn chunks_that_are_here_are_not_asked_for() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let (one, two) = (Version::numbered(1), Version::numbered(2));
    assert_eq!(component.missing_chunks(&one.tree).len(), one.chunks.len());
    one.stage_by_chunks(&component).unwrap();
    assert_eq!(component.missing_chunks(&one.tree), []);

    let missing: Vec<Digest> =
        component.missing_chunks(&two.tree).iter().map(|chunk| Digest(*chunk.digest.as_bytes())).collect();
    assert!((1..=3).contains(&missing.len()), "{missing:?}");
    two.stage_with(&component, &|digest| {
        assert!(missing.contains(digest), "asked for {digest}, which is here");
        Ok(two.chunks.get(digest).cloned())
    })
    .unwrap();
}

#[test]
fn a_chunk_can_be_located_and_read_for_peers_and_one_that_rotted_is_not_offered_again() {
    let room = tempdir().unwrap();
    let slots = Slots::open(&room.path().join("components")).unwrap();
    let component = slots.component("web").unwrap();
    let one = Version::numbered(1);
    let staged = one.stage_by_chunks(&component).unwrap();
    for (digest, bytes) in &one.chunks {
        let place = slots.locate_chunk(digest).unwrap();
        let file = fs::read(&place.path).unwrap();
        let offset = usize::try_from(place.offset).unwrap();
        assert_eq!(file[offset..offset + place.bytes as usize], bytes[..]);
        assert_eq!(slots.read_chunk(digest).as_ref(), Some(bytes));
    }
    assert_eq!(slots.read_index(&one.digest), Some(one.index.clone()));
    assert_eq!(slots.read_index(&Digest([7; 32])), None);

    fs::write(staged.path.join("share/data"), noise(3, 200_000)).unwrap();
    let rotten: Vec<_> = one.chunks.keys().filter(|digest| slots.read_chunk(digest).is_none()).collect();
    assert!(!rotten.is_empty() && rotten.len() < one.chunks.len());
    assert!(rotten.iter().all(|digest| slots.locate_chunk(digest).is_none()));
    assert_eq!(component.missing_chunks(&one.tree).len(), rotten.len());
}

#[test]
fn a_slot_that_was_changed_is_found_and_replaced_while_it_is_active() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let one = Version::numbered(1);
    let staged = one.stage_by_chunks(&component).unwrap();
    component.activate(&one.digest).unwrap();
    fs::write(staged.path.join("share/data"), noise(3, 200_000)).unwrap();

    let error = component.verify(&one.digest).unwrap_err();
    assert!(error.to_string().contains("share/data"), "{error}");
    assert!(!component.has(&one.digest));
    one.stage_by_chunks(&component).unwrap();
    one.assert_in(&component.active().unwrap().path);
    assert_eq!(names(&room).len(), 2);
}

#[test]
fn wrong_bytes_give_an_error_with_its_fault_and_nothing_is_seen() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let (one, two, three) = (Version::numbered(1), Version::numbered(2), Version::numbered(3));
    let corrupt = |digest: &Digest| {
        let mut bytes = one.chunks[digest].clone();
        bytes[0] ^= 1;
        Ok(Some(bytes))
    };
    let error = one.stage_with(&component, &corrupt).unwrap_err();
    assert!(matches!(error.trouble(), Trouble::BadBytes(_)), "{error}");
    let error = one.stage_with(&component, &|_| Ok(Some(vec![0; CHUNK_BYTES_MAX + 1]))).unwrap_err();
    assert!(matches!(error.trouble(), Trouble::BadBytes(_)), "{error}");
    let error = one.stage_with(&component, &|_| Ok(None)).unwrap_err();
    assert!(matches!(error.trouble(), Trouble::Unreachable(_)), "{error}");
    let error = one.stage_with(&component, &|_| Err(io::ErrorKind::PermissionDenied.into())).unwrap_err();
    assert!(matches!(error.trouble(), Trouble::Unreachable(_)), "{error}");

    let error = two.stage_by_delta(&component, &one.digest, &two.delta_from(&one)).unwrap_err();
    assert!(matches!(error, StageError::OldNotHere(_)) && error.blames_old(), "{error}");
    assert_eq!(names(&room), [""; 0]);

    one.stage_by_chunks(&component).unwrap();
    let from_two = three.delta_from(&two);
    let error = three.stage_by_delta(&component, &one.digest, &from_two).unwrap_err();
    assert!(matches!(error.trouble(), Trouble::BadBytes(_)) && !error.blames_old(), "{error}");
    let mut delta = two.delta_from(&one);
    delta.truncate(delta.len() - 1);
    let error = two.stage_by_delta(&component, &one.digest, &delta).unwrap_err();
    assert!(matches!(error.trouble(), Trouble::BadBytes(_)), "{error}");
    assert_eq!(names(&room).len(), 2);

    let path = component.slots()[0].path.join("share/data");
    fs::write(path, noise(3, 200_000)).unwrap();
    let error = two.stage_by_delta(&component, &one.digest, &two.delta_from(&one)).unwrap_err();
    assert!(error.blames_old(), "{error}");
    assert!(!component.has(&two.digest) && !component.has(&three.digest));
    assert_eq!(names(&room).len(), 2);
}

#[test]
fn more_than_was_promised_or_fits_is_refused_before_it_is_written() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let one = Version::numbered(1);
    let stage = |tree: &Digest, bytes, index: &[u8]| {
        let source = Source::Chunks { index, blobs: &|_| panic!("nothing may be built") };
        component.stage(tree, bytes, source, &|_| ControlFlow::Continue(())).unwrap_err()
    };
    let error = stage(&one.digest, one.tree.bytes() - 1, &one.index);
    assert!(matches!(error, StageError::Size { .. }), "{error}");
    let disk = rustix::fs::statvfs(room.path()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    if free <= TREE_BYTES_MAX {
        let error = stage(&one.digest, free, &one.index);
        assert!(matches!(error.trouble(), Trouble::NoSpace(_)), "{error}");
    }
    let error = stage(&one.digest, u64::MAX, &one.index);
    assert!(matches!(error, StageError::Size { .. }), "{error}");
    let error = stage(&Digest([7; 32]), 1 << 20, &one.index);
    assert!(matches!(error, StageError::OtherIndex { .. }), "{error}");
    let error = stage(&Digest::of(b"no tree"), 1 << 20, b"no tree");
    assert!(matches!(error, StageError::Index(_)), "{error}");
    assert_eq!(names(&room), [""; 0]);
}

#[test]
fn staging_can_be_broken_off() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let one = Version::numbered(1);
    let blobs = |digest: &Digest| Ok(one.chunks.get(digest).cloned());
    let source = Source::Chunks { index: &one.index, blobs: &blobs };
    let after_some = |bytes| if bytes > 100_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error = component.stage(&one.digest, one.tree.bytes(), source, &after_some).unwrap_err();
    assert!(matches!(error, StageError::BrokenOff), "{error}");
    assert_eq!(names(&room), [""; 0]);
}

#[test]
fn a_tree_whose_short_name_is_taken_is_refused() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let one = Version::numbered(1);
    one.stage_by_chunks(&component).unwrap();
    let mut alike = one.digest;
    alike.0[31] ^= 1;
    let source = Source::Chunks { index: &one.index, blobs: &|_| Ok(None) };
    let error = component.stage(&alike, 1 << 20, source, &|_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, StageError::NameTaken { .. }), "{error}");
    assert!(!component.has(&alike));
    assert!(component.activate(&alike).is_err());
}

#[test]
fn activation_keeps_what_was_active_and_revert_goes_back_to_it_however_often() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let versions = [1, 2, 3].map(Version::numbered);
    let [one, two, three] = &versions;
    for version in &versions {
        version.stage_by_chunks(&component).unwrap();
    }
    let links = |component: &Component| {
        [component.active(), component.previous(), component.anchor()].map(|slot| slot.map(|slot| slot.tree))
    };
    assert_eq!(links(&component), [None, None, None]);
    assert!(matches!(component.revert().unwrap_err(), SlotError::NothingToRevertTo { .. }));
    assert!(matches!(component.activate(&Digest([7; 32])).unwrap_err(), SlotError::NotHere { .. }));

    for _ in 0..2 {
        let path = component.activate(&one.digest).unwrap();
        one.assert_in(&path);
        assert_eq!(links(&component), [Some(one.digest), None, None]);
    }
    component.set_anchor(&one.digest).unwrap();
    for _ in 0..2 {
        component.activate(&two.digest).unwrap();
        assert_eq!(links(&open(&room)), [Some(two.digest), Some(one.digest), Some(one.digest)]);
    }
    component.activate(&three.digest).unwrap();
    for _ in 0..2 {
        assert_eq!(component.revert().unwrap().tree, two.digest);
        assert_eq!(links(&open(&room)), [Some(two.digest), Some(two.digest), Some(one.digest)]);
    }
    component.revert_to(&one.digest).unwrap();
    assert_eq!(component.active().unwrap().tree, one.digest);
    component.deactivate().unwrap();
    component.deactivate().unwrap();
    assert_eq!(component.active(), None);
    assert_eq!(component.to_start().unwrap().tree, two.digest);
}

#[test]
fn collecting_frees_only_what_no_link_and_no_list_names() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let versions = [1, 2, 3, 4, 5].map(Version::numbered);
    for version in &versions {
        version.stage_by_chunks(&component).unwrap();
    }
    let [anchor, previous, active, kept, free] = &versions;
    component.set_anchor(&anchor.digest).unwrap();
    component.activate(&previous.digest).unwrap();
    component.activate(&active.digest).unwrap();
    assert_eq!(component.collect(&[kept.digest]).unwrap(), free.tree.bytes());
    assert_eq!(names(&room).len(), 8);
    assert!(!component.has(&free.digest));
    for version in [anchor, previous, active, kept] {
        component.verify(&version.digest).unwrap();
    }
    assert_eq!(component.collect(&[]).unwrap(), kept.tree.bytes());
    assert_eq!(component.collect(&[]).unwrap(), 0);
    assert!(component.has(&anchor.digest));
}

#[test]
fn components_do_not_mix_and_hostile_names_are_refused() {
    let room = tempdir().unwrap();
    let slots = Slots::open(&room.path().join("components")).unwrap();
    let (web, model) = (slots.component("web").unwrap(), slots.component("model").unwrap());
    let one = Version::numbered(1);
    one.stage_by_chunks(&web).unwrap();
    web.activate(&one.digest).unwrap();
    assert!(!model.has(&one.digest) && model.active().is_none());
    assert!(model.activate(&one.digest).is_err());
    one.stage_by_chunks(&model).unwrap();
    model.collect(&[]).unwrap();
    one.assert_in(&web.active().unwrap().path);

    let long = "a".repeat(65);
    for name in ["", ".", "..", "../web", "web/..", "/etc", "a b", "web\0", "Web", "-web", "ẅeb", &long] {
        let error = slots.component(name).unwrap_err();
        assert!(matches!(error, SlotError::Name { .. }), "{name:?}: {error}");
    }
    let made = fs::read_dir(room.path().join("components")).unwrap().count();
    assert_eq!(made, 2);
}

#[test]
fn at_a_start_leftovers_and_slots_without_an_index_go_and_slots_in_use_are_restored() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let versions = [1, 2, 3].map(Version::numbered);
    let [one, two, three] = &versions;
    for version in &versions {
        version.stage_by_chunks(&component).unwrap();
    }
    component.activate(&one.digest).unwrap();
    let slots = room.path().join("components/web/slots");
    let index = |version: &Version| slots.join(format!("{}.tree", &version.digest.to_string()[..16]));
    fs::write(index(one), b"rotten").unwrap();
    fs::remove_file(index(two)).unwrap();
    fs::copy(index(two).with_extension("").join("share/data"), index(three)).unwrap();
    fs::create_dir_all(slots.join("staging-0123456789abcdef/deep")).unwrap();
    fs::create_dir(slots.join("trash-0123456789abcdef-0")).unwrap();
    fs::write(slots.join("0123456789abcdef.tree"), &one.index).unwrap();
    fs::write(slots.join("lost+found"), "not ours").unwrap();
    std::os::unix::fs::symlink("slots/0123456789abcdef", room.path().join("components/web/active.new"))
        .unwrap();

    let component = open(&room);
    assert_eq!(component.active().unwrap().tree, one.digest);
    component.verify(&one.digest).unwrap();
    assert!(!component.has(&two.digest) && !component.has(&three.digest));
    let short = one.digest.to_string()[..16].to_owned();
    assert_eq!(names(&room), [short.clone(), format!("{short}.tree"), "lost+found".to_owned()]);

    // Both gone at once: never removed, never used.
    fs::write(index(one), b"rotten").unwrap();
    fs::write(index(one).with_extension("").join("share/data"), "changed").unwrap();
    let component = open(&room);
    assert_eq!((component.active(), component.to_start()), (None, None));
    assert!(index(one).with_extension("").join("bin/server").exists());
    one.stage_by_chunks(&component).unwrap();
    one.assert_in(&component.active().unwrap().path);
}

#[test]
fn a_link_that_points_elsewhere_is_no_slot() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let one = Version::numbered(1);
    one.stage_by_chunks(&component).unwrap();
    let link = room.path().join("components/web/active");
    for target in ["/etc", "slots/../../../etc", "slots", "slots/0123456789abcdef", "slots/x"] {
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link).unwrap();
        assert_eq!(component.active(), None, "{target}");
    }
    component.activate(&one.digest).unwrap();
    assert_eq!(component.active().unwrap().tree, one.digest);
}

#[test]
fn an_empty_version_can_be_staged() {
    let room = tempdir().unwrap();
    let component = open(&room);
    let empty = Version::new(&[]);
    empty.stage_by_chunks(&component).unwrap();
    component.activate(&empty.digest).unwrap();
    let one = Version::new(&[("only", Thing::File(vec![1]))]);
    one.stage_by_delta(&component, &empty.digest, &one.delta_from(&empty)).unwrap();
    component.verify(&one.digest).unwrap();
}
