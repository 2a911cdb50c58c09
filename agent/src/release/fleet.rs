//! The fleet directory: `fleet.bundle`, which is public, and `keys/`, which is not.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use groundswell_protocol::identity::{KeyPair, PublicKey};
use groundswell_protocol::time::UnixSeconds;
use groundswell_protocol::trust::policy::RoleName;
use rustix::fs::{FlockOperation, flock};

use super::bundle::Bundle;
use super::disk::NewDirectory;
use super::keys;
use super::policy::{RolePlan, found};
use super::problem::Problem;

const BUNDLE_FILE: &str = "fleet.bundle";
const KEYS_DIRECTORY: &str = "keys";

/// A directory that `swell fleet init` made, or will make.
#[derive(Clone, Debug)]
pub struct FleetDirectory {
    path: PathBuf,
}

/// What one role of a new fleet gets.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// The role.
    pub role: RoleName,
    /// How many keys to make here.
    pub keys: u8,
    /// Keys that others hold.
    pub trusted: Vec<PublicKey>,
    /// How many must sign.
    pub threshold: u8,
}

/// Keeps other commands from changing the fleet directory as long as it lives.
pub struct FleetLock {
    _file: File,
}

impl FleetDirectory {
    /// The directory at `path`; nothing is looked at yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its bundle is.
    pub fn bundle_path(&self) -> PathBuf {
        self.path.join(BUNDLE_FILE)
    }

    /// Where its keys are.
    pub fn keys_path(&self) -> PathBuf {
        self.path.join(KEYS_DIRECTORY)
    }

    /// Where the key of a role is, or of the `number`th if it has several here.
    pub fn key_path(&self, role: RoleName, number: usize) -> PathBuf {
        self.keys_path().join(key_file_name(role, number))
    }

    /// Makes the directory: keys for all roles, and the bundle with the policy that founds the fleet.
    ///
    /// # Errors
    /// When the directory exists and is not empty, a role is impossible, or the disk refuses; nothing is
    /// left then.
    pub fn found(&self, name: &str, new_roles: &[NewRole], expires: UnixSeconds) -> Result<Bundle, Problem> {
        let making = NewDirectory::begin(&self.path)?;
        let inside = Self::at(making.path());
        fs::create_dir(inside.keys_path())
            .and_then(|()| fs::set_permissions(inside.keys_path(), Permissions::from_mode(0o700)))
            .map_err(|error| Problem::writing(&self.keys_path(), &error))?;
        let mut plans = Vec::new();
        let mut root_keys = Vec::new();
        for new in new_roles {
            let mut public = new.trusted.clone();
            for number in 1..=usize::from(new.keys) {
                let key = keys::generate()?;
                keys::write(&inside.key_path(new.role, number), &key)?;
                public.push(key.public());
                if new.role == RoleName::Root {
                    root_keys.push(key);
                }
            }
            plans.push(RolePlan { role: new.role, keys: public, threshold: new.threshold });
        }
        let signers: Vec<&KeyPair> = root_keys.iter().collect();
        let bundle = found(name, &plans, expires, &signers)?;
        bundle.write(&inside.bundle_path())?;
        making.finish()?;
        Ok(bundle)
    }

    /// Reads and verifies the bundle.
    ///
    /// # Errors
    /// When there is none, or it is not sound.
    pub fn read_bundle(&self) -> Result<Bundle, Problem> {
        let path = self.bundle_path();
        if !path.exists() {
            return Err(Problem::not_found(
                format!("cannot read {}", path.display()),
                "there is no such file, so this is not a fleet directory",
                "name the fleet directory with --dir, or make one with `swell fleet init`",
            ));
        }
        Bundle::read(&path)
    }

    /// The keys in `named`, or without any all keys of this directory.
    ///
    /// # Errors
    /// When one cannot be used, or there is no keys directory to look into.
    pub fn read_keys(&self, named: &[PathBuf]) -> Result<Vec<KeyPair>, Problem> {
        if named.is_empty() {
            let all = keys::read_all(&self.keys_path())?;
            return Ok(all.into_iter().map(|(_, key)| key).collect());
        }
        named.iter().map(|path| keys::read(path)).collect()
    }

    /// Writes a new key of `role`, under the first number that is free, and says where.
    ///
    /// # Errors
    /// When the disk refuses; nothing is changed then.
    pub fn add_key(&self, role: RoleName) -> Result<(PathBuf, KeyPair), Problem> {
        let key = keys::generate()?;
        let path = (1..=usize::MAX)
            .map(|number| self.key_path(role, number))
            .find(|path| !path.exists())
            .expect("BUG: more key files than numbers");
        keys::write(&path, &key)?;
        Ok((path, key))
    }

    /// Keeps others from changing the directory meanwhile: two censuses of one number would be an alarm on
    /// every node.
    ///
    /// # Errors
    /// When somebody else is changing it, or it is not there.
    pub fn lock(&self) -> Result<FleetLock, Problem> {
        let file = File::open(&self.path).map_err(|error| Problem::reading(&self.path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(FleetLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Problem::local(
                format!("cannot change {}", self.path.display()),
                "another swell is changing it",
                "wait until that one is done, then run the command again",
            )),
            Err(error) => Err(Problem::local(
                format!("cannot lock {}", self.path.display()),
                error.to_string(),
                "put the fleet directory on a local disk",
            )),
        }
    }
}

fn key_file_name(role: RoleName, number: usize) -> String {
    match number {
        1 => format!("{}.key", role.as_str()),
        number => format!("{}-{number}.key", role.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::problem::ProblemKind;

    fn roles(release_keys: u8, release_threshold: u8) -> Vec<NewRole> {
        RoleName::ALL
            .into_iter()
            .map(|role| {
                let release = role == RoleName::Release;
                NewRole {
                    role,
                    keys: if release { release_keys } else { 1 },
                    trusted: Vec::new(),
                    threshold: if release { release_threshold } else { 1 },
                }
            })
            .collect()
    }

    #[test]
    fn a_founded_directory_holds_its_keys_and_bundle() {
        let dir = tempfile::tempdir().expect("temp dir");
        let fleet = FleetDirectory::at(&dir.path().join("fleet"));
        let made = fleet.found("shop", &roles(2, 2), 9).expect("founded");
        let read = fleet.read_bundle().expect("read");
        assert_eq!(made.fleet(), read.fleet());
        assert_eq!(fleet.read_keys(&[]).expect("keys").len(), 5);
        assert!(fleet.key_path(RoleName::Release, 2).ends_with("keys/release-2.key"));
        let again = fleet.found("shop", &roles(1, 1), 9).expect_err("it exists");
        assert_eq!(again.kind, ProblemKind::Usage);
    }

    #[test]
    fn an_impossible_fleet_leaves_nothing() {
        let dir = tempfile::tempdir().expect("temp dir");
        let fleet = FleetDirectory::at(&dir.path().join("fleet"));
        fleet.found("shop", &roles(1, 2), 9).expect_err("2 of 1");
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);
    }

    #[test]
    fn one_at_a_time_changes_a_fleet() {
        let dir = tempfile::tempdir().expect("temp dir");
        let fleet = FleetDirectory::at(dir.path());
        let lock = fleet.lock().expect("free");
        assert!(fleet.lock().is_err());
        drop(lock);
        fleet.lock().expect("free again");
    }
}
