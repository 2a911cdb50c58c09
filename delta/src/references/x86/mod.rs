//! References in x86-64 code: calls, jumps, data named relative to the program counter and, in files that are not
//! position-independent, addresses in immediates and displacements.
//!
//! `code` finds those of a piece of code, `fields` says what an instruction names, `lanes`, `steps` and `quick` pass over
//! most instructions in a few look-ups, `decode` and `opcodes` know all of them, `loads` finds where jump tables may begin.

mod code;
mod decode;
mod fields;
mod lanes;
mod loads;
mod opcodes;
mod quick;
mod steps;

use std::io;

use super::find::File;
use super::store::Writer;
use crate::models::Piece;

use decode::INSTRUCTION_BYTES_MAX;
use lanes::LEAD_BYTES;

pub(super) use code::Code;
pub(super) use fields::Surroundings;
pub(super) use lanes::Lanes;
pub(super) use loads::mark;

/// Finds all references of a section of code.
pub(super) fn find(file: &File<'_>, code: &Code, out: &mut Writer) -> io::Result<()> {
    let at = |place: u32| file.layout.window.start + u64::from(place);
    let range = code.range();
    let mut place = range.start;
    let mut before = Vec::new();
    let mut lanes = Lanes::default();
    file.source.pieces(at(range.start)..at(range.end), INSTRUCTION_BYTES_MAX, |_, bytes, last| {
        // Nothing moves as a whole here.
        let piece = Piece { region: place..place, at: place, bytes, before: &before };
        code.visit(&piece, &mut lanes, &mut |reference| {
            out.push(reference.at, reference.kind, reference.base);
        });
        let done = if last { bytes.len() } else { bytes.len().saturating_sub(INSTRUCTION_BYTES_MAX) };
        before.clear();
        before.extend_from_slice(bytes.get(done.saturating_sub(LEAD_BYTES)..done).unwrap_or_default());
        place = place.saturating_add(u32::try_from(done).unwrap_or(u32::MAX));
        done
    })
}
