//! What time brings: dials that are due, frames that waited too long, connections that are not needed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use groundswell_protocol::identity::NodeId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};

use super::super::gate::Direction;
use super::super::identity::{node_of, peer_of};
use super::SwarmTask;

/// Dials under way at one time.
const DIALS_MAX: usize = 16;
/// A linked peer that has not said by then that it listens to the fleet's gossip is linked anew: what it
/// said was lost with a connection, and gossipsub never repeats it.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(8);
/// A link beyond the target that this node made for one exchange is closed after this silence.
const SPARE_IDLE_FOR: Duration = Duration::from_secs(30);
/// Upkeep happens at least this often.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// And at most this often.
const UPKEEP_PAUSE: Duration = Duration::from_millis(20);

impl SwarmTask {
    /// Does what is due now and says when to come again.
    pub(super) fn upkeep(&mut self) {
        let now = Instant::now();
        let expired = self.outgoing.expire(now);
        (0..expired).for_each(|_| self.counters.frames_dropped.add_one());
        if !self.unpublished.is_empty() {
            self.publish_waiting();
        }
        self.close_surplus(now);
        self.close_spare(now);
        self.relink_unsubscribed(now);
        let next_dial = self.dial_due(now);
        let next_ask = self.ask_due(now);
        let next_surplus = self.surplus.values().map(|(_, due)| *due).min();
        let parked = self.outgoing.any_parked().then_some(now + Duration::from_secs(1));
        let next = [next_dial, next_ask, next_surplus, parked].into_iter().flatten().min();
        self.upkeep_at =
            next.map_or(now + UPKEEP_EVERY, |next| next.clamp(now + UPKEEP_PAUSE, now + UPKEEP_EVERY));
    }

    pub(super) fn upkeep_soon(&mut self) {
        self.upkeep_at = self.upkeep_at.min(Instant::now() + UPKEEP_PAUSE);
    }

    /// Dials nodes that should be linked; says when the next is due.
    fn dial_due(&mut self, now: Instant) -> Option<Instant> {
        let links = self.connections.count() + self.dialling.len();
        let free = self.target.saturating_sub(links).min(DIALS_MAX.saturating_sub(self.dialling.len()));
        let random = self.random.next();
        let gate = &self.swarm.behaviour().gate;
        let wanted = |node: &NodeId| {
            !self.connections.is_linked(node)
                && !self.dialling.contains(node)
                && gate.allows(node, Direction::Outbound)
        };
        let (due, next) = self.book.due(now, free, random, wanted);
        for node in due {
            self.dial(node, now);
        }
        next.filter(|_| free > 0)
    }

    /// Dials a node for one exchange, beyond the links that are kept. False: it cannot be dialled.
    pub(super) fn dial_for_exchange(&mut self, node: NodeId) -> bool {
        if self.connections.is_linked(&node) || self.dialling.contains(&node) {
            return true;
        }
        let may = self.swarm.behaviour().gate.allows(&node, Direction::Outbound);
        if !may || self.book.addresses(&node).is_empty() {
            return false;
        }
        let now = Instant::now();
        if self.connections.count() >= self.target {
            self.spare.insert(node);
        } else if self.book.gives_way(&node, now) {
            // It is about to call, or was called by us a moment later: two calls would cost two handshakes, and
            // what was asked on the one that is closed would be asked again.
            return true;
        }
        self.dial(node, now);
        true
    }

    fn dial(&mut self, node: NodeId, now: Instant) {
        let lonely = self.connections.count() == 0;
        let random = self.random.next();
        self.book.dialled(&node, now, lonely, random);
        let opts = DialOpts::peer_id(peer_of(node))
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(self.book.addresses(&node))
            .build();
        match self.swarm.dial(opts) {
            Ok(()) => {
                self.dialling.insert(node);
            }
            Err(error) => tracing::debug!(node = %node.short(), %error, "not dialled"),
        }
    }

    fn close_surplus(&mut self, now: Instant) {
        let due: Vec<_> = self
            .surplus
            .iter()
            .filter(|(_, (_, due))| *due <= now)
            .map(|(id, (node, _))| (*id, *node))
            .collect();
        for (id, node) in due {
            self.surplus.remove(&id);
            // The other one may have ended by itself in the meantime.
            if self.connections.is_one_of_several(&node, id) {
                self.swarm.close_connection(id);
            }
        }
    }

    fn close_spare(&mut self, now: Instant) {
        if self.connections.count() <= self.target {
            return;
        }
        let idle: Vec<_> = self
            .connections
            .iter()
            .filter(|(node, connections)| {
                self.spare.contains(node)
                    && connections
                        .iter()
                        .all(|connection| now.duration_since(connection.since) >= SPARE_IDLE_FOR)
                    && self.outgoing.idle_for(node, now).is_none_or(|idle| idle >= SPARE_IDLE_FOR)
            })
            .map(|(node, _)| *node)
            .take(self.connections.count() - self.target)
            .collect();
        for node in idle {
            self.disconnect(node);
        }
    }

    fn relink_unsubscribed(&mut self, now: Instant) {
        let topic = self.topic.hash();
        let gossip = &self.swarm.behaviour().gossip;
        let subscribed: BTreeSet<_> = gossip
            .all_peers()
            .filter(|(_, topics)| topics.contains(&&topic))
            .filter_map(|(peer, _)| node_of(peer))
            .collect();
        let deaf: Vec<_> = self
            .connections
            .iter()
            .filter(|(node, connections)| {
                !subscribed.contains(node)
                    && connections
                        .iter()
                        .all(|connection| now.duration_since(connection.since) >= SUBSCRIBED_WITHIN)
            })
            .map(|(node, _)| *node)
            .collect();
        for node in deaf {
            tracing::debug!(node = %node.short(), "the peer never subscribed: linking anew");
            self.disconnect(node);
        }
    }
}
