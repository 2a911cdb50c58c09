//! What numbers became, as far as it was seen and is not what the moves say.

use crate::blocks::Blocks;

const SLOTS_LOG: u32 = 17;

/// A table of fixed size. Numbers that fall on one slot displace each other.
pub(super) struct Seen {
    slots: Vec<(u32, u32)>,
    /// Blocks of 32 numbers of which any may be in the table: 16 KiB of bits.
    blocks: Blocks<17, 5>,
}

impl Seen {
    pub(super) fn new() -> Self {
        // The slot of no number holds it, except for the number 0, which becomes itself.
        let mut blocks = Blocks::new();
        blocks.add(0);
        Self { slots: vec![(0, 0); 1 << SLOTS_LOG], blocks }
    }

    fn slot(number: u32) -> usize {
        (number.wrapping_mul(0x9e37_79b1) >> (32 - SLOTS_LOG)) as usize
    }

    /// What a number became.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<u32> {
        if !self.blocks.may_hold(number) {
            return None;
        }
        let (was, is) = *self.slots.get(Self::slot(number))?;
        (was == number).then_some(is)
    }

    /// A number became another; without this table, `expected` would have been predicted.
    #[inline]
    pub(super) fn learn(&mut self, was: u32, is: u32, expected: u32) {
        if is == expected && !self.blocks.may_hold(was) {
            return;
        }
        if let Some(slot) = self.slots.get_mut(Self::slot(was))
            && (slot.0 == was || is != expected)
        {
            *slot = (was, is);
            self.blocks.add(was);
        }
    }
}
