//! Numbers of lines, which code passes on for messages.
//!
//! When a source file grows by a line, all numbers after it do. So what the last few numbers turned out to be tells about
//! the next one: those near in value most, because they are of the same source file. Numbers that are none of
//! lines mostly stay as they are, and that is learned in the same way.

/// How many numbers are remembered.
const NUMBERS: usize = 16;
/// Numbers so far apart in the code tell nothing about each other.
const FILE_BYTES: u32 = 64 << 10;
/// Smaller numbers are hardly ever those of lines.
const SMALLEST: u32 = 48;
/// One number further back counts like so much difference in value.
const STEP: u32 = 16;
/// A number that is less like the next one than this tells nothing.
const UNLIKE: u32 = 2000;

#[derive(Clone, Copy, Default)]
struct Number {
    old: u32,
    new: u32,
    at: u32,
}

/// The last few numbers.
#[derive(Default)]
pub(super) struct Lines {
    last: [Number; NUMBERS],
    /// Where the next one goes.
    next: usize,
}

impl Lines {
    pub(super) fn predict(&self, was: u64, at: u32) -> Option<u64> {
        let was = u32::try_from(was).ok().filter(|was| *was >= SMALLEST)?;
        let (newer, older) = self.last.split_at(self.next);
        let latest_first = newer.iter().rev().chain(older.iter().rev());
        let known = latest_first.zip((0..).step_by(STEP as usize));
        let known = known.filter(|(known, _)| known.old > 0 && at.abs_diff(known.at) < FILE_BYTES);
        let unlike = |(known, age): (&Number, u32)| known.old.abs_diff(was).saturating_add(age);
        let best = known.map(|known| (unlike(known), known.0)).min_by_key(|(unlike, _)| *unlike);
        let (_, best) = best.filter(|(unlike, _)| *unlike < UNLIKE)?;
        Some(u64::from(was.wrapping_sub(best.old).wrapping_add(best.new)))
    }

    pub(super) fn learn(&mut self, was: u64, at: u32, is: u64) {
        let (Ok(old), Ok(new)) = (u32::try_from(was), u32::try_from(is)) else { return };
        if old >= SMALLEST {
            self.last[self.next] = Number { old, new, at };
            self.next = (self.next + 1) % NUMBERS;
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
