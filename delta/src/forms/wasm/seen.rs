//! What numbers became, as far as it was seen and is not what the moves say.

const SLOTS_LOG: u32 = 17;

/// A table of fixed size. Numbers that fall on one slot displace each other.
pub(super) struct Seen {
    slots: Vec<(u32, u32)>,
    /// A bit for each block of numbers, in turns: whether any of them may be in the table. Few are, and this says so from a
    /// nearer cache.
    blocks: Vec<u64>,
}

/// How many blocks have a bit of their own: 16 KiB of bits.
const BLOCKS: usize = 1 << 17;
/// The numbers of a block, as a power of two.
const BLOCK_SHIFT: u32 = 5;

/// The word and the bit of a number's block.
#[inline]
fn block(number: u32) -> (usize, u64) {
    let block = (number >> BLOCK_SHIFT) as usize % BLOCKS;
    (block / u64::BITS as usize, 1 << (block % u64::BITS as usize))
}

impl Seen {
    pub(super) fn new() -> Self {
        // The slot of no number holds it, except for the number 0, which becomes itself.
        let mut blocks = vec![0; BLOCKS / u64::BITS as usize];
        blocks[0] = 1;
        Self { slots: vec![(0, 0); 1 << SLOTS_LOG], blocks }
    }

    fn slot(number: u32) -> usize {
        (number.wrapping_mul(0x9e37_79b1) >> (32 - SLOTS_LOG)) as usize
    }

    /// What a number became.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<u32> {
        let (word, bit) = block(number);
        if self.blocks.get(word).is_none_or(|word| word & bit == 0) {
            return None;
        }
        let (was, is) = *self.slots.get(Self::slot(number))?;
        (was == number).then_some(is)
    }

    /// A number became another; without this table, `expected` would have been predicted.
    #[inline]
    pub(super) fn learn(&mut self, was: u32, is: u32, expected: u32) {
        let (word, bit) = block(was);
        let Some(word) = self.blocks.get_mut(word) else { return };
        if is == expected && *word & bit == 0 {
            return;
        }
        if let Some(slot) = self.slots.get_mut(Self::slot(was))
            && (slot.0 == was || is != expected)
        {
            *slot = (was, is);
            *word |= bit;
        }
    }
}
