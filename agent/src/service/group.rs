//! A child process and all that it forks, as one thing to wait for and to end.
//!
//! The child leads its own process group. It stays unreaped until the group was dealt with, because the
//! zombie keeps the group's number from being given to a stranger: so no signal here can hit one.

use super::proc;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long a killed process may take to vanish; longer means that the kernel holds it in a system call.
pub(super) const KILL_WAIT: Duration = Duration::from_secs(5);

/// A pidfd that is readable once its process has ended.
pub(super) type ExitWatch = AsyncFd<OwnedFd>;

/// A running child and its process group. Dropped without being ended it goes on running.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    child: Child,
    leader: Pid,
    exit: ExitWatch,
}

impl ProcessGroup {
    /// Starts the command as the leader of a new process group. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the process cannot be started or watched; nothing runs then.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let leader = Pid::from_child(&child);
        match watch_exit(leader) {
            Ok(exit) => Ok(Self { child, leader, exit }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// The process id of the child.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the child has ended; may be dropped and called again.
    pub(crate) async fn exited(&self) {
        ended(&self.exit).await;
    }

    /// Asks the whole group to end, and kills it after `grace` or as soon as `hurry` is cancelled.
    /// Returns how the child ended, `None` if the kernel did not let go of it in time.
    pub(crate) async fn end(self, grace: Duration, hurry: &CancellationToken) -> Option<ExitStatus> {
        let deadline = Instant::now() + grace;
        signal_group(self.leader, Signal::TERM);
        let everybody = async {
            self.exited().await;
            for member in watch_members(self.leader) {
                ended(&member).await;
            }
        };
        tokio::select! {
            _ = timeout_at(deadline, everybody) => {}
            () = hurry.cancelled() => {}
        }
        self.kill().await
    }

    /// Kills what is left of the group and reaps the child.
    pub(crate) async fn kill(mut self) -> Option<ExitStatus> {
        signal_group(self.leader, Signal::KILL);
        timeout(KILL_WAIT, self.exited()).await.ok()?;
        self.child.try_wait().ok().flatten()
    }
}

/// A group that is gone already needs no signal, so a failure to send one is not an error.
fn signal_group(leader: Pid, signal: Signal) {
    let _ = kill_process_group(leader, signal);
}

/// Opens a watch on a process's end.
#[expect(
    deprecated,
    reason = "its successor is an unsafe function, which this workspace forbids; what that one demands, that \
              the descriptor stays open and the same for as long as it is watched, an owned descriptor that is \
              only ever lent out immutably fulfils"
)]
pub(super) fn watch_exit(pid: Pid) -> io::Result<ExitWatch> {
    AsyncFd::with_interest(pidfd_open(pid, PidfdFlags::empty())?, Interest::READABLE)
}

/// Watches on all processes of a group that still run.
pub(super) fn watch_members(group: Pid) -> Vec<ExitWatch> {
    let raw = group.as_raw_nonzero().get();
    let watch = |pid| {
        let watch = watch_exit(pid).ok()?;
        // The number may have gone to another process between the listing and the opening.
        proc::stat(pid).filter(|stat| stat.group == raw)?;
        Some(watch)
    };
    proc::group_members(group).into_iter().filter_map(watch).collect()
}

/// Waits until the watched process has ended.
pub(super) async fn ended(watch: &ExitWatch) {
    if watch.readable().await.is_err() {
        // Only when the runtime shuts down: it ends this task too.
        std::future::pending::<()>().await;
    }
}
