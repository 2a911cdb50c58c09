//! Time in buckets: memory stays the same however long a run is.
//!
//! All that a trace keeps by time lies in at most [`BUCKETS_MAX`] buckets. When a run outgrows them the
//! buckets become twice as wide, and neighbours melt into one.

use crate::world::queue::Moment;

/// Buckets at most: about two for each point of a wide screen.
pub const BUCKETS_MAX: u32 = 2_000;
/// Width of a bucket when a run begins: 10 ms, half of the shortest switch of a slot.
const FIRST_WIDTH_MICROS: u64 = 10_000;

/// What can melt neighbouring buckets into one.
pub(super) trait Coarsen {
    /// Buckets 2n and 2n + 1 become bucket n.
    fn coarsen(&mut self);
}

/// How wide the buckets are.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    width_micros: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { width_micros: FIRST_WIDTH_MICROS }
    }
}

impl Clock {
    /// The bucket of a moment, unless the buckets are too narrow for it.
    pub(super) fn bucket(&self, now: Moment) -> Option<u32> {
        let bucket = u32::try_from(now.0 / self.width_micros).ok()?;
        (bucket < BUCKETS_MAX).then_some(bucket)
    }

    /// Makes the buckets twice as wide.
    pub(super) fn widen(&mut self) {
        self.width_micros = self.width_micros.saturating_mul(2);
    }

    /// Width of a bucket in microseconds.
    pub fn width_micros(&self) -> u64 {
        self.width_micros
    }

    /// When a bucket begins.
    pub fn begins(&self, bucket: u32) -> Moment {
        Moment(u64::from(bucket).saturating_mul(self.width_micros))
    }
}

/// A number's value in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The bucket.
    pub bucket: u32,
    /// The highest value in it.
    pub high: u64,
    /// The value at its end.
    pub last: u64,
}

/// A number that changes with time; zero at first.
#[derive(Clone, Debug, Default)]
pub struct Series {
    points: Vec<Point>,
}

impl Series {
    /// The number has this value from now on.
    pub(super) fn set(&mut self, bucket: u32, value: u64) {
        match self.points.last_mut() {
            Some(point) if point.bucket == bucket => {
                point.last = value;
                point.high = point.high.max(value);
            }
            Some(point) if point.last == value => {}
            _ => self.points.push(Point { bucket, high: value, last: value }),
        }
    }

    /// Where it changed.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The highest value of all.
    pub fn highest(&self) -> u64 {
        self.points.iter().map(|point| point.high).max().unwrap_or(0)
    }

    /// The value at the end.
    pub fn last(&self) -> u64 {
        self.points.last().map_or(0, |point| point.last)
    }
}

impl Coarsen for Series {
    fn coarsen(&mut self) {
        let mut melted: Vec<Point> = Vec::with_capacity(self.points.len());
        for point in &self.points {
            let bucket = point.bucket / 2;
            match melted.last_mut() {
                Some(last) if last.bucket == bucket => {
                    last.high = last.high.max(point.high);
                    last.last = point.last;
                }
                _ => melted.push(Point { bucket, ..*point }),
            }
        }
        self.points = melted;
    }
}

/// Sums of `N` kinds, by bucket.
#[derive(Clone, Debug)]
pub struct Sums<const N: usize> {
    buckets: Vec<[u64; N]>,
}

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Self { buckets: Vec::new() }
    }
}

impl<const N: usize> Sums<N> {
    /// Adds to a kind.
    pub(super) fn add(&mut self, bucket: u32, kind: usize, amount: u64) {
        let place = usize::try_from(bucket).unwrap_or(0);
        if self.buckets.len() <= place {
            self.buckets.resize(place + 1, [0; N]);
        }
        let sum = &mut self.buckets[place][kind];
        *sum = sum.saturating_add(amount);
    }

    /// The sums, from the first bucket to the last in which something was added.
    pub fn buckets(&self) -> &[[u64; N]] {
        &self.buckets
    }
}

impl<const N: usize> Coarsen for Sums<N> {
    fn coarsen(&mut self) {
        let melted = self.buckets.chunks(2).map(|pair| {
            let mut sum = [0_u64; N];
            for one in pair {
                sum.iter_mut().zip(one).for_each(|(sum, one)| *sum = sum.saturating_add(*one));
            }
            sum
        });
        self.buckets = melted.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_needs_no_more_buckets_than_a_short_one() {
        let mut clock = Clock::default();
        let mut series = Series::default();
        let mut sums: Sums<1> = Sums::default();
        for second in 0..100_000 {
            let now = Moment::seconds(second);
            while clock.bucket(now).is_none() {
                clock.widen();
                series.coarsen();
                sums.coarsen();
            }
            let bucket = clock.bucket(now).unwrap();
            series.set(bucket, second % 7);
            sums.add(bucket, 0, 1);
        }
        assert!(series.points().len() <= BUCKETS_MAX as usize);
        assert!(sums.buckets().len() <= BUCKETS_MAX as usize);
        assert_eq!(sums.buckets().iter().map(|b| b[0]).sum::<u64>(), 100_000, "nothing is lost");
        assert_eq!(series.highest(), 6, "a peak survives");
    }
}
