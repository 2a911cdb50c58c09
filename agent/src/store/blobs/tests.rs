use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const PIECE: usize = groundswell_protocol::transfer::PIECE_BYTES as usize;
const ROOMY: StoreLimits = StoreLimits { total_bytes: 1 << 30 };

fn content(bytes: usize, seed: u8) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut content);
    content
}

fn store(folder: &TempDir) -> BlobStore {
    BlobStore::open(folder.path(), ROOMY).unwrap()
}

fn file_of(folder: &TempDir, content: &[u8]) -> PathBuf {
    let digest = Digest::of(content);
    Folder::open(folder.path()).unwrap().whole_path(&digest, content.len() as u64)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn blobs_of_all_sizes_survive_reopening() {
    let folder = TempDir::new().unwrap();
    let blobs: Vec<_> =
        [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 77].map(|bytes| content(bytes, 1)).into();
    let first = store(&folder);
    for blob in &blobs {
        assert_eq!(first.insert(blob).unwrap(), Digest::of(blob));
        first.import(blob.as_slice(), Digest::of(blob), blob.len() as u64).unwrap();
    }
    drop(first);
    let again = store(&folder);
    assert_eq!(again.total_bytes(), blobs.iter().map(|blob| blob.len() as u64).sum::<u64>());
    for blob in &blobs {
        let digest = Digest::of(blob);
        assert_eq!(again.read(&digest).unwrap().as_deref(), Some(blob.as_slice()));
        let mut through_file = Vec::new();
        again.open_blob(&digest).unwrap().unwrap().read_to_end(&mut through_file).unwrap();
        assert_eq!(&through_file, blob);
        let pieces = again.outline(&digest).unwrap().unwrap().pieces();
        let by_piece: Vec<u8> =
            (0..pieces).flat_map(|piece| again.read_piece(&digest, piece).unwrap().unwrap()).collect();
        assert_eq!(&by_piece, blob);
        assert_eq!(again.read_piece(&digest, pieces).unwrap(), None);
    }
}

#[test]
fn an_import_of_other_bytes_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let right = content(3 * PIECE, 1);
    let digest = Digest::of(&right);
    let bytes = right.len() as u64;
    let mut longer = right.clone();
    longer.push(0);
    for wrong in [&right[..right.len() - 1], &longer, &content(3 * PIECE, 2), &[]] {
        assert!(matches!(store.import(wrong, digest, bytes), Err(StoreError::WrongContent { .. })));
    }
    assert!(matches!(store.import(&right[..], digest, u64::MAX), Err(StoreError::Quota { .. })));
    assert!(!store.has(&digest) && store.total_bytes() == 0);
    assert_eq!(files_below(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_full_quota_is_said_and_leaves_what_was_there() {
    let folder = TempDir::new().unwrap();
    let store = BlobStore::open(folder.path(), StoreLimits { total_bytes: 100_000 }).unwrap();
    let kept = store.insert(&content(60_000, 1)).unwrap();
    let refused = store.insert(&content(60_000, 2)).unwrap_err();
    assert!(refused.to_string().contains("60000 of its limit of 100000"), "{refused}");
    let large = content(2 * PIECE, 3);
    assert!(matches!(store.partial(Digest::of(&large), large.len() as u64), Err(StoreError::Quota { .. })));
    assert_eq!(store.total_bytes(), 60_000);
    assert!(store.read(&kept).unwrap().is_some());
    store.retain(&BTreeSet::new()).unwrap();
    store.insert(&content(60_000, 2)).unwrap();
    assert!(!store.has(&kept));
}

#[test]
fn garbage_in_the_folder_is_neither_served_nor_in_the_way() {
    let folder = TempDir::new().unwrap();
    let good = content(2 * PIECE, 1);
    let truncated = content(3 * PIECE, 2);
    let first = store(&folder);
    first.insert(&good).unwrap();
    first.insert(&truncated).unwrap();
    drop(first);
    fs::write(file_of(&folder, &truncated), &truncated[..PIECE]).unwrap();
    for junk in ["whole/readme", "whole/ab/x-1", "partial/junk", "outlines/junk", "incoming/half"] {
        let path = folder.path().join(junk);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"junk").unwrap();
    }
    fs::create_dir_all(folder.path().join("incoming/folder")).unwrap();
    let misplaced = folder.path().join("whole/zz").join(file_of(&folder, &good).file_name().unwrap());
    fs::create_dir_all(misplaced.parent().unwrap()).unwrap();
    fs::write(misplaced, &good).unwrap();
    let again = store(&folder);
    assert!(!again.has(&Digest::of(&truncated)));
    assert_eq!(files_below(&folder.path().join("outlines")).len(), 2, "the good blob's, and the junk");
    assert_eq!(again.total_bytes(), good.len() as u64);
    assert_eq!(again.read(&Digest::of(&good)).unwrap(), Some(good));
    assert!(!folder.path().join("incoming/half").exists());
    again.insert(&truncated).unwrap();
}

#[test]
fn a_blob_changed_on_disk_is_never_handed_out() {
    type Reading = fn(&BlobStore, &Digest) -> Option<StoreError>;
    let readings: [Reading; 3] = [
        |store, digest| store.read(digest).err(),
        |store, digest| store.open_blob(digest).err(),
        |store, digest| store.read_piece(digest, 1).err(),
    ];
    for reading in readings {
        let folder = TempDir::new().unwrap();
        let blob = content(2 * PIECE, 1);
        let digest = store(&folder).insert(&blob).unwrap();
        let mut changed = blob.clone();
        changed[PIECE + 5] ^= 1;
        fs::write(file_of(&folder, &blob), changed).unwrap();
        let again = store(&folder);
        assert!(matches!(reading(&again, &digest), Some(StoreError::Damaged { .. })));
        assert!(!again.has(&digest) && again.total_bytes() == 0);
    }
}

#[test]
fn a_spoilt_outline_file_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let blob = content(4 * PIECE, 1);
    let digest = store(&folder).insert(&blob).unwrap();
    for outline in files_below(&folder.path().join("outlines")) {
        let mut values = fs::read(&outline).unwrap();
        values[40] ^= 1;
        fs::write(outline, values).unwrap();
    }
    assert_eq!(store(&folder).read_piece(&digest, 3).unwrap().unwrap(), blob[3 * PIECE..]);
}

#[test]
fn an_unfinished_blob_resumes_with_the_pieces_that_verify() {
    let folder = TempDir::new().unwrap();
    let blob = content(6 * PIECE + 9, 1);
    let (digest, bytes) = (Digest::of(&blob), blob.len() as u64);
    let piece = |number: usize| blob[number * PIECE..blob.len().min((number + 1) * PIECE)].to_vec();
    let first = store(&folder);
    let partial = first.partial(digest, bytes).unwrap();
    assert!(matches!(first.partial(digest, bytes), Err(StoreError::InUse { .. })));
    assert!(partial.write(0, piece(0)).is_err(), "nothing can be written before the outline is known");
    partial.set_outline(Arc::new(Outline::of(&blob).unwrap())).unwrap();
    for number in [0, 3, 6] {
        partial.write(number, piece(number as usize)).unwrap();
    }
    assert!(matches!(partial.write(1, piece(2)), Err(StoreError::WrongContent { .. })));
    assert!(partial.finish().is_err() && !first.has(&digest));
    drop((partial, first));

    let path = Folder::open(folder.path()).unwrap().partial_path(&digest, bytes);
    let mut on_disk = fs::read(&path).unwrap();
    on_disk[3 * PIECE] ^= 1;
    fs::write(&path, &on_disk[..on_disk.len() - 4]).unwrap();

    let again = store(&folder);
    assert_eq!(again.total_bytes(), bytes);
    let partial = again.partial(digest, bytes).unwrap();
    assert_eq!(partial.held().iter().collect::<Vec<_>>(), [0], "3 was changed and 6 cut off");
    for number in 1..7 {
        partial.write(number, piece(number as usize)).unwrap();
    }
    assert_eq!(partial.read(3).unwrap(), Some(piece(3)));
    partial.finish().unwrap();
    assert_eq!(partial.read(6).unwrap(), Some(piece(6)), "still served after it moved");
    assert_eq!(again.total_bytes(), bytes);
    drop((partial, again));
    let last = store(&folder);
    assert_eq!((last.read(&digest).unwrap(), last.total_bytes()), (Some(blob), bytes));
    assert!(files_below(&folder.path().join("partial")).is_empty());
}

#[test]
fn single_pieces_wait_in_memory_and_empty_blobs_are_blobs() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    for blob in [content(500, 1), Vec::new()] {
        let partial = store.partial(Digest::of(&blob), blob.len() as u64).unwrap();
        assert!(partial.write(0, b"no".to_vec()).is_err());
        partial.write(0, blob.clone()).unwrap();
        assert_eq!(partial.read(0).unwrap(), Some(blob.clone()));
        partial.finish().unwrap();
        assert_eq!(store.read(&Digest::of(&blob)).unwrap(), Some(blob));
    }
}

