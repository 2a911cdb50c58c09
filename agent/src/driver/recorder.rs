//! `swell agent --record`: writes down what the core is told and what it decides, for a replay by `swell-sim`.
//!
//! An input is written before the core takes it, and its effects before they are performed, each with one call and
//! without waiting for the disk: what was written outlives the agent's own death, and a power failure costs the tail.
//! Recording never keeps the agent from its work: when the file is full or the disk refuses, it ends and says so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use groundswell_protocol::node::Input;
use groundswell_protocol::recording::format::{append, opening};
use groundswell_protocol::recording::{Block, Closing, Effects, Head};
use groundswell_protocol::time::Time;

/// Bytes of one recording. In a fleet of thirty that rolls out with beacons every second an agent wrote 21 kB a second,
/// measured: over three hours of that, and days of rest, when there is a beacon a minute.
const RECORDING_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Recordings that are kept in one directory; each start of an agent makes one.
const RECORDINGS_KEPT: usize = 8;
/// How the files in a directory of recordings end.
const ENDING: &str = "rec";

/// A recording that is being written.
pub(super) struct Recorder {
    path: PathBuf,
    /// `None` once it has ended.
    file: Option<File>,
    left: u64,
    block: Vec<u8>,
}

impl Recorder {
    /// Begins a recording: in a new file, or in a file of its own if `place` is a directory or ends as one.
    ///
    /// # Errors
    /// With the path that cannot be written, or is there already.
    pub(super) fn begin(place: &Path, head: Head) -> Result<Self, (PathBuf, io::Error)> {
        Self::begin_within(place, head, RECORDING_BYTES_MAX)
    }

    fn begin_within(place: &Path, head: Head, bytes_max: u64) -> Result<Self, (PathBuf, io::Error)> {
        let path = file_in(place, &head).map_err(|error| (place.to_owned(), error))?;
        let failed = |error| (path.clone(), error);
        // What the node knows is nobody else's business.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let bytes = opening(head);
        file.write_all(&bytes).map_err(failed)?;
        let left = bytes_max.saturating_sub(bytes.len() as u64);
        tracing::info!(path = %path.display(), "What this node is told and decides is recorded.");
        Ok(Self { path, file: Some(file), left, block: Vec::new() })
    }

    /// The core is about to take an input.
    pub(super) fn input(&mut self, now: Time, input: &Input<'_>) {
        if self.file.is_some() {
            self.write(&Block::Input { now, input: input.clone() });
        }
    }

    /// The core has decided.
    pub(super) fn effects(&mut self, effects: &Effects) {
        if self.file.is_some() {
            self.write(&Block::Effects(effects.clone()));
        }
    }

    /// The agent ends.
    pub(super) fn end(mut self) {
        self.close(Closing::Ended);
    }

    fn write(&mut self, block: &Block<'_>) {
        let Some(file) = &mut self.file else { return };
        self.block.clear();
        append(&mut self.block, block);
        let bytes = self.block.len() as u64;
        if bytes > self.left {
            tracing::warn!(
                path = %self.path.display(),
                "The recording is full and ends here: start the agent anew for another one."
            );
            return self.close(Closing::Full);
        }
        self.left -= bytes;
        if let Err(error) = file.write_all(&self.block) {
            tracing::warn!(path = %self.path.display(), "The recording ends here, it cannot be written: {error}.");
            self.file = None;
        }
    }

    fn close(&mut self, closing: Closing) {
        let Some(mut file) = self.file.take() else { return };
        self.block.clear();
        append(&mut self.block, &Block::Closing(closing));
        if let Err(error) = file.write_all(&self.block) {
            tracing::warn!(path = %self.path.display(), "The recording's last word was not written: {error}.");
        }
    }
}

/// The file that is meant. In a directory it has the node's and the moment's name, and the oldest make room.
fn file_in(place: &Path, head: &Head) -> io::Result<PathBuf> {
    let is_directory = place.is_dir() || place.as_os_str().as_encoded_bytes().ends_with(b"/");
    if !is_directory {
        return Ok(place.to_owned());
    }
    fs::create_dir_all(place)?;
    let mine = format!("swell-{}-", head.node.short());
    let mut old: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        let is_mine = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&mine));
        if is_mine && path.extension().is_some_and(|ending| ending == ENDING) {
            old.push(path);
        }
    }
    // Names end in a moment of thirteen digits: their order is that of time.
    old.sort();
    for path in old.iter().take((old.len() + 1).saturating_sub(RECORDINGS_KEPT)) {
        fs::remove_file(path)?;
    }
    Ok(place.join(format!("{mine}{:013}.{ENDING}", head.origin_unix_ms)))
}

#[cfg(test)]
mod tests {
    use groundswell_protocol::digest::Digest;
    use groundswell_protocol::identity::PublicKey;
    use groundswell_protocol::recording::Recording;
    use groundswell_protocol::trust::policy::FleetId;

    use super::*;

    fn head(origin_unix_ms: u64) -> Head {
        Head {
            fleet: FleetId(Digest([1; 32])),
            node: PublicKey([2; 32]),
            components: Vec::new(),
            program: "test".to_owned(),
            origin_unix_ms,
            entropy: [3; 32],
            restored: Vec::new(),
        }
    }

    fn blocks(path: &Path) -> Vec<String> {
        let bytes = fs::read(path).expect("a file");
        let mut recording = Recording::open(&bytes).expect("a recording");
        let mut blocks = Vec::new();
        while let Some(block) = recording.next_block().expect("known blocks") {
            blocks.push(format!("{block:?}"));
        }
        blocks
    }

    #[test]
    fn a_full_recording_says_so_as_its_last_word_and_stays_in_its_bound() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("one");
        let mut recorder = Recorder::begin_within(&path, head(1), 1_000).expect("begun");
        for second in 0..100 {
            recorder.input(Time(second), &Input::WallClock(second));
            recorder.effects(&Effects::default());
        }
        recorder.end();
        let blocks = blocks(&path);
        assert_eq!(blocks.last().map(String::as_str), Some("Closing(Full)"));
        assert!(blocks.len() > 10 && fs::metadata(&path).expect("a file").len() <= 1_016);
    }

    #[test]
    fn a_recording_is_never_written_over_and_a_directory_keeps_the_newest() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("one");
        Recorder::begin(&path, head(1)).expect("begun").end();
        assert_eq!(blocks(&path), ["Closing(Ended)"]);
        assert_eq!(Recorder::begin(&path, head(1)).err().expect("refused").0, path);

        let directory = place.path().join("many/");
        for moment in 0..40 {
            Recorder::begin(&directory, head(moment)).expect("begun").end();
        }
        let mut names: Vec<_> = fs::read_dir(&directory)
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names.len(), RECORDINGS_KEPT);
        assert_eq!(names[0].to_string_lossy(), "swell-02020202-0000000000032.rec");
    }
}
