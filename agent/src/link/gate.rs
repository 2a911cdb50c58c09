//! The gate: which keys may have a link at all.
//!
//! It stands first among the behaviours, so its refusal ends a connection before any protocol on it is
//! set up: nothing that a stranger says is read. Its one door is [`Gate::allows`]; the swarm's task
//! closes what was allowed and is no longer. Deliberately absent: rates, reputations, addresses.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use groundswell_protocol::identity::NodeId;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::identity::node_of;

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// They called this node.
    Inbound,
    /// This node called them.
    Outbound,
}

/// The keys that may have a link.
pub(super) struct Gate {
    own: NodeId,
    bootstrap: BTreeSet<NodeId>,
    members: Option<Arc<BTreeSet<NodeId>>>,
}

impl Gate {
    /// A gate that knows no census yet: only the keys that the operator configured pass.
    pub(super) fn new(own: NodeId, bootstrap: BTreeSet<NodeId>) -> Self {
        Self { own, bootstrap, members: None }
    }

    /// From now on the members of the census pass, and bootstrap peers that this node calls itself.
    pub(super) fn admit(&mut self, members: Arc<BTreeSet<NodeId>>) {
        self.members = Some(members);
    }

    /// Whether a link to `node` may exist.
    pub(super) fn allows(&self, node: &NodeId, direction: Direction) -> bool {
        if *node == self.own {
            return false;
        }
        let invited = self.bootstrap.contains(node);
        match &self.members {
            None => invited,
            Some(members) => members.contains(node) || (invited && direction == Direction::Outbound),
        }
    }

    /// Whether the nodes in `linked` are all that a link is wanted to.
    pub(super) fn is_complete<'a>(&self, linked: impl Iterator<Item = &'a NodeId>) -> bool {
        let expected = self.members.as_deref().unwrap_or(&self.bootstrap);
        let others = expected.len() - usize::from(expected.contains(&self.own));
        linked.filter(|node| expected.contains(node)).count() >= others
    }

    fn check(&self, peer: &PeerId, direction: Direction) -> Result<(), ConnectionDenied> {
        match node_of(peer) {
            Some(node) if self.allows(&node, direction) => Ok(()),
            node => Err(ConnectionDenied::new(NotAdmitted { node })),
        }
    }
}

/// A peer came to the gate whose key does not pass.
#[derive(Debug)]
pub(super) struct NotAdmitted {
    /// Its key, if it has one that can be a node's.
    pub(super) node: Option<NodeId>,
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "node {} is not in the census and not a bootstrap peer", node.short()),
            None => f.write_str("the peer's key is not an ed25519 key"),
        }
    }
}

impl std::error::Error for NotAdmitted {}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(&peer, Direction::Inbound).map(|()| dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if let Some(peer) = peer {
            self.check(&peer, Direction::Outbound)?;
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(&peer, Direction::Outbound).map(|()| dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::identity::PublicKey;

    const OWN: NodeId = PublicKey([0; 32]);
    const FRIEND: NodeId = PublicKey([1; 32]);
    const MEMBER: NodeId = PublicKey([2; 32]);

    #[test]
    fn before_a_census_only_bootstrap_peers_pass() {
        let gate = Gate::new(OWN, [FRIEND, OWN].into());
        assert!(gate.allows(&FRIEND, Direction::Inbound) && gate.allows(&FRIEND, Direction::Outbound));
        assert!(!gate.allows(&MEMBER, Direction::Inbound) && !gate.allows(&OWN, Direction::Outbound));
    }

    #[test]
    fn the_mesh_is_complete_when_every_other_member_is_linked() {
        let mut gate = Gate::new(OWN, [FRIEND].into());
        assert!(!gate.is_complete([].iter()) && gate.is_complete([FRIEND].iter()));
        gate.admit(Arc::new([MEMBER, OWN].into()));
        assert!(!gate.is_complete([FRIEND].iter()) && gate.is_complete([FRIEND, MEMBER].iter()));
    }

    #[test]
    fn with_a_census_members_pass_and_bootstrap_peers_only_when_called() {
        let mut gate = Gate::new(OWN, [FRIEND].into());
        gate.admit(Arc::new([MEMBER, OWN].into()));
        assert!(gate.allows(&MEMBER, Direction::Inbound) && gate.allows(&MEMBER, Direction::Outbound));
        assert!(gate.allows(&FRIEND, Direction::Outbound) && !gate.allows(&FRIEND, Direction::Inbound));
        assert!(!gate.allows(&OWN, Direction::Inbound));
    }
}
