//! Direct frames on their way out: one bounded queue per peer.
//!
//! A queue exists from the first frame for a peer until its link ends. While the peer is being dialled
//! the queue is parked; when the link is up a writer drains it. Room is counted in frames and in bytes,
//! per peer and over all, so a stalled peer costs a known amount and stops nobody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use groundswell_protocol::identity::NodeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::settings::{OUTGOING_PEER_BYTES_MAX, OUTGOING_PEER_FRAMES_MAX, PARKED_FOR};

/// A frame with the room that it takes; dropping it gives the room back.
pub(super) struct Queued {
    pub(super) frame: Vec<u8>,
    room: OwnedSemaphorePermit,
    peer_room: Option<OwnedSemaphorePermit>,
}

impl Queued {
    /// Takes room for `frame`, or `None` when there is not enough.
    pub(super) fn new(frame: Vec<u8>, room: &Arc<Semaphore>) -> Option<Self> {
        let room = take(room, &frame)?;
        Some(Self { frame, room, peer_room: None })
    }

    /// The frame alone; its room is free again.
    pub(super) fn into_frame(self) -> Vec<u8> {
        drop((self.room, self.peer_room));
        self.frame
    }
}

fn take(room: &Arc<Semaphore>, frame: &[u8]) -> Option<OwnedSemaphorePermit> {
    Arc::clone(room).try_acquire_many_owned(u32::try_from(frame.len()).ok()?).ok()
}

struct Queue {
    sender: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    /// The other end, while no writer has it.
    parked: Option<(mpsc::Receiver<Queued>, Instant)>,
    last_used: Instant,
}

/// The queues of all peers.
#[derive(Default)]
pub(super) struct Outgoing {
    queues: HashMap<NodeId, Queue>,
}

impl Outgoing {
    /// Puts a frame into the peer's queue, which begins parked. False: the queue is full, and the frame
    /// is dropped.
    pub(super) fn push(&mut self, to: NodeId, mut queued: Queued, now: Instant) -> bool {
        let queue = self.queues.entry(to).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(OUTGOING_PEER_FRAMES_MAX);
            let room = Arc::new(Semaphore::new(OUTGOING_PEER_BYTES_MAX));
            Queue { sender, room, parked: Some((receiver, now)), last_used: now }
        });
        queue.last_used = now;
        queued.peer_room = take(&queue.room, &queued.frame);
        queued.peer_room.is_some() && queue.sender.try_send(queued).is_ok()
    }

    /// The end to read from, when it is parked: a writer is due.
    pub(super) fn unpark(&mut self, to: &NodeId) -> Option<mpsc::Receiver<Queued>> {
        Some(self.queues.get_mut(to)?.parked.take()?.0)
    }

    /// Removes the peer's queue. Frames not yet written are dropped with its writer.
    pub(super) fn remove(&mut self, to: &NodeId) {
        self.queues.remove(to);
    }

    /// Removes queues parked for too long; says how many frames were dropped with them.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        let mut dropped = 0;
        self.queues.retain(|_, queue| match &queue.parked {
            Some((waiting, since)) if now.duration_since(*since) >= PARKED_FOR => {
                dropped += waiting.len();
                false
            }
            _ => true,
        });
        dropped
    }

    /// Whether any queue is parked.
    pub(super) fn any_parked(&self) -> bool {
        self.queues.values().any(|queue| queue.parked.is_some())
    }

    /// How long ago a frame was last put into the peer's queue, if ever on this link.
    pub(super) fn idle_for(&self, node: &NodeId, now: Instant) -> Option<Duration> {
        Some(now.duration_since(self.queues.get(node)?.last_used))
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{DIRECT_FRAME_BYTES_MAX, OUTGOING_BYTES_MAX};
    use super::*;
    use groundswell_protocol::identity::PublicKey;

    const ONE: NodeId = PublicKey([1; 32]);
    const OTHER: NodeId = PublicKey([2; 32]);

    #[test]
    fn a_stalled_peer_fills_only_its_own_room() {
        let all = Arc::new(Semaphore::new(OUTGOING_BYTES_MAX));
        let mut outgoing = Outgoing::default();
        let now = Instant::now();
        let mut push = |to| {
            Queued::new(vec![0; DIRECT_FRAME_BYTES_MAX], &all)
                .is_some_and(|queued| outgoing.push(to, queued, now))
        };
        let taken = (0..100).filter(|_| push(ONE)).count();
        assert_eq!(taken, OUTGOING_PEER_BYTES_MAX / DIRECT_FRAME_BYTES_MAX);
        assert!(push(OTHER));
    }

    #[test]
    fn parked_frames_expire_and_their_room_returns() {
        let all = Arc::new(Semaphore::new(100));
        let mut outgoing = Outgoing::default();
        let now = Instant::now();
        assert!(outgoing.push(ONE, Queued::new(vec![0; 60], &all).unwrap(), now));
        assert!(Queued::new(vec![0; 60], &all).is_none());
        assert_eq!(outgoing.expire(now), 0);
        assert_eq!(outgoing.expire(now + PARKED_FOR), 1);
        assert!(!outgoing.any_parked() && Queued::new(vec![0; 60], &all).is_some());
    }
}
