//! Looking into a delta between trees.

use crate::access::{ReadAt, ReadTree};
use crate::error::{ApplyError, Reason};
use crate::inspect::{Inspection, Subject};
use crate::limits::Limits;
use crate::patch::{Body, Seen, mapped_bytes};
use crate::reading::Part;
use crate::tree::Tree;

use super::base::Base;
use super::ends::{DELTA_VERSION, Opened, leads_to};
use super::plan::{Group, Kind};

/// Reads all of a delta's groups, and follows them to count what they predict.
pub(crate) fn inspect(
    delta: &dyn ReadAt,
    old: &Tree,
    old_files: &impl ReadTree,
) -> Result<Inspection, ApplyError> {
    let limits = Limits { delta_bytes: u64::MAX, new_bytes: u64::MAX, ..Limits::default() };
    let opened = Opened::read(old, delta, &leads_to(delta)?, &limits)?;
    let same_bytes = opened.copies().map(|file| file.bytes).sum::<u64>();
    let mut mapped = same_bytes;
    for (group, body) in opened.groups() {
        mapped = mapped
            .saturating_add(mapped_bytes(&read(group, &body, old, &opened.new)?, made(group, &opened.new)));
    }
    let mut seen = Seen::new(mapped);
    seen.same(same_bytes);
    let (mut patched, mut whole) = (0, 0);
    for (group, bytes) in opened.groups() {
        let body = read(group, &bytes, old, &opened.new)?;
        seen.body(&body, &bytes, made(group, &opened.new))?;
        let files = group.files.len() as u64;
        match group.kind {
            Kind::Patch { .. } => patched += files,
            Kind::Whole => whole += files,
        }
        seen.follow(body, &Base::open(old, old_files, group.sources())?, &bytes)?;
    }
    for part in opened.parts {
        seen.part(part.name, part.raw_bytes, part.packed_bytes, "as a patch");
    }
    let subject = Subject::Tree { same: opened.copies().count() as u64, patched, whole };
    Ok(seen.finish(delta.size(), subject, DELTA_VERSION, old.bytes(), opened.new.bytes())?)
}

fn made(group: &Group, new: &Tree) -> u64 {
    group.files(new).map(|file| file.bytes).sum()
}

fn read(group: &Group, body: &Part<&dyn ReadAt>, old: &Tree, new: &Tree) -> Result<Body, Reason> {
    Body::read_all(body, group.source_bytes(old), made(group, new))
}
