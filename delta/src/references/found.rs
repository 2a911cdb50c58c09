//! All references of a window: those that are kept in memory, and those of code, which are found when a region reaches it.

use std::ops::Range;

use super::kind::Reference;
use super::store::Stretch;
use super::x86::{Code, Lanes};
use crate::limits::REFERENCES_BYTES_MAX;
use crate::models::Piece;

/// In order, without overlap.
#[derive(Debug, Default)]
pub(crate) struct References {
    parts: Vec<Part>,
    lanes: Lanes,
}

/// A part of the window whose references were found in order, or will be.
#[derive(Debug)]
pub(super) enum Part {
    Kept(Stretch),
    Code(Code),
}

impl Part {
    fn range(&self) -> &Range<u32> {
        match self {
            Self::Kept(stretch) => stretch.range(),
            Self::Code(code) => code.range(),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Kept(stretch) if stretch.count() == 0)
    }

    fn size(&self) -> usize {
        match self {
            Self::Kept(stretch) => stretch.size(),
            Self::Code(_) => 0,
        }
    }
}

impl References {
    /// Takes parts in any order. Of two that overlap, the one that begins first stays.
    pub(super) fn new(mut parts: Vec<Part>) -> Self {
        parts.retain(|part| !part.is_empty());
        parts.sort_by_key(|part| part.range().start);
        let (mut end, mut left) = (0, REFERENCES_BYTES_MAX);
        parts.retain(|part| {
            let size = part.size();
            let fits = part.range().start >= end && size <= left;
            if fits {
                (end, left) = (part.range().end, left - size);
            }
            fits
        });
        Self { parts, lanes: Lanes::default() }
    }

    /// How many are kept.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        let kept = self.parts.iter().map(|part| if let Part::Kept(kept) = part { kept.count() } else { 0 });
        kept.map(u64::from).sum()
    }

    /// Those kept that lie wholly within a part of the window.
    pub(crate) fn within(&self, range: Range<u32>) -> impl Iterator<Item = Reference> {
        let (start, end) = (range.start, range.end);
        let first = self.parts.partition_point(|part| part.range().end <= start);
        let parts = self.parts.iter().skip(first);
        parts
            .take_while(move |part| part.range().start < end)
            .filter_map(|part| if let Part::Kept(kept) = part { Some(kept) } else { None })
            .flat_map(move |kept| kept.from(start))
            .take_while(move |reference| reference.at < end)
            .filter(move |reference| {
                reference.at >= start && end - reference.at >= u32::from(reference.bytes())
            })
    }

    /// Visits those that lie wholly within a piece of a region, in order, but for some that stay as they are.
    #[inline]
    pub(crate) fn visit(&mut self, piece: &Piece<'_>, mut visit: impl FnMut(Reference)) {
        let range = piece.range();
        let first = self.parts.partition_point(|part| part.range().end <= range.start);
        for part in self.parts.iter().skip(first).take_while(|part| part.range().start < range.end) {
            match part {
                Part::Kept(kept) => kept.visit(&range, &mut visit),
                Part::Code(code) => code.visit(piece, &mut self.lanes, &mut visit),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::super::store::{Dialect, Writer};
    use super::*;
    use proptest::prelude::*;

    fn kept(start: u32, gaps: &[u32]) -> Part {
        let mut writer = Writer::new(start, u32::MAX, Dialect::X86);
        for gap in gaps {
            let at = writer.end() + gap;
            writer.push(at, Kind::Ahead, 0);
        }
        Part::Kept(writer.finish())
    }

    proptest! {
        #[test]
        fn parts_in_any_order_never_overlap(
            parts in proptest::collection::vec((0_u32..50_000, proptest::collection::vec(0_u32..90, 0..9)), 0..9),
        ) {
            let parts = parts.iter().map(|(start, gaps)| kept(*start, gaps)).collect();
            let mut end = 0;
            for reference in References::new(parts).within(0..u32::MAX) {
                prop_assert!(reference.at >= end);
                end = reference.at + u32::from(reference.bytes());
            }
        }
    }
}
