//! What the link is started with, what can be wrong with it, and every bound that the link keeps.

use std::io;
use std::time::Duration;

use groundswell_protocol::identity::NodeId;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::identity::node_of;

/// Largest gossiped frame, bytes. The core's frames are at most this long.
pub const GOSSIP_FRAME_BYTES_MAX: usize = 16 * 1024;
/// Largest direct frame, bytes: a census of a large fleet travels in one, with its envelope.
pub const DIRECT_FRAME_BYTES_MAX: usize = 4 * 1024 * 1024 + 64 * 1024;
/// Links that a node tries to keep up; smaller fleets are fully meshed.
pub const CONNECTIONS_TARGET: usize = 24;
/// Resident memory above which new connections are refused, bytes.
pub const MEMORY_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Own addresses that are told to others, and addresses remembered of each node.
pub const ADDRESSES_MAX: usize = 4;
/// Listen and bootstrap addresses in the settings.
pub const CONFIGURED_ADDRESSES_MAX: usize = 64;

/// Commands waiting for the link's task.
pub(super) const COMMANDS_MAX: usize = 1024;
/// Bytes of frames that the driver has handed over and that have not left yet, over all peers.
pub(super) const OUTGOING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The same for one peer, so that one stalled peer cannot use up the room of all.
pub(super) const OUTGOING_PEER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Frames waiting for one peer.
pub(super) const OUTGOING_PEER_FRAMES_MAX: usize = 256;
/// Bytes of direct frames being received at one time, over all peers.
pub(super) const INCOMING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Events in the channel to the driver. Small, because one may hold a direct frame.
pub(super) const EVENTS_MAX: usize = 8;
/// Piece streams that peers have opened and nobody has taken yet.
pub(super) const INCOMING_PIECES_MAX: usize = 64;
/// Gossip that waits for the first subscribed peer.
pub(super) const UNPUBLISHED_MAX: usize = 256;
/// How long it waits. Sync brings what is older.
pub(super) const UNPUBLISHED_FOR: Duration = Duration::from_secs(60);
/// How long frames wait for a link that is being dialled.
pub(super) const PARKED_FOR: Duration = Duration::from_secs(5);

const _: () = assert!(OUTGOING_PEER_BYTES_MAX >= DIRECT_FRAME_BYTES_MAX, "a full frame fits a peer's queue");
const _: () = assert!(OUTGOING_BYTES_MAX >= OUTGOING_PEER_BYTES_MAX);
const _: () = assert!(INCOMING_BYTES_MAX >= DIRECT_FRAME_BYTES_MAX, "a full frame can be received");
const _: () = assert!(DIRECT_FRAME_BYTES_MAX <= u32::MAX as usize, "a length fits its prefix");

/// What a link is started with.
#[derive(Clone)]
pub struct LinkSettings {
    /// Seed of the node's ed25519 key: its network identity and its signing key are one.
    pub seed: [u8; 32],
    /// Name of the fleet, its id in hexadecimal; its first 16 characters are the gossip topic.
    pub fleet: String,
    /// Addresses to listen on: `/ip4|ip6/IP/udp/PORT/quic-v1` or `/ip4|ip6/IP/tcp/PORT`. Port 0 takes
    /// any free port. At most [`CONFIGURED_ADDRESSES_MAX`]; none: this node only dials.
    pub listen: Vec<Multiaddr>,
    /// Addresses to tell others in place of those listened on (a node behind a port forwarding).
    pub announce: Vec<Multiaddr>,
    /// Peers to start from; each must end in `/p2p/ID`. Always allowed when this node dials them;
    /// their own calls are taken until [`admit`](super::Link::admit) is called for the first time, and
    /// as those of any member from then on.
    pub bootstrap: Vec<Multiaddr>,
    /// Keep about this many links. Fleets up to this size are fully meshed.
    pub connections_target: usize,
    /// Resident memory of the process above which new connections are refused, bytes.
    pub memory_bytes_max: usize,
}

impl LinkSettings {
    /// Settings with the defaults: nothing to listen on, nobody to dial, [`CONNECTIONS_TARGET`] links.
    pub fn new(seed: [u8; 32], fleet: impl Into<String>) -> Self {
        Self {
            seed,
            fleet: fleet.into(),
            listen: Vec::new(),
            announce: Vec::new(),
            bootstrap: Vec::new(),
            connections_target: CONNECTIONS_TARGET,
            memory_bytes_max: MEMORY_BYTES_MAX,
        }
    }
}

