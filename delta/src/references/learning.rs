//! What fields turned out to be, kept for those that name the same target or one near it.
//!
//! Everything is kept in tables of fixed size, in which new entries displace old ones: how much there is to learn
//! depends on files from strangers.

use crate::blocks::Blocks;

/// How much is kept, as powers of two: what moved otherwise than expected, and what moved near what was not expected at all,
/// for each of the distances.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) exceptions_log: u32,
    pub(super) near_log: u32,
}

/// For targets of fields: 2.9 MB.
pub(super) const FOR_TARGETS: Room = Room { exceptions_log: 18, near_log: 14 };
/// For numbers of one sort: 600 kB.
pub(super) const FOR_NUMBERS: Room = Room { exceptions_log: 16, near_log: 10 };

/// Blocks of so many bytes, as powers of two, from near to far.
const NEAR_SHIFTS: [u32; 5] = [6, 9, 12, 16, 20];

/// The complement of an old place, and its new one. An empty entry is all zeros, so that what is never touched takes neither
/// memory nor the time to fill it.
type Moved = (u32, u32);

/// No place is this: it is beyond all that layouts give out.
const NOWHERE: u32 = u32::MAX;

pub(super) struct Learned {
    room: Room,
    exceptions: Vec<Moved>,
    /// Blocks of 256 places of which any may be an exception: 32 KiB of bits. Most have none.
    blocks: Blocks<18, 8>,
    /// A few bits of what each of them is of, or zero: nearly all targets are no exceptions, and this says so from a cache.
    tags: Vec<u8>,
    near: [Vec<Moved>; NEAR_SHIFTS.len()],
}

impl Learned {
    pub(super) fn new(room: Room) -> Self {
        let table = |log: u32| vec![(!NOWHERE, 0); 1 << log];
        Self {
            room,
            exceptions: table(room.exceptions_log),
            blocks: Blocks::new(),
            tags: vec![0; 1 << room.exceptions_log],
            near: NEAR_SHIFTS.map(|_| table(room.near_log)),
        }
    }

    /// Where a target is known to have gone, if not where it was projected to.
    #[inline]
    pub(super) fn exception(&self, old: u32) -> Option<u32> {
        if !self.blocks.may_hold(old) {
            return None;
        }
        let slot = slot(old, self.room.exceptions_log);
        if self.tags.get(slot) != Some(&tag(old)) {
            return None;
        }
        let (known, new) = self.exceptions.get(slot)?;
        (!known == old).then_some(*new)
    }

    /// A target was projected, and is there or elsewhere.
    #[inline]
    pub(super) fn learn(&mut self, old: u32, projected: Option<u32>, new: u32) {
        let slot = slot(old, self.room.exceptions_log);
        let Some(known) = self.tags.get_mut(slot) else { return };
        if projected != Some(new) {
            *known = tag(old);
            self.blocks.add(old);
        } else if *known != tag(old) {
            return;
        }
        if let Some(entry) = self.exceptions.get_mut(slot) {
            if projected != Some(new) {
                *entry = (!old, new);
            } else if !entry.0 == old {
                entry.0 = !NOWHERE;
                *known = 0;
            }
        }
    }

    /// Where something nearby went tells where this is.
    pub(super) fn neighbour(&self, old: u32, farthest: u32) -> Option<u32> {
        for (table, shift) in self.near.iter().zip(NEAR_SHIFTS) {
            if 1 << shift > farthest {
                break;
            }
            let block = old >> shift;
            let around = [block.wrapping_sub(1), block, block.wrapping_add(1)];
            let known = around.iter().filter_map(|block| {
                let (known, new) = table.get(slot(*block, self.room.near_log))?;
                (!known != NOWHERE && !known >> shift == *block).then_some((!known, *new))
            });
            let nearest = known.min_by_key(|(known, _)| (known.abs_diff(old), *known));
            if let Some((known, new)) = nearest {
                return Some(old.wrapping_sub(known).wrapping_add(new));
            }
        }
        None
    }

    pub(super) fn learn_near(&mut self, old: u32, new: u32) {
        for (table, shift) in self.near.iter_mut().zip(NEAR_SHIFTS) {
            if let Some(entry) = table.get_mut(slot(old >> shift, self.room.near_log)) {
                *entry = (!old, new);
            }
        }
    }
}

/// Other bits than those that say the slot.
#[inline]
fn tag(key: u32) -> u8 {
    key.wrapping_mul(0x9e37_79b1).to_le_bytes()[0] | 1
}

#[inline]
fn slot(key: u32, log: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> (32 - log)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_holds_until_the_projection_is_right_again() {
        let mut learned = Learned::new(FOR_TARGETS);
        learned.learn(7, Some(10), 20);
        assert_eq!(learned.exception(7), Some(20));
        learned.learn(7, Some(10), 10);
        assert_eq!(learned.exception(7), None);
        learned.learn(8, Some(11), 11);
        assert_eq!(learned.exception(8), None);
    }

    #[test]
    fn the_nearest_neighbour_says_where_a_target_went() {
        let mut learned = Learned::new(FOR_TARGETS);
        assert_eq!(learned.neighbour(5000, u32::MAX), None);
        learned.learn_near(5000, 6000);
        learned.learn_near(5100, 6200);
        assert_eq!(learned.neighbour(5010, 4096), Some(6010));
        assert_eq!(learned.neighbour(5090, 4096), Some(6190));
        assert_eq!(learned.neighbour(90_000, 4096), None);
        assert_eq!(learned.neighbour(90_000, u32::MAX), Some(91_100));
    }
}
