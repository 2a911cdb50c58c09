//! How long something took, many times: a histogram of integers with logarithmic buckets.

/// Steps in which a duration doubles: a bucket is at most a quarter wider than it is high.
const STEPS: u32 = 4;
/// Buckets: every 64-bit number of microseconds has one.
const BUCKETS: usize = 64 * STEPS as usize;

/// The histogram.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, longest: 0 }
    }
}

fn bucket(micros: u64) -> usize {
    let micros = micros.max(u64::from(STEPS));
    let power = micros.ilog2();
    let step = (micros >> (power - 2)) & u64::from(STEPS - 1);
    usize::try_from(u64::from(power * STEPS) + step).unwrap_or(0)
}

/// The shortest duration of a bucket.
fn floor(bucket: usize) -> u64 {
    let (power, step) = (bucket / STEPS as usize, bucket % STEPS as usize);
    // What is shorter than 4 microseconds lies in the first bucket in use.
    if bucket <= 2 * STEPS as usize {
        return 0;
    }
    if power >= 64 {
        return u64::MAX;
    }
    (4 + step as u64) << (power - 2)
}

impl Histogram {
    /// Counts a duration.
    pub(super) fn count(&mut self, micros: u64) {
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.longest = self.longest.max(micros);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest.
    pub fn longest_micros(&self) -> u64 {
        self.longest
    }

    /// Of 1,000 durations so many were shorter than this, to the width of a bucket.
    pub fn below_micros(&self, permille: u64) -> u64 {
        let wanted = self.total.saturating_mul(permille).div_ceil(1000);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return floor(place + 1).min(self.longest);
            }
        }
        self.longest
    }

    /// The buckets that hold something, as (shortest, end, count).
    pub fn filled(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(place, count)| (floor(place), floor(place + 1), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_within_its_bucket() {
        for micros in (0..64).flat_map(|power| [1_u64 << power, (1_u64 << power) - 1]).chain([5, 1000, 1001])
        {
            let place = bucket(micros);
            assert!(floor(place) <= micros, "{micros}");
            assert!(place + 1 == BUCKETS || micros < floor(place + 1), "{micros}");
        }
    }

    #[test]
    fn half_of_a_thousand_is_below_the_median() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|millisecond| histogram.count(millisecond * 1000));
        let median = histogram.below_micros(500);
        assert!((500_000..=640_000).contains(&median), "{median}");
        assert_eq!(histogram.below_micros(1000), 1_000_000);
        assert_eq!(Histogram::default().below_micros(500), 0);
    }
}
