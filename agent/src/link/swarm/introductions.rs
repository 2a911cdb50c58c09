//! Linked peers tell each other where admitted nodes can be found.
//!
//! Without it a fleet cannot begin: a node signs its beacon only when it has heard enough electors, and it
//! finds them by their beacons. What a peer tells is believed as far as a dial goes: the connection's key
//! check does the rest. Passed on is only what the configuration or the nodes themselves said, so a wrong
//! hint dies where it was told.

use std::time::Instant;

use groundswell_protocol::identity::NodeId;
use libp2p::Multiaddr;

use super::super::address_book::Source;
use super::super::gate::Direction;
use super::super::peers::{self, AskError, Introduction, NODES_TOLD_MAX, Whereabouts};
use super::super::settings::ADDRESSES_MAX;
use super::{Random, SwarmTask};

impl SwarmTask {
    /// Asks the peers that are due; says when the next is.
    pub(super) fn ask_due(&mut self, now: Instant) -> Option<Instant> {
        let missing = self.is_missing_links();
        for node in self.asking.due(now, missing, self.random.next()) {
            self.counters.peers_asked.add_one();
            let control = self.swarm.behaviour().streams.new_control();
            let told = self.channels.to_introductions.clone();
            self.adopt(async move {
                let answer = peers::ask(node, control).await;
                // The task that would hear it ends together with this one.
                let _ = told.send(Introduction::Told { by: node, answer }).await;
            });
        }
        missing.then(|| self.asking.next())
    }

    pub(super) fn on_introduction(&mut self, introduction: Introduction) {
        match introduction {
            Introduction::Asked { by, reply } => {
                if self.may_link(&by) {
                    // An asker that has gone needs no answer.
                    let _ = reply.send(self.known_to(&by));
                }
            }
            Introduction::Told { by, answer } => {
                self.asking.answered(&by);
                match answer {
                    Ok(told) => self.take_hints(told),
                    Err(AskError::Stream(error)) => {
                        tracing::debug!(node = %by.short(), %error, "the peer did not say where others are");
                    }
                    Err(error) => self.misbehaved(by, error.to_string()),
                }
            }
        }
    }

    fn is_missing_links(&self) -> bool {
        let linked = self.connections.iter().map(|(node, _)| node);
        self.connections.count() < self.target && !self.swarm.behaviour().gate.is_complete(linked)
    }

    /// What this node tells a peer: linked nodes first, they are surely there.
    fn known_to(&mut self, asker: &NodeId) -> Vec<Whereabouts> {
        let gate = &self.swarm.behaviour().gate;
        let (mut told, mut others): (Vec<_>, Vec<_>) = self
            .book
            .vouched()
            .filter(|node| *node != asker && gate.allows(node, Direction::Outbound))
            .copied()
            .partition(|node| self.connections.is_linked(node));
        choose(&mut told, NODES_TOLD_MAX, &mut self.random);
        choose(&mut others, NODES_TOLD_MAX - told.len(), &mut self.random);
        told.extend(others);
        told.into_iter()
            .map(|node| {
                let addresses = self.book.addresses(&node).into_iter().take(ADDRESSES_MAX);
                Whereabouts { node, addresses: addresses.map(|address| address.to_vec()).collect() }
            })
            .collect()
    }

    fn take_hints(&mut self, told: Vec<Whereabouts>) {
        let now = Instant::now();
        for Whereabouts { node, addresses } in told {
            if self.may_link(&node) {
                let addresses = addresses.into_iter().filter_map(|bytes| Multiaddr::try_from(bytes).ok());
                self.book.learn(node, addresses, Source::Hint, now);
            }
        }
        self.upkeep_soon();
    }
}

/// Keeps `count` of all at random, or all if there are no more.
fn choose(nodes: &mut Vec<NodeId>, count: usize, random: &mut Random) {
    for at in 0..count.min(nodes.len()) {
        let other = at + random.below(nodes.len() - at);
        nodes.swap(at, other);
    }
    nodes.truncate(count);
}
