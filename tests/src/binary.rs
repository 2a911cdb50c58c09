//! The `swell` binary under test.
//!
//! `cargo test --workspace` builds it, because the agent's package has integration tests of its own. A test of
//! this package alone does not, so a binary that is missing or older than its sources is built here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Where it is; built at the first call, if need be.
///
/// # Panics
/// When it cannot be built.
pub fn swell() -> &'static Path {
    static SWELL: OnceLock<PathBuf> = OnceLock::new();
    SWELL.get_or_init(|| {
        let path = beside_the_tests();
        if is_older_than_its_sources(&path) {
            build();
        }
        assert!(path.is_file(), "cargo built no {}", path.display());
        path
    })
}

/// Test executables are in `PROFILE/deps`, binaries in `PROFILE`.
fn beside_the_tests() -> PathBuf {
    let test = std::env::current_exe().expect("the kernel tells the path of this process");
    let profile = test.ancestors().nth(2).expect("test executables lie in target/PROFILE/deps");
    profile.join("swell")
}

fn is_older_than_its_sources(binary: &Path) -> bool {
    let Ok(built) = binary.metadata().and_then(|meta| meta.modified()) else { return true };
    let mut pending: Vec<PathBuf> =
        ["agent", "protocol", "delta"].map(|part| workspace().join(part).join("src")).to_vec();
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).expect("the sources are here").flatten() {
            let meta = entry.metadata().expect("an entry that was just listed");
            if meta.is_dir() {
                pending.push(entry.path());
            } else if meta.modified().unwrap_or(SystemTime::UNIX_EPOCH) > built {
                return true;
            }
        }
    }
    false
}

fn build() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace()).args([
        "build",
        "--quiet",
        "--package",
        "groundswell-agent",
        "--bin",
        "swell",
    ]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    assert!(command.status().expect("cargo is here").success(), "cargo could not build swell");
}

/// The root of the workspace.
///
/// # Panics
/// Never where cargo runs the tests.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the workspace")
}
