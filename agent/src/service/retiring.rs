//! Processes on their way out while their successor already serves.

use super::orphan::Orphan;
use super::process::Process;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Most processes that may take their grace at the same time. One more, and the oldest is killed: a row of
/// quick switches must not pile up versions.
const RETIRING_MAX: usize = 3;

/// The processes that are ending. Dropped, they keep the SIGTERM they got, and their records.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    tasks: JoinSet<()>,
    hurries: VecDeque<CancellationToken>,
}

impl Retiring {
    /// Ends a process in the background, with grace.
    pub(super) fn retire(&mut self, process: Process, grace: Duration) {
        let hurry = self.admit();
        self.tasks.spawn(async move {
            let pid = process.pid();
            let ending = process.end(grace, &hurry).await;
            tracing::info!(pid, exit = ending.exit, "a retired service process has ended");
            hurry.cancel();
        });
    }

    /// Ends a process of an earlier agent in the background, with grace.
    pub(super) fn retire_orphan(&mut self, orphan: Orphan, grace: Duration) {
        let hurry = self.admit();
        self.tasks.spawn(async move {
            let pid = orphan.pid();
            orphan.end(grace, &hurry).await;
            tracing::info!(pid, "a service process of an earlier agent has ended");
            hurry.cancel();
        });
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until one has ended; may be dropped and called again. Must not be called when none is left.
    pub(super) async fn one_ended(&mut self) {
        let _ = self.tasks.join_next().await;
        self.hurries.retain(|hurry| !hurry.is_cancelled());
    }

    /// Waits until all have ended: at most their grace and a few seconds.
    pub(super) async fn all_ended(&mut self) {
        while !self.is_empty() {
            self.one_ended().await;
        }
    }

    fn admit(&mut self) -> CancellationToken {
        // A task cancels its own token when it is through, so only those that still run count.
        self.hurries.retain(|hurry| !hurry.is_cancelled());
        while self.hurries.len() >= RETIRING_MAX {
            if let Some(oldest) = self.hurries.pop_front() {
                oldest.cancel();
            }
        }
        let hurry = CancellationToken::new();
        self.hurries.push_back(hurry.clone());
        hurry
    }
}
