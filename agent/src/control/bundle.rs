//! The fleet bundle as `GET /v1/trust` carries it.
//!
//! | bytes | what |
//! |---|---|
//! | 11 | `GSWBUNDLE1\n` |
//! | rest | the codec's form of a list of signed facts: the policy chain, then the newest census |

use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::wire::codec;

/// What a bundle begins with.
pub const MAGIC: &[u8] = b"GSWBUNDLE1\n";
/// Bytes of a bundle.
pub const BUNDLE_MAX: usize = 8 * 1024 * 1024;

/// The bytes are no fleet bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no fleet bundle, or a damaged one")]
pub struct NotABundle;

/// The bundle of these facts.
pub fn encode(facts: &[SignedFact]) -> Vec<u8> {
    [MAGIC, &codec::encode(&facts.to_vec())].concat()
}

/// The facts of a bundle: read, not verified.
///
/// # Errors
/// `NotABundle` unless `bytes` are exactly what [`encode`] makes of the result, within `BUNDLE_MAX`.
pub fn decode(bytes: &[u8]) -> Result<Vec<SignedFact>, NotABundle> {
    if bytes.len() > BUNDLE_MAX {
        return Err(NotABundle);
    }
    codec::decode(bytes.strip_prefix(MAGIC).ok_or(NotABundle)?).map_err(|_| NotABundle)
}
