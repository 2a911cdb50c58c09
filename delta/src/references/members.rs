//! Where in structures things are, as code says that reaches them.
//!
//! When a structure gets one more member, those behind it move, and all code that reaches them changes alike. So what one
//! displacement turned out to be tells about the same one elsewhere, and about those next to it.

/// Code so far apart is about different structures.
const REACH_BYTES: u32 = 64 << 10;
const SAME_LOG: u32 = 10;
const NEAR_LOG: u32 = 8;
const NEAR_SHIFT: u32 = 6;
/// Members do not move further: what seems to is another instruction.
const MOVE_MAX: u32 = 4096;

#[derive(Clone, Copy, Default)]
struct Moved {
    old: u32,
    new: u32,
    at: u32,
}

/// What is known of displacements seen lately.
pub(super) struct Members {
    same: Vec<Moved>,
    near: Vec<Moved>,
}

impl Members {
    pub(super) fn new() -> Self {
        let table = |log: u32| vec![Moved::default(); 1 << log];
        Self { same: table(SAME_LOG), near: table(NEAR_LOG) }
    }

    pub(super) fn predict(&self, was: u64, at: u32) -> Option<u64> {
        let old = u32::try_from(was).ok()?;
        let lately = |moved: &&Moved| moved.old > 0 && at.abs_diff(moved.at) < REACH_BYTES;
        let same = self.same.get(slot(old, SAME_LOG)).filter(lately).filter(|moved| moved.old == old);
        let near = self.near.get(slot(old >> NEAR_SHIFT, NEAR_LOG)).filter(lately);
        let near = near.filter(|moved| moved.old >> NEAR_SHIFT == old >> NEAR_SHIFT);
        let moved = same.or(near)?;
        Some(u64::from(old.wrapping_sub(moved.old).wrapping_add(moved.new)))
    }

    pub(super) fn learn(&mut self, was: u64, at: u32, is: u64) {
        let (Ok(old), Ok(new)) = (u32::try_from(was), u32::try_from(is)) else { return };
        if old.abs_diff(new) > MOVE_MAX {
            return;
        }
        let moved = Moved { old, new, at };
        if let Some(entry) = self.same.get_mut(slot(old, SAME_LOG)) {
            *entry = moved;
        }
        if let Some(entry) = self.near.get_mut(slot(old >> NEAR_SHIFT, NEAR_LOG)) {
            *entry = moved;
        }
    }
}

fn slot(key: u32, log: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> (32 - log)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_moves_like_the_same_one_elsewhere_or_one_next_to_it() {
        let mut members = Members::new();
        assert_eq!(members.predict(0x508, 0), None);
        members.learn(0x508, 0, 0x4b0);
        assert_eq!(members.predict(0x508, 9), Some(0x4b0));
        assert_eq!(members.predict(0x510, 9), Some(0x4b8));
        assert_eq!(members.predict(0x608, 9), None);
        assert_eq!(members.predict(0x508, REACH_BYTES), None);
    }
}
