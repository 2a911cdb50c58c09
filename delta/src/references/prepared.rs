//! References that are found out of the file's order, and wait for their turn.

use std::ops::Range;

use super::kind::{Kind, Reference};
use super::store::Writer;

/// Most references that wait.
const PREPARED_MAX: usize = 768 << 10;

/// References of one file.
#[derive(Default)]
pub(super) struct Prepared {
    references: Vec<Reference>,
}

impl Prepared {
    pub(super) fn add(&mut self, at: u32, kind: Kind, base: u32) {
        if self.references.len() < PREPARED_MAX {
            self.references.push(Reference { at, kind, base });
        }
    }

    pub(super) fn sort(&mut self) {
        self.references.sort_unstable_by_key(|reference| (reference.at, reference.kind.number()));
    }

    /// Those that begin in a part of the window, once they are sorted.
    pub(super) fn within(&self, range: Range<u32>) -> &[Reference] {
        let start = self.references.partition_point(|reference| reference.at < range.start);
        let end = self.references.partition_point(|reference| reference.at < range.end);
        self.references.get(start..end).unwrap_or_default()
    }

    /// Writes those that begin in a part of the window.
    pub(super) fn write(&self, range: Range<u32>, out: &mut Writer) {
        for reference in self.within(range) {
            out.push(reference.at, reference.kind, reference.base);
        }
    }
}
