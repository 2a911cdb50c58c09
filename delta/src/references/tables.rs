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

    /// How many words from a place on begin none.
    pub(super) fn none_for(&self, place: u32) -> usize {
        let word = place as usize / WORD_BYTES;
        let mut rest = self.bits.iter().skip(word / 64);
        let Some(first) = rest.next() else { return usize::MAX };
        let first = first >> (word % 64);
        if first != 0 {
            return first.trailing_zeros() as usize;
        }
        let mut none = 64 - word % 64;
        for bits in rest {
            if *bits != 0 {
                return none + bits.trailing_zeros() as usize;
            }
            none += 64;
        }
        usize::MAX
    }

    pub(super) fn may_begin(&self, place: u32) -> bool {
        let word = place as usize / WORD_BYTES;
        self.bits.get(word / 64).is_some_and(|bits| bits >> (word % 64) & 1 == 1)
    }
}

const WORD_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn where_none_begins_none_may_begin(
            words in proptest::collection::vec(0_usize..400, 0..6),
            place in 0_u32..2000,
        ) {
            let mut tables = Tables { bits: vec![0; 7] };
            for word in words {
                tables.bits[word / 64] |= 1 << (word % 64);
            }
            let places = (place..).step_by(WORD_BYTES);
            let expected = places.take(600).position(|place| tables.may_begin(place));
            prop_assert_eq!(tables.none_for(place), expected.unwrap_or(usize::MAX));
        }
    }
}
