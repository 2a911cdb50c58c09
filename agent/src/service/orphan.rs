//! A service process that an earlier agent started and that outlived it.

use super::group::{ExitWatch, KILL_WAIT, ended, watch_exit, watch_members};
use super::record::Records;
use rustix::process::{Pid, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_send_signal};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::settings::LISTEN_MAX;
use super::sockets::FIRST_SOCKET;

/// A process that is not this agent's child; init reaps it.
#[derive(Debug)]
pub(super) struct Orphan {
    pid: Pid,
    exit: ExitWatch,
    records: Records,
}

impl Orphan {
    /// Takes hold of the process. The caller checks *afterwards* that it still is the recorded one.
    pub(super) fn hold(pid: Pid, records: Records) -> io::Result<Self> {
        Ok(Self { pid, exit: watch_exit(pid)?, records })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits until it has ended; may be dropped and called again.
    pub(super) async fn exited(&self) {
        ended(&self.exit).await;
    }

    /// The orphan's listening socket of this address, where the kernel lets us have it: the socket lives
    /// on without a moment in which connections are refused.
    pub(super) fn listening_socket(&self, address: SocketAddr) -> Option<TcpListener> {
        let count = i32::try_from(LISTEN_MAX).ok()?;
        (FIRST_SOCKET..FIRST_SOCKET + count).find_map(|descriptor| self.socket_at(descriptor, address))
    }

    fn socket_at(&self, descriptor: i32, address: SocketAddr) -> Option<TcpListener> {
        let socket = pidfd_getfd(self.exit.get_ref().as_fd(), descriptor, PidfdGetfdFlags::empty()).ok()?;
        let listens = rustix::net::sockopt::socket_acceptconn(&socket).ok()?;
        let listener = listens.then(|| TcpListener::from(socket))?;
        (listener.local_addr().ok()? == address).then_some(listener)
    }

    /// Asks it and its group to end, and kills them after `grace` or as soon as `hurry` is cancelled.
    ///
    /// Unlike a child's its group number is not pinned once it has ended, so its members are held by
    /// pidfd beforehand; what it forks after this moment and leaves behind is not found.
    pub(super) async fn end(self, grace: Duration, hurry: &CancellationToken) {
        let deadline = Instant::now() + grace;
        let mut members = watch_members(self.pid);
        signal(&members, Signal::TERM);
        let everybody = async {
            self.exited().await;
            for member in &members {
                ended(member).await;
            }
        };
        tokio::select! {
            _ = timeout_at(deadline, everybody) => {}
            () = hurry.cancelled() => {}
        }
        if timeout(Duration::ZERO, self.exited()).await.is_err() {
            members.extend(watch_members(self.pid));
        }
        signal(&members, Signal::KILL);
        if timeout(KILL_WAIT, self.exited()).await.is_ok() {
            self.records.forget(self.pid());
        }
    }
}

/// A process that is gone already needs no signal, so a failure to send one is not an error.
fn signal(members: &[ExitWatch], signal: Signal) {
    for member in members {
        let _ = pidfd_send_signal(member.get_ref(), signal);
    }
}
