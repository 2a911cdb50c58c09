//! The table of established connections, and which of two to the same node stays.
//!
//! Pure: the caller brings the time and performs what is decided. One connection per pair of nodes is
//! wanted; two arise in two ways. Both called at the same moment: both ends keep the call of the smaller
//! key, and close the other a little later, when what was said on it has been heard. Or the peer
//! restarted before its old connection was noticed dead: then nothing that the old one carried (which
//! topics the peer listens to, open streams) is true of the new process, and all are closed to begin
//! again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use groundswell_protocol::identity::NodeId;
use libp2p::swarm::ConnectionId;

use super::gate::Direction;

/// Two connections that begin within this time are two calls that crossed.
const CROSSING: Duration = Duration::from_secs(1);

/// One established connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) direction: Direction,
    pub(super) since: Instant,
}

/// What a new connection means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The first one to this node.
    Link,
    /// Two calls crossed: close this one in a while.
    Surplus(ConnectionId),
    /// The older ones are dead: close all.
    Restarted,
}

/// What the end of a connection means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// Another one to this node remains, or it was never in the table.
    Remains,
    /// It was the last one; the link lasted this long.
    Last(Duration),
}

/// All established connections.
pub(super) struct Connections {
    own: NodeId,
    by_node: BTreeMap<NodeId, Vec<Connection>>,
}

impl Connections {
    pub(super) fn new(own: NodeId) -> Self {
        Self { own, by_node: BTreeMap::new() }
    }

    pub(super) fn opened(&mut self, node: NodeId, connection: Connection) -> Opened {
        let present = self.by_node.entry(node).or_default();
        let opened = match present.first() {
            None => Opened::Link,
            Some(first) if connection.since.duration_since(first.since) > CROSSING => Opened::Restarted,
            Some(first) => {
                let keeps = if self.own < node { Direction::Outbound } else { Direction::Inbound };
                let surplus = if first.direction == keeps { connection.id } else { first.id };
                Opened::Surplus(surplus)
            }
        };
        present.push(connection);
        opened
    }

    pub(super) fn closed(&mut self, node: NodeId, id: ConnectionId, now: Instant) -> Closed {
        let Some(present) = self.by_node.get_mut(&node) else { return Closed::Remains };
        let Some(position) = present.iter().position(|connection| connection.id == id) else {
            return Closed::Remains;
        };
        let connection = present.remove(position);
        if present.is_empty() {
            self.by_node.remove(&node);
            return Closed::Last(now.duration_since(connection.since));
        }
        Closed::Remains
    }

    pub(super) fn is_linked(&self, node: &NodeId) -> bool {
        self.by_node.contains_key(node)
    }

    /// Whether `id` is one of several to its node.
    pub(super) fn is_one_of_several(&self, node: &NodeId, id: ConnectionId) -> bool {
        self.by_node
            .get(node)
            .is_some_and(|present| present.len() > 1 && present.iter().any(|connection| connection.id == id))
    }

    /// Linked nodes.
    pub(super) fn count(&self) -> usize {
        self.by_node.len()
    }

    /// Linked nodes with their connections, in key order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &[Connection])> {
        self.by_node.iter().map(|(node, present)| (node, present.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::identity::PublicKey;

    const SMALL: NodeId = PublicKey([1; 32]);
    const LARGE: NodeId = PublicKey([2; 32]);

    fn connection(id: usize, direction: Direction, since: Instant) -> Connection {
        Connection { id: ConnectionId::new_unchecked(id), direction, since }
    }

    #[test]
    fn both_ends_of_crossed_calls_keep_the_same_one_in_either_order() {
        let now = Instant::now();
        // Connection 1 is the call of the smaller key, connection 2 that of the larger.
        for order in [[1, 2], [2, 1]] {
            let at_small = |id| connection(id, [Direction::Outbound, Direction::Inbound][id - 1], now);
            let at_large = |id| connection(id, [Direction::Inbound, Direction::Outbound][id - 1], now);
            let (mut small, mut large) = (Connections::new(SMALL), Connections::new(LARGE));
            assert_eq!(small.opened(LARGE, at_small(order[0])), Opened::Link);
            assert_eq!(large.opened(SMALL, at_large(order[0])), Opened::Link);
            let surplus = Opened::Surplus(ConnectionId::new_unchecked(2));
            assert_eq!(small.opened(LARGE, at_small(order[1])), surplus);
            assert_eq!(large.opened(SMALL, at_large(order[1])), surplus);
        }
    }

    #[test]
    fn a_late_second_connection_is_a_restart() {
        let now = Instant::now();
        let mut table = Connections::new(SMALL);
        assert_eq!(table.opened(LARGE, connection(1, Direction::Outbound, now)), Opened::Link);
        let later = now + Duration::from_secs(30);
        assert_eq!(table.opened(LARGE, connection(2, Direction::Inbound, later)), Opened::Restarted);
        assert_eq!(table.closed(LARGE, ConnectionId::new_unchecked(1), later), Closed::Remains);
        let end = later + Duration::from_secs(2);
        assert_eq!(
            table.closed(LARGE, ConnectionId::new_unchecked(2), end),
            Closed::Last(Duration::from_secs(2))
        );
        assert_eq!(table.closed(LARGE, ConnectionId::new_unchecked(2), end), Closed::Remains);
        assert!(!table.is_linked(&LARGE));
    }
}
