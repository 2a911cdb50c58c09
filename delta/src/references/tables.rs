//! Where jump tables may begin: words that code loads the address of.

use super::find::File;

/// A bit for each word of the window's beginning that is not code.
pub(super) struct Tables {
    bits: Vec<u64>,
}

impl Tables {
    pub(super) fn new(file: &File<'_>) -> Self {
        let data = file.sections.iter().filter(|section| section.is_loaded() && !section.is_code());
        let ends = data.filter_map(|section| file.place(file.visible(section).end.saturating_sub(1)));
        let words = ends.max().map_or(0, |last| last as usize / WORD_BYTES + 1);
        Self { bits: vec![0; words.div_ceil(64)] }
    }

    /// Code loads the address of a place.
    pub(super) fn mark(&mut self, place: u32) {
        let word = place as usize / WORD_BYTES;
        if (place as usize).is_multiple_of(WORD_BYTES)
            && let Some(bits) = self.bits.get_mut(word / 64)
        {
            *bits |= 1 << (word % 64);
        }
    }

    pub(super) fn may_begin(&self, place: u32) -> bool {
        let word = place as usize / WORD_BYTES;
        self.bits.get(word / 64).is_some_and(|bits| bits >> (word % 64) & 1 == 1)
    }
}

const WORD_BYTES: usize = 4;
