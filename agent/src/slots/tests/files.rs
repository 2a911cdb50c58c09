use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use groundswell_delta::{ListedKind, ReadTree, TreePath, WriteTree, scan};
use tempfile::tempdir;

use super::super::building::NewFiles;
use super::super::files::Directory;
use super::*;

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

#[test]
fn what_cannot_be_in_a_version_is_refused_by_its_path() {
    let room = tempdir().unwrap();
    let files = Directory::open(room.path()).unwrap();
    fs::create_dir(room.path().join("run")).unwrap();
    let refused = |says: &str, name: &Path| {
        let error = scan(&files).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(&*name.to_string_lossy()), "{error}");
    };

    let socket = room.path().join("run/socket");
    let listener = UnixListener::bind(&socket).unwrap();
    refused("socket", &socket);
    drop(listener);
    fs::remove_file(&socket).unwrap();

    let pipe = room.path().join("run/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    refused("named pipe", &pipe);
    assert!(files.open(&path("run/pipe")).is_err());
    fs::remove_file(&pipe).unwrap();

    let name = room.path().join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"run/\xff"));
    fs::write(&name, "").unwrap();
    refused("not UTF-8", &name);
    fs::remove_file(&name).unwrap();

    for target in ["/etc/passwd", "../outside"] {
        let link = room.path().join("link");
        symlink(target, &link).unwrap();
        refused(target, Path::new("link"));
        fs::remove_file(link).unwrap();
    }
    scan(&files).unwrap();

    let missing = room.path().join("missing");
    let error = Directory::open(&missing).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    let file = room.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Directory::open(&file).is_err());
}

#[test]
fn nothing_is_read_or_written_through_a_link() {
    let (room, outside) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), room.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), room.path().join("link")).unwrap();
    let files = Directory::open(room.path()).unwrap();
    let listed = files.list().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|listed| matches!(listed.kind, ListedKind::Symlink { .. })));
    assert!(files.open(&path("out/secret")).is_err());
    assert!(files.open(&path("link")).is_err());

    let mut new = NewFiles::new(files, &|_| ControlFlow::Continue(()));
    assert!(new.create(&path("out/new"), false).is_err());
    assert!(new.create(&path("link"), false).is_err());
    assert!(new.directory(&path("out/new")).is_err());
    assert!(new.symlink(&path("out/new"), "secret").is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
}
