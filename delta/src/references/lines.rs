//! Numbers of lines, which code passes on for messages.
//!
//! When a source file grows by a line, all numbers after it do. So what the last few numbers turned out to be tells about
//! the next one: those near in value most, because they are of the same source file. Numbers that are none of
//! lines mostly stay as they are, and that is learned in the same way.

/// How many numbers are remembered.
const NUMBERS: usize = 16;
const SLOTS: u32 = 16;
const _: () = assert!(SLOTS as usize == NUMBERS);
/// Numbers so far apart in the code tell nothing about each other.
const FILE_BYTES: u32 = 64 << 10;
/// Smaller numbers are hardly ever those of lines.
const SMALLEST: u32 = 48;
/// Lines do not move further: what seems to is another number.
const MOVE_MAX: u32 = 10_000;
/// One number further back counts like so much difference in value.
const STEP: u32 = 16;
/// A number that is less like the next one than this tells nothing.
const UNLIKE: u32 = 2000;

/// The last few numbers, each in the slot that its turn gives. A slot that holds none has no old number.
#[derive(Default)]
pub(super) struct Lines {
    old: [u32; NUMBERS],
    new: [u32; NUMBERS],
    at: [u32; NUMBERS],
    /// Where the next one goes.
    next: u32,
}

impl Lines {
    pub(super) fn predict(&self, was: u64, at: u32) -> Option<u64> {
        let was = u32::try_from(was).ok().filter(|was| *was >= SMALLEST)?;
        // All slots are looked at, without a branch: how unlike, then how old, then which.
        let mut best = u32::MAX;
        for (slot, (old, known_at)) in (0..SLOTS).zip(self.old.iter().zip(&self.at)) {
            let age = self.next.wrapping_sub(slot + 1) % SLOTS;
            let unlike = old.abs_diff(was).min(UNLIKE) + age * STEP;
            let tells = (*old > 0) & (at.abs_diff(*known_at) < FILE_BYTES) & (unlike < UNLIKE);
            let key = (unlike * SLOTS + age) * SLOTS + slot;
            best = best.min(if tells { key } else { u32::MAX });
        }
        let best = (best != u32::MAX).then_some((best % SLOTS) as usize)?;
        let (old, new) = (self.old.get(best)?, self.new.get(best)?);
        Some(u64::from(was.wrapping_sub(*old).wrapping_add(*new)))
    }

    pub(super) fn learn(&mut self, was: u64, at: u32, is: u64) {
        let (Ok(old), Ok(new)) = (u32::try_from(was), u32::try_from(is)) else { return };
        if old >= SMALLEST && old.abs_diff(new) <= MOVE_MAX {
            let slot = (self.next % SLOTS) as usize;
            (self.old[slot], self.new[slot], self.at[slot]) = (old, new, at);
            self.next = self.next.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_moves_like_the_last_one_near_it() {
        let mut lines = Lines::default();
        assert_eq!(lines.predict(500, 0), None);
        lines.learn(480, 0, 487);
        lines.learn(9000, 10, 9001);
        assert_eq!(lines.predict(500, 20), Some(507));
        assert_eq!(lines.predict(9100, 20), Some(9101));
        assert_eq!(lines.predict(500, FILE_BYTES), None);
        assert_eq!(lines.predict(8, 20), None);
    }
}
