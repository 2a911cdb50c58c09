//! The plan of a delta: its groups, as they stand in it.

use crate::error::Reason;
use crate::limits::SOURCES_MAX;
use crate::tree::Tree;

use super::files::{File, file};

const PATCH: u64 = 0;
const WHOLE: u64 = 1;

/// Bytes that a number takes at most.
const NUMBER_BYTES_MAX: u32 = 10;

/// New files that one body makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) kind: Kind,
    /// Entries of the new tree.
    pub(crate) files: Vec<u32>,
    /// Size of the body.
    pub(crate) bytes: u64,
}

/// How a body makes its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From old files in a row.
    Patch {
        /// Entries of the old tree.
        sources: Vec<u32>,
    },
    /// From nothing.
    Whole,
}

impl Group {
    /// The old files that a patch is made from.
    pub(crate) fn sources(&self) -> &[u32] {
        match &self.kind {
            Kind::Patch { sources } => sources,
            Kind::Whole => &[],
        }
    }

    /// The bytes of those files, each as often as it is named.
    pub(crate) fn source_bytes(&self, old: &Tree) -> u64 {
        let sources = self.sources().iter().filter_map(|at| file(old, *at));
        sources.fold(0, |sum, source| sum.saturating_add(source.bytes))
    }

    /// Its new files; entries were checked when the plan was read.
    pub(crate) fn files<'a>(&'a self, new: &'a Tree) -> impl Iterator<Item = File<'a>> {
        self.files.iter().filter_map(|at| file(new, *at))
    }
}

pub(crate) fn encode(groups: &[Group]) -> Vec<u8> {
    let mut out = Vec::new();
    put(groups.len() as u64, &mut out);
    let (mut new, mut old) = (0, 0);
    for group in groups {
        let (kind, sources) = match &group.kind {
            Kind::Patch { sources } => (PATCH, Some(sources)),
            Kind::Whole => (WHOLE, None),
        };
        put(kind, &mut out);
        put_entries(&group.files, &mut new, &mut out);
        if let Some(sources) = sources {
            put_entries(sources, &mut old, &mut out);
        }
        put(group.bytes, &mut out);
    }
    out
}

/// Reads a plan of any origin: all entries that it names are files of their trees, and each new one is named once.
pub(crate) fn decode(mut bytes: &[u8], old: &Tree, new: &Tree) -> Result<Vec<Group>, Reason> {
    let count = take_count(&mut bytes)?;
    let mut groups = Vec::new();
    let (mut new_at, mut old_at) = (0, 0);
    let mut named = vec![false; new.entries().len()];
    for _ in 0..count {
        let kind = take(&mut bytes)?;
        let files = take_entries(&mut bytes, &mut new_at, new)?;
        for at in &files {
            let first = named.get_mut(*at as usize).is_some_and(|named| !std::mem::replace(named, true));
            if !first {
                return Err(Reason::Malformed("its plan names a new file twice"));
            }
        }
        let kind = match kind {
            PATCH => {
                let sources = take_entries(&mut bytes, &mut old_at, old)?;
                if sources.len() > files.len().saturating_mul(SOURCES_MAX) {
                    return Err(Reason::Malformed("its plan makes files from too many"));
                }
                Kind::Patch { sources }
            }
            WHOLE => Kind::Whole,
            _ => return Err(Reason::Malformed("its plan has a group of an unknown kind")),
        };
        groups.push(Group { kind, files, bytes: take(&mut bytes)? });
    }
    if !bytes.is_empty() {
        return Err(Reason::Malformed("bytes follow its plan"));
    }
    Ok(groups)
}

fn put_entries(entries: &[u32], last: &mut u32, out: &mut Vec<u8>) {
    put(entries.len() as u64, out);
    for entry in entries {
        let difference = i64::from(*entry) - i64::from(*last);
        put(((difference << 1) ^ (difference >> 63)).cast_unsigned(), out);
        *last = *entry;
    }
}

fn take_entries(bytes: &mut &[u8], last: &mut u32, tree: &Tree) -> Result<Vec<u32>, Reason> {
    let count = take_count(bytes)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let number = take(bytes)?;
        let difference = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        let entry = i64::from(*last).checked_add(difference).and_then(|entry| u32::try_from(entry).ok());
        let found = entry.and_then(|entry| file(tree, entry));
        *last = found.ok_or(Reason::Malformed("its plan names a file that does not exist"))?.at;
        entries.push(*last);
    }
    Ok(entries)
}

fn put(mut number: u64, out: &mut Vec<u8>) {
    while number > 127 {
        out.push(number.to_le_bytes()[0] | 128);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Result<u64, Reason> {
    let mut number = 0_u64;
    for place in 0..NUMBER_BYTES_MAX {
        let (byte, rest) = bytes.split_first().ok_or(Reason::Malformed("its plan ends too early"))?;
        *bytes = rest;
        let part = u64::from(byte & 127);
        if (part << (7 * place)) >> (7 * place) != part {
            break;
        }
        number |= part << (7 * place);
        if byte & 128 == 0 {
            return Ok(number);
        }
    }
    Err(Reason::Malformed("its plan has a number that is too large"))
}

/// How many things follow; none of them is less than a byte, so that no more memory is taken than the plan has.
fn take_count(bytes: &mut &[u8]) -> Result<usize, Reason> {
    let count = take(bytes)?;
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= bytes.len())
        .ok_or(Reason::Malformed("its plan counts more than it has"))
}
