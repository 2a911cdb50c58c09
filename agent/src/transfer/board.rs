//! What can be read from outside while the transfer runs: progress, totals, and rates of peers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::time::{Span, Time};
use groundswell_protocol::transfer::egress::EgressReport;
use groundswell_protocol::transfer::shortage::Shortage;

use super::offences::{Offence, Offences};

/// Peers whose traffic is remembered; the one heard of longest ago makes room.
pub const PEERS_RATED_MAX: usize = 256;

/// Rates are those of the last whole window.
const WINDOW: Span = Span::seconds(2);

/// How far the fetching of a blob is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The blob.
    pub blob: Digest,
    /// Its size.
    pub bytes: u64,
    /// How much of it is here, verified.
    pub done_bytes: u64,
    /// Peers that have some of it and answer.
    pub peers: usize,
}

/// Payload bytes and events since the transfer started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pieces handed to the network for peers.
    pub uploaded_bytes: u64,
    /// Pieces that came from peers, useful or not.
    pub downloaded_bytes: u64,
    /// Of those, what came from this node's own site.
    pub site_bytes: u64,
    /// Of those, what had come already or did not verify.
    pub wasted_bytes: u64,
    /// Peers caught with pieces or outlines that do not verify.
    pub corrupt_pieces: u64,
}

/// Payload exchanged with one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTraffic {
    /// The peer.
    pub peer: NodeId,
    /// Payload sent to it.
    pub uploaded_bytes: u64,
    /// Payload received from it.
    pub downloaded_bytes: u64,
    /// Payload received a second, lately.
    pub download_bytes_per_second: u64,
    /// Payload sent a second, lately.
    pub upload_bytes_per_second: u64,
}

#[derive(Default)]
pub(super) struct Board(Mutex<Written>);

#[derive(Default)]
struct Written {
    progress: BTreeMap<Digest, Progress>,
    shortages: BTreeMap<Digest, Shortage>,
    counters: Counters,
    offences: Offences,
    peers: BTreeMap<NodeId, Traffic>,
    budgets: Vec<EgressReport>,
}

#[derive(Default)]
struct Traffic {
    up: Meter,
    down: Meter,
    seen: Time,
}

#[derive(Default)]
struct Meter {
    total: u64,
    began: Time,
    in_window: u64,
    last_window: u64,
}

impl Meter {
    fn count(&mut self, now: Time, bytes: u64) {
        self.roll(now);
        self.total += bytes;
        self.in_window += bytes;
    }

    fn roll(&mut self, now: Time) {
        let passed = now.since(self.began);
        if passed >= WINDOW {
            self.last_window = if passed < WINDOW.times(2) { self.in_window } else { 0 };
            self.in_window = 0;
            self.began = now;
        }
    }

    fn bytes_per_second(&self, now: Time) -> u64 {
        let stale = now.since(self.began) >= WINDOW.times(2);
        if stale { 0 } else { self.last_window.max(self.in_window) * 1000 / WINDOW.0 }
    }
}

impl Board {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn progress(&self) -> Vec<Progress> {
        self.written().progress.values().cloned().collect()
    }

    pub(super) fn offences(&self) -> Offences {
        self.written().offences
    }

    pub(super) fn offence(&self, offence: Offence) {
        self.written().offences.count(offence);
    }

    pub(super) fn counters(&self) -> Counters {
        self.written().counters
    }

    pub(super) fn peers(&self, now: Time) -> Vec<PeerTraffic> {
        let written = self.written();
        let peers = written.peers.iter().map(|(peer, traffic)| PeerTraffic {
            peer: *peer,
            uploaded_bytes: traffic.up.total,
            downloaded_bytes: traffic.down.total,
            download_bytes_per_second: traffic.down.bytes_per_second(now),
            upload_bytes_per_second: traffic.up.bytes_per_second(now),
        });
        peers.collect()
    }

    pub(super) fn shortages(&self) -> Vec<(Digest, Shortage)> {
        self.written().shortages.iter().map(|(blob, shortage)| (*blob, shortage.clone())).collect()
    }

    pub(super) fn set_shortage(&self, blob: Digest, shortage: Option<Shortage>) {
        let mut written = self.written();
        match shortage {
            Some(shortage) => drop(written.shortages.insert(blob, shortage)),
            None => drop(written.shortages.remove(&blob)),
        }
    }

    pub(super) fn budgets(&self) -> Vec<EgressReport> {
        self.written().budgets.clone()
    }

    pub(super) fn set_budgets(&self, budgets: Vec<EgressReport>) {
        self.written().budgets = budgets;
    }

    pub(super) fn set_progress(&self, progress: Progress) {
        self.written().progress.insert(progress.blob, progress);
    }

    pub(super) fn remove_progress(&self, blob: &Digest) {
        let mut written = self.written();
        written.progress.remove(blob);
        written.shortages.remove(blob);
    }

    pub(super) fn uploaded(&self, now: Time, peer: NodeId, bytes: u64) {
        let mut written = self.written();
        written.counters.uploaded_bytes += bytes;
        written.traffic(now, peer).up.count(now, bytes);
    }

    pub(super) fn downloaded(&self, now: Time, peer: NodeId, bytes: u64, near: bool) {
        let mut written = self.written();
        written.counters.downloaded_bytes += bytes;
        written.counters.site_bytes += if near { bytes } else { 0 };
        written.traffic(now, peer).down.count(now, bytes);
    }

    pub(super) fn wasted(&self, bytes: u64) {
        self.written().counters.wasted_bytes += bytes;
    }

    pub(super) fn corrupt(&self) {
        self.written().counters.corrupt_pieces += 1;
    }
}

impl Written {
    fn traffic(&mut self, now: Time, peer: NodeId) -> &mut Traffic {
        if self.peers.len() >= PEERS_RATED_MAX && !self.peers.contains_key(&peer) {
            let oldest = self.peers.iter().min_by_key(|(_, traffic)| traffic.seen).map(|(peer, _)| *peer);
            oldest.and_then(|oldest| self.peers.remove(&oldest));
        }
        let traffic = self.peers.entry(peer).or_default();
        traffic.seen = now;
        traffic
    }
}
