//! A cap on bytes per second that holds over any second: bytes leave in slices of a few milliseconds.
//!
//! [`Allowance`](super::Allowance) says when a whole piece may begin; this says how fast its bytes go. Two
//! bounds together: a bucket that never holds more than 20 milliseconds' bytes, so that who was late
//! catches up and nobody sends a second's bytes at once; and a count of what left within the last second.

use crate::time::{Span, Time};

/// How much may be made up for by who came late. More would not do: what is made up for at once is missing in
/// the second that begins right after it.
const CATCH_UP: Span = Span::milliseconds(20);

/// A slice is as many bytes as leave in this time, so that a cap of 16 KiB a second is 82 bytes at a time.
const SLICE: Span = Span::milliseconds(5);

/// Bytes of a slice, at most.
const SLICE_BYTES_MAX: u64 = 64 * 1024;

const BUCKET: Span = Span::milliseconds(10);

/// A second and one bucket more, since the oldest has partly passed.
const BUCKETS: usize = 101;

/// What the last second may hold, in thousandths of the cap.
const PERMILLE_MAX: u64 = 1_015;

/// Paces a flow of bytes.
#[derive(Clone, Debug)]
pub struct Pace {
    bytes_per_second: Option<u64>,
    /// In thousandths of a byte.
    level: u64,
    filled: Time,
    sent: [u64; BUCKETS],
    sum: u64,
    /// The number of the newest bucket, counted from time zero.
    newest: u64,
}

impl Pace {
    /// With a cap of at least 1 byte a second, or none. Begins with an empty bucket.
    pub fn new(bytes_per_second: Option<u64>, now: Time) -> Self {
        let mut pace = Self {
            bytes_per_second: None,
            level: 0,
            filled: now,
            sent: [0; BUCKETS],
            sum: 0,
            newest: now.0 / BUCKET.0,
        };
        pace.set_rate(now, bytes_per_second);
        pace
    }

    /// Changes the cap. What left within the last second counts against the new one.
    pub fn set_rate(&mut self, now: Time, bytes_per_second: Option<u64>) {
        self.settle(now);
        self.bytes_per_second = bytes_per_second.map(|rate| rate.clamp(1, 1 << 40));
        self.level = self.level.min(self.capacity());
    }

    /// The cap.
    pub fn bytes_per_second(&self) -> Option<u64> {
        self.bytes_per_second
    }

    /// How many of `wanted` bytes may leave at `now`, which are taken to have left: a slice at least (or
    /// all that are wanted), else none.
    pub fn take(&mut self, now: Time, wanted: u64) -> u64 {
        self.settle(now);
        let Some(rate) = self.bytes_per_second else { return wanted };
        let room = most_in_a_second(rate).saturating_sub(self.sum);
        let granted = wanted.min(self.level / 1000).min(room);
        if granted < wanted.min(slice(rate)) {
            return 0;
        }
        self.level -= granted * 1000;
        self.sum += granted;
        self.sent[index(self.newest)] += granted;
        granted
    }

    /// Gives back some of what was taken last, because something else kept it from leaving.
    pub fn give_back(&mut self, bytes: u64) {
        let newest = &mut self.sent[index(self.newest)];
        let bytes = bytes.min(*newest);
        *newest -= bytes;
        self.sum -= bytes;
        self.level = self.level.saturating_add(bytes.saturating_mul(1000)).min(self.capacity());
    }

    /// When it is worth asking again for `wanted` bytes, as of the last call that named a time.
    pub fn opens_at(&self, wanted: u64) -> Time {
        let Some(rate) = self.bytes_per_second else { return self.filled };
        let slice = wanted.min(slice(rate));
        if most_in_a_second(rate).saturating_sub(self.sum) < slice {
            return Time((self.newest + 1) * BUCKET.0);
        }
        let missing = (slice * 1000).saturating_sub(self.level);
        self.filled + Span(missing.div_ceil(rate).max(1))
    }

    fn capacity(&self) -> u64 {
        let rate = self.bytes_per_second.unwrap_or(0);
        // At least a slice, or a cap of a few bytes would never open.
        rate.saturating_mul(CATCH_UP.0).max(slice(rate) * 1000)
    }

    fn settle(&mut self, now: Time) {
        let gained = self.bytes_per_second.unwrap_or(0).saturating_mul(now.since(self.filled).0);
        self.level = self.level.saturating_add(gained).min(self.capacity());
        self.filled = self.filled.max(now);
        let bucket = self.filled.0 / BUCKET.0;
        let passed = (bucket - self.newest).min(BUCKETS as u64);
        for step in 1..=passed {
            let oldest = &mut self.sent[index(bucket - passed + step)];
            self.sum -= *oldest;
            *oldest = 0;
        }
        self.newest = bucket;
    }
}

