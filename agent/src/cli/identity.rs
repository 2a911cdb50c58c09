//! `swell identity`: a node's key, made if it is missing, and its two names.

use std::fmt::Write;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::identity::{KeyPair, NodeId};
use libp2p::identity::ed25519;
use libp2p::{PeerId, identity};
use serde::Serialize;

use super::failure::Failure;
use super::screen::{Answer, Screen};
use crate::release::keys;
use crate::release::problem::Problem;

const KEY_FILE: &str = "identity.key";

/// Prints a node's id and libp2p peer id; makes its key if it is missing.
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell identity --data /var/lib/groundswell
  swell fleet enrol $(swell identity --data data --json | jq -r .node)")]
pub(super) struct IdentityArgs {
    /// The agent's data directory, as in its agent.toml
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

#[derive(Serialize)]
struct Identity {
    node: NodeId,
    peer: String,
    key_file: PathBuf,
    made: bool,
}

pub(super) fn run(args: &IdentityArgs, screen: Screen) -> Result<Answer, Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&args.data)
        .map_err(|error| Problem::writing(&args.data, &error))?;
    let key_file = args.data.join(KEY_FILE);
    let (key, made) = keys::read_or_make(&key_file)?;
    let identity = Identity { node: key.public(), peer: peer_id(&key), key_file, made };
    let mut text = String::new();
    let _ = writeln!(text, "node  {}", screen.strong(&identity.node.to_string()));
    let _ = writeln!(text, "peer  {}", identity.peer);
    if made {
        let _ = writeln!(text, "made  {}", identity.key_file.display());
    }
    Ok(Answer::new(text, &identity))
}

/// The name of the same key in libp2p's addresses.
fn peer_id(key: &KeyPair) -> String {
    let public = ed25519::PublicKey::try_from_bytes(&key.public().0);
    let public = public.expect("BUG: a key that was made here is no point on the curve");
    PeerId::from_public_key(&identity::PublicKey::from(public)).to_string()
}

/// The node behind either of its names: 64 hexadecimal digits, or a libp2p peer id.
///
/// # Errors
/// The words say what is expected.
pub(super) fn parse_node(text: &str) -> Result<NodeId, String> {
    let expected = "a node is 64 hexadecimal digits or a peer id, as `swell identity` prints them";
    if let Ok(node) = text.parse() {
        return Ok(node);
    }
    let peer: PeerId = text.parse().map_err(|_| expected.to_owned())?;
    // An ed25519 key is short enough to stand in the peer id itself.
    let public = identity::PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok();
    let public = public.and_then(|public| public.try_into_ed25519().ok()).ok_or(expected)?;
    Ok(groundswell_protocol::identity::PublicKey(public.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_lead_to_the_node() {
        let key = KeyPair::from_seed(&[3; 32]);
        assert_eq!(parse_node(&key.public().to_string()), Ok(key.public()));
        assert_eq!(parse_node(&peer_id(&key)), Ok(key.public()));
        for text in ["", "12D3", "xyz", &key.public().to_string()[1..]] {
            assert!(parse_node(text).is_err(), "{text:?}");
        }
    }
}
