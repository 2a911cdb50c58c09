//! What all agents report, as it happens: one live stream an agent, gathered in one place.

use std::time::Duration;

use groundswell_protocol::node::Event;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::control::Client;
use crate::control::api::StreamLine;

/// Events on their way from the streams.
const INBOX_MAX: usize = 1_024;
/// Pause before a stream that ended is opened again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// One event on one machine.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    /// The machine's place.
    pub(super) place: usize,
    /// When, in milliseconds since 1970-01-01 UTC; all machines share one clock.
    pub(super) unix_ms: u64,
    /// What.
    pub(super) event: Event,
}

/// The streams of all agents. Dropped, they are closed.
#[derive(Debug)]
pub(super) struct Chronicle {
    inbox: mpsc::Receiver<Sighting>,
    watchers: Vec<JoinHandle<()>>,
}

impl Chronicle {
    /// Watches these agents, each for as long as this lives, over its restarts too.
    pub(super) fn watch(clients: Vec<Client>) -> Self {
        let (found, inbox) = mpsc::channel(INBOX_MAX);
        let watchers = clients.into_iter().enumerate();
        let watchers = watchers.map(|(place, client)| tokio::spawn(watch(place, client, found.clone())));
        Self { watchers: watchers.collect(), inbox }
    }

    /// The next event; `None` when there was none until `deadline`.
    pub(super) async fn next(&mut self, deadline: Instant) -> Option<Sighting> {
        timeout_at(deadline, self.inbox.recv()).await.ok().flatten()
    }
}

impl Drop for Chronicle {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
    }
}

async fn watch(place: usize, client: Client, found: mpsc::Sender<Sighting>) {
    let (mut life, mut last) = (0, 0);
    loop {
        // A new life of the agent numbers its events anew.
        if let Ok(status) = client.status().await {
            if life != status.started_unix_ms {
                (life, last) = (status.started_unix_ms, 0);
            }
            if let Ok(mut events) = client.events(last).await {
                while let Ok(Some(line)) = events.next().await {
                    let StreamLine::Event(line) = line else { continue };
                    last = line.number;
                    let sighting = Sighting { place, unix_ms: line.unix_ms, event: line.event };
                    if found.send(sighting).await.is_err() {
                        return;
                    }
                }
            }
        }
        sleep(AGAIN_AFTER).await;
    }
}
