//! The link: everything between this node and its peers, behind one narrow seam.
//!
//! # Tour
//! [`Link::start`] opens the listening sockets and runs a libp2p swarm in a task of its own. From then
//! on the driver knows three things: a [`Link`] to say what is to be sent, a channel of [`LinkEvent`]s,
//! and a channel of piece streams that peers opened.
//! - `gate` refuses keys that are not admitted, before anything they say is read;
//!   `behaviour` says which protocols run behind it, `transport` what they run on, `identity` turns
//!   keys into peer ids and back;
//! - `address_book` knows where nodes are and when to try them again, `connections` which link exists,
//!   `listeners` where this node can be found;
//! - `streams` opens and greets substreams; `frames`, `pieces` and `peers` are what goes over them;
//!   `asking` says when a peer is asked where other nodes are;
//! - `outgoing`, `unpublished` and `backlog` are the queues: to a peer, to the topic, to the driver;
//! - `swarm` is the task that ties them together, in `swarm/upkeep` with what
//!   time brings and in `swarm/introductions` what linked peers tell each other about the others.
//!
//! # What holds
//! - **Only node ids and byte frames cross the seam.** No type of libp2p does, except the addresses in
//!   the settings.
//! - **Nothing here blocks the driver, and the driver blocks nothing here.** Every queue has a named bound;
//!   what does not fit is dropped and counted ([`Traffic`]). The link promises speed, not delivery:
//!   the core's sync is what makes facts arrive.
//! - **What arrives is hostile.** The link bounds its size and says whose connection it came over; what it
//!   means is the core's to judge.
//!
//! Absent on purpose: facts, census, retries of lost frames, and any safety argument.

mod address_book;
mod asking;
mod backlog;
mod behaviour;
mod connections;
mod frames;
mod gate;
mod identity;
mod listeners;
mod outgoing;
mod peers;
mod pieces;
mod settings;
mod start;
mod streams;
mod swarm;
#[cfg(test)]
mod tests;
mod traffic;
mod transport;
mod unpublished;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use groundswell_protocol::identity::NodeId;
use libp2p::metrics::Registry;
use tokio::sync::{Semaphore, mpsc, watch};

pub use libp2p::Multiaddr;
pub use pieces::{IncomingPieces, PieceStream};
pub use settings::{
    ADDRESSES_MAX, CONFIGURED_ADDRESSES_MAX, CONNECTIONS_TARGET, DIRECT_FRAME_BYTES_MAX,
    GOSSIP_FRAME_BYTES_MAX, LinkError, LinkSettings, MEMORY_BYTES_MAX, parse_address,
};
pub use traffic::Traffic;

use outgoing::Queued;
use traffic::Counters;

/// How long [`Link::open_pieces`] waits for a link to a node that is known but not linked.
const LINK_FOR: Duration = Duration::from_secs(5);

/// Names one gossiped frame, for the verdict on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GossipToken {
    /// BLAKE3 of the frame.
    message: [u8; 32],
    /// Who passed it on.
    from: NodeId,
}

/// How a frame came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By gossip: `from` is only who passed it on. It goes no further before [`Link::verdict`] says so,
    /// within 8 s; later verdicts have no effect.
    Gossip(GossipToken),
    /// On the sender's own stream.
    Direct,
}

/// What the core thinks of a gossiped frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid and new: pass it on.
    Accept,
    /// Of no interest: do not pass it on.
    Ignore,
    /// Invalid: do not pass it on; whoever passed it on should have known.
    Reject,
}

/// What happens on the link.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The first connection to an admitted node is established.
    Up {
        /// The node.
        node: NodeId,
    },
    /// The last connection to a node has ended. Frames of it may still follow.
    Down {
        /// The node.
        node: NodeId,
    },
    /// A frame, not empty, of at most [`GOSSIP_FRAME_BYTES_MAX`] or [`DIRECT_FRAME_BYTES_MAX`] bytes.
    Frame {
        /// The admitted node whose connection it came over.
        from: NodeId,
        /// How it came.
        via: Via,
        /// What it says: unverified.
        bytes: Vec<u8>,
    },
    /// This node can be reached at one more address.
    Listening {
        /// The address.
        address: String,
    },
    /// A peer was turned away, or broke the protocol. Nothing that it said counts.
    Refused {
        /// Its key, when it has one that can be a node's.
        peer: Option<NodeId>,
        /// The reason, for the log.
        why: String,
    },
}

/// What the driver asks of the swarm's task.
enum Command {
    Send {
        to: NodeId,
        frame: Queued,
    },
    Broadcast(Queued),
    Verdict(GossipToken, Verdict),
    Learn {
        node: NodeId,
        addresses: Vec<Multiaddr>,
    },
    /// A link to this node is wanted now.
    Want(NodeId),
}

/// The handle of a running link. Clones are cheap; when the last one is dropped the link closes.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    own: NodeId,
    commands: mpsc::Sender<Command>,
    members: watch::Sender<Option<Arc<BTreeSet<NodeId>>>>,
    linked: watch::Receiver<Arc<BTreeSet<NodeId>>>,
    addresses: watch::Receiver<Arc<Vec<String>>>,
    streams: libp2p_stream::Control,
    /// Room for outgoing frames, bytes.
    room: Arc<Semaphore>,
    counters: Arc<Counters>,
    registry: Registry,
}

