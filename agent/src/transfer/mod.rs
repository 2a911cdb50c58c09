//! Moving pieces between peers: fetching blobs from several at once, and serving what is here.
//!
//! One door: [`Transfer`], a handle on one task that owns all downloads and all serving. What to ask of
//! whom, and whom to serve, is decided by `groundswell_protocol::transfer`; here bytes move: streams come
//! from a [`Streams`], content goes to a [`BlobStore`] and comes from it, from blobs under way, and from
//! any [`Content`]. Each piece is verified before it is kept and again when it is read to be served.
//!
//! Deliberately absent: why a blob is wanted, who may take part (the network refuses strangers before
//! they get a stream), and when to give up: a fetch goes on until it is cancelled.

mod board;
mod clock;
mod disk;
mod engine;
mod fetches;
mod offences;
mod pacing;
mod serves;
mod sessions;
mod sources;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::transfer::egress::{BudgetError, EgressRecord, EgressReport};
use groundswell_protocol::transfer::shortage::{FAIR_TIME, Shortage};
use tokio::sync::{mpsc, oneshot};

use crate::store::Content;
use crate::store::blobs::{BlobStore, StoreError};

pub use board::{Counters, PEERS_RATED_MAX, PeerTraffic, Progress};
pub use offences::{CORRUPTIONS_MAX, Offence, Offences};
pub use stream::{Duplex, PieceStream, Streams};

pub(crate) use clock::Clock;
pub(crate) use pacing::Pacing;

use board::Board;
use engine::Engine;

/// Calls that wait for the engine, at most; [`Transfer::fetch_many`] is one call however many it names.
const COMMANDS_MAX: usize = 1024;

/// Events that wait for their reader in the channel; beyond, the engine keeps them.
const EVENTS_MAX: usize = 256;

/// Blobs wanted at once, at most: those under way and those that wait for their turn.
pub const WANTS_MAX: usize = 65_536;

/// A blob to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Its name.
    pub blob: Digest,
    /// Its size in bytes, from a source as trusted as the name.
    pub bytes: u64,
}

/// Caps on payload; they may change while the transfer runs. None for no cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Caps {
    /// Bytes sent a second, all peers together: within 2 % over any second.
    pub upload_bytes_per_second: Option<u64>,
    /// Bytes received a second, all peers together; a piece that began to come comes whole.
    pub download_bytes_per_second: Option<u64>,
    /// Bytes sent a second to one peer.
    pub link_upload_bytes_per_second: Option<u64>,
}

impl Caps {
    /// These, and no more sent than so much.
    fn with_upload_within(self, most: Option<u64>) -> Self {
        let both = self.upload_bytes_per_second.into_iter().chain(most);
        Self { upload_bytes_per_second: both.min(), ..self }
    }

    /// In words, for logs and screens.
    pub fn words(&self) -> String {
        let rate = |rate: Option<u64>| match rate {
            Some(rate) => format!("{} kB/s", rate / 1000),
            None => "unlimited".to_owned(),
        };
        let link = self.link_upload_bytes_per_second;
        let link = link.map(|link| format!(" and {} to each peer", rate(Some(link)))).unwrap_or_default();
        let (up, down) = (self.upload_bytes_per_second, self.download_bytes_per_second);
        format!("{}{link} sent, {} received", rate(up), rate(down))
    }
}

/// What the operator allows, and what this node is.
#[derive(Clone, Copy, Debug)]
pub struct TransferLimits {
    /// The caps at the start.
    pub caps: Caps,
    /// Blobs fetched at the same time; more wait for their turn. 1 to 64; fewer under a
    /// low cap.
    pub fetches_at_once: usize,
    /// Streams to peers, and again as many from peers, at most. At least 1.
    pub streams: usize,
    /// How long pieces are with nobody who can be reached before that is said, in milliseconds.
    pub fair_ms: u64,
}

impl Default for TransferLimits {
    /// No caps; 32 fetches, which keeps small chunks flowing over round trips of 50 ms; 128 streams each
    /// way, twice the peers of one download.
    fn default() -> Self {
        Self { caps: Caps::default(), fetches_at_once: 32, streams: 128, fair_ms: FAIR_TIME.0 }
    }
}

/// What the transfer reports.
#[derive(Debug)]
pub enum TransferEvent {
    /// The blob is complete, verified, on disk and in the store.
    Stored {
        /// The blob.
        blob: Digest,
    },
    /// The blob cannot be fetched; what came is kept for another attempt. Never for lack of peers.
    Failed {
        /// The blob.
        blob: Digest,
        /// What stands in the way.
        why: FetchError,
    },
    /// A peer served bytes that do not verify. The fetch goes on without it.
    Corrupt {
        /// The peer.
        peer: NodeId,
        /// The blob.
        blob: Digest,
    },
}

/// Why a fetch ended without its blob.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too much is wanted at once. Fault: ours, or an operator's very large release.
    #[error("{WANTS_MAX} blobs are wanted already")]
    TooMany,
}

/// A call could not be taken: the transfer has ended, or is behind by `COMMANDS_MAX` calls. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the transfer takes no calls now")]
pub struct NotTaken;

pub(super) enum Command {
    Fetch { wants: Vec<Want>, holders: Vec<NodeId> },
    AddHolders { blob: Digest, holders: Vec<NodeId> },
    Cancel { blob: Digest },
    Announce { blob: Digest },
    SetCaps { caps: Caps },
    LeaveRoom { upload_bytes_per_second: Option<u64> },
    SetSite { site: Vec<NodeId> },
    Budget { budget: Budget, answer: oneshot::Sender<Result<(), BudgetError>> },
    Restore { records: Vec<EgressRecord> },
    Records { answer: oneshot::Sender<Vec<EgressRecord>> },
}

