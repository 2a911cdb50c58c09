//! Waiting for a new process to be ready: sd_notify(3), or time.

use super::settings::Readiness;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::Instant;

/// Longest notification that is read; more is cut off by the kernel.
const NOTIFICATION_MAX: usize = 4 * 1024;
/// Longest path of a Unix socket that every kernel and libc takes.
const SOCKET_PATH_MAX: usize = 100;

/// One start's wait.
#[derive(Debug)]
pub(super) enum Waiting {
    /// For a notification, until the deadline.
    Notify {
        /// Where it arrives.
        socket: NotifySocket,
        /// When the start has failed.
        deadline: Instant,
    },
    /// For this moment.
    Settle(Instant),
}

impl Waiting {
    /// Begins to wait; `directory` is where a socket can be made.
    pub(super) fn begin(readiness: Readiness, directory: &Path) -> io::Result<Self> {
        let now = Instant::now();
        Ok(match readiness {
            Readiness::Settle(time) => Self::Settle(now + time),
            Readiness::Notify { within } => {
                Self::Notify { socket: NotifySocket::open(directory)?, deadline: now + within }
            }
        })
    }

    /// `NOTIFY_SOCKET` for the process, if it is to notify.
    pub(super) fn notify_path(&self) -> Option<&Path> {
        match self {
            Self::Notify { socket, .. } => Some(&socket.path),
            Self::Settle(_) => None,
        }
    }

    /// Waits until the process is ready (true) or its time is over (false); may be dropped and called again.
    pub(super) async fn ready(&self) -> bool {
        match self {
            Self::Notify { socket, deadline } => {
                tokio::time::timeout_at(*deadline, socket.notified()).await.is_ok()
            }
            Self::Settle(moment) => {
                tokio::time::sleep_until(*moment).await;
                true
            }
        }
    }
}

/// The socket of one start, in a private directory that goes with it.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
    // Held for its drop, which removes the socket.
    _directory: TempDir,
}

impl NotifySocket {
    fn open(directory: &Path) -> io::Result<Self> {
        let mut private = tempfile::Builder::new().prefix("notify-").tempdir_in(directory)?;
        if private.path().as_os_str().len() + "/socket".len() > SOCKET_PATH_MAX {
            // A deep state directory does not fit into a socket address.
            private = tempfile::Builder::new().prefix("swell-notify-").tempdir()?;
        }
        let path = private.path().join("socket");
        Ok(Self { socket: UnixDatagram::bind(&path)?, path, _directory: private })
    }

    async fn notified(&self) {
        let mut buffer = [0; NOTIFICATION_MAX];
        loop {
            match self.socket.recv(&mut buffer).await {
                Ok(length) if says_ready(&buffer[..length]) => return,
                Ok(_) => {}
                // Nothing that the peer does makes a bound datagram socket fail; do not spin if it does.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

fn says_ready(notification: &[u8]) -> bool {
    notification.split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
}

/// Removes what starts of an agent that was killed left behind.
pub(super) fn remove_leftovers(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("notify-") {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_says_ready() {
        assert!(says_ready(b"READY=1"));
        assert!(says_ready(b"STATUS=warm\nREADY=1\n"));
        for other in [&b""[..], b"READY=0", b"READY=11", b"NOT_READY=1", b"READY=1 "] {
            assert!(!says_ready(other));
        }
    }

    #[tokio::test]
    async fn a_notification_ends_the_wait_and_its_socket_goes_with_it() {
        let deep = tempfile::tempdir().expect("directory");
        let deep = deep.path().join("a".repeat(120));
        std::fs::create_dir(&deep).expect("deep directory");
        let waiting =
            Waiting::begin(Readiness::Notify { within: Duration::from_secs(20) }, &deep).expect("waiting");
        let path = waiting.notify_path().expect("path").to_owned();
        let peer = UnixDatagram::unbound().expect("peer");
        peer.send_to(b"STATUS=still loading", &path).await.expect("send");
        peer.send_to(b"READY=1", &path).await.expect("send");
        assert!(waiting.ready().await);
        drop(waiting);
        assert!(!path.exists());
        let hopeless =
            Waiting::begin(Readiness::Notify { within: Duration::from_millis(5) }, &deep).expect("waiting");
        assert!(!hopeless.ready().await);
    }
}
