//! How often one register's changes were passed on lately (hole H40).

use crate::bounds::{RELAY_BURST, RELAY_BURST_BEACON, RELAY_WINDOW};
use crate::facts::Key;
use crate::time::Time;

/// When a window ends, and how often the register's changes were passed on in it: one number, since it lies beside each
/// register, and a hundred thousand nodes may share a process. The first window is over before time begins.
#[derive(Clone, Copy, Default, Debug)]
pub struct Relayed(u64);

/// Bits for the count: no burst is longer.
const COUNT_BITS: u32 = 8;
const _: () = assert!(RELAY_BURST < 1 << COUNT_BITS && RELAY_BURST_BEACON < 1 << COUNT_BITS);

impl Relayed {
    /// Begins another window if this one is over. Whether it did.
    pub(crate) fn begin(&mut self, now: Time) -> bool {
        let is_over = self.ends() <= now;
        if is_over {
            // By a clock that shows more than two million years each window is over at once.
            let ends = (now + RELAY_WINDOW).0.min(u64::MAX >> COUNT_BITS);
            self.0 = ends << COUNT_BITS;
        }
        is_over
    }

    /// When its window ends.
    pub(crate) fn ends(self) -> Time {
        Time(self.0 >> COUNT_BITS)
    }

    /// Counts one more change of this register that is passed on, if so few were that it may be.
    pub(crate) fn count(&mut self, key: &Key) -> bool {
        let burst = if matches!(key, Key::Beacon(_)) { RELAY_BURST_BEACON } else { RELAY_BURST };
        let may = self.0 & ((1 << COUNT_BITS) - 1) < u64::from(burst);
        self.0 += u64::from(may);
        may
    }
}
