//! Files of the corpus into the cache, by the ordinary package clients: by name and version, from wherever they are set
//! up to fetch. What does not have the digest that the corpus names is not used.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::corpus::{Client, Origin, Taking, Wanted};
use super::process::{find, run};

/// A package client may take so long.
const FETCH_LIMIT: Duration = Duration::from_secs(1_800);
/// Unpacking may take so long.
const UNPACK_LIMIT: Duration = Duration::from_secs(600);
/// The wheels of the corpus are for these: they are compared, not run, so that this machine's kind does not matter.
const WHEELS: [&str; 17] = [
    "--only-binary",
    ":all:",
    "--implementation",
    "cp",
    "--python-version",
    "311",
    "--abi",
    "cp311",
    "--abi",
    "abi3",
    "--abi",
    "none",
    "--platform",
    "manylinux_2_34_x86_64",
    "--platform",
    "manylinux_2_28_x86_64",
    "--platform=manylinux_2_17_x86_64",
];

/// Where a wanted file is, fetching it if it is not in the cache yet.
///
/// # Errors
/// In words, why it cannot be had.
pub(super) fn fetch(cache: &Path, wanted: &Wanted, tell: &dyn Fn(&str)) -> Result<PathBuf, String> {
    let place = cache.join(&wanted.name);
    if place.exists() {
        tell(&format!("checking {}", wanted.name));
        if is_wanted(&place, wanted)? {
            return Ok(place);
        }
    }
    let origin = wanted
        .origin
        .as_ref()
        .map_err(|why| format!("{why}; with {} in {} it would be measured", wanted.name, cache.display()))?;
    tell(&format!("fetching {} {}", origin.package, origin.version));
    let work = tempfile::Builder::new()
        .prefix(".fetching-")
        .tempdir_in(cache)
        .map_err(|error| format!("no directory in {}: {error}", cache.display()))?;
    let package = download(work.path(), origin)?;
    tell(&format!("unpacking {}", wanted.name));
    let taken = take(&work, &package, origin)?;
    if !is_wanted(&taken, wanted)? {
        return Err(format!("{} {} holds another file than it should", origin.package, origin.version));
    }
    fs::rename(&taken, &place).map_err(|error| format!("cannot move it to {}: {error}", place.display()))?;
    Ok(place)
}

/// Whether a file has the size and digest that it should.
fn is_wanted(path: &Path, wanted: &Wanted) -> Result<bool, String> {
    let check = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() != wanted.bytes {
            return Ok(false);
        }
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex::encode(hasher.finalize()) == wanted.sha256),
                read => hasher.update(&buffer[..read]),
            }
        }
    };
    check().map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Has a package client bring a package into an empty directory.
fn download(directory: &Path, origin: &Origin) -> Result<PathBuf, String> {
    let Origin { client, package, version, .. } = origin;
    let mut command = match client {
        Client::Pip | Client::PipSource => program(&["pip", "pip3"])?,
        Client::Npm => program(&["npm"])?,
        Client::Apt => program(&["apt-get"])?,
    };
    match client {
        Client::Pip => {
            pip(&mut command).args(WHEELS).arg(format!("{package}=={version}"));
        }
        Client::PipSource => {
            pip(&mut command).args(["--no-binary", ":all:"]).arg(format!("{package}=={version}"));
        }
        Client::Npm => {
            command.args(["pack", "--silent"]).arg(format!("{package}@{version}"));
        }
        Client::Apt => {
            command.args(["download", "-q"]).arg(format!("{package}={version}"));
        }
    }
    command.current_dir(directory);
    run(&mut command, None, FETCH_LIMIT)?;
    let files = files_below(directory).map_err(|error| error.to_string())?;
    match &files[..] {
        [file] => Ok(file.clone()),
        _ => Err(format!("the package client brought {} files, and one was expected", files.len())),
    }
}

fn pip(command: &mut Command) -> &mut Command {
    command.args(["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", "."])
}

/// The first of these programs that is installed.
fn program(names: &[&str]) -> Result<Command, String> {
    let found = names.iter().find_map(|name| find(name));
    found.map(Command::new).ok_or_else(|| format!("{} is not installed", names.join(" or ")))
}

