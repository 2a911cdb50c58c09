//! Who is measured, and how each is started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Serialize, Serializer};
use serde_json::json;

use super::network::{Network, address_of};
use super::node::{NodeTask, Role};
use super::torrent;

/// The script that is one libtorrent node.
const LIBTORRENT: &str = include_str!("libtorrent.py");

/// Somebody who brings a blob from one node to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// Ourselves: the agent's transfer over the agent's link.
    Swell,
    /// aria2 with a tracker.
    Aria2,
    /// libtorrent with a tracker, through Python.
    Libtorrent,
    /// The same with the publisher in super-seeding mode.
    LibtorrentSuper,
    /// One stream of our link to each receiver: no swarm.
    Stream,
    /// Plain TCP to each receiver: no swarm.
    Star,
}

impl Contender {
    /// Those that can be named.
    pub const OTHERS: [Self; 5] =
        [Self::Aria2, Self::Libtorrent, Self::LibtorrentSuper, Self::Stream, Self::Star];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Swell => "swell",
            Self::Aria2 => "aria2",
            Self::Libtorrent => "libtorrent",
            Self::LibtorrentSuper => "libtorrent-super",
            Self::Stream => "stream",
            Self::Star => "star",
        }
    }

    /// Whether it is a client of a BitTorrent tracker.
    pub(super) fn is_torrent(self) -> bool {
        matches!(self, Self::Aria2 | Self::Libtorrent | Self::LibtorrentSuper)
    }

    /// Whether it begins on a line and says when it is done, in the words of [`super::node`].
    pub(super) fn talks(self) -> bool {
        self != Self::Aria2
    }

    /// Whether it leaves the blob on disk, to be compared.
    pub(super) fn keeps(self) -> bool {
        !matches!(self, Self::Stream | Self::Star)
    }

    /// Why it cannot be measured here, and what to do about it.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Swell | Self::Stream | Self::Star => None,
            Self::Aria2 => {
                succeeds("aria2c", &["--version"]).err().map(|why| format!("{why}; apt-get install aria2"))
            }
            Self::Libtorrent | Self::LibtorrentSuper => succeeds("python3", &["-c", "import libtorrent"])
                .err()
                .map(|why| format!("{why}; python3 -m pip install libtorrent")),
        }
    }
}

impl Serialize for Contender {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> Result<(), String> {
    let ended = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program} {}` {status}", arguments.join(" "))),
        Err(error) => Err(format!("{program} cannot be run: {error}")),
    }
}

/// Where everything of one run is.
pub(super) struct Places<'a> {
    /// This program.
    pub(super) swell: &'a Path,
    /// A folder for each node.
    pub(super) work: &'a Path,
    /// The blob.
    pub(super) file: &'a Path,
    /// Its metainfo.
    pub(super) torrent: &'a Path,
}

impl Places<'_> {
    pub(super) fn directory(&self, number: usize) -> PathBuf {
        self.work.join(number.to_string())
    }

    /// What aria2's hook writes when a download is complete.
    pub(super) fn hook_file(&self, number: usize) -> PathBuf {
        self.directory(number).join(format!("{}.stored", torrent::NAME))
    }

    fn hook(&self) -> PathBuf {
        self.work.join("hook")
    }

    /// Writes what the clients need beside the blob.
    ///
    /// # Errors
    /// In words.
    pub(super) fn prepare(&self, contender: Contender, nodes: usize) -> Result<(), String> {
        use std::os::unix::fs::PermissionsExt;
        let failed = |error: std::io::Error| format!("cannot write in {}: {error}", self.work.display());
        for number in 0..nodes {
            std::fs::create_dir_all(self.directory(number)).map_err(failed)?;
        }
        if contender.is_torrent() {
            std::fs::hard_link(self.file, self.directory(0).join(torrent::NAME)).map_err(failed)?;
            std::fs::write(self.hook(), "#!/bin/sh\ndate +%s%N >\"$3.new\" && mv \"$3.new\" \"$3.stored\"\n")
                .map_err(failed)?;
            std::fs::set_permissions(self.hook(), std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
        }
        Ok(())
    }

    /// The program that is node `task.number` of a contender.
    pub(super) fn command(&self, contender: Contender, network: &Network, task: &NodeTask) -> Command {
        let number = task.number;
        let role = match contender {
            Contender::Aria2 => return self.aria2(network, number),
            Contender::Libtorrent | Contender::LibtorrentSuper => {
                let config = json!({
                    "address": address_of(number).to_string(),
                    "torrent": self.torrent,
                    "directory": self.directory(number),
                    "publisher": number == 0,
                    "super": contender == Contender::LibtorrentSuper,
                });
                let mut command = network.command(number, Path::new("python3"));
                command.args(["-c", LIBTORRENT, &config.to_string()]);
                return command;
            }
            Contender::Swell => Role::Swarm,
            Contender::Stream => Role::Stream,
            Contender::Star => Role::Star,
        };
        self.own(network.command(number, self.swell), &NodeTask { role, ..task.clone() })
    }

    pub(super) fn tracker(&self, network: &Network, task: &NodeTask) -> Command {
        self.own(network.switch_command(self.swell), &NodeTask { role: Role::Tracker, ..task.clone() })
    }

    fn own(&self, mut command: Command, task: &NodeTask) -> Command {
        let task = serde_json::to_string(task).expect("BUG: a task that is no JSON");
        command.args(["bench", "node", &task]);
        command
    }

    fn aria2(&self, network: &Network, number: usize) -> Command {
        let mut command = network.command(number, Path::new("aria2c"));
        command
            .arg(format!("--dir={}", self.directory(number).display()))
            .arg(format!("--on-bt-download-complete={}", self.hook().display()))
            .arg(format!("--interface={}", address_of(number)))
            .args(["--no-conf", "--quiet", "--enable-dht=false", "--bt-enable-lpd=false", "--seed-ratio=0"])
            .args(["--file-allocation=none", "--listen-port=6881", "--bt-tracker-interval=1"])
            .args((number == 0).then_some("--bt-seed-unverified=true"))
            .arg(self.torrent);
        command
    }
}