/// Why a link cannot start. Nothing is left running and no port is held.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The operator wrote something that is no address.
    #[error("\"{text}\" is not an address ({why}); write for example /ip4/0.0.0.0/udp/7400/quic-v1")]
    NotAnAddress {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// An address of a kind that cannot be listened on.
    #[error(
        "cannot listen on {address}: only /ip4 or /ip6 followed by /tcp/PORT or /udp/PORT/quic-v1 is supported"
    )]
    NotListenable {
        /// The address from the configuration.
        address: Multiaddr,
    },
    /// Another process, perhaps another agent, has the port.
    #[error("cannot listen on {address}: the port is in use; stop the other process or choose another port")]
    AddressInUse {
        /// The address from the configuration.
        address: Multiaddr,
    },
    /// The system refused the address for another reason.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address from the configuration.
        address: Multiaddr,
        /// What the system said.
        source: io::Error,
    },
    /// A bootstrap address that does not say whose it is.
    #[error(
        "bootstrap address {address} does not end in /p2p/ID of an ed25519 key: without it anybody could answer there"
    )]
    BootstrapWithoutKey {
        /// The address from the configuration.
        address: Multiaddr,
    },
    /// More addresses than any configuration needs.
    #[error("{count} {what} addresses are configured; at most {CONFIGURED_ADDRESSES_MAX} are allowed")]
    TooManyAddresses {
        /// Listen, announce or bootstrap.
        what: &'static str,
        /// How many were given.
        count: usize,
    },
    /// The system has no randomness, or the network stack cannot be set up.
    #[error("the network cannot be set up: {0}")]
    Setup(String),
}

/// Reads an address as operators write it.
///
/// # Errors
/// [`LinkError::NotAnAddress`] with what is wrong.
pub fn parse_address(text: &str) -> Result<Multiaddr, LinkError> {
    text.parse().map_err(|why: libp2p::multiaddr::Error| LinkError::NotAnAddress {
        text: text.into(),
        why: why.to_string(),
    })
}

/// How packets of an address travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    /// QUIC over UDP: preferred, one round trip less and no head-of-line blocking.
    Quic,
    /// TCP with noise and yamux: where UDP is blocked.
    Tcp,
}

/// The transport of a dialable address (host, then `tcp/PORT` or `udp/PORT/quic-v1`, nothing more);
/// `None` for any other.
pub(super) fn transport_of(address: &Multiaddr) -> Option<Transport> {
    let mut parts = address.iter();
    match parts.next()? {
        Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => {}
        _ => return None,
    }
    let transport = match (parts.next()?, parts.next()) {
        (Protocol::Tcp(_), None) => Transport::Tcp,
        (Protocol::Udp(_), Some(Protocol::QuicV1)) => Transport::Quic,
        _ => return None,
    };
    parts.next().is_none().then_some(transport)
}

/// Splits `ADDRESS/p2p/ID` into the node and the dialable address before it.
pub(super) fn split_bootstrap(address: &Multiaddr) -> Option<(NodeId, Multiaddr)> {
    let mut rest = address.clone();
    let Some(Protocol::P2p(peer)) = rest.pop() else { return None };
    transport_of(&rest)?;
    Some((node_of(&peer)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_tcp_and_quic_addresses_are_dialable() {
        let transport = |text: &str| transport_of(&text.parse().unwrap());
        assert_eq!(transport("/ip4/127.0.0.1/udp/1/quic-v1"), Some(Transport::Quic));
        assert_eq!(transport("/dns4/example.org/tcp/1"), Some(Transport::Tcp));
        assert_eq!(transport("/ip6/::1/udp/1"), None);
        assert_eq!(transport("/memory/1"), None);
        assert_eq!(transport("/ip4/127.0.0.1/tcp/1/ws"), None);
        assert_eq!(transport("/ip4/127.0.0.1"), None);
    }

    #[test]
    fn a_bootstrap_address_must_name_its_key() {
        let peer = super::super::identity::peer_of(groundswell_protocol::identity::PublicKey([3; 32]));
        let named: Multiaddr = format!("/ip4/10.0.0.1/tcp/1/p2p/{peer}").parse().unwrap();
        assert_eq!(split_bootstrap(&named).unwrap().0.0, [3; 32]);
        assert!(split_bootstrap(&"/ip4/10.0.0.1/tcp/1".parse().unwrap()).is_none());
    }

    #[test]
    fn a_wrong_address_is_named_in_the_error() {
        let error = parse_address("localhost:7400").unwrap_err().to_string();
        assert!(error.contains("localhost:7400") && error.contains("/ip4/"), "{error}");
    }
}
