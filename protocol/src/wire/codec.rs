//! The one file that names the codec.
//!
//! The format is bincode's, with fixed-width little-endian integers, 64-bit lengths and 32-bit enum
//! tags, written and read by `wincode`. Reading is canonical: trailing bytes are refused, and what was
//! read must encode to the very same bytes, so that one value has one encoding.

use wincode::config::DefaultConfig;
use wincode::{SchemaRead, SchemaWrite};

/// The bytes are not the canonical encoding of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a canonical encoding")]
pub struct Malformed;

/// Encodes `value`.
pub fn encode<T: SchemaWrite<DefaultConfig, Src = T>>(value: &T) -> Vec<u8> {
    wincode::serialize(value).expect("BUG: writing to memory failed")
}

/// Decodes the whole of `bytes`. Memory stays within a small factor of their length, because a
/// length that exceeds the bytes at hand ends the reading.
///
/// # Errors
/// `Malformed` unless `bytes` are exactly what [`encode`] makes of the result.
pub fn decode<'a, T>(bytes: &'a [u8]) -> Result<T, Malformed>
where
    T: SchemaRead<'a, DefaultConfig, Dst = T> + SchemaWrite<DefaultConfig, Src = T>,
{
    let value: T = wincode::deserialize_exact(bytes).map_err(|_| Malformed)?;
    if encode(&value) == bytes { Ok(value) } else { Err(Malformed) }
}
