//! The arithmetic of juries.

use serde::{Deserialize, Serialize};

use crate::mutations::{self, Mutation};

/// How many jurors there are, how many of them may fail or lie, and how many must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// Jurors: n, at least 1.
    pub jurors: u32,
    /// Jurors that may lie: f = (n-1)/3.
    pub faulty: u32,
    /// Jurors that must agree to open: q = ceil((n+f+1)/2). Two such groups share more than f jurors.
    pub quorum: u32,
}

impl Quorum {
    /// The quorum of a jury of `jurors`; an empty jury counts as one that can never agree with less than one.
    pub const fn of(jurors: u32) -> Self {
        let jurors = if jurors == 0 { 1 } else { jurors };
        let faulty = (jurors - 1) / 3;
        Self { jurors, faulty, quorum: (jurors + faulty + 2) / 2 }
    }

    /// Jurors whose word suffices to stop: f + 1, so that one of them is honest.
    pub const fn stoppers(self) -> u32 {
        self.faulty + 1
    }

    /// *Other* jurors whom a node asks for fresh news or tells first: f + 1, or all there are.
    pub const fn confirmers(self) -> u32 {
        if self.faulty + 1 < self.jurors { self.faulty + 1 } else { self.jurors - 1 }
    }

    /// The `quorum`-th largest of the jurors' numbers: what a quorum has reached, which was `before` and never falls.
    pub fn reached(self, before: u32, numbers: &[u32]) -> u32 {
        let less = u32::from(mutations::is(Mutation::QuorumOneSmall));
        risen(before, numbers, self.quorum - less)
    }

    /// The number that at least one honest juror has reached, which was `before` and never falls.
    pub fn hinted(self, before: u32, numbers: &[u32]) -> u32 {
        risen(before, numbers, self.stoppers())
    }
}

/// The `n`-th largest of `numbers`, which was `before` and never falls: asked with every ballot, and most change nothing.
fn risen(before: u32, numbers: &[u32], n: u32) -> u32 {
    let above = numbers.iter().filter(|number| **number > before).count();
    if (above as u64) < u64::from(n) { before } else { nth_largest(numbers, n) }
}

/// The `n`-th largest of `numbers`, counted from 1; missing numbers are 0. Jurors mostly say one of few numbers, so they
/// are not put in order.
fn nth_largest(numbers: &[u32], n: u32) -> u32 {
    let place = usize::try_from(n).unwrap_or(usize::MAX).max(1);
    if place > numbers.len() {
        return 0;
    }
    let mut largest = numbers.iter().copied().max().unwrap_or(0);
    while numbers.iter().filter(|number| **number >= largest).count() < place {
        let less = numbers.iter().filter(|number| **number < largest);
        largest = less.copied().max().unwrap_or(0);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P3 of the protocol's checks, for every jury.
    #[test]
    fn quorums_intersect_in_an_honest_juror_and_survive_the_faulty() {
        for n in 1..=64 {
            let Quorum { faulty: f, quorum: q, .. } = Quorum::of(n);
            assert!(q <= n - f, "n={n}: the honest alone can agree");
            if f > 0 {
                assert!(2 * q - n > f, "n={n}: two quorums share an honest juror");
            }
            assert!(Quorum::of(n).confirmers() < n);
        }
    }

    #[test]
    fn the_table_of_the_protocol_holds() {
        let table = [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7), (12, 8), (64, 43)];
        for (n, q) in table {
            assert_eq!(Quorum::of(n).quorum, q, "n={n}");
        }
    }

    #[test]
    fn reached_is_the_qth_largest() {
        let q = Quorum::of(4);
        for before in 0..=2 {
            assert_eq!(q.reached(before, &[9, 3, 2, 0]), 2);
            assert_eq!(q.hinted(before, &[9, 3, 2, 0]), 3);
        }
        assert_eq!(q.reached(0, &[9, 9]), 0, "silence counts as zero");
        assert_eq!(q.reached(4, &[9, 3, 2, 0]), 4, "it never falls");
        let numbers = [4, 7, 7, 0, 2, 7, 4, 1];
        let mut sorted = numbers;
        sorted.sort_unstable_by(|one, other| other.cmp(one));
        for (n, number) in (1..).zip(sorted) {
            assert_eq!(nth_largest(&numbers, n), number);
        }
        assert_eq!((nth_largest(&numbers, 0), nth_largest(&numbers, 9)), (7, 0));
    }
}
