//! One move of a patch, and its bytes.

use crate::error::Reason;

/// The longest encoding of a move: three integers of 64 bits.
pub(super) const MOVE_BYTES_MAX: usize = 3 * VARINT_BYTES_MAX;
const VARINT_BYTES_MAX: usize = 10;

/// Seek in the old file, take `add` bytes there and add as many from the patch, then insert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) seek: i64,
    pub(super) add: u64,
    pub(super) insert: u64,
}

impl Move {
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        varint(out, ((self.seek << 1) ^ (self.seek >> 63)).cast_unsigned());
        varint(out, self.add);
        varint(out, self.insert);
    }

    /// Takes the first move off the bytes.
    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Self, Reason> {
        let zigzag = take_varint(bytes)?;
        let seek = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        let add = take_varint(bytes)?;
        let insert = take_varint(bytes)?;
        if add == 0 && insert == 0 {
            return Err(Reason::Malformed("a move yields nothing"));
        }
        Ok(Self { seek, add, insert })
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, Reason> {
    let mut value = 0_u64;
    for at in 0..VARINT_BYTES_MAX {
        let (byte, rest) = bytes.split_first().ok_or(Reason::Malformed("a move is cut off"))?;
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
    Err(Reason::Malformed("a number in a move is not canonical"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_move_reads_back_as_written(seek: i64, add in 1_u64.., insert: u64) {
            let written = Move { seek, add, insert };
            let mut bytes = Vec::new();
            written.encode(&mut bytes);
            prop_assert!(bytes.len() <= MOVE_BYTES_MAX);
            let mut rest = &bytes[..];
            prop_assert_eq!(Move::decode(&mut rest).unwrap(), written);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn what_reads_as_a_move_is_its_only_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = &bytes[..];
            if let Ok(found) = Move::decode(&mut rest) {
                let mut again = Vec::new();
                found.encode(&mut again);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }
}
