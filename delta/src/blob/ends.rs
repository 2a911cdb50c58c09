//! The beginning and the end of a delta: what it leads from and to, and its plan. Nothing is written before all of it has
//! been checked.

use std::io::{self, Write};

use blake3::Hash;

use crate::access::{ReadAt, ScratchMemory};
use crate::error::Reason;
use crate::limits::{Limits, PLAN_BYTES_MAX, TREE_ENCODING_BYTES_MAX};
use crate::patch::Options;
use crate::reading::Part;
use crate::tree::{Tree, TreeError};

use super::body;
use super::files::{File, files};
use super::plan::{self, Group};
use super::work::Work;

/// How a delta between trees begins.
pub const DELTA_MAGIC: [u8; 6] = *b"GSDELT";
/// The format that this crate writes and reads.
pub const DELTA_VERSION: u16 = 2;

/// What a plan is made from.
const NOTHING: &Vec<u8> = &Vec::new();

const HEADER_BYTES: u64 = 6 + 2 + 32 + 32;
const TRAILER_BYTES: u64 = 4 * 4;

pub(super) fn write_header(old: &Tree, new: &Tree, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&DELTA_MAGIC)?;
    out.write_all(&DELTA_VERSION.to_le_bytes())?;
    out.write_all(old.digest().as_bytes())?;
    out.write_all(new.digest().as_bytes())
}

/// What follows the bodies.
pub(super) fn write_trailer(
    old: &Tree,
    new: &Tree,
    plan: &[Group],
    options: &Options,
    out: &mut impl Write,
) -> io::Result<()> {
    let encoding = new.encode();
    let index = body::make(&old.encode(), &encoding, options, &mut |_| {})?;
    let plan = plan::encode(plan);
    let packed = body::make(NOTHING, &plan, options, &mut |_| {})?;
    out.write_all(&index)?;
    out.write_all(&packed)?;
    for part in [&encoding, &index, &plan, &packed] {
        let bytes = u32::try_from(part.len()).expect("BUG: a part beyond TREE_ENCODING_BYTES_MAX");
        out.write_all(&bytes.to_le_bytes())?;
    }
    Ok(())
}

/// A delta whose ends were read: it leads from a tree that is here to one that is wanted.
pub(crate) struct Opened<'a, D: ?Sized> {
    delta: &'a D,
    pub(crate) new: Tree,
    pub(crate) plan: Vec<Group>,
    /// Most memory for containers.
    pub(crate) container_memory_bytes: u64,
    /// What is in no group.
    pub(super) parts: [EndPart; 2],
}

/// What makes the new tree's encoding, or the plan.
#[derive(Clone, Copy)]
pub(super) struct EndPart {
    pub(super) name: &'static str,
    pub(super) raw_bytes: u64,
    pub(super) packed_bytes: u64,
}

impl<'a, D: ReadAt + ?Sized> Opened<'a, D> {
    /// Reads the ends, and compares them with what is here, what is wanted and what may be taken.
    pub(crate) fn read(old: &Tree, delta: &'a D, expected: &Hash, limits: &Limits) -> Result<Self, Reason> {
        within("bytes of delta", delta.size(), limits.delta_bytes)?;
        let encoding = old.encode();
        read_header(blake3::hash(&encoding), expected, delta)?;
        let trailer = Trailer::read(delta)?;
        let new = trailer.read_index(&encoding, expected, delta)?;
        drop(encoding);
        within("bytes of new files", new.bytes(), limits.new_bytes)?;
        within("entries of the new tree", new.entries().len() as u64, u64::from(limits.entries))?;
        let plan = plan::decode(&trailer.read_plan(delta)?, old, &new)?;
        trailer.check_bodies(&plan)?;
        let container_memory_bytes = limits.container_memory_bytes;
        Ok(Self { delta, new, plan, container_memory_bytes, parts: trailer.parts() })
    }

    /// The new files that no group makes: an old file has their content, or they are empty.
    pub(crate) fn copies(&self) -> impl Iterator<Item = File<'_>> {
        let mut is_made = vec![false; self.new.entries().len()];
        for at in self.plan.iter().flat_map(|group| &group.files) {
            if let Some(is_made) = is_made.get_mut(*at as usize) {
                *is_made = true;
            }
        }
        files(&self.new).filter(move |file| is_made.get(file.at as usize) == Some(&false))
    }

    /// Whether a group makes any file whose content is wanted.
    pub(crate) fn makes_any(&self, group: &Group, is_wanted: &dyn Fn(&Hash) -> bool) -> bool {
        group.files(&self.new).any(|file| is_wanted(file.digest))
    }

    /// The groups and their bodies, in order.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Group, Part<&'a D>)> {
        self.plan.iter().scan(HEADER_BYTES, |start, group| {
            let body = Part::new(self.delta, *start, group.bytes)?;
            *start += group.bytes;
            Some((group, body))
        })
    }
}

