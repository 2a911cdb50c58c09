//! Many numbers in four: median, the middle 90 %, the worst.

use serde::Serialize;

/// How a number came out over many runs, by order statistics: the runs' own numbers, nothing fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half of the runs had at most this.
    pub median: u64,
    /// One run in twenty had at most this.
    pub p5: u64,
    /// Nineteen runs in twenty had at most this.
    pub p95: u64,
    /// The most of all runs.
    pub worst: u64,
}

impl Spread {
    /// The spread of `numbers`, by nearest rank; all zero for none.
    pub(super) fn of(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        let rank = |percent: usize| {
            let place = (numbers.len() * percent).div_ceil(100).max(1) - 1;
            numbers.get(place).copied().unwrap_or(0)
        };
        Self { median: rank(50), p5: rank(5), p95: rank(95), worst: rank(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_holds_numbers_that_were_there() {
        let hundred = Spread::of((1..=100).rev().collect());
        assert_eq!(hundred, Spread { median: 50, p5: 5, p95: 95, worst: 100 });
        assert_eq!(Spread::of(vec![7]), Spread { median: 7, p5: 7, p95: 7, worst: 7 });
        assert_eq!(Spread::of(Vec::new()).worst, 0);
    }
}
