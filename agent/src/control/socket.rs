//! The socket file: only its owner ever reaches it, one agent has it, and it goes when the agent goes.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

/// Bytes of a socket's path that the kernel takes (`sun_path` without its zero).
pub(super) const SOCKET_PATH_MAX: usize = 107;
/// Connections that wait to be taken.
const BACKLOG: i32 = 64;
/// How long another agent's binding in the same directory is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Why the control API cannot listen. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another agent has the socket.
    #[error("another agent answers on {}: stop it first, or give this one a `socket` of its own", .0.display())]
    InUse(PathBuf),
    /// Something else than a socket is in the way.
    #[error("{} exists and is no socket: move it away, or choose another `socket`", .0.display())]
    NotASocket(PathBuf),
    /// The kernel takes no path that long.
    #[error("the socket's path {} is too long: choose a `socket` of at most 96 bytes", .0.display())]
    TooLong(PathBuf),
    /// The metrics' address cannot be listened on.
    #[error("cannot listen on {0} for metrics: {1}: choose another `metrics` address")]
    Metrics(std::net::SocketAddr, io::Error),
    /// The directory or the disk.
    #[error("cannot make the socket {}: {error}: check that its directory exists and may be written to", path.display())]
    Local {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// A bound socket. Dropping it removes the file, if it is still ours.
pub(super) struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another agent may have taken the path since; its file is not ours to remove.
        if identity(&self.path).is_ok_and(|it| it == self.device_and_inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path`. The file appears there with mode 0600 and ready to answer, or not at all.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), BindError> {
    let local = |error: io::Error| BindError::Local { path: path.to_owned(), error };
    let fresh = path.with_file_name(format!(".swell-{}", std::process::id()));
    if [path, &fresh].iter().any(|path| path.as_os_str().len() > SOCKET_PATH_MAX) {
        return Err(BindError::TooLong(path.to_owned()));
    }
    // Two agents that start at once would both find a stale socket and take it from each other.
    let _lock = lock_directory(path).map_err(local)?;
    refuse_if_taken(path)?;
    remove_if_there(&fresh).map_err(local)?;
    let bound = listen(&fresh).and_then(|socket| {
        std::fs::rename(&fresh, path)?;
        Ok(socket)
    });
    let socket = bound.inspect_err(|_| drop(remove_if_there(&fresh))).map_err(local)?;
    let file = SocketFile { path: path.to_owned(), device_and_inode: identity(path).map_err(local)? };
    let listener = std::os::unix::net::UnixListener::from(socket);
    let listener = UnixListener::from_std(listener).map_err(local)?;
    Ok((listener, file))
}

/// Nobody can connect before the mode is set: a socket refuses connections until `listen`.
fn listen(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn refuse_if_taken(path: &Path) -> Result<(), BindError> {
    let local = |error: io::Error| BindError::Local { path: path.to_owned(), error };
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(local(error)),
    };
    if !kind.is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match probe(path) {
        Ok(()) => Err(BindError::InUse(path.to_owned())),
        // A full backlog: somebody has it and is busy.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(local(error)),
    }
}

/// Connects without waiting, so that an agent that hangs cannot hang this one.
fn probe(path: &Path) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?)
}

fn lock_directory(path: &Path) -> io::Result<File> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = File::open(directory.unwrap_or(Path::new(".")))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(directory),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