fn within(what: &'static str, found: u64, limit: u64) -> Result<(), Reason> {
    if found > limit { Err(Reason::Limit { what, found, limit }) } else { Ok(()) }
}

/// The digest of the tree that a delta says it leads to.
pub(super) fn leads_to(delta: &(impl ReadAt + ?Sized)) -> Result<Hash, Reason> {
    array(delta, 40).map(Hash::from_bytes)
}

fn read_header(here: Hash, expected: &Hash, delta: &(impl ReadAt + ?Sized)) -> Result<(), Reason> {
    if array(delta, 0)? != DELTA_MAGIC {
        return Err(Reason::NotADelta);
    }
    let version = u16::from_le_bytes(array(delta, 6)?);
    if version != DELTA_VERSION {
        return Err(Reason::Version(version));
    }
    let from = Hash::from_bytes(array(delta, 8)?);
    if from != here {
        return Err(Reason::OtherOld { found: from, here });
    }
    let to = Hash::from_bytes(array(delta, 40)?);
    if to != *expected {
        return Err(Reason::OtherNew { found: to, expected: *expected });
    }
    Ok(())
}

/// Where the parts behind the bodies are.
struct Trailer {
    index_start: u64,
    index_bytes: u64,
    encoding_bytes: u64,
    plan_start: u64,
    plan_bytes: u64,
    packed_bytes: u64,
}

impl Trailer {
    fn read(delta: &(impl ReadAt + ?Sized)) -> Result<Self, Reason> {
        let end = delta.size().checked_sub(TRAILER_BYTES).ok_or(Reason::Truncated)?;
        let size = |at: u64| Ok::<_, Reason>(u32::from_le_bytes(array(delta, end + 4 * at)?));
        let encoding_bytes = size(0)?;
        if encoding_bytes as usize > TREE_ENCODING_BYTES_MAX {
            return Err(Reason::Tree(TreeError::TooLarge {
                what: "bytes of encoding",
                found: u64::from(encoding_bytes),
                limit: TREE_ENCODING_BYTES_MAX as u64,
            }));
        }
        let (index_bytes, plan_bytes, packed_bytes) = (u64::from(size(1)?), size(2)?, u64::from(size(3)?));
        within("bytes of plan", u64::from(plan_bytes), PLAN_BYTES_MAX as u64)?;
        let plan_start = end.checked_sub(packed_bytes).ok_or(Reason::Truncated)?;
        let index_start = plan_start.checked_sub(index_bytes).ok_or(Reason::Truncated)?;
        Ok(Self {
            index_start,
            index_bytes,
            encoding_bytes: u64::from(encoding_bytes),
            plan_start,
            plan_bytes: u64::from(plan_bytes),
            packed_bytes,
        })
    }

    fn parts(&self) -> [EndPart; 2] {
        let Self { index_bytes, encoding_bytes, plan_bytes, packed_bytes, .. } = *self;
        [
            EndPart { name: "index", raw_bytes: encoding_bytes, packed_bytes: index_bytes },
            EndPart { name: "plan", raw_bytes: plan_bytes, packed_bytes },
        ]
    }

    /// The new tree, made from the old one's encoding: most of both are digests, which do not pack.
    fn read_index(
        &self,
        old: &[u8],
        expected: &Hash,
        delta: &(impl ReadAt + ?Sized),
    ) -> Result<Tree, Reason> {
        let body = Part::new(delta, self.index_start, self.index_bytes).ok_or(Reason::Truncated)?;
        let mut encoding = Vec::new();
        let work = &mut Work::small();
        body::follow(&old, &body, &ScratchMemory, 0, work, &mut encoding, self.encoding_bytes)?;
        if blake3::hash(&encoding) != *expected {
            return Err(Reason::Malformed("its index is not the one it names"));
        }
        Ok(Tree::decode(&encoding)?)
    }

    fn read_plan(&self, delta: &(impl ReadAt + ?Sized)) -> Result<Vec<u8>, Reason> {
        let packed = Part::new(delta, self.plan_start, self.packed_bytes).ok_or(Reason::Truncated)?;
        let mut plan = Vec::new();
        let work = &mut Work::small();
        body::follow(NOTHING, &packed, &ScratchMemory, 0, work, &mut plan, self.plan_bytes)?;
        Ok(plan)
    }

    /// The bodies fill all that is between the header and the index.
    fn check_bodies(&self, plan: &[Group]) -> Result<(), Reason> {
        let end = plan.iter().try_fold(HEADER_BYTES, |end, group| end.checked_add(group.bytes));
        if end != Some(self.index_start) {
            return Err(Reason::Malformed("its parts do not fill it"));
        }
        Ok(())
    }
}

fn array<const N: usize>(delta: &(impl ReadAt + ?Sized), at: u64) -> Result<[u8; N], Reason> {
    let mut bytes = [0; N];
    delta.read_exact_at(&mut bytes, at).map_err(Reason::from_delta)?;
    Ok(bytes)
}
