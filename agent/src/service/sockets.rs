//! The listening sockets of a component: bound once, handed to every version.

use super::error::ServiceError;
use super::orphan::Orphan;
use super::owner::{describe_owner, owner_group};
use super::record::Records;
use super::settings::{ServiceSettings, Succession};
use command_fds::FdMapping;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The first descriptor of a handed-over socket, after input, output and errors: sd_listen_fds(3).
pub(super) const FIRST_SOCKET: i32 = 3;
/// Connections that may wait while no version picks them up. The kernel lowers it to its own limit
/// (`net.core.somaxconn`, 4096 by default), which is also the largest useful value.
const BACKLOG: u32 = 4_096;
/// Pause between two tries to bind an address that an orphan has not released yet.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long an address in use is tried again when no orphan is known: one that died just now, or whose
/// record is being written, needs a moment.
const STRANGER_PATIENCE: Duration = Duration::from_millis(300);

/// The sockets, in the order of the settings.
///
/// Versions that overlap share each socket, and with it its mode: they get it non-blocking, because a
/// blocking accept would hang the one that comes second. Versions that follow in turn get it blocking, as
/// from systemd, which is what a plain accept loop expects.
#[derive(Debug)]
pub(super) struct Sockets {
    listeners: Vec<TcpListener>,
    names: String,
    nonblocking: bool,
}

impl Sockets {
    /// Takes over the sockets of orphans where the kernel allows, binds the others, and returns the
    /// orphans that go on serving. Where an orphan is in the way it is ended first.
    pub(super) async fn open(
        settings: &ServiceSettings,
        records: &Records,
        mut orphans: Vec<Orphan>,
    ) -> Result<(Self, Vec<Orphan>), ServiceError> {
        let mut listeners = Vec::with_capacity(settings.listen.len());
        for address in &settings.listen {
            let inherited = orphans.iter().find_map(|orphan| orphan.listening_socket(*address));
            let listener = match inherited {
                Some(listener) => listener,
                None => bind_patiently(*address, settings, records, &mut orphans).await?,
            };
            listeners.push(listener);
        }
        let names: Vec<String> =
            (0..listeners.len()).map(|index| format!("{}-{index}", settings.name)).collect();
        let nonblocking = settings.succession == Succession::Overlap;
        Ok((Self { listeners, names: names.join(":"), nonblocking }, orphans))
    }

    /// The addresses, with the real port where the settings say 0.
    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.listeners.len()
    }

    /// `LISTEN_FDNAMES`: the component's name and a number, separated by colons.
    pub(super) fn names(&self) -> &str {
        &self.names
    }

    /// Copies of the sockets' descriptors for one child. The version before may have changed their mode.
    pub(super) fn mappings(&self) -> io::Result<Vec<FdMapping>> {
        let map = |(child_fd, listener): (i32, &TcpListener)| {
            listener.set_nonblocking(self.nonblocking)?;
            Ok(FdMapping { parent_fd: listener.try_clone()?.into(), child_fd })
        };
        (FIRST_SOCKET..).zip(&self.listeners).map(map).collect()
    }
}

async fn bind_patiently(
    address: SocketAddr,
    settings: &ServiceSettings,
    records: &Records,
    orphans: &mut Vec<Orphan>,
) -> Result<TcpListener, ServiceError> {
    let mut deadline = Instant::now() + STRANGER_PATIENCE;
    let mut dealt_with: Vec<u32> = Vec::new();
    loop {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                return Err(ServiceError::Bind { address, source: error });
            }
            Err(_) => {}
        }
        let known: Vec<u32> = orphans.iter().map(Orphan::pid).chain(dealt_with.iter().copied()).collect();
        orphans.extend(records.living(&known).unwrap_or_default());
        if !orphans.is_empty() && may_be_held_by(address, orphans) {
            dealt_with.extend(orphans.iter().map(Orphan::pid));
            end_all(std::mem::take(orphans), settings.grace).await;
            deadline = Instant::now() + STRANGER_PATIENCE;
        } else if Instant::now() >= deadline {
            return Err(ServiceError::AddressInUse { address, owner: describe_owner(address) });
        } else {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// Whether ending the orphans may free the address: not when a stranger is seen to hold it.
fn may_be_held_by(address: SocketAddr, orphans: &[Orphan]) -> bool {
    owner_group(address).is_none_or(|group| orphans.iter().any(|orphan| orphan.pid() == group))
}

async fn end_all(orphans: Vec<Orphan>, grace: Duration) {
    for orphan in &orphans {
        tracing::info!(pid = orphan.pid(), "ending a service process that an earlier agent left running");
    }
    let patient = CancellationToken::new();
    futures::future::join_all(orphans.into_iter().map(|orphan| orphan.end(grace, &patient))).await;
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier agent's service that linger in TIME_WAIT must not block the address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{OFlags, fcntl_getfl};

    #[tokio::test]
    async fn versions_in_turn_get_blocking_sockets_and_overlapping_ones_do_not() {
        for nonblocking in [false, true] {
            let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
            listener.set_nonblocking(!nonblocking).expect("as the version before left it");
            let sockets = Sockets { listeners: vec![listener], names: "web-0".to_owned(), nonblocking };
            let handed = sockets.mappings().expect("mappings");
            let mode = fcntl_getfl(&handed[0].parent_fd).expect("its mode");
            assert_eq!(mode.contains(OFlags::NONBLOCK), nonblocking);
        }
    }
}
