//! What agents recorded, played through the core again.

use std::path::PathBuf;

use groundswell_agent::demo::machine::Machine;
use groundswell_protocol::recording::replay;

/// The recordings of a machine's agents, the oldest first.
pub fn of(machine: &Machine) -> Vec<PathBuf> {
    let Ok(listed) = std::fs::read_dir(machine.recordings()) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// Plays every recording of these machines.
///
/// # Errors
/// The first that cannot be read or has other effects now, in words.
pub fn replay_all(machines: &[Machine]) -> Result<(), String> {
    let (mut recordings, mut inputs, mut effects, mut signatures, mut bytes) = (0, 0, 0, 0, 0);
    for machine in machines {
        for path in of(machine) {
            let failed = |why: String| format!("{}: {why}", path.display());
            let recording = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
            let replayed = replay(&recording, |_, _, _| {}).map_err(|error| failed(error.to_string()))?;
            if let Some(difference) = replayed.difference {
                return Err(failed(format!("{difference:#?}")));
            }
            recordings += 1;
            inputs += replayed.inputs;
            effects += replayed.effects;
            signatures += replayed.signatures;
            bytes += recording.len();
        }
    }
    println!(
        "{recordings} recordings of {bytes} bytes played again: {inputs} inputs, {effects} effects, {signatures} signatures, all the same"
    );
    Ok(())
}
