//! BLAKE3 digests: the names of bytes.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wincode::{SchemaRead, SchemaWrite};

/// The BLAKE3 digest of some bytes; the name under which the fleet knows them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, SchemaRead, SchemaWrite)]
pub struct Digest(pub [u8; 32]);

/// The order of 32 bytes. Digests and keys are as good as random, so the first eight decide nearly always: what is
/// looked up by them all the time is not to call for a comparison of memory.
pub(crate) fn order(one: &[u8; 32], other: &[u8; 32]) -> Ordering {
    words(one).cmp(words(other))
}

fn words(bytes: &[u8; 32]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_be_bytes(*word))
}

/// The first eight bytes as a number, in the order of all 32.
pub(crate) fn first_number(bytes: &[u8; 32]) -> u64 {
    words(bytes).next().unwrap_or(0)
}

impl Ord for Digest {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Digest {
    /// Digest of `bytes` alone, as for content (trees, chunks, deltas).
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Digest of several parts under a domain label, for everything that is not plain content.
    /// Each part is preceded by its length, so that no two lists of parts share an encoding.
    pub fn of_parts(domain: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The first eight hexadecimal digits: how digests are shortened everywhere on screens and in logs.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct NotHex;

/// Parses 64 hexadecimal digits.
pub(crate) fn parse_hex_32(text: &str) -> Result<[u8; 32], NotHex> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| NotHex)?;
    Ok(bytes)
}

impl std::str::FromStr for Digest {
    type Err = NotHex;
    fn from_str(text: &str) -> Result<Self, NotHex> {
        parse_hex_32(text).map(Self)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