#[test]
fn no_room_and_a_disk_that_cannot_be_written_are_said_before_anything_is_fetched() {
    let folder = TempDir::new().unwrap();
    let store = BlobStore::open(folder.path(), StoreLimits { total_bytes: u64::MAX }).unwrap();
    let disk = rustix::fs::statvfs(folder.path()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    store.check_room(1 << 20).unwrap();
    assert!(store.check_room(free.saturating_mul(2)).unwrap_err().is_no_space());
    let small = BlobStore::open(&folder.path().join("small"), StoreLimits { total_bytes: 1000 }).unwrap();
    assert!(matches!(small.check_room(1001), Err(StoreError::Quota { needed: 1001, .. })));
    // As on a read-only disk, and unlike permissions, this stops the superuser too.
    fs::remove_dir(folder.path().join("incoming")).unwrap();
    let refused = store.check_room(1).unwrap_err();
    assert!(matches!(refused, StoreError::Disk { .. }) && !refused.is_no_space(), "{refused}");
    assert!(store.partial(Digest::of(b"a blob"), 1 << 20).is_err());
    assert_eq!(store.total_bytes(), 0, "nothing is set aside for it");
}

#[test]
fn retain_keeps_what_is_wanted_and_what_is_being_written() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let kept = store.insert(&content(10, 1)).unwrap();
    let dropped = store.insert(&content(3 * PIECE, 2)).unwrap();
    let (writing, left) = (content(2 * PIECE, 3), content(2 * PIECE, 4));
    let open = store.partial(Digest::of(&writing), writing.len() as u64).unwrap();
    drop(store.partial(Digest::of(&left), left.len() as u64).unwrap());
    store.retain(&BTreeSet::from([kept])).unwrap();
    assert!(store.has(&kept) && !store.has(&dropped));
    assert_eq!(store.total_bytes(), 10 + writing.len() as u64);
    assert_eq!(files_below(&folder.path().join("partial")).len(), 1);
    drop(open);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_in_any_file_never_yield_wrong_content(
        at: prop::sample::Index, bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let blob = content(2 * PIECE + 100, 1);
        let digest = store(&folder).insert(&blob).unwrap();
        let files = files_below(folder.path());
        let path = &files[at.index(files.len())];
        let mut spoilt = fs::read(path).unwrap();
        let from = at.index(spoilt.len());
        if cut { spoilt.truncate(from); }
        spoilt.splice(from..spoilt.len().min(from + bytes.len()), bytes);
        fs::write(path, spoilt).unwrap();
        let again = store(&folder);
        for piece in 0..3 {
            if let Ok(Some(data)) = again.read_piece(&digest, piece) {
                prop_assert_eq!(data, &blob[piece as usize * PIECE..blob.len().min((piece as usize + 1) * PIECE)]);
            }
        }
        if let Ok(Some(read)) = again.read(&digest) { prop_assert_eq!(read, blob); }
    }
}

