//! What went over the link: counters for the metrics and for the demo's table.

use std::sync::atomic::{AtomicU64, Ordering};

use libp2p::metrics::Registry;

/// Counters since the link started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes written to all connections: every protocol, before encryption and packet headers.
    pub sent_bytes: u64,
    /// Bytes read from all connections: every protocol, after decryption.
    pub received_bytes: u64,
    /// Direct frames written to a peer's stream.
    pub frames_sent: u64,
    /// Direct frames read from a peer's stream.
    pub frames_received: u64,
    /// Direct frames dropped here: no address, no link in time, a full queue, a broken stream.
    pub frames_dropped: u64,
    /// Gossip that this node began.
    pub gossip_published: u64,
    /// Gossip received, each content counted once.
    pub gossip_received: u64,
    /// Gossip received, every copy counted.
    pub gossip_copies: u64,
    /// Times that peers were asked for gossip that they had announced.
    pub gossip_asked: u64,
    /// Neighbours in the mesh now.
    pub gossip_mesh: u64,
    /// Gossip dropped here: nobody subscribed in time, or the driver too slow.
    pub gossip_dropped: u64,
    /// Commands of the driver dropped because the link's task was behind: addresses and verdicts.
    pub commands_dropped: u64,
    /// Connections refused: a key that is not admitted, or another key than the address promised.
    pub peers_refused: u64,
    /// Times that a peer was asked where other nodes are.
    pub peers_asked: u64,
    /// Links closed because a peer broke the protocol (an oversized frame, a malformed answer).
    pub peers_misbehaved: u64,
    /// Links closed because the peer stopped answering pings.
    pub peers_unresponsive: u64,
}

/// One counter.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters that the link's tasks keep; [`Traffic`] says what each means.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) frames_sent: Counter,
    pub(super) frames_received: Counter,
    pub(super) frames_dropped: Counter,
    pub(super) gossip_published: Counter,
    pub(super) gossip_received: Counter,
    pub(super) gossip_dropped: Counter,
    pub(super) commands_dropped: Counter,
    pub(super) peers_asked: Counter,
    pub(super) peers_refused: Counter,
    pub(super) peers_misbehaved: Counter,
    pub(super) peers_unresponsive: Counter,
}

impl Counters {
    pub(super) fn snapshot(&self, registry: &Registry) -> Traffic {
        let text = Text::of(registry);
        Traffic {
            sent_bytes: text.sum("libp2p_bandwidth_bytes_total{", "direction=\"Outbound\""),
            received_bytes: text.sum("libp2p_bandwidth_bytes_total{", "direction=\"Inbound\""),
            gossip_copies: text.sum("topic_msg_recv_counts_unfiltered_total{", ""),
            gossip_asked: text.sum("topic_iwant_msgs_total{", ""),
            gossip_mesh: text.sum("mesh_peer_counts{", ""),
            frames_sent: self.frames_sent.get(),
            frames_received: self.frames_received.get(),
            frames_dropped: self.frames_dropped.get(),
            gossip_published: self.gossip_published.get(),
            gossip_received: self.gossip_received.get(),
            gossip_dropped: self.gossip_dropped.get(),
            commands_dropped: self.commands_dropped.get(),
            peers_asked: self.peers_asked.get(),
            peers_refused: self.peers_refused.get(),
            peers_misbehaved: self.peers_misbehaved.get(),
            peers_unresponsive: self.peers_unresponsive.get(),
        }
    }
}

/// libp2p's own counters in their text form: they have no other way out.
struct Text(String);

impl Text {
    fn of(registry: &Registry) -> Self {
        let mut text = String::new();
        // Nothing fails that writes to memory; if it did, the counters would show nothing.
        let _ = prometheus_client::encoding::text::encode(&mut text, registry);
        Self(text)
    }

    /// The sum of the samples whose lines begin like this and have this label.
    fn sum(&self, begin: &str, label: &str) -> u64 {
        self.0
            .lines()
            .filter(|line| line.starts_with(begin) && line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}
