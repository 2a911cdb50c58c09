//! The beginning of a delta: what it leads from and to. Nothing is written before it has been checked.

use std::io::{self, BufRead, Cursor, Read, Write};

use blake3::Hash;

use crate::engine::{self, Sizes, array};
use crate::error::Reason;
use crate::limits::{Limits, TREE_ENCODING_BYTES_MAX};
use crate::tree::{Tree, TreeError};

/// How a delta between trees begins.
pub const DELTA_MAGIC: [u8; 6] = *b"GSDELT";
/// The format that this crate writes and reads.
pub const DELTA_VERSION: u16 = 1;

pub(super) fn write(old: &Tree, new: &Tree, out: &mut impl Write) -> io::Result<()> {
    let (old, encoding) = (old.encode(), new.encode());
    let size = u32::try_from(encoding.len()).expect("BUG: a tree beyond TREE_ENCODING_BYTES_MAX");
    out.write_all(&DELTA_MAGIC)?;
    out.write_all(&DELTA_VERSION.to_le_bytes())?;
    out.write_all(blake3::hash(&old).as_bytes())?;
    out.write_all(blake3::hash(&encoding).as_bytes())?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(&engine::make(&old, &encoding)?)
}

/// Reads it, and compares it with what is here, what is wanted and what may be taken.
pub(super) fn read(
    old: &Tree,
    expected: &Hash,
    limits: &Limits,
    delta: &mut impl BufRead,
) -> Result<Tree, Reason> {
    if array(delta)? != DELTA_MAGIC {
        return Err(Reason::NotADelta);
    }
    let version = u16::from_le_bytes(array(delta)?);
    if version != DELTA_VERSION {
        return Err(Reason::Version(version));
    }
    let old = old.encode();
    check_ends(blake3::hash(&old), expected, delta)?;
    let encoding = read_encoding(&old, delta)?;
    if blake3::hash(&encoding) != *expected {
        return Err(Reason::Malformed("its index is not the one it names"));
    }
    let new = Tree::decode(&encoding)?;
    check_limits(&new, limits)?;
    Ok(new)
}

fn check_ends(here: Hash, expected: &Hash, delta: &mut impl Read) -> Result<(), Reason> {
    let from = Hash::from_bytes(array(delta)?);
    if from != here {
        return Err(Reason::OtherOld { found: from, here });
    }
    let to = Hash::from_bytes(array(delta)?);
    if to != *expected {
        return Err(Reason::OtherNew { found: to, expected: *expected });
    }
    Ok(())
}

/// The new tree's encoding, made from the old one's: most of both are digests, which do not pack.
fn read_encoding(old: &[u8], delta: &mut impl BufRead) -> Result<Vec<u8>, Reason> {
    let size = u32::from_le_bytes(array(delta)?);
    if size as usize > TREE_ENCODING_BYTES_MAX {
        return Err(Reason::Tree(TreeError::TooLarge {
            what: "bytes of encoding",
            found: u64::from(size),
            limit: TREE_ENCODING_BYTES_MAX as u64,
        }));
    }
    let sizes = Sizes { old: old.len() as u64, new: u64::from(size) };
    let mut encoding = Vec::new();
    engine::follow(&mut Cursor::new(old), delta, &mut encoding, sizes)?;
    Ok(encoding)
}

fn check_limits(new: &Tree, limits: &Limits) -> Result<(), Reason> {
    for (what, found, limit) in [
        ("bytes of new files", new.bytes(), limits.new_bytes),
        ("entries of the new tree", new.entries().len() as u64, u64::from(limits.entries)),
    ] {
        if found > limit {
            return Err(Reason::Limit { what, found, limit });
        }
    }
    Ok(())
}
