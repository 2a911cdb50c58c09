//! Integers as they stand in deltas: LEB128, at most ten bytes, each value in its only encoding.

use crate::error::Reason;

/// The longest encoding.
pub(crate) const NUMBER_BYTES_MAX: usize = 10;

/// Appends a number.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a number that may be negative: small ones of either sign become small ones.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Takes the first number off the bytes.
pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64, Reason> {
    if let Some((byte, rest)) = bytes.split_first()
        && *byte < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(*byte));
    }
    let mut value = 0_u64;
    for at in 0..NUMBER_BYTES_MAX {
        let Some((byte, rest)) = bytes.split_first() else {
            return Err(Reason::Malformed("a number is cut off"));
        };
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * at);
        if shifted >> (7 * at) != bits || (*byte == 0 && at > 0) {
            break;
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Reason::Malformed("a number is not in its only encoding"))
}

/// Takes the first number, which may be negative, off the bytes.
pub(crate) fn take_signed(bytes: &mut &[u8]) -> Result<i64, Reason> {
    let zigzag = take(bytes)?;
    Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

/// Takes the first number off the bytes, which must be at most `limit`.
pub(crate) fn take_at_most(bytes: &mut &[u8], limit: u64, what: &'static str) -> Result<u64, Reason> {
    let found = take(bytes)?;
    if found > limit {
        return Err(Reason::Limit { what, found, limit });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_reads_back_as_written(value: u64, signed: i64) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            put_signed(&mut bytes, signed);
            prop_assert!(bytes.len() <= 2 * NUMBER_BYTES_MAX);
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest).unwrap(), value);
            prop_assert_eq!(take_signed(&mut rest).unwrap(), signed);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn what_reads_as_a_number_is_its_only_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut rest = &bytes[..];
            if let Ok(value) = take(&mut rest) {
                let mut again = Vec::new();
                put(&mut again, value);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }

    #[test]
    fn a_number_beyond_its_limit_is_refused() {
        let mut bytes = Vec::new();
        put(&mut bytes, 9);
        assert_eq!(take_at_most(&mut &bytes[..], 9, "things").unwrap(), 9);
        let error = take_at_most(&mut &bytes[..], 8, "things").unwrap_err();
        assert!(matches!(error, Reason::Limit { found: 9, limit: 8, .. }), "{error}");
    }
}
