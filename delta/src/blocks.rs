//! Which blocks of numbers may hold one that a table knows.
//!
//! Tables of what was learned are asked for every field, and nearly always know nothing. A bit for each block of numbers says
//! that from the nearest cache: what is named together is mostly near together. Blocks share bits in turns, so a bit that is
//! set promises nothing.

/// A set of blocks: `2^BITS_LOG` bits, each for blocks of `2^BLOCK_LOG` numbers.
pub(crate) struct Blocks<const BITS_LOG: u32, const BLOCK_LOG: u32>(Vec<u64>);

impl<const BITS_LOG: u32, const BLOCK_LOG: u32> Blocks<BITS_LOG, BLOCK_LOG> {
    /// None.
    pub(crate) fn new() -> Self {
        Self(vec![0; (1 << BITS_LOG) / u64::BITS as usize])
    }

    /// The word and the bit of a number's block.
    #[inline]
    fn place(number: u32) -> (usize, u64) {
        let block = (number >> BLOCK_LOG) as usize % (1 << BITS_LOG);
        (block / u64::BITS as usize, 1 << (block % u64::BITS as usize))
    }

    /// Whether the number's block, or another that shares its bit, was added.
    #[inline]
    pub(crate) fn may_hold(&self, number: u32) -> bool {
        let (word, bit) = Self::place(number);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds the number's block.
    #[inline]
    pub(crate) fn add(&mut self, number: u32) {
        let (word, bit) = Self::place(number);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_held_once_any_of_its_numbers_was_added() {
        let mut blocks = Blocks::<7, 5>::new();
        assert!((0..10_000).all(|number| !blocks.may_hold(number)));
        blocks.add(70);
        let held: Vec<u32> = (0..4096).filter(|number| blocks.may_hold(*number)).collect();
        assert_eq!(held, (64..96).collect::<Vec<u32>>());
        assert!(blocks.may_hold(4096 + 64), "blocks share bits in turns");
        blocks.add(u32::MAX);
        assert!(blocks.may_hold(u32::MAX));
    }
}
