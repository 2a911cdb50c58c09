//! LEB128 as WebAssembly has it: numbers of seven bits a byte, not always in their shortest encoding.

/// The longest encoding of a number of 32 bits.
pub(super) const SHORT_BYTES_MAX: usize = 5;
/// The longest encoding of a number of 64 bits.
pub(super) const LONG_BYTES_MAX: usize = 10;

/// A number and how many bytes its encoding has.
pub(super) type Read<T> = Option<(T, usize)>;

/// Reads a number of 32 bits off the front.
#[inline]
pub(super) fn unsigned(bytes: &[u8]) -> Read<u32> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    let mut value = u32::from(first & 0x7f);
    for (at, byte) in bytes.iter().enumerate().take(SHORT_BYTES_MAX).skip(1) {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            return (at < 4 || *byte < 0x10).then_some((value, at + 1));
        }
    }
    None
}

/// Reads a signed number of 32 bits off the front.
#[inline]
pub(super) fn signed(bytes: &[u8]) -> Read<i32> {
    let (value, size) = signed_long(bytes.get(..bytes.len().min(SHORT_BYTES_MAX)).unwrap_or_default())?;
    Some((i32::try_from(value).ok()?, size))
}

/// Reads a signed number of 64 bits off the front.
#[inline]
pub(super) fn signed_long(bytes: &[u8]) -> Read<i64> {
    let mut value = 0_i64;
    for (at, byte) in bytes.iter().enumerate().take(LONG_BYTES_MAX) {
        value |= i64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            let size = at + 1;
            if size == LONG_BYTES_MAX {
                return matches!(byte, 0 | 0x7f).then_some((value, size));
            }
            let unused = 64 - 7 * size;
            return Some(((value << unused) >> unused, size));
        }
    }
    None
}

/// How many bytes the front's encoding has, whatever it encodes.
#[inline]
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    bytes.iter().take(LONG_BYTES_MAX).position(|byte| *byte < 0x80).map(|last| last + 1)
}

/// The shortest encoding's size.
#[inline]
pub(super) fn unsigned_size(value: u32) -> usize {
    (38 - (value | 1).leading_zeros() as usize) / 7
}

/// The shortest encoding's size.
#[inline]
pub(super) fn signed_size(value: i64) -> usize {
    let magnitude = (value ^ (value >> 63)).cast_unsigned();
    (64 - magnitude.leading_zeros() as usize) / 7 + 1
}

/// Encodes a number in so many bytes, at least the shortest encoding's.
#[inline]
pub(super) fn encode(value: i64, bytes: usize) -> ([u8; LONG_BYTES_MAX], usize) {
    let bytes = bytes.clamp(1, LONG_BYTES_MAX);
    let mut encoded = [0; LONG_BYTES_MAX];
    let mut rest = value;
    for byte in encoded.iter_mut().take(bytes) {
        *byte = rest.to_le_bytes()[0] | 0x80;
        rest >>= 7;
    }
    if let Some(last) = encoded.get_mut(bytes - 1) {
        *last &= 0x7f;
    }
    (encoded, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_reads_back_at_any_length(value: u32, signed_value: i32, long: i64, more in 0_usize..10) {
            let size = unsigned_size(value);
            let (bytes, length) = encode(i64::from(value), (size + more).min(SHORT_BYTES_MAX));
            prop_assert_eq!(unsigned(&bytes), Some((value, length)));
            let size = signed_size(i64::from(signed_value));
            let (bytes, length) = encode(i64::from(signed_value), (size + more).min(SHORT_BYTES_MAX));
            prop_assert_eq!(signed(&bytes), Some((signed_value, length)));
            let size = signed_size(long);
            let (bytes, length) = encode(long, (size + more).min(LONG_BYTES_MAX));
            prop_assert_eq!(signed_long(&bytes), Some((long, length)));
        }

        #[test]
        fn what_reads_as_a_number_is_its_encoding_of_that_length(bytes: [u8; 12]) {
            if let Some((value, size)) = unsigned(&bytes) {
                prop_assert!(size >= unsigned_size(value));
                prop_assert_eq!(&encode(i64::from(value), size).0[..size], &bytes[..size]);
            }
            if let Some((value, size)) = signed(&bytes) {
                prop_assert!(size >= signed_size(i64::from(value)));
                prop_assert_eq!(&encode(i64::from(value), size).0[..size], &bytes[..size]);
            }
            if let Some((value, size)) = signed_long(&bytes) {
                prop_assert!(size >= signed_size(value));
                prop_assert_eq!(&encode(value, size).0[..size], &bytes[..size]);
            }
        }
    }
}