/// How much may be sent of a release while others can serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The release: its rollout's digest.
    pub release: Digest,
    /// The multiple of the payload, in thousandths.
    pub permille: u32,
    /// The release's blobs, with their sizes.
    pub blobs: Vec<(Digest, u64)>,
}

/// A handle on the running transfer. It ends when the last clone is dropped.
#[derive(Clone)]
pub struct Transfer {
    commands: mpsc::Sender<Command>,
    board: Arc<Board>,
    clock: Clock,
}

impl Transfer {
    /// Starts the transfer of node `me` on the current tokio runtime. Streams that peers open come by
    /// `incoming`, with the peer's proven identity.
    pub fn start(
        me: NodeId,
        store: BlobStore,
        contents: Vec<Arc<dyn Content>>,
        streams: impl Streams,
        incoming: mpsc::Receiver<(NodeId, PieceStream)>,
        limits: TransferLimits,
    ) -> (Self, mpsc::Receiver<TransferEvent>) {
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (events, event_queue) = mpsc::channel(EVENTS_MAX);
        let board = Arc::new(Board::default());
        let clock = Clock::start();
        let sources = sources::Sources::new(store, contents);
        let engine = Engine::new(me, sources, streams, limits, board.clone(), clock);
        tokio::spawn(engine.run(command_queue, incoming, events));
        (Self { commands, board, clock }, event_queue)
    }

    /// Fetches a blob from `holders` and whoever they name, until it is stored, fails on this node, or is
    /// cancelled. Wanting it again adds the holders.
    pub fn fetch(&self, want: Want, holders: Vec<NodeId>) -> Result<(), NotTaken> {
        self.fetch_many(vec![want], holders)
    }

    /// Fetches many blobs, some at a time, over the same streams, in an order that differs from node to
    /// node so that peers soon have different ones to share.
    pub fn fetch_many(&self, wants: Vec<Want>, holders: Vec<NodeId>) -> Result<(), NotTaken> {
        self.call(Command::Fetch { wants, holders })
    }

    /// Names more peers that may have a wanted blob; no effect if it is not wanted.
    pub fn add_holders(&self, blob: Digest, holders: Vec<NodeId>) -> Result<(), NotTaken> {
        self.call(Command::AddHolders { blob, holders })
    }

    /// Wants the blob no more. What came of it stays in the store until that is cleaned.
    pub fn cancel(&self, blob: Digest) -> Result<(), NotTaken> {
        self.call(Command::Cancel { blob })
    }

    /// Tells peers that asked for `blob` before it was here that it is now, come by another way.
    pub fn announce(&self, blob: Digest) -> Result<(), NotTaken> {
        self.call(Command::Announce { blob })
    }

    /// Changes the caps.
    pub fn set_caps(&self, caps: Caps) -> Result<(), NotTaken> {
        self.call(Command::SetCaps { caps })
    }

    /// Holds what is sent to what others of this machine leave of its line, beside the caps; `None`: all of it.
    pub fn leave_room(&self, upload_bytes_per_second: Option<u64>) -> Result<(), NotTaken> {
        self.call(Command::LeaveRoom { upload_bytes_per_second })
    }

    /// Says who else is of this node's site and there: pieces are brought in once for all of them. Holds for
    /// blobs that are begun from now on.
    pub fn set_site(&self, site: Vec<NodeId>) -> Result<(), NotTaken> {
        self.call(Command::SetSite { site })
    }

    /// Sets a release's budget, or changes it.
    ///
    /// # Errors
    /// [`NotTaken`], or why the budget cannot be; nothing changed then.
    pub async fn set_budget(&self, budget: Budget) -> Result<Result<(), BudgetError>, NotTaken> {
        let (answer, answered) = oneshot::channel();
        self.call(Command::Budget { budget, answer })?;
        answered.await.map_err(|_| NotTaken)
    }

    /// Takes up the budgets of an earlier run.
    pub fn restore_budgets(&self, records: Vec<EgressRecord>) -> Result<(), NotTaken> {
        self.call(Command::Restore { records })
    }

    /// The budgets with their accounts, to be kept over restarts.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub async fn budget_records(&self) -> Result<Vec<EgressRecord>, NotTaken> {
        let (answer, answered) = oneshot::channel();
        self.call(Command::Records { answer })?;
        answered.await.map_err(|_| NotTaken)
    }

    /// Blobs under way of which nobody who can be reached has every piece, for some time now.
    pub fn shortages(&self) -> Vec<(Digest, Shortage)> {
        self.board.shortages()
    }

    /// How the budgets stand.
    pub fn budgets(&self) -> Vec<EgressReport> {
        self.board.budgets()
    }

    /// How far each blob under way is.
    pub fn progress(&self) -> Vec<Progress> {
        self.board.progress()
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.board.counters()
    }

    /// What peers did that they may not, since the start.
    pub fn offences(&self) -> Offences {
        self.board.offences()
    }

    /// Traffic with each peer of late, at most [`PEERS_RATED_MAX`].
    pub fn peers(&self) -> Vec<PeerTraffic> {
        self.board.peers(self.clock.now())
    }

    fn call(&self, command: Command) -> Result<(), NotTaken> {
        self.commands.try_send(command).map_err(|_| NotTaken)
    }
}
