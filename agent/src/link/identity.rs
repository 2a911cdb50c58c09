//! Node names and libp2p peer ids: two spellings of the same 32 bytes.
//!
//! A libp2p peer id of an ed25519 key carries the key itself (an "identity" multihash over a small
//! protobuf), so the conversion needs no table and no lookup. Peer ids of other key types, or hashed
//! ones, name no node and are refused.

use groundswell_protocol::identity::{NodeId, PublicKey};
use libp2p::PeerId;
use libp2p::identity::Keypair;

/// What precedes the key in a peer id: multihash code 0 (identity), 36 bytes of content; protobuf
/// field 1 (key type) = 1 (Ed25519), field 2 (key) of 32 bytes. From the libp2p peer id specification.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The peer id of a node.
pub(super) fn peer_of(node: NodeId) -> PeerId {
    let mut bytes = [0; PREFIX.len() + 32];
    bytes[..PREFIX.len()].copy_from_slice(&PREFIX);
    bytes[PREFIX.len()..].copy_from_slice(&node.0);
    PeerId::from_bytes(&bytes).expect("BUG: an identity multihash of 36 bytes is a peer id")
}

/// The node that a peer id names, or `None` when its key is not an inline ed25519 key.
pub(super) fn node_of(peer: &PeerId) -> Option<NodeId> {
    let bytes = peer.to_bytes();
    let key = bytes.strip_prefix(&PREFIX)?;
    Some(PublicKey(key.try_into().ok()?))
}

/// The network key pair of a node's seed: the same key that signs its facts.
pub(super) fn keypair(mut seed: [u8; 32]) -> Keypair {
    Keypair::ed25519_from_bytes(&mut seed).expect("BUG: any 32 bytes are an ed25519 seed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::identity::KeyPair;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_node_has_a_peer_id_and_back(bytes: [u8; 32]) {
            prop_assert_eq!(node_of(&peer_of(PublicKey(bytes))), Some(PublicKey(bytes)));
        }

        #[test]
        fn the_network_key_is_the_signing_key(seed: [u8; 32]) {
            let peer = keypair(seed).public().to_peer_id();
            prop_assert_eq!(node_of(&peer), Some(KeyPair::from_seed(&seed).public()));
        }
    }

    #[test]
    fn a_peer_id_that_is_only_a_hash_names_no_node() {
        let mut sha256 = vec![0x12, 0x20];
        sha256.extend([7; 32]);
        assert_eq!(node_of(&PeerId::from_bytes(&sha256).unwrap()), None);
    }
}
