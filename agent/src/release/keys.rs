//! Key files: the secret halves of roles and nodes.
//!
//! | line | what |
//! |---|---|
//! | 1 | `groundswell secret key 1` |
//! | 2 | the ed25519 seed, 64 hexadecimal digits |
//! | 3 | `# public key ` and the public half, 64 hexadecimal digits |
//!
//! A key file is for its owner alone (mode 0600), is never overwritten, and is refused when others could
//! have read it. Deliberately absent: passphrases; keep root keys on a medium that is locked away.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use groundswell_protocol::identity::KeyPair;

use super::disk::{open_regular, read_open, write_new};
use super::problem::{Problem, ProblemKind};

const FIRST_LINE: &str = "groundswell secret key 1";
const PUBLIC_PREFIX: &str = "# public key ";
/// Bytes of a key file at most.
const KEY_FILE_MAX: usize = 1024;
const MODE: u32 = 0o600;
/// Key files looked at in one directory.
const KEY_FILES_MAX: usize = 256;

/// A new key from the operating system's randomness.
///
/// # Errors
/// When the system has none to give.
pub fn generate() -> Result<KeyPair, Problem> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Problem::local(
            "cannot make a key",
            error.to_string(),
            "the system gives no randomness: check /dev/urandom",
        )
    })?;
    Ok(KeyPair::from_seed(&seed))
}

/// The text of a key file.
pub(super) fn text(key: &KeyPair) -> String {
    format!("{FIRST_LINE}\n{}\n{PUBLIC_PREFIX}{}\n", hex::encode(key.seed()), key.public())
}

/// Writes `key` to a new file.
///
/// # Errors
/// When the file exists, or the disk refuses; nothing is changed then.
pub fn write(path: &Path, key: &KeyPair) -> Result<(), Problem> {
    write_new(path, text(key).as_bytes(), MODE)
}

/// Reads a key file.
///
/// # Errors
/// When there is none, others may read it, or it is not a whole key file.
pub fn read(path: &Path) -> Result<KeyPair, Problem> {
    let what = || format!("cannot use the key {}", path.display());
    let file = open_regular(path)?;
    let mode = file.metadata().map_err(|error| Problem::reading(path, &error))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Problem::bad_input(
            what(),
            format!("its mode is {mode:03o}, so others on this machine may have read it"),
            format!(
                "if nobody did, run `chmod 600 {}`; else make a new key and rotate this one out",
                path.display()
            ),
        ));
    }
    let bytes = read_open(path, &file, KEY_FILE_MAX)?;
    parse(&bytes).map_err(|why| {
        Problem::bad_input(what(), why, "name a file that `swell fleet` or `swell identity` made")
    })
}

fn parse(bytes: &[u8]) -> Result<KeyPair, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not a text file")?;
    let mut lines = text.lines();
    match lines.next() {
        Some(FIRST_LINE) => {}
        Some(other) if other.starts_with("groundswell secret key ") => {
            return Err("its format is newer than this program");
        }
        _ => return Err("it does not begin like a key file"),
    }
    let seed = lines.next().ok_or("it ends before the key")?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(seed.trim_end(), &mut bytes)
        .map_err(|_| "its second line is not 64 hexadecimal digits")?;
    let key = KeyPair::from_seed(&bytes);
    // A flipped digit would be another valid key: the comment tells them apart.
    if let Some(public) = lines.find_map(|line| line.strip_prefix(PUBLIC_PREFIX))
        && public.trim() != key.public().to_string()
    {
        return Err("it is damaged: its secret and its public half do not belong together");
    }
    Ok(key)
}

/// Reads the key at `path`, or makes one there. Says whether it was made.
///
/// # Errors
/// As [`read`] and [`write()`].
pub fn read_or_make(path: &Path) -> Result<(KeyPair, bool), Problem> {
    match read(path) {
        Err(problem) if problem.kind == ProblemKind::NotFound => {
            let key = generate()?;
            match write(path, &key) {
                Ok(()) => Ok((key, true)),
                // Somebody else made it between the two looks.
                Err(_) if path.exists() => Ok((read(path)?, false)),
                Err(problem) => Err(problem),
            }
        }
        other => other.map(|key| (key, false)),
    }
}

/// All key files (`*.key`) in a directory, by name.
///
/// # Errors
/// When the directory cannot be listed, or one of the files cannot be used.
pub fn read_all(directory: &Path) -> Result<Vec<(PathBuf, KeyPair)>, Problem> {
    let entries = std::fs::read_dir(directory).map_err(|error| Problem::reading(directory, &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Problem::reading(directory, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "key") {
            paths.push(path);
        }
        if paths.len() > KEY_FILES_MAX {
            return Err(Problem::bad_input(
                format!("cannot look for keys in {}", directory.display()),
                format!("there are more than {KEY_FILES_MAX} key files"),
                "name the keys with --key",
            ));
        }
    }
    paths.sort();
    paths.into_iter().map(|path| read(&path).map(|key| (path, key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("a.key");
        (dir, path)
    }

    fn put(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).expect("write");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("chmod");
    }

    #[test]
    fn what_is_written_is_read_and_never_overwritten() {
        let (_dir, path) = place();
        let key = generate().expect("random");
        write(&path, &key).expect("write");
        assert_eq!(fs::metadata(&path).expect("metadata").mode() & 0o777, 0o600);
        assert_eq!(read(&path).expect("read").public(), key.public());
        let again = write(&path, &generate().expect("random")).expect_err("it exists");
        assert!(again.why.contains("never overwritten"), "{again}");
        assert_eq!(read(&path).expect("read").public(), key.public());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let (_dir, path) = place();
        write(&path, &generate().expect("random")).expect("write");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("chmod");
        let problem = read(&path).expect_err("readable by the group");
        assert!(problem.why.contains("640") && problem.todo.contains("chmod 600"), "{problem}");
    }

    #[test]
    fn damaged_keys_are_refused_with_the_reason() {
        let (_dir, path) = place();
        let good = text(&KeyPair::from_seed(&[7; 32]));
        for (bytes, word) in [
            (b"".to_vec(), "begin"),
            (b"\xff\xfe".to_vec(), "text"),
            (b"groundswell secret key 2\nx".to_vec(), "newer"),
            (b"groundswell secret key 1".to_vec(), "ends"),
            (good.as_bytes()[..60].to_vec(), "64"),
            (good.replacen("07", "08", 1).into_bytes(), "damaged"),
            (vec![b'x'; KEY_FILE_MAX + 1], "larger"),
        ] {
            put(&path, &bytes);
            let problem = read(&path).expect_err("damaged");
            assert_eq!(problem.kind, ProblemKind::BadInput);
            assert!(problem.why.contains(word), "{problem} should say {word}");
        }
    }

    #[test]
    fn a_missing_key_is_made_once() {
        let (_dir, path) = place();
        let (first, made) = read_or_make(&path).expect("made");
        assert!(made);
        let (second, made) = read_or_make(&path).expect("read");
        assert!(!made);
        assert_eq!(first.public(), second.public());
    }
}