impl Link {
    /// Opens the listening sockets and starts the link's task on the current tokio runtime. Returns when
    /// every listener has its address.
    ///
    /// # Errors
    /// A [`LinkError`] that names the address and what to do; nothing is left running.
    pub async fn start(
        settings: LinkSettings,
    ) -> Result<(Self, mpsc::Receiver<LinkEvent>, IncomingPieces), LinkError> {
        start::start(settings).await
    }

    /// The node whose seed the link was started with.
    pub fn own_node(&self) -> NodeId {
        self.shared.own
    }

    /// Sends a frame to one node: best effort, in order while the link lasts, never waits. When the node
    /// is not linked and an address is known it is dialled, and the frame waits for up to 5 s. A frame
    /// that is empty, too large or finds no room is dropped and counted in [`Traffic::frames_dropped`].
    pub fn send(&self, to: NodeId, frame: Vec<u8>) {
        let queued = Some(frame)
            .filter(|frame| !frame.is_empty() && frame.len() <= DIRECT_FRAME_BYTES_MAX)
            .and_then(|frame| Queued::new(frame, &self.shared.room));
        let sent =
            queued.is_some_and(|frame| self.shared.commands.try_send(Command::Send { to, frame }).is_ok());
        if !sent {
            self.shared.counters.frames_dropped.add_one();
        }
    }

    /// Gossips a frame to the fleet. While no linked peer listens it waits, for up to a minute. A frame
    /// that is empty, larger than [`GOSSIP_FRAME_BYTES_MAX`] or finds no room is dropped and counted in
    /// [`Traffic::gossip_dropped`]. The same bytes again within a minute are not sent again.
    pub fn broadcast(&self, frame: Vec<u8>) {
        let queued = Some(frame)
            .filter(|frame| !frame.is_empty() && frame.len() <= GOSSIP_FRAME_BYTES_MAX)
            .and_then(|frame| Queued::new(frame, &self.shared.room));
        let sent =
            queued.is_some_and(|frame| self.shared.commands.try_send(Command::Broadcast(frame)).is_ok());
        if !sent {
            self.shared.counters.gossip_dropped.add_one();
        }
    }

    /// Says what the core thinks of a gossiped frame; only an accepted one is passed on.
    pub fn verdict(&self, token: GossipToken, verdict: Verdict) {
        self.command(Command::Verdict(token, verdict));
    }

    /// Names the nodes that may have a link: the members of the census. Replaces the set before it; the
    /// links of nodes no longer in it are closed. Until the first call only bootstrap peers are admitted.
    pub fn admit(&self, members: BTreeSet<NodeId>) {
        self.shared.members.send_replace(Some(Arc::new(members)));
    }

    /// Says where a node can be found, from its signed beacon. Replaces what was known, and above all what
    /// peers said of it; unusable addresses are left out, at most [`ADDRESSES_MAX`] are kept.
    pub fn learn(&self, node: NodeId, addresses: &[String]) {
        let addresses: Vec<_> =
            addresses.iter().take(2 * ADDRESSES_MAX).filter_map(|text| text.parse().ok()).collect();
        if !addresses.is_empty() {
            self.command(Command::Learn { node, addresses });
        }
    }

    /// Opens a stream for pieces to one node, dialling it when it is not linked and an address is known.
    ///
    /// # Errors
    /// `NotConnected` when there is no link within 5 s, `ConnectionRefused` when the peer has no room for
    /// another stream, `TimedOut` or `ConnectionReset` when it went away. Nothing else is affected.
    pub async fn open_pieces(&self, to: NodeId) -> io::Result<PieceStream> {
        let mut linked = self.shared.linked.clone();
        if !linked.borrow_and_update().contains(&to) {
            self.command(Command::Want(to));
            let up = tokio::time::timeout(LINK_FOR, linked.wait_for(|linked| linked.contains(&to))).await;
            if !matches!(up, Ok(Ok(_))) {
                let why = format!("no link to node {} within {} s", to.short(), LINK_FOR.as_secs());
                return Err(io::Error::new(io::ErrorKind::NotConnected, why));
            }
        }
        let mut streams = self.shared.streams.clone();
        streams::open(&mut streams, to, pieces::PROTOCOL).await.map(PieceStream::new)
    }

    /// The linked nodes, in key order.
    pub fn connected(&self) -> Vec<NodeId> {
        self.shared.linked.borrow().iter().copied().collect()
    }

    /// Where this node can be found, for its beacon: at most [`ADDRESSES_MAX`], loopback addresses only
    /// when there are no others.
    pub fn own_addresses(&self) -> Vec<String> {
        self.shared.addresses.borrow().to_vec()
    }

    /// What went over the link so far.
    pub fn traffic(&self) -> Traffic {
        self.shared.counters.snapshot(&self.shared.registry)
    }

    fn command(&self, command: Command) {
        if self.shared.commands.try_send(command).is_err() {
            self.shared.counters.commands_dropped.add_one();
        }
    }
}
