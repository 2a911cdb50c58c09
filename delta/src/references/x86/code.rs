//! Code whose references are found when a region reaches it: nothing of them is kept.

use std::ops::Range;
use std::rc::Rc;

use super::decode::{INSTRUCTION_BYTES_MAX, decode};
use super::fields::{Fields, Surroundings};
use super::lanes::{Found, LEAD_BYTES, Lanes, size_at};
use super::steps::{Names, Steps};
use crate::models::Piece;
use crate::references::elf::Section;
use crate::references::find::File;
use crate::references::kind::{Kind, Reference};

const _: () = assert!(LEAD_BYTES <= crate::models::BEFORE_BYTES_MAX);

/// A section of code.
#[derive(Debug)]
pub(in crate::references) struct Code {
    /// Where it is in the window.
    range: Range<u32>,
    /// The address of its first byte.
    address: u64,
    surroundings: Rc<Surroundings>,
    /// Where the relocations are whose numbers it pushes.
    relocations: Option<u32>,
}

impl Code {
    /// What of a section is in the window, if anything.
    pub(in crate::references) fn new(
        file: &File<'_>,
        section: &Section,
        surroundings: &Rc<Surroundings>,
    ) -> Option<Self> {
        let visible = file.visible(section);
        let start = file.place(visible.start)?;
        let last = file.place(visible.end.checked_sub(1)?)?;
        (start <= last).then(|| Self {
            range: start..last + 1,
            address: section.address.wrapping_add(visible.start - section.at),
            surroundings: Rc::clone(surroundings),
            relocations: relocations_of(file, section),
        })
    }

    pub(in crate::references) fn range(&self) -> &Range<u32> {
        &self.range
    }

    /// Visits the references that lie wholly within a piece, in order, but for those that lead to somewhere else in the piece's
    /// region: as both move together, they stay as they are.
    pub(in crate::references) fn visit(
        &self,
        piece: &Piece<'_>,
        lanes: &mut Lanes,
        visit: &mut impl FnMut(Reference),
    ) {
        let (start, end) = (piece.at.max(self.range.start), piece.end().min(self.range.end));
        if start >= end {
            return;
        }
        let region = piece.region.start.max(self.range.start)..piece.region.end.min(self.range.end);
        let within = |place: u32| place.clamp(start, end) - start;
        let interest = self.surroundings.interest(within(region.start)..within(region.end));
        let mut fields = Fields::new(&self.surroundings, self.relocations, region, end, visit);
        let first = self.catch_up(piece, &mut fields);
        let from = (start - piece.at) as usize;
        let code = piece.bytes.get(from..from + (end - start) as usize).unwrap_or_default();
        for found in lanes.measure(code, first, &interest) {
            self.visit_found(start, code, &found, &mut fields);
        }
    }

    /// Visits what an instruction names, of a piece of code that begins at a place.
    #[inline]
    fn visit_found(
        &self,
        start: u32,
        code: &[u8],
        found: &Found,
        fields: &mut Fields<'_, impl FnMut(Reference)>,
    ) {
        let after = found.at + found.bytes;
        let end = start.wrapping_add(after);
        let code = |from: u32| code.get(from as usize..).unwrap_or_default();
        let word = || {
            let word = code(after.saturating_sub(4)).first_chunk();
            word.map_or(0, |word| u32::from_le_bytes(*word))
        };
        match found.names {
            Names::Branch | Names::Relative => fields.ahead(end, self.address_of(end), word()),
            Names::ShortBranch => {
                let distance = code(after.saturating_sub(1)).first().copied();
                fields.short_ahead(end, distance.unwrap_or_default());
            }
            Names::FrameSlot => fields.push(end.wrapping_sub(1), Kind::FrameSlot, 0),
            Names::Slot => fields.push(end.wrapping_sub(1), Kind::Slot, 0),
            Names::LongSlot => fields.push(end.wrapping_sub(4), Kind::LongSlot, 0),
            Names::LongFrameSlot => fields.push(end.wrapping_sub(4), Kind::LongFrameSlot, 0),
            Names::Displacement => fields.displaced(end.wrapping_sub(4), word()),
            Names::Number => fields.number(end.wrapping_sub(4), word()),
            Names::Address | Names::Other | Names::Nothing => {
                let (place, code) = (start.wrapping_add(found.at), code(found.at));
                fields.of(place, self.address_of(place), code, &decode(code));
            }
        }
    }

    /// Decodes the code before a piece. Returns how many of the piece's bytes belong to an instruction that began before it.
    fn catch_up(&self, piece: &Piece<'_>, fields: &mut Fields<'_, impl FnMut(Reference)>) -> u32 {
        let inside = piece.at.saturating_sub(self.range.start);
        let lead = (inside as usize).min(LEAD_BYTES).min(piece.before.len());
        if lead == 0 {
            return 0;
        }
        let mut code = [0; LEAD_BYTES + INSTRUCTION_BYTES_MAX];
        let before = piece.before.get(piece.before.len() - lead..).unwrap_or_default();
        let inside = (self.range.end - piece.at) as usize;
        let after = piece.bytes.len().min(inside).min(INSTRUCTION_BYTES_MAX);
        let (to, rest) = code.split_at_mut(lead);
        to.copy_from_slice(before);
        rest.get_mut(..after)
            .unwrap_or_default()
            .copy_from_slice(piece.bytes.get(..after).unwrap_or_default());
        let code = code.get(..lead + after).unwrap_or_default();
        let steps = Steps::new();
        let mut at = 0;
        while at < lead {
            let next = at + usize::from(size_at(code, at, steps));
            if next > lead {
                let place = piece.at - u32::try_from(lead - at).unwrap_or_default();
                let rest = code.get(at..).unwrap_or_default();
                fields.from(piece.at).of(place, self.address_of(place), rest, &decode(rest));
            }
            at = next;
        }
        u32::try_from(at - lead).unwrap_or_default()
    }

    fn address_of(&self, place: u32) -> u64 {
        self.address.wrapping_add(u64::from(place.wrapping_sub(self.range.start)))
    }
}

/// Stubs to functions of other libraries push the number of their relocation.
fn relocations_of(file: &File<'_>, section: &Section) -> Option<u32> {
    if section.name() == b".plt" { file.place_of(file.section(b".rela.plt")) } else { None }
}