/// Names the folder for the run of [`a_child_that_writes_until_it_is_killed`] that really writes.
const CHILD_FOLDER: &str = "GROUNDSWELL_TEST_CHILD_FOLDER";

/// Not a test by itself: the process that the next test kills. Says what it has done line by line.
#[test]
fn a_child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let store = BlobStore::open(Path::new(&folder), ROOMY).unwrap();
    let large = content(200 * PIECE, 1);
    let partial = store.partial(Digest::of(&large), large.len() as u64).unwrap();
    partial.set_outline(Arc::new(Outline::of(&large).unwrap())).unwrap();
    for number in 0_u8..199 {
        let at = usize::from(number) * PIECE;
        partial.write(u32::from(number), large[at..at + PIECE].to_vec()).unwrap();
        println!("\npiece {number}");
        store.insert(&content(usize::from(number) * 1500, number)).unwrap();
        println!("\nblob {number}");
    }
    std::thread::park();
}

#[test]
fn what_was_acknowledged_before_a_sigkill_is_there_after_it() {
    use std::io::BufRead;
    for lines_before in [1, 2, 7, 40, 111] {
        let folder = TempDir::new().unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::blobs::tests::a_child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said: Vec<(bool, u8)> = lines
            .filter_map(|line| {
                let (what, number) = line.split_once(' ')?;
                let is_piece = what == "piece";
                (is_piece || what == "blob").then(|| number.parse().ok()).flatten().map(|n| (is_piece, n))
            })
            .take(lines_before)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();

        assert_eq!(said.len(), lines_before, "the child wrote until it was killed");
        let store = store(&folder);
        let large = content(200 * PIECE, 1);
        let held = store.partial(Digest::of(&large), large.len() as u64).unwrap().held();
        for (is_piece, number) in said {
            if is_piece {
                assert!(held.contains(u32::from(number)), "piece {number} of {held:?}");
            } else {
                let blob = content(usize::from(number) * 1500, number);
                assert_eq!(store.read(&Digest::of(&blob)).unwrap(), Some(blob));
            }
        }
        assert!(files_below(&folder.path().join("incoming")).is_empty());
        assert!(!store.has(&Digest::of(&large)));
    }
}