/// Takes out of a package what is wanted.
fn take(work: &TempDir, package: &Path, origin: &Origin) -> Result<PathBuf, String> {
    let taken = work.path().join("taken");
    match origin.take {
        Taking::Whole => Ok(package.to_owned()),
        Taking::Gunzipped => {
            run_into(&taken, program(&["gzip"])?.arg("-dc").arg(package))?;
            Ok(taken)
        }
        Taking::DebTar => {
            run_into(&taken, program(&["dpkg-deb"])?.arg("--fsys-tarfile").arg(package))?;
            Ok(taken)
        }
        Taking::Inside => {
            fs::create_dir(&taken).map_err(|error| error.to_string())?;
            unpack(package, &taken, origin.client)?;
            find_inside(&taken, &origin.inside)
        }
    }
}

fn run_into(path: &Path, command: &mut Command) -> Result<(), String> {
    let file = File::create_new(path).map_err(|error| error.to_string())?;
    run(command, Some(file), UNPACK_LIMIT)?;
    Ok(())
}

/// Unpacks a package as its client's family packs them.
fn unpack(package: &Path, directory: &Path, client: Client) -> Result<(), String> {
    let mut command = match client {
        // Where pip is, Python is, and it brings the means.
        Client::Pip => program(&["python3"])?,
        Client::PipSource | Client::Npm => program(&["tar"])?,
        Client::Apt => program(&["dpkg-deb"])?,
    };
    match client {
        Client::Pip => command.args(["-m", "zipfile", "-e"]).arg(package).arg(directory),
        Client::PipSource | Client::Npm => command.arg("-xzf").arg(package).arg("-C").arg(directory),
        Client::Apt => command.arg("-x").arg(package).arg(directory),
    };
    run(&mut command, None, UNPACK_LIMIT)?;
    Ok(())
}

/// The one file whose path below `directory` is like `pattern`.
fn find_inside(directory: &Path, pattern: &Path) -> Result<PathBuf, String> {
    let files = files_below(directory).map_err(|error| error.to_string())?;
    let mut alike = files
        .into_iter()
        .filter(|file| file.strip_prefix(directory).is_ok_and(|path| is_like(path, pattern)));
    match (alike.next(), alike.next()) {
        (Some(file), None) => Ok(file),
        (None, _) => Err(format!("there is no {} in the package", pattern.display())),
        (Some(_), Some(_)) => Err(format!("there are several {} in the package", pattern.display())),
    }
}

/// Regular files, not through links.
fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut unread = vec![directory.to_owned()];
    while let Some(directory) = unread.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => unread.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(files)
}

/// Whether a path is like a pattern, name by name.
fn is_like(path: &Path, pattern: &Path) -> bool {
    let (path, pattern): (Vec<_>, Vec<_>) = (path.iter().collect(), pattern.iter().collect());
    path.len() == pattern.len() && path.into_iter().zip(pattern).all(|(name, like)| name_is_like(name, like))
}

/// `*` stands for anything, once in a name.
fn name_is_like(name: &OsStr, pattern: &OsStr) -> bool {
    let (name, pattern) = (name.to_string_lossy(), pattern.to_string_lossy());
    pattern.split_once('*').map_or(name == pattern, |(begin, end)| {
        name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_in_one_name() {
        let like = |path: &str, pattern: &str| is_like(Path::new(path), Path::new(pattern));
        assert!(like("a-1.2.data/scripts/a", "a-*.data/scripts/a"));
        assert!(like("a", "a"));
        for (path, pattern) in
            [("a-1/b/c", "a-*/c"), ("a-1.dat/b", "a-*.data/b"), ("b/a", "a"), ("aa", "aa*a")]
        {
            assert!(!like(path, pattern), "{path} {pattern}");
        }
    }

    #[test]
    fn what_is_in_the_cache_is_used_only_if_it_is_the_right_file() {
        let cache = tempfile::tempdir().expect("temp dir");
        let wanted = Wanted {
            name: "x.old".to_owned(),
            bytes: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
            origin: Err("it is made by hand".to_owned()),
        };
        let try_it = || fetch(cache.path(), &wanted, &|_| {});
        assert!(try_it().expect_err("not there").contains("made by hand; with x.old in "));
        fs::write(cache.path().join("x.old"), "abd").expect("write");
        assert!(try_it().is_err());
        fs::write(cache.path().join("x.old"), "abc").expect("write");
        assert_eq!(try_it(), Ok(cache.path().join("x.old")));
    }
}