fn slice(rate: u64) -> u64 {
    (rate * SLICE.0 / 1000).clamp(1, SLICE_BYTES_MAX)
}

/// For caps of a few bytes a second one byte more than the cap must do.
fn most_in_a_second(rate: u64) -> u64 {
    rate.saturating_mul(PERMILLE_MAX) / 1000 + u64::from(rate < 100)
}

fn index(bucket: u64) -> usize {
    usize::try_from(bucket % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that left, and when.
    fn run(
        rates: &[(u64, u64)],
        late: impl Fn(usize) -> u64,
        pauses: impl Fn(usize) -> u64,
        until: u64,
    ) -> Vec<(u64, u64)> {
        let mut now = Time(1_000);
        let mut pace = Pace::new(Some(rates[0].1), now);
        let (mut left, mut step, mut next_rate) = (Vec::new(), 0, 1);
        while now.0 < until {
            if let Some((at, rate)) = rates.get(next_rate)
                && now.0 >= *at
            {
                pace.set_rate(now, Some(*rate));
                next_rate += 1;
            }
            loop {
                match pace.take(now, 65_536) {
                    0 => break,
                    taken => left.push((now.0, taken)),
                }
            }
            step += 1;
            now = pace.opens_at(65_536).max(now) + Span(late(step) + pauses(step));
        }
        left
    }

    /// The least and the most that left within any second between `from` and `until`.
    fn extremes(left: &[(u64, u64)], from: u64, until: u64) -> (u64, u64) {
        let mut bytes_at = vec![0_u64; usize::try_from(until + 1).unwrap()];
        left.iter().for_each(|(at, bytes)| bytes_at[usize::try_from((*at).min(until)).unwrap()] += bytes);
        let (from, until) = (usize::try_from(from).unwrap(), usize::try_from(until).unwrap());
        let mut sum: u64 = bytes_at[from..from + 1000].iter().sum();
        let (mut least, mut most) = (sum, sum);
        for end in from + 1000..until {
            sum = sum + bytes_at[end] - bytes_at[end - 1000];
            (least, most) = (least.min(sum), most.max(sum));
        }
        (least, most)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_cap_holds_within_two_per_cent_over_any_second_for_who_is_never_six_milliseconds_late(
            rate in prop_oneof![Just(16 * 1024_u64), 16 * 1024_u64..100_000, 100_000_u64..20_000_000],
            late in prop::collection::vec(0_u64..=6, 1..50),
        ) {
            let left = run(&[(0, rate)], |step| late[step % late.len()], |_| 0, 6_000);
            let (least, most) = extremes(&left, 1_100, 5_900);
            prop_assert!(most <= rate * 102 / 100, "{} of {} in a second", most, rate);
            prop_assert!(least >= rate * 98 / 100 - 100, "{} of {} in a second", least, rate);
        }

        #[test]
        fn whatever_the_pauses_no_second_sees_more_than_two_per_cent_too_much(
            rate in 1_u64..20_000_000,
            late in prop::collection::vec(prop_oneof![4 => 0_u64..3, 1 => 0_u64..1_500], 1..50),
        ) {
            let left = run(&[(0, rate)], |_| 0, |step| late[step % late.len()], 8_000);
            let (_, most) = extremes(&left, 1_000, 7_900);
            prop_assert!(most <= rate * 102 / 100 + 1, "{} of {} in a second", most, rate);
        }

        #[test]
        fn what_is_given_back_can_be_taken_again(rate in 20_000_u64..1_000_000, back in 0_u64..2_000) {
            let mut pace = Pace::new(Some(rate), Time(0));
            let first = pace.take(Time(20), 65_536);
            prop_assert!(first > 0);
            let back = back.min(first);
            pace.give_back(back);
            prop_assert_eq!(pace.take(Time(20), back.max(slice(rate))), if back >= slice(rate) { back } else { 0 });
        }
    }

    #[test]
    fn a_lower_cap_holds_from_the_second_in_which_it_began() {
        let left = run(&[(0, 4_000_000), (3_000, 16_384)], |_| 1, |_| 0, 9_000);
        let (_, most) = extremes(&left, 1_100, 2_990);
        assert!((3_900_000..=4_080_000).contains(&most));
        let after: u64 = left.iter().filter(|(at, _)| (3_000..4_000).contains(at)).map(|(_, b)| b).sum();
        assert!(after <= 16_711, "{after} bytes in the first second");
        let (least, most) = extremes(&left, 4_100, 8_900);
        assert!(least >= 16_000 && most <= 16_711, "{least} to {most}");
    }

    #[test]
    fn without_a_cap_everything_may_leave() {
        let mut pace = Pace::new(None, Time(5));
        assert_eq!(pace.take(Time(5), 1 << 30), 1 << 30);
        assert_eq!(pace.opens_at(1), Time(5));
    }
}
