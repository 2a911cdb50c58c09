//! What the tests release: a version's name, a payload that compresses no further, and plans that take seconds.

use std::path::Path;

use groundswell_protocol::trust::plan::{Plan, Rung};
use groundswell_protocol::trust::probe::{Probe, ProbeAction};

/// The file that says which version a tree is.
pub const VERSION_FILE: &str = "version.txt";
/// The file with the payload.
pub const PAYLOAD_FILE: &str = "bin/payload";
/// The file that makes the health rule fail.
pub const BAD_FILE: &str = "bad";

/// Writes the tree of `version` with a payload of `bytes`, of which the first quarter is the version's own.
///
/// # Panics
/// When the disk refuses.
pub fn write(tree: &Path, version: &str, bytes: usize) {
    std::fs::create_dir_all(tree.join("bin")).expect("a directory for the tree");
    std::fs::write(tree.join(VERSION_FILE), version).expect("the version's file");
    std::fs::write(tree.join(PAYLOAD_FILE), payload(version, bytes)).expect("the payload");
}

/// The payload of `version`.
pub fn payload(version: &str, bytes: usize) -> Vec<u8> {
    let mut payload = noise(version.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte)), bytes / 4);
    payload.extend(noise(1, bytes - bytes / 4));
    payload
}

/// Bytes drawn from a seed (xorshift64*).
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        noise.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// One canary, then everybody; a second of trial; healthy is a tree without [`BAD_FILE`].
pub fn plan() -> Plan {
    let command = ["/bin/sh", "-c", "test ! -e bad"].map(str::to_owned).to_vec();
    let probe = Probe {
        period_ms: 200,
        timeout_ms: 5_000,
        failure_threshold: 2,
        ..Probe::new(ProbeAction::Exec { command })
    };
    Plan {
        ladder: vec![Rung::Nodes(1), Rung::Permille(1_000)],
        bake_s: 0,
        stage_s: 4,
        trial_s: 1,
        hold_s: 60,
        revert_spread_s: 1,
        beacon_ms: 500,
        probes: vec![probe],
        ..Plan::default()
    }
}
